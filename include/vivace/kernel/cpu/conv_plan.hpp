#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/kernel/cpu/conv_geometry.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>
#include <vivace/kernel/cpu/winograd.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// How a convolution is cut to tasks and strips, and how its workspace is divided, in elements. Depends on sizes only.
struct conv_plan {
  int tasks, images;     // images is for each task
  int lines, strips;     // lines of the result in a strip of an image
  int block;             // strips, of as many images, that a weight gradient holds at once
  std::int64_t tables;   // offsets of taps
  std::int64_t weights;  // packed weights
  std::int64_t image;    // padded lines of a strip
  std::int64_t held;     // results of a strip
  bool spread;           // lines reach as far as the taps
  bool by_lines;         // a vector of sums belongs to one line
  int sums;              // pixels of a line of sums, those between the lines with it
  int apart;             // from the pixels of one vector of sums to those of the next
  bool on_stack;         // both lie on the stack, else in the workspace
  std::int64_t other;    // what else a task needs
  bool few;              // a weight gradient of few filters
  bool scatters;         // an input's gradient that is larger than the output's
  line_layout layout;
  /// Sums of so many lines.
  [[nodiscard]] constexpr int pixels(int count, int width) const {
    return by_lines ? count * sums : (count - 1) * sums + width;
  }
  [[nodiscard]] constexpr std::int64_t slot() const { return (on_stack ? 0 : image + held) + other; }
  [[nodiscard]] constexpr std::int64_t all() const { return tables + weights + tasks * slot(); }
};
constexpr conv_plan deal_images(const conv_geometry& g, int most) {
  conv_plan plan{};
  plan.block = 1;
  plan.images = g.batch <= most ? 1 : (g.batch + most - 1) / most;
  plan.tasks = (g.batch + plan.images - 1) / plan.images;
  return plan;
}
/// Cuts images to strips of as many lines as fit the stack, and one at least.
/// @param channels of the padded lines
/// @param more lines that a strip reads beside one for each of its own
/// @param height lines in all
/// @param held elements of the result for each line
template <class Real>
constexpr void cut_strips(conv_plan& plan, std::int64_t channels, int more, int height, std::int64_t held) {
  const std::int64_t line =
      (std::max)(std::int64_t{1}, channels * plan.layout.shifts * plan.layout.stride_h * plan.layout.columns);
  const std::int64_t most = (tuning::conv_local<Real> - 2 * image_slack - 32 - line * more) / (line + held);
  height = (std::max)(height, 1);
  plan.lines = static_cast<int>((std::max)(std::int64_t{1}, (std::min)(std::int64_t{height}, most)));
  plan.strips = (height + plan.lines - 1) / plan.lines;
  plan.layout.rows = plan.lines + more;
  plan.image = round_up(line * plan.layout.rows + image_slack, 16);
  plan.held = round_up(held * plan.lines + image_slack, 16);
  plan.on_stack = plan.image + plan.held <= tuning::conv_local<Real>;
}
/// @param spread lines are as long as the taps reach, so that all columns of taps see the same ones; else each has its
/// own
constexpr line_layout layout_of_input(const conv_geometry& g, bool spread) {
  const int reach = (g.kernel_w - 1) * g.dilation_w;
  if (!spread)
    return {g.height, g.width, g.stride_h, g.stride_w, g.kernel_w, g.dilation_w, -g.padding_w, 0, g.out_width};
  return {g.height,
          g.width,
          g.stride_h,
          g.stride_w,
          (std::min)(g.stride_w, reach + 1),
          1,
          -g.padding_w,
          0,
          g.out_width + reach / g.stride_w};
}
/// Whether copying lines for each column of taps would cost more than summing between the lines.
constexpr bool spreads(int columns, int stride) { return columns - stride >= tuning::conv_spread; }
/// Decides which vectors of sums there are: over all pixels in a row, or one for each line if those are fewer.
template <class Real>
constexpr void lay_sums(conv_plan& plan, int width, int height) {
  const int pitch = plan.layout.columns;
  plan.by_lines = plan.spread && width <= lanes<Real> && height * lanes<Real> < (height - 1) * pitch + width;
  plan.sums = plan.by_lines ? lanes<Real> : pitch;
  plan.apart = plan.by_lines ? pitch : lanes<Real>;
}
template <class Real>
constexpr conv_plan plan_forward(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.spread = spreads(g.kernel_w, g.stride_w);
  plan.layout = layout_of_input(g, plan.spread);
  lay_sums<Real>(plan, g.out_width, g.out_height);
  cut_strips<Real>(plan, in, (g.kernel_h - 1) * g.dilation_h / g.stride_h, g.out_height, out * plan.sums);
  plan.tables = round_up(in * taps, 16);
  plan.weights = round_up(out, 8) * taps * in * g.groups;
  return plan;
}

