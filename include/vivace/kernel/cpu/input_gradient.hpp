#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_plan.hpp>
#include <vivace/kernel/cpu/conv_strips.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/winograd.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// The gradient of an input that is larger than the output, tap by tap: each pixel of dy gives to all pixels that it
/// saw. To collect them for each pixel of the input instead, as below, would add up many zeros.
/// @param workspace conv2d_input_gradient_workspace(g) elements
template <class Real>
void scatter_gradient(const conv_geometry& g, const Real* dy, const Real* w, Real* dx, const epilogue<Real>* finish,
                      Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  const conv_plan plan = plan_input_gradient<Real>(g);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels, out = g.out_channels, taps = g.kernel_h * g.kernel_w, pitch = layout.columns;
  const std::int64_t area = std::int64_t{g.height} * g.width, panels = (in + size::rows - 1) / size::rows;
  const std::int64_t sums_row = plan.held / in;
  auto* const table = reinterpret_cast<std::int32_t*>(workspace);
  for (int channel = 0; channel < out; ++channel) table[channel] = static_cast<std::int32_t>(channel * layout.plane());
  Real* const weights = workspace + plan.tables;  // [tap][panel][out][rows]
  for (int tap = 0; tap < taps; ++tap)
    for (int panel = 0; panel < panels; ++panel)
      pack(weights + (tap * panels + panel) * out * size::rows, size::rows,
           w + std::int64_t{panel} * size::rows * taps + tap, taps, std::int64_t{in} * taps, out,
           (std::min)(size::rows, in - panel * size::rows));
  const int pixels = static_cast<int>(round_up((g.out_height - 1) * pitch + g.out_width, lanes<Real>));
  for_strips(g, plan, 1, weights + plan.weights, run, [&](const strip<Real>& at) {
    fill_lines(layout, out, dy + at.image * out * g.out_height * g.out_width, 0, layout.rows, at.lines);
    std::fill_n(at.held, plan.held, Real{});  // the image with its padding
    tile<Real> work{};
    work.steps = out;
    work.table = table;
    for (int from = 0; from < pixels; from += size::columns) {
      work.b = at.lines + from;
      for (int panel = 0; panel < panels; ++panel)
        for (int tap = 0; tap < taps; ++tap) {
          work.a[0] = weights + (tap * panels + panel) * out * size::rows;
          multiply_edge<true>(
              work, (std::min)(size::rows, in - panel * size::rows), (std::min)(size::columns, pixels - from),
              at.held + panel * size::rows * sums_row + tap / g.kernel_w * pitch + tap % g.kernel_w + from, sums_row,
              true);
        }
    }
    const std::int64_t first = at.image * in * area;
    Real* const to = finish != nullptr ? at.held : dx + first;
    for (int channel = 0; channel < in; ++channel)
      for (int line = 0; line < g.height; ++line)
        copy_short(to + channel * area + line * g.width,
                   at.held + channel * sums_row + (line + g.padding_h) * pitch + g.padding_w, g.width);
    if (finish != nullptr) (*finish)(first, in, area, area, to);
  });
}

/// Calls body(phase, taps of earlier phases, taps of this) for the phases that an image falls into, stride_h * stride_w
/// of them.
template <class Body>
constexpr void for_phases(const conv_geometry& g, Body&& body) {
  const phase_axis rows = rows_of(g), columns = columns_of(g);
  for (int phase = 0, first = 0; phase < g.stride_h * g.stride_w; ++phase) {
    int count = 0;
    for (int tap = 0; tap < g.kernel_h * g.kernel_w; ++tap)
      count += rows.sees(phase / g.stride_w, tap / g.kernel_w) && columns.sees(phase % g.stride_w, tap % g.kernel_w);
    body(phase, first, count);
    first += count;
  }
}

