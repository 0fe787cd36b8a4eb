#pragma once
#include <cstdint>

#include <vivace/kernel/call.hpp>

/// @file
/// Products and convolutions taken apart, for kernels of ours and for the vendor's libraries.

namespace vivace::inline VIVACE_TARGET::gpu {

/// `batch` products c[m, n] = a[m, k] b[k, n], row by row in memory, either operand perhaps transposed there.
template <class Real>
struct product_problem {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transpose_a = false, transpose_b = false;
  const Real* a = nullptr;
  const Real* b = nullptr;
  Real* c = nullptr;
};

/// A convolution or one of its gradients; `kind` says which of the three tensors is the result.
template <class Real>
struct convolution_problem {
  op kind = op::conv2d;
  shape image{}, weight{}, result{};  ///< [samples, channels, height, width], [filters, channels of a group, ...]
  window frame{};
  const Real* a = nullptr;  ///< the first operand of the operation
  const Real* b = nullptr;  ///< the second
  Real* c = nullptr;        ///< what it computes
};

template <class Real>
product_problem<Real> product_of(const call<Real>& self, Real* to) {
  const shape& dims = self.out.dims;
  product_problem<Real> work;
  work.m = dims[dims.rank - 2];
  work.n = dims[dims.rank - 1];
  work.k = self.in[0].dims[self.attr->transpose_a ? dims.rank - 2 : dims.rank - 1];
  work.batch = dims.size() / (work.m * work.n);
  work.transpose_a = self.attr->transpose_a;
  work.transpose_b = self.attr->transpose_b;
  work.a = self.in[0].data;
  work.b = self.in[1].data;
  work.c = to;
  return work;
}

template <class Real>
convolution_problem<Real> convolution_of(op kind, const call<Real>& self, Real* to) {
  convolution_problem<Real> work;
  work.kind = kind;
  const shape &first = self.in[0].dims, &second = self.in[1].dims, &out = self.out.dims;
  work.image = kind == op::conv2d_input_gradient ? out : first;
  work.weight = kind == op::conv2d_weight_gradient ? out : second;
  work.result = kind == op::conv2d ? out : kind == op::conv2d_input_gradient ? first : second;
  work.frame = self.attr->frame;
  work.a = self.in[0].data;
  work.b = self.in[1].data;
  work.c = to;
  return work;
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