/// One axis of the gradient of an input: pixel h belongs to phase (h + padding) % stride, is the h / stride-th of it,
/// and sees the taps that fall on the phase.
struct phase_axis {
  int kernel, stride, padding, dilation;
  [[nodiscard]] constexpr bool sees(int phase, int tap) const { return tap * dilation % stride == phase; }
  /// Line of the output's gradient that the first pixel of a phase sees through a tap; the next pixel sees the next.
  [[nodiscard]] constexpr int line(int phase, int tap) const {
    const int low = padding > phase ? (padding - phase + stride - 1) / stride : 0;
    return low + (phase - tap * dilation) / stride;
  }
  [[nodiscard]] constexpr int first() const { return bound(-1); }
  [[nodiscard]] constexpr int last() const { return bound(1); }

 private:
  [[nodiscard]] constexpr int bound(int sign) const {
    bool found = false;
    int result = 0;
    for (int tap = 0; tap < kernel; ++tap) {
      const int at = line(tap * dilation % stride, tap);
      if (!found || (at - result) * sign > 0) result = at;
      found = true;
    }
    return result;
  }
};
constexpr phase_axis rows_of(const conv_geometry& g) { return {g.kernel_h, g.stride_h, g.padding_h, g.dilation_h}; }
constexpr phase_axis columns_of(const conv_geometry& g) { return {g.kernel_w, g.stride_w, g.padding_w, g.dilation_w}; }

/// Whether the gradient of an input is scattered: there is much less of the output.
template <class Real>
constexpr bool scatters(const conv_geometry& g, conv_plan& plan) {
  const std::int64_t pitch = g.out_width + g.kernel_w - 1, lines = g.out_height + g.kernel_h - 1;
  const bool plain = g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 && g.groups == 1 &&
                     g.padding_h < g.kernel_h && g.padding_w < g.kernel_w && g.out_channels >= tuning::conv_scattered;
  if (!plain || 4 * g.out_height * pitch > 3 * g.height * (g.width + g.kernel_w - 1)) return false;
  // A vector behind an image's pixels must be zero, and behind its sums be there.
  constexpr std::int64_t behind = tuning::gemm<Real>::columns;
  plan.layout = {
      g.out_height,           g.out_width, 1, 1, 1, 1, 0, static_cast<int>(g.out_height + (behind + pitch - 1) / pitch),
      static_cast<int>(pitch)};
  plan.lines = plan.strips = 1;
  plan.image = round_up(plan.layout.plane() * g.out_channels + image_slack, 16);
  plan.held = round_up(lines * pitch + behind, 16) * g.in_channels;
  plan.on_stack = plan.image + plan.held <= tuning::conv_local<Real>;
  return plan.on_stack;
}
template <class Real>
constexpr conv_plan plan_input_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.tables = round_up(out * taps, 16);
  plan.weights = round_up(in, 8) * taps * out * g.groups;
  plan.scatters = scatters<Real>(g, plan);
  if (plan.scatters) return plan;
  const phase_axis rows = rows_of(g), columns = columns_of(g);
  const int first = columns.first(), wide = (g.width + g.stride_w - 1) / g.stride_w;
  const int reach = columns.last() - first;
  plan.spread = spreads(reach + 1, 1);
  plan.layout = {
      g.out_height, g.out_width, 1, 1, plan.spread ? 1 : reach + 1, 1, first, 0, plan.spread ? wide + reach : wide};
  lay_sums<Real>(plan, wide, (g.height + g.stride_h - 1) / g.stride_h);
  // Where there are phases, they are computed apart and then woven together.
  const bool phased = g.stride_h > 1 || g.stride_w > 1;
  cut_strips<Real>(plan, out, rows.last() - rows.first(), (g.height + g.stride_h - 1) / g.stride_h,
                   in * g.stride_h * (g.stride_w * plan.sums + (phased ? g.width : 0)));
  return plan;
}

