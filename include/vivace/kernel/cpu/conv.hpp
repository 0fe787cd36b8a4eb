#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_plan.hpp>
#include <vivace/kernel/cpu/conv_strips.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/input_gradient.hpp>
#include <vivace/kernel/cpu/weight_gradient.hpp>
#include <vivace/kernel/cpu/winograd.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// y = x convolved with w (a correlation, as usual).
/// @param workspace conv2d_workspace(g) elements
template <class Real>
void conv2d(const conv_geometry& g, const Real* x, const Real* w, Real* y, const epilogue<Real>* finish,
            Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (winograd::serves(g)) return winograd::conv2d(g, x, w, false, y, finish, workspace, run);
  const conv_plan plan = plan_forward<Real>(g);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w,
            depth = in * taps;
  auto* table = reinterpret_cast<std::int32_t*>(workspace);
  Real* weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups, area = std::int64_t{g.out_height} * g.out_width;
  for (int d = 0; d < depth; ++d) {
    const int line = d % taps / g.kernel_w * g.dilation_h, column = d % taps % g.kernel_w;
    const int reach = plan.spread ? column * g.dilation_w : 0;
    table[d] =
        static_cast<std::int32_t>(d / taps * layout.plane() +
                                  layout.offset(line, plan.spread ? reach % g.stride_w : column) + reach / g.stride_w);
  }
  for (int group = 0; group < g.groups; ++group)
    for (int output = 0; output < out; output += size::rows)
      pack(weights + group * group_weights + std::int64_t{output} * depth, size::rows,
           w + (std::int64_t{group} * out + output) * depth, depth, 1, depth, (std::min)(size::rows, out - output));
  for_strips(g, plan, g.out_height, weights + plan.weights, run, [&](const strip<Real>& at) {
    const Real* const image = x + at.image * in * g.height * g.width;
    fill_lines(layout, in, image, at.line * g.stride_h - g.padding_h, at.count - plan.lines + layout.rows, at.lines);
    const int pixels = plan.pixels(at.count, g.out_width);
    const std::int64_t first = at.image * out * area + std::int64_t{at.line} * g.out_width;
    auto next = next_lines(g, plan, in, x, at,
                           round_up(pixels, size::columns) / size::columns * (round_up(out, size::rows) / size::rows));
    const strip_result<Real> result{at, plan.sums, g.out_width, area, finish != nullptr ? nullptr : y + first};
    sum_taps(weights + at.group * group_weights, depth, table, out, at.lines, plan.apart, pixels, result.sums(),
             result.sums_row(), next);
    result.close_up(out);
    if (finish != nullptr) (*finish)(first, out, area, at.count * g.out_width, at.held);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
