#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_geometry.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
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
  bool on_stack;         // both lie on the stack, else in the workspace
  std::int64_t other;    // what else a task needs
  line_layout layout;
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
constexpr line_layout layout_of_input(const conv_geometry& g) {
  return {g.height, g.width, g.stride_h, g.stride_w, g.kernel_w, g.dilation_w, -g.padding_w, 0, g.out_width};
}
template <class Real>
constexpr conv_plan plan_forward(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.layout = layout_of_input(g);
  cut_strips<Real>(plan, in, (g.kernel_h - 1) * g.dilation_h / g.stride_h, g.out_height, out * g.out_width);
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

template <class Real>
constexpr conv_plan plan_input_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  const phase_axis rows = rows_of(g), columns = columns_of(g);
  const int first = columns.first(), wide = (g.width + g.stride_w - 1) / g.stride_w;
  plan.layout = {g.out_height, g.out_width, 1, 1, columns.last() - first + 1, 1, first, 0, wide};
  // Where there are phases, they are computed apart and then woven together.
  const bool phased = g.stride_h > 1 || g.stride_w > 1;
  cut_strips<Real>(plan, out, rows.last() - rows.first(), (g.height + g.stride_h - 1) / g.stride_h,
                   in * g.stride_h * ((phased ? g.stride_w * wide : 0) + g.width));
  plan.tables = round_up(out * taps, 16);
  plan.weights = round_up(in, 8) * taps * out * g.groups;
  return plan;
}
template <class Real>
constexpr conv_plan plan_weight_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_parts);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups, width = round_up(out, 16);
  plan.layout = layout_of_input(g);
  cut_strips<Real>(plan, in, (g.kernel_h - 1) * g.dilation_h / g.stride_h, g.out_height, width * g.out_width);
  const std::int64_t unit = plan.image + plan.held;  // lines and the gradients that meet them
  const std::int64_t pixels = std::int64_t{plan.lines} * g.out_width;
  const std::int64_t most =
      (std::min)(tuning::conv_local<Real> / unit, pixels == 0 ? 1 : (tuning::conv_block + pixels - 1) / pixels);
  plan.block = static_cast<int>((std::max)(std::int64_t{1}, (std::min)(std::int64_t{plan.images}, most)));
  plan.tables = round_up(in * taps, 16);
  plan.other = g.groups * width * round_up(in * taps, 8);  // the partial sum
  return plan;
}
/// Elements that conv2d needs as workspace, of float or double.
constexpr std::int64_t conv2d_workspace(const conv_geometry& g) {
  if (uses_winograd(g)) return winograd_workspace(g);
  return (std::max)(plan_forward<float>(g).all(), plan_forward<double>(g).all());
}
/// Elements that conv2d_input_gradient needs as workspace, of float or double.
constexpr std::int64_t conv2d_input_gradient_workspace(const conv_geometry& g) {
  if (const conv_geometry mirrored = winograd_mirrored(g); uses_winograd(mirrored)) return winograd_workspace(mirrored);
  return (std::max)(plan_input_gradient<float>(g).all(), plan_input_gradient<double>(g).all());
}
/// Elements that conv2d_weight_gradient needs as workspace, of float or double.
constexpr std::int64_t conv2d_weight_gradient_workspace(const conv_geometry& g) {
  if (uses_winograd_for_weights(g)) return winograd_weight_gradient_workspace(g);
  return (std::max)(plan_weight_gradient<float>(g).all(), plan_weight_gradient<double>(g).all());
}

/// out[o, pixel] = sum over d of weights[o, d] * lines[table[d] + pixel].
/// @param weights panels [outputs / rows][depth][rows]
/// @param next what to fetch meanwhile, a share for each tile
template <class Real>
[[gnu::noinline]] void sum_taps(const Real* weights, int depth, const std::int32_t* table, int outputs,
                                const Real* lines, int pixels, Real* out, std::int64_t out_row, lookahead<Real>& next) {
  using size = tuning::gemm<Real>;
  tile<Real> work{};
  work.steps = depth;
  work.table = table;
  for (int from = 0; from < pixels; from += size::columns) {
    const int columns = (std::min)(size::columns, pixels - from);
    work.b = lines + from;
    for (int output = 0; output < outputs; output += size::rows) {
      work.a[0] = weights + std::int64_t{output} * depth;
      next.feed(work);
      multiply_edge<true>(work, (std::min)(size::rows, outputs - output), columns, out + output * out_row + from,
                          out_row, false);
    }
  }
}