/// A block of a weight gradient of few filters: so many filters by so many taps, whose sums fit the registers.
struct few_filters {
  static constexpr int filters = VIVACE_VECTOR_BYTES == 64 ? 6 : 3, taps = VIVACE_VECTOR_BYTES == 64 ? 4 : 3;
  int down, across;  // blocks
  constexpr few_filters(std::int64_t out, std::int64_t inner)
      : down(static_cast<int>((out + filters - 1) / filters)), across(static_cast<int>((inner + taps - 1) / taps)) {}
  /// Vectors of sums.
  [[nodiscard]] constexpr std::int64_t vectors() const { return std::int64_t{down} * across * filters * taps; }
};
template <class Real>
constexpr conv_plan plan_weight_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_parts);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups, width = round_up(out, 16);
  const std::int64_t few = few_filters(out, in * taps).vectors() * 16;
  plan.few = g.groups == 1 && few <= tuning::conv_few_sums &&
             (out <= tuning::conv_few_filters || out * in * taps <= tuning::conv_few_weights);
  plan.layout = layout_of_input(g, plan.few);
  // Gradients that meet the lines: beside their pixels, or with pixels in a row and a vector more for each filter.
  cut_strips<Real>(plan, in, (g.kernel_h - 1) * g.dilation_h / g.stride_h, g.out_height,
                   plan.few ? out * (plan.layout.columns + 16) : width * g.out_width);
  const std::int64_t unit = plan.image + plan.held;
  const std::int64_t pixels = std::int64_t{plan.lines} * g.out_width;
  const std::int64_t most =
      (std::min)(tuning::conv_local<Real> / unit, pixels == 0 ? 1 : (tuning::conv_block + pixels - 1) / pixels);
  plan.block = static_cast<int>((std::max)(std::int64_t{1}, (std::min)(std::int64_t{plan.images}, most)));
  plan.tables = round_up(in * taps, 16);
  plan.other = g.groups * width * round_up(in * taps, 8) + (plan.few ? few : 0);  // the partial sum, sums by lanes
  return plan;
}
/// Elements that conv2d needs as workspace, of float or double.
constexpr std::int64_t conv2d_workspace(const conv_geometry& g) {
  if (winograd::serves(g)) return winograd::workspace_of(g);
  return (std::max)(plan_forward<float>(g).all(), plan_forward<double>(g).all());
}
/// Elements that conv2d_input_gradient needs as workspace, of float or double.
constexpr std::int64_t conv2d_input_gradient_workspace(const conv_geometry& g) {
  if (const conv_geometry mirrored = winograd::mirrored(g); winograd::serves(mirrored))
    return winograd::workspace_of(mirrored);
  return (std::max)(plan_input_gradient<float>(g).all(), plan_input_gradient<double>(g).all());
}
/// Elements that conv2d_weight_gradient needs as workspace, of float or double.
constexpr std::int64_t conv2d_weight_gradient_workspace(const conv_geometry& g) {
  if (winograd::serves_weights(g)) return winograd::weight_gradient_workspace(g);
  return (std::max)(plan_weight_gradient<float>(g).all(), plan_weight_gradient<double>(g).all());
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
