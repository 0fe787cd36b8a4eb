#pragma once
#include <vivace/kernel/call.hpp>

/// @file
/// Operations that move elements and compute nothing. Plain loops, but fit for use: they run on all threads.

namespace vivace::inline VIVACE_TARGET::reference {

/// Splits a shape at an axis: the sizes before, at and behind it.
struct axis_split {
  std::int64_t outer = 1, extent = 1, inner = 1;
};

inline axis_split split_at(const shape& dims, int axis) {
  axis_split result;
  for (int d = 0; d < dims.rank; ++d) {
    std::int64_t& size = d < axis ? result.outer : d == axis ? result.extent : result.inner;
    size *= dims[d];
  }
  return result;
}

template <class Real>
void transpose(const call<Real>& self, const step_context& context) {
  const shape& from = self.in[0].dims;
  const shape& to = self.out.dims;
  std::int64_t stride[max_rank]{};  // of the operand, along each axis of the result
  for (int d = 0; d < to.rank; ++d) {
    stride[d] = 1;
    for (int s = self.attr->axes[d] + 1; s < from.rank; ++s) stride[d] *= from[s];
  }
  const std::int64_t inner = to[to.rank - 1];
  const std::int64_t inner_stride = stride[to.rank - 1];
  const std::int64_t outermost = to.rank > 1 ? to[0] : 1;
  context.lanes(outermost, [&](std::int64_t outer) {
    const std::int64_t lines = to.size() / outermost / inner;
    Real* target = self.out.data + outer * lines * inner;
    for (std::int64_t line = 0; line < lines; ++line, target += inner) {
      std::int64_t place = outer * stride[0];
      std::int64_t rest = line;
      for (int d = to.rank - 2; d > 0; --d) {
        place += rest % to[d] * stride[d];
        rest /= to[d];
      }
      for (std::int64_t i = 0; i < inner; ++i) target[i] = self.in[0].data[place + i * inner_stride];
    }
  });
}

template <class Real>
void slice(const call<Real>& self, const step_context&) {
  const axis_split from = split_at(self.in[0].dims, self.attr->axes[0]);
  const std::int64_t count = self.out.dims[self.attr->axes[0]] * from.inner;
  for (std::int64_t outer = 0; outer < from.outer; ++outer)
    for (std::int64_t i = 0; i < count; ++i)
      self.out.data[outer * count + i] =
          self.in[0].data[(outer * from.extent + self.attr->first) * from.inner + i];
}

template <class Real>
void pad(const call<Real>& self, const step_context&) {
  const axis_split to = split_at(self.out.dims, self.attr->axes[0]);
  const std::int64_t count = self.in[0].dims[self.attr->axes[0]] * to.inner;
  const std::int64_t begin = self.attr->first * to.inner;
  for (std::int64_t outer = 0; outer < to.outer; ++outer)
    for (std::int64_t i = 0; i < to.extent * to.inner; ++i)
      self.out.data[outer * to.extent * to.inner + i] =
          i >= begin && i < begin + count ? self.in[0].data[outer * count + i - begin] : Real(0);
}

template <class Real>
void concatenate(const call<Real>& self, const step_context&) {
  const axis_split left = split_at(self.in[0].dims, self.attr->axes[0]);
  const axis_split right = split_at(self.in[1].dims, self.attr->axes[0]);
  Real* to = self.out.data;
  for (std::int64_t outer = 0; outer < left.outer; ++outer) {
    const std::int64_t first = left.extent * left.inner;
    const std::int64_t second = right.extent * right.inner;
    for (std::int64_t i = 0; i < first; ++i) *to++ = self.in[0].data[outer * first + i];
    for (std::int64_t i = 0; i < second; ++i) *to++ = self.in[1].data[outer * second + i];
  }
}

}  // namespace vivace::inline VIVACE_TARGET::reference