/// Where a strip of an image is computed.
template <class Real>
struct strip {
  std::int64_t image;  // of a group
  int group, line, count;
  Real* lines;  // room for padded lines
  Real* held;   // room for results
};
/// Calls body(strip) for every strip of every image and group.
template <class Real, class Body>
void for_strips(const conv_geometry& g, const conv_plan& plan, int height, Real* slots, const parallel& run,
                Body&& body) {
  (multiply_adds(g) < tuning::conv_serial ? parallel{} : run)(plan.tasks, [&](std::int64_t task) {
    alignas(64) Real local[tuning::conv_local<Real>];
    Real* const lines = plan.on_stack ? local : slots + task * plan.slot();
    const std::int64_t end = (std::min)(std::int64_t{g.batch}, (task + 1) * plan.images);
    for (std::int64_t image = task * plan.images; image < end; ++image)
      for (int group = 0; group < g.groups; ++group)
        for (int line = 0; line < height; line += plan.lines)
          body(strip<Real>{image * g.groups + group, group, line, (std::min)(plan.lines, height - line), lines,
                           lines + plan.image});
  });
}

/// What the strip of the next image reads, to be fetched while this one is computed.
template <class Real>
lookahead<Real> next_lines(const conv_geometry& g, const conv_plan& plan, int channels, const Real* from,
                           const strip<Real>& at, std::int64_t tiles) {
  const std::int64_t image = std::int64_t{channels} * plan.layout.height * plan.layout.width;
  if (at.image + 1 >= std::int64_t{g.batch} * g.groups) return {};
  return {from + (at.image + 1) * image + image * (at.line / plan.lines) / plan.strips, image / plan.strips, tiles};
}

/// y = x convolved with w (a correlation, as usual).
/// @param workspace conv2d_workspace(g) elements
template <class Real>
void conv2d(const conv_geometry& g, const Real* x, const Real* w, Real* y, const epilogue<Real>* finish,
            Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (uses_winograd(g)) return winograd_conv2d(g, x, w, false, y, finish, workspace, run);
  const conv_plan plan = plan_forward<Real>(g);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w,
            depth = in * taps;
  auto* table = reinterpret_cast<std::int32_t*>(workspace);
  Real* weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups, area = std::int64_t{g.out_height} * g.out_width;
  for (int d = 0; d < depth; ++d)
    table[d] = static_cast<std::int32_t>(d / taps * layout.plane() +
                                         layout.offset(d % taps / g.kernel_w * g.dilation_h, d % taps % g.kernel_w));
  for (int group = 0; group < g.groups; ++group)
    for (int output = 0; output < out; output += size::rows)
      pack(weights + group * group_weights + std::int64_t{output} * depth, size::rows,
           w + (std::int64_t{group} * out + output) * depth, depth, 1, depth, (std::min)(size::rows, out - output));
  for_strips(g, plan, g.out_height, weights + plan.weights, run, [&](const strip<Real>& at) {
    const Real* const image = x + at.image * in * g.height * g.width;
    fill_lines(layout, in, image, at.line * g.stride_h - g.padding_h, at.count - plan.lines + layout.rows, at.lines);
    const int pixels = at.count * g.out_width;
    const std::int64_t first = at.image * out * area + std::int64_t{at.line} * g.out_width;
    auto next = next_lines(g, plan, in, x, at,
                           round_up(pixels, size::columns) / size::columns * (round_up(out, size::rows) / size::rows));
    sum_taps(weights + at.group * group_weights, depth, table, out, at.lines, pixels,
             finish != nullptr ? at.held : y + first, finish != nullptr ? pixels : area, next);
    if (finish != nullptr) (*finish)(first, out, area, pixels, at.held);
  });
}

