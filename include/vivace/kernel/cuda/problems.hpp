#pragma once
#include <cstdint>
#include <cstring>

#include <vivace/core/bfloat16.hpp>
#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cuda/launch.hpp>

/// @file
/// Products and convolutions taken apart, for kernels of ours and for the vendor's libraries.

namespace vivace::inline VIVACE_TARGET::gpu {

/// What is multiplied: elements of the kernel's type, or of bfloat16.
template <class Real>
struct factor {
  const Real* data = nullptr;
  bool narrow = false;
  std::uint32_t first = 0;  ///< of two elements of a word, 0 or 1
  /// All but the first elements.
  [[nodiscard]] VIVACE_HOST_DEVICE factor behind(std::size_t elements) const {
    if constexpr (!stores_narrow<Real>) return {data + elements};
    return {data + (elements >> narrow), narrow, static_cast<std::uint32_t>(narrow & elements)};
  }
  [[nodiscard]] VIVACE_HOST_DEVICE Real operator[](std::size_t index) const {
    if constexpr (stores_narrow<Real>) {
      std::uint32_t word;  // one element or two: the same load for both
      index += first;
      std::memcpy(&word, data + (index >> narrow), sizeof word);
      const bool low = narrow && index % 2 == 0;
      return __builtin_bit_cast(Real, word << 16 * low & (narrow ? 0xffff0000 : 0xffffffff));
    } else {
      return data[index];
    }
  }
};

/// `batch` products c[m, n] = a[m, k] b[k, n], row by row in memory, either operand perhaps transposed there.
template <class Real>
struct product_problem {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transpose_a = false, transpose_b = false;
  bool narrow = false;  ///< both operands are of bfloat16, the result is not
  const Real* a = nullptr;
  const Real* b = nullptr;
  Real* c = nullptr;
  const Real* bias = nullptr;  ///< [n], added to each row; null: none
  bool relu = false;           ///< of what is written
};

/// A convolution or one of its gradients; `kind` says which of the three tensors is the result.
template <class Real>
struct convolution_problem {
  op kind = op::conv2d;
  shape image{}, weight{}, result{};  ///< [samples, channels, height, width], [filters, channels of a group, ...]
  window frame{};
  bool narrow = false;      ///< both operands are of bfloat16, and what a library makes of them is
  const Real* a = nullptr;  ///< the first operand of the operation
  const Real* b = nullptr;  ///< the second
  Real* c = nullptr;        ///< what it computes
  const Real* bias = nullptr;  ///< of each filter, added to its plane; null: none
  bool relu = false;           ///< of what is written
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
  work.narrow = self.in[0].narrow;
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
  work.narrow = self.in[0].narrow;
  work.a = self.in[0].data;
  work.b = self.in[1].data;
  work.c = to;
  return work;
}

/// A program that libraries can do while they write: a bias, then perhaps relu.
template <class Real>
struct epilogue {
  const Real* bias = nullptr;  ///< null: the program is another
  bool relu = false;
  Real* to = nullptr;
};

/// Recognises such a program.
/// @param count of different biases
/// @param run elements that share one, side by side
template <class Real>
epilogue<Real> epilogue_of(const program<Real>& body, std::int64_t count, std::int64_t run) {
  if (body.instructions < 1 || body.instructions > 2 || body.stores != 1 || body.head_register < 0) return {};
  const instruction& sum = *body.code[0].code;
  const instruction& last = *body.code[body.instructions - 1].code;
  if (sum.kind != op::add || body.store[0].from != last.to) return {};
  if (body.instructions == 2 && (last.kind != op::relu || last.from[0] != sum.to)) return {};
  const bool head_first = sum.from[0] == body.head_register;
  const std::int16_t other = head_first ? sum.from[1] : sum.from[0];
  if ((!head_first && sum.from[1] != body.head_register) || other >= 0) return {};
  const bound_load<Real>& load = body.load[-1 - other];
  // What is repeated before the bias, the bias, and what is repeated behind it; axes of one element do not appear.
  pattern wanted;
  const auto axis = [&](std::int64_t extent, bool repeated) {
    if (extent == 1) return;
    wanted.extent[wanted.rank] = static_cast<std::int32_t>(extent);
    wanted.repeated[wanted.rank++] = repeated;
  };
  axis(body.size / count / run, true);
  axis(count, false);
  axis(run, true);
  if (load.splat || load.data == nullptr || !(load.full ? body.size == count : load.spread == wanted)) return {};
  const auto begin = [](const Real* data) { return reinterpret_cast<std::uintptr_t>(data); };
  const auto bytes = [](std::int64_t elements) { return static_cast<std::uintptr_t>(elements) * sizeof(Real); };
  const Real* const to = body.store[0].data;
  if (begin(load.data) < begin(to) + bytes(body.size) && begin(to) < begin(load.data) + bytes(count))
    return {};  // the bias would change while it is read
  return {load.data, body.instructions == 2, body.store[0].data};
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
