#pragma once
#include <vivace/kernel/cuda/each.hpp>

/// @file
/// Operations that move elements and compute nothing: a thread writes one element.

namespace vivace::inline VIVACE_TARGET::gpu {

/// A shape split at an axis: sizes from the axis on, and behind it.
struct axis_split {
  std::int64_t extent = 1, inner = 1;
  [[nodiscard]] constexpr std::int64_t line() const { return extent * inner; }
};
constexpr axis_split split_at(const shape& dims, int axis) {
  axis_split result{.extent = dims[axis]};
  for (int d = axis + 1; d < dims.rank; ++d) result.inner *= dims[d];
  return result;
}
/// Elements of one index of the outer axes, as a divisor.
constexpr divider line_of(const axis_split& split) { return divider(static_cast<std::uint32_t>(split.line())); }

template <class Real>
struct move_transposed {
  const Real* from;
  Real* to;
  strided_index where;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const { to[index] = from[where.offset(index)]; }
};
template <class Launch, class Real>
void transpose(const call<Real>& self, const step_context& context) {
  const shape& from = self.in[0].dims;
  const shape& to = self.out.dims;
  move_transposed<Real> work{self.in[0].data, self.out.data, {}};
  for (int d = 0; d < to.rank; ++d) {
    std::int64_t stride = 1;
    for (int s = self.attr->axes[d] + 1; s < from.rank; ++s) stride *= from[s];
    work.where.add_axis(to[d], stride);
  }
  for_each<Launch>(work, to.size(), context);
}

/// Lines of one tensor cut out of those of another, or set into them.
template <class Real>
struct move_range {
  const Real* from;
  Real* to;
  divider own_line;      ///< of the result
  std::uint32_t line;    ///< of the operand
  std::uint32_t begin;   ///< slice: where the range begins in an operand's line; pad: in a result's
  bool pads;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const std::uint32_t outer = own_line.quotient(index);
    const std::uint32_t rest = index - outer * own_line.divisor;
    if (!pads)
      to[index] = from[outer * line + begin + rest];
    else
      to[index] = rest >= begin && rest < begin + line ? from[outer * line + rest - begin] : Real(0);
  }
};
template <class Launch, class Real>
void move_lines(const call<Real>& self, const step_context& context, bool pads) {
  const int axis = self.attr->axes[0];
  const axis_split from = split_at(self.in[0].dims, axis), to = split_at(self.out.dims, axis);
  for_each<Launch>(
      move_range<Real>{self.in[0].data, self.out.data, line_of(to), static_cast<std::uint32_t>(from.line()),
                       static_cast<std::uint32_t>(self.attr->first * to.inner), pads},
      self.out.dims.size(), context);
}
template <class Launch, class Real>
void slice(const call<Real>& self, const step_context& context) {
  move_lines<Launch>(self, context, false);
}
template <class Launch, class Real>
void pad(const call<Real>& self, const step_context& context) {
  move_lines<Launch>(self, context, true);
}

template <class Real>
struct move_joined {
  const Real* left;
  const Real* right;
  Real* to;
  divider line;
  std::uint32_t left_line;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const std::uint32_t outer = line.quotient(index);
    const std::uint32_t rest = index - outer * line.divisor;
    to[index] = rest < left_line ? left[outer * left_line + rest]
                                 : right[outer * (line.divisor - left_line) + rest - left_line];
  }
};
template <class Launch, class Real>
void concatenate(const call<Real>& self, const step_context& context) {
  const int axis = self.attr->axes[0];
  const axis_split left = split_at(self.in[0].dims, axis), to = split_at(self.out.dims, axis);
  for_each<Launch>(move_joined<Real>{self.in[0].data, self.in[1].data, self.out.data, line_of(to),
                                     static_cast<std::uint32_t>(left.line())},
                   self.out.dims.size(), context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