/// dx: the gradient of the input for the gradient dy of the output. An image falls into stride_h * stride_w phases,
/// each of which sees a fixed subset of the taps.
/// @param workspace conv2d_input_gradient_workspace(g) elements
template <class Real>
void conv2d_input_gradient(const conv_geometry& g, const Real* dy, const Real* w, Real* dx,
                           const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (const conv_geometry mirrored = winograd_mirrored(g); uses_winograd(mirrored))
    return winograd_conv2d(mirrored, dy, w, true, dx, finish, workspace, run);
  const conv_plan plan = plan_input_gradient<Real>(g);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w;
  const phase_axis rows = rows_of(g), columns = columns_of(g);
  auto* table = reinterpret_cast<std::int32_t*>(workspace);
  Real* weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups, panels = round_up(in, size::rows),
                     area = std::int64_t{g.height} * g.width;
  // Calls body(phase, taps of earlier phases, taps of this).
  const auto for_phases = [&](auto&& body) {
    for (int phase = 0, first = 0; phase < g.stride_h * g.stride_w; ++phase) {
      int count = 0;
      for (int tap = 0; tap < taps; ++tap)
        count += rows.sees(phase / g.stride_w, tap / g.kernel_w) && columns.sees(phase % g.stride_w, tap % g.kernel_w);
      body(phase, first, count);
      first += count;
    }
  };
  for_phases([&](int phase, int first, int count) {
    const int phase_h = phase / g.stride_w, phase_w = phase % g.stride_w;
    for (int tap = 0, at = 0; tap < taps; ++tap) {
      if (!rows.sees(phase_h, tap / g.kernel_w) || !columns.sees(phase_w, tap % g.kernel_w)) continue;
      const std::int64_t offset = layout.offset(rows.line(phase_h, tap / g.kernel_w) - rows.first(),
                                                columns.line(phase_w, tap % g.kernel_w) - columns.first());
      for (int channel = 0; channel < out; ++channel)
        table[first * out + channel * count + at] = static_cast<std::int32_t>(channel * layout.plane() + offset);
      for (int group = 0; group < g.groups; ++group) {
        Real* to = weights + group * group_weights + panels * first * out + at * size::rows;
        const Real* from = w + std::int64_t{group} * out * in * taps + tap;
        for (int input = 0; input < panels; ++input)
          for (int channel = 0; channel < out; ++channel)
            to[(std::int64_t{input / size::rows * out + channel} * count) * size::rows + input % size::rows] =
                input < in ? from[(std::int64_t{channel} * in + input) * taps] : Real{};
      }
      ++at;
    }
  });
  const bool phased = g.stride_h > 1 || g.stride_w > 1;
  const int height = (g.height + g.stride_h - 1) / g.stride_h;
  for_strips(g, plan, height, weights + plan.weights, run, [&](const strip<Real>& at) {
    fill_lines(layout, out, dy + at.image * out * g.out_height * g.out_width, at.line + rows.first(),
               at.count - plan.lines + layout.rows, at.lines);
    const int line = at.line * g.stride_h, lines = (std::min)(at.count * g.stride_h, g.height - line),
              pixels = at.count * layout.columns;
    const std::int64_t first = at.image * in * area + std::int64_t{line} * g.width;
    Real* const to = finish != nullptr ? at.held : dx + first;
    const std::int64_t to_row = finish != nullptr ? std::int64_t{lines} * g.width : area;
    Real* const phases = phased ? at.held + std::int64_t{in} * g.stride_h * plan.lines * g.width : to;
    const std::int64_t phase_row = phased ? pixels : to_row;
    auto next =
        next_lines(g, plan, out, dy, at,
                   round_up(pixels, size::columns) / size::columns * (panels / size::rows) * g.stride_h * g.stride_w);
    for_phases([&](int phase, int before, int count) {
      sum_taps(weights + at.group * group_weights + panels * before * out, out * count, table + before * out, in,
               at.lines, pixels, phases + phase * in * phase_row, phase_row, next);
    });
    if (phased)
      for (int channel = 0; channel < in; ++channel)
        for (int h = 0; h < lines; ++h) {
          const int phase = (line + h + g.padding_h) % g.stride_h * g.stride_w;
          join_phases(phases + (std::int64_t{phase} * in + channel) * pixels + h / g.stride_h * layout.columns,
                      std::int64_t{in} * pixels, g.stride_w, g.padding_w, g.width, to + channel * to_row + h * g.width);
        }
    if (finish != nullptr) (*finish)(first, in, area, to_row, to);
  });
}