/// Packs the weights that each phase sees, and notes where the lines of each lie.
template <class Real>
void pack_phases(const conv_geometry& g, const conv_plan& plan, const Real* w, std::int32_t* table, Real* weights) {
  using size = tuning::gemm<Real>;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w;
  const phase_axis rows = rows_of(g), columns = columns_of(g);
  const std::int64_t panels = round_up(in, size::rows);
  for_phases(g, [&](int phase, int first, int count) {
    const int phase_h = phase / g.stride_w, phase_w = phase % g.stride_w;
    for (int tap = 0, at = 0; tap < taps; ++tap) {
      if (!rows.sees(phase_h, tap / g.kernel_w) || !columns.sees(phase_w, tap % g.kernel_w)) continue;
      const int reach = columns.line(phase_w, tap % g.kernel_w) - columns.first();
      const std::int64_t offset =
          plan.layout.offset(rows.line(phase_h, tap / g.kernel_w) - rows.first(), plan.spread ? 0 : reach) +
          (plan.spread ? reach : 0);
      for (int channel = 0; channel < out; ++channel)
        table[first * out + channel * count + at] = static_cast<std::int32_t>(channel * plan.layout.plane() + offset);
      for (int group = 0; group < g.groups; ++group) {
        Real* to = weights + group * (plan.weights / g.groups) + panels * first * out + at * size::rows;
        const Real* from = w + std::int64_t{group} * out * in * taps + tap;
        for (int input = 0; input < panels; ++input)
          for (int channel = 0; channel < out; ++channel)
            to[(std::int64_t{input / size::rows * out + channel} * count) * size::rows + input % size::rows] =
                input < in ? from[(std::int64_t{channel} * in + input) * taps] : Real{};
      }
      ++at;
    }
  });
}

/// dx: the gradient of the input for the gradient dy of the output. An image falls into stride_h * stride_w phases,
/// each of which sees a fixed subset of the taps.
/// @param workspace conv2d_input_gradient_workspace(g) elements
template <class Real>
void conv2d_input_gradient(const conv_geometry& g, const Real* dy, const Real* w, Real* dx,
                           const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (const conv_geometry mirrored = winograd::mirrored(g); winograd::serves(mirrored))
    return winograd::conv2d(mirrored, dy, w, true, dx, finish, workspace, run);
  const conv_plan plan = plan_input_gradient<Real>(g);
  if (plan.scatters) return scatter_gradient(g, dy, w, dx, finish, workspace, run);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups;
  auto* const table = reinterpret_cast<std::int32_t*>(workspace);
  Real* const weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups, panels = round_up(in, size::rows),
                     area = std::int64_t{g.height} * g.width;
  pack_phases(g, plan, w, table, weights);
  const bool phased = g.stride_h > 1 || g.stride_w > 1;
  const int height = (g.height + g.stride_h - 1) / g.stride_h, wide = (g.width + g.stride_w - 1) / g.stride_w;
  for_strips(g, plan, height, weights + plan.weights, run, [&](const strip<Real>& at) {
    fill_lines(layout, out, dy + at.image * out * g.out_height * g.out_width, at.line + rows_of(g).first(),
               at.count - plan.lines + layout.rows, at.lines);
    const int line = at.line * g.stride_h, lines = (std::min)(at.count * g.stride_h, g.height - line);
    const int pixels = plan.pixels(at.count, wide);
    const std::int64_t first = at.image * in * area + std::int64_t{line} * g.width;
    Real* const to = finish != nullptr ? at.held : dx + first;
    const std::int64_t to_row = finish != nullptr ? std::int64_t{lines} * g.width : area;
    const strip_result<Real> result{at, plan.sums, g.width, area, finish != nullptr ? nullptr : dx + first};
    Real* const sums = phased ? at.held + std::int64_t{in} * g.stride_h * plan.lines * g.width : result.sums();
    const std::int64_t sums_row = phased ? std::int64_t{at.count} * plan.sums : result.sums_row();
    auto next =
        next_lines(g, plan, out, dy, at,
                   round_up(pixels, size::columns) / size::columns * (panels / size::rows) * g.stride_h * g.stride_w);
    for_phases(g, [&](int phase, int before, int count) {
      sum_taps(weights + at.group * group_weights + panels * before * out, out * count, table + before * out, in,
               at.lines, plan.apart, pixels, sums + phase * in * sums_row, sums_row, next);
    });
    if (!phased) {
      result.close_up(in);
    } else {
      for (int channel = 0; channel < in; ++channel)
        for (int h = 0; h < lines; ++h) {
          const int phase = (line + h + g.padding_h) % g.stride_h * g.stride_w;
          join_phases(sums + (std::int64_t{phase} * in + channel) * sums_row + h / g.stride_h * plan.sums,
                      in * sums_row, g.stride_w, g.padding_w, g.width, to + channel * to_row + h * g.width);
        }
    }
    if (finish != nullptr) (*finish)(first, in, area, to_row, to);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