/// dw: the gradient of the weights. Images are dealt to a number of parts that the sizes fix, whose sums are added in
/// order.
/// @param workspace conv2d_weight_gradient_workspace(g) elements
template <class Real>
void conv2d_weight_gradient(const conv_geometry& g, const Real* x, const Real* dy, Real* dw,
                            const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (uses_winograd_for_weights(g)) return winograd_weight_gradient(g, x, dy, dw, finish, workspace, run);
  const conv_plan plan = plan_weight_gradient<Real>(g);
  const line_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w,
            inner = in * taps;
  const std::int64_t pixels = std::int64_t{g.out_height} * g.out_width;
  const int width = static_cast<int>(round_up(out, 16));
  // Where each row of the sum lies in the lines.
  auto* table = reinterpret_cast<std::int32_t*>(workspace);
  for (int row = 0; row < inner; ++row)
    table[row] = static_cast<std::int32_t>(row / taps * layout.plane() +
                                           layout.offset(row % taps / g.kernel_w * g.dilation_h, row % g.kernel_w));
  Real* slots = workspace + plan.tables;
  const bool alone = multiply_adds(g) < tuning::conv_serial;
  const std::int64_t partial = std::int64_t{width} * round_up(inner, 8);
  const std::int64_t first_sum = plan.slot() - plan.other;
  const std::int64_t unit = plan.image + plan.held;
  (alone ? parallel{} : run)(plan.tasks, [&](std::int64_t task) {
    alignas(64) Real local[tuning::conv_local<Real>];
    Real* const slot = slots + task * plan.slot();
    Real* const lines = plan.on_stack ? local : slot;
    Real* const turned = lines + plan.image;  // [pixels][width], behind the lines of each image
    const std::int64_t begin = task * plan.images, end = (std::min)(std::int64_t{g.batch}, begin + plan.images);
    for (int group = 0; group < g.groups; ++group) {
      Real* const sum = slot + first_sum + group * partial;  // [inner][width]
      bool add = false;
      for (std::int64_t image = begin; image < end; image += plan.block)
        for (int line = 0; line < g.out_height; line += plan.lines) {
          const int count = static_cast<int>((std::min)(std::int64_t{plan.block}, end - image));
          const int height = (std::min)(plan.lines, g.out_height - line), steps = height * g.out_width;
          for (int i = 0; i < count; ++i) {
            const std::int64_t one = (image + i) * g.groups + group;
            fill_lines(layout, in, x + one * in * g.height * g.width, line * g.stride_h - g.padding_h,
                       height - plan.lines + layout.rows, lines + i * unit);
            pack(turned + i * unit, width, dy + one * out * pixels + std::int64_t{line} * g.out_width, pixels, 1, steps,
                 out);
          }
          // While these are multiplied, the next images come.
          const std::int64_t tiles =
              std::int64_t{(width + size::columns - 1) / size::columns} * ((inner + size::rows - 1) / size::rows);
          const std::int64_t after = (image + plan.block) * g.groups,
                             ahead = line == 0 && group == 0 && image + plan.block < end
                                         ? (std::min)(std::int64_t{plan.block}, end - image - plan.block) * g.groups
                                         : 0;
          const std::int64_t size_x = in * std::int64_t{g.height} * g.width, size_y = out * pixels;
          lookahead<Real> next_x(x + after * size_x, ahead * size_x, tiles);
          lookahead<Real> next_y(dy + after * size_y, ahead * size_y, tiles);
          tile<Real> work;
          work.a_step = 1;
          work.b_step = width;
          work.steps = steps;
          work.runs = count;
          work.a_run = work.b_run = unit;
          for (int column = 0; column < width; column += size::columns) {
            const int vectors = (std::min)(size::columns, width - column) / lanes<Real>;
            work.b = turned + column;
            for (int row = 0; row < inner; row += size::rows) {
              next_x.fetch();
              next_y.fetch();
              for (int i = 0; i < size::rows; ++i) work.a[i] = lines + table[(std::min)(row + i, inner - 1)];
              multiply_vectors<Real, false>(work, vectors, sum + row * width + column, width, add);
            }
          }
          add = true;
        }
    }
  });
  // Adds the partial sums, a few rows at a time, and turns them: dw is [out][inner].
  const int wide = (std::min)(width, tuning::conv_stretch / 64), rows = tuning::conv_stretch / wide;
  const int cuts = (inner + rows - 1) / rows, across = (width + wide - 1) / wide;
  (alone ? parallel{} : run)(std::int64_t{cuts} * across * g.groups, [&](std::int64_t task) {
    alignas(64) Real held[tuning::conv_stretch];
    alignas(64) Real turned[tuning::conv_stretch];
    const std::int64_t group = task / cuts / across;
    const int begin = static_cast<int>(task % cuts) * rows, count = (std::min)(rows, inner - begin);
    const int column = static_cast<int>(task / cuts % across) * wide, channels = (std::min)(wide, out - column);
    const Real* from = slots + first_sum + group * partial + std::int64_t{begin} * width + column;
    for (int row = 0; row < count; ++row)
      for (int at = 0; at < channels; at += lanes<Real>) {
        vector<Real> sum = load(from + std::int64_t{row} * width + at);
        for (int part = 1; part < plan.tasks; ++part)
          sum += load(from + part * plan.slot() + std::int64_t{row} * width + at);
        store(held + row * wide + at, sum);
      }
    const std::int64_t first = (group * out + column) * inner + begin;
    transpose(held, wide, finish != nullptr ? turned : dw + first, finish != nullptr ? count : inner, count, channels);
    if (finish != nullptr) (*finish)(first, channels, inner, count, turned);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
