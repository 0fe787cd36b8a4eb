#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Sizes of a two-dimensional convolution: x [batch, in_channels, height, width], w [out_channels, in_channels /
/// groups, kernel_h, kernel_w], y [batch, out_channels, out_height, out_width].
struct conv_geometry {
  int batch, in_channels, height, width, out_channels, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w, groups;
};

/// How the workspace of a convolution is divided, in elements. Depends on sizes only.
struct conv_plan {
  int tasks, images;     // images is for each task
  std::int64_t tables;   // offsets of taps
  std::int64_t weights;  // packed weights
  int block;             // padded images that a task holds at once
  std::int64_t image;    // one padded image of one group
  std::int64_t held;     // one output image, where it is too large for the stack
  std::int64_t other;    // what else a task needs
  image_layout layout;
  /// Padded images lie on the stack where they fit, hot from one to the next, and in the workspace where they do not.
  [[nodiscard]] constexpr bool on_stack() const { return block * image <= tuning::conv_image; }
  [[nodiscard]] constexpr std::int64_t slot() const { return (on_stack() ? 0 : block * image) + held + other; }
  [[nodiscard]] constexpr std::int64_t all() const { return tables + weights + tasks * slot(); }
};
constexpr std::int64_t round_up(std::int64_t value, std::int64_t part) { return (value + part - 1) / part * part; }
constexpr std::int64_t multiply_adds(const conv_geometry& g) {
  return std::int64_t{g.batch} * g.out_channels * g.out_height * g.out_width * (g.in_channels / g.groups) * g.kernel_h *
         g.kernel_w;
}
constexpr conv_plan deal_images(const conv_geometry& g, int most) {
  conv_plan plan{};
  plan.block = 1;
  plan.images = g.batch <= most ? 1 : (g.batch + most - 1) / most;
  plan.tasks = (g.batch + plan.images - 1) / plan.images;
  return plan;
}
constexpr image_layout layout_of_input(const conv_geometry& g) {
  const int rows = (g.out_height - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1;
  const int columns = (g.out_width - 1) * g.stride_w + (g.kernel_w - 1) * g.dilation_w + 1;
  return {g.height,
          g.width,
          g.padding_h,
          g.padding_w,
          g.stride_h,
          g.stride_w,
          (rows + g.stride_h - 1) / g.stride_h,
          (columns + g.stride_w - 1) / g.stride_w};
}
constexpr image_layout layout_of_output(const conv_geometry& g) {
  // Lines before the first and after the last that any pixel of the input sees.
  const int lead_h = (g.kernel_h - 1) * g.dilation_h / g.stride_h - g.padding_h / g.stride_h;
  const int lead_w = (g.kernel_w - 1) * g.dilation_w / g.stride_w - g.padding_w / g.stride_w;
  return {g.out_height,
          g.out_width,
          lead_h,
          lead_w,
          1,
          1,
          lead_h + (g.height - 1 + g.padding_h) / g.stride_h + 1,
          lead_w + (g.width - 1 + g.padding_w) / g.stride_w + 1};
}
constexpr conv_plan plan_forward(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.layout = layout_of_input(g);
  plan.tables = round_up(4 * taps, 16);
  plan.weights = round_up(out, 8) * taps * in * g.groups;
  plan.image = round_up(in * plan.layout.plane() + image_slack, 16);
  const std::int64_t whole = out * g.out_height * g.out_width;
  plan.held = whole > tuning::conv_held ? round_up(whole, 16) : 0;
  return plan;
}
constexpr conv_plan plan_input_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_tasks);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.layout = layout_of_output(g);
  plan.tables = round_up(4 * taps, 16);
  plan.weights = round_up(in, 8) * taps * out * g.groups;
  plan.image = round_up(out * plan.layout.plane() + image_slack, 16);
  const std::int64_t whole = in * g.height * g.width;
  plan.held = whole > tuning::conv_held ? round_up(whole, 16) : 0;
  const std::int64_t lines = (g.height + g.stride_h - 1) / g.stride_h, width = (g.width + g.stride_w - 1) / g.stride_w;
  if (g.stride_h > 1 || g.stride_w > 1)
    plan.other = round_up(in * g.stride_h * g.stride_w * lines * width + image_slack, 16);
  return plan;
}
constexpr conv_plan plan_weight_gradient(const conv_geometry& g) {
  conv_plan plan = deal_images(g, tuning::conv_parts);
  const std::int64_t taps = std::int64_t{g.kernel_h} * g.kernel_w, out = g.out_channels / g.groups,
                     in = g.in_channels / g.groups;
  plan.layout = layout_of_input(g);
  const std::int64_t pixels = std::int64_t{g.out_height} * g.out_width;
  const std::int64_t most = pixels == 0 ? 1 : (tuning::conv_block + pixels - 1) / pixels;
  plan.block = static_cast<int>((std::min)(std::int64_t{(std::max)(plan.images, 1)}, most));
  plan.tables = round_up(2 * (2 * std::int64_t{plan.block} * g.out_height + in * taps), 16);
  const std::int64_t width = round_up(out, 16);
  plan.image =
      round_up(in * plan.layout.plane() + image_slack, 16) + width * pixels;  // with its transposed output gradient
  plan.block = static_cast<int>(
      (std::max)(std::int64_t{1}, (std::min)(std::int64_t{plan.block}, tuning::conv_image / plan.image)));
  plan.other = g.groups * width * round_up(in * taps, 8);  // the partial sum
  return plan;
}
/// Elements of Real that conv2d needs as workspace.
constexpr std::int64_t conv2d_workspace(const conv_geometry& g) { return plan_forward(g).all(); }
/// Elements of Real that conv2d_input_gradient needs as workspace.
constexpr std::int64_t conv2d_input_gradient_workspace(const conv_geometry& g) { return plan_input_gradient(g).all(); }
/// Elements of Real that conv2d_weight_gradient needs as workspace.
constexpr std::int64_t conv2d_weight_gradient_workspace(const conv_geometry& g) {
  return plan_weight_gradient(g).all();
}

/// A sum over taps and channels of a padded image, for every pixel of a grid and every output channel.
template <class Real>
struct tap_sum {
  int channels, outputs, taps;
  const std::int64_t* offset;         // of each tap in a plane
  const std::int64_t* weight_offset;  // of each tap in a panel of weights
  const Real* weights;                // [panels of outputs][taps][channels][rows of a tile]
  int grid_h, grid_w;
  std::int64_t plane, pitch;        // of the image
  std::int64_t out_channel, out_h;  // strides of the result, whose lines are contiguous
  const Real* next;                 // what will be read after this sum, and how much of it
  std::int64_t next_count;
};

/// Multiplies one tile of pixels with all panels of weights, and hands each result to emit(output, work, outputs).
template <class Real, class Emit>
[[gnu::always_inline]] inline void for_outputs(const tap_sum<Real>& sum, tile<Real>& work, Emit&& emit) {
  using size = tuning::gemm<Real>;
  work.a_step = size::rows;
  work.b_step = sum.plane;
  work.steps = sum.channels;
  work.runs = sum.taps;
  work.a_run = sum.weight_offset;
  work.b_run = sum.offset;
  for (int output = 0; output < sum.outputs; output += size::rows) {
    for (int i = 0; i < size::rows; ++i) work.a[i] = sum.weights + std::int64_t{output} * sum.taps * sum.channels + i;
    emit(output, (std::min)(size::rows, sum.outputs - output));
  }
}

/// Lines of the grid as whole vectors, the last of a line drawn back to end with it: results go straight to their
/// place.
template <class Real>
void sum_taps_by_line(const tap_sum<Real>& sum, const Real* image, Real* out) {
  using size = tuning::gemm<Real>;
  const int across = (sum.grid_w + lanes<Real> - 1) / lanes<Real>, all = across * sum.grid_h;
  tile<Real> work;
  lookahead<Real> next(sum.next, sum.next_count, (all + size::vectors - 1) / size::vectors);
  for (int from = 0; from < all; from += size::vectors) {
    next.step();
    const int vectors = (std::min)(size::vectors, all - from);
    for (int j = 0; j < size::vectors; ++j) {
      const int at = from + (std::min)(j, vectors - 1), y = at / across;
      const int x = (std::min)(at % across * lanes<Real>, sum.grid_w - lanes<Real>);
      work.b[j] = image + y * sum.pitch + x;
      work.place[j] = y * sum.out_h + x;
    }
    for_outputs(sum, work, [&](int output, int outputs) {
      Real* to = out + output * sum.out_channel;
      if (outputs == size::rows) return multiply_vectors(work, vectors, to, sum.out_channel, false);
      alignas(64) Real held[size::rows * size::columns];
      tile<Real> aside = work;
      for (int j = 0; j < size::vectors; ++j) aside.place[j] = j * lanes<Real>;
      multiply_vectors(aside, vectors, held, size::columns, false);
      for (int i = 0; i < outputs; ++i)
        for (int j = 0; j < vectors; ++j)
          store(to + i * sum.out_channel + work.place[j], load(held + i * size::columns + j * lanes<Real>));
    });
  }
}

/// The grid as one long line of the padded image: what falls between its lines is computed too and dropped.
template <class Real>
void sum_taps_across_lines(const tap_sum<Real>& sum, const Real* image, Real* out) {
  using size = tuning::gemm<Real>;
  const std::int64_t all = (sum.grid_h - 1) * sum.pitch + sum.grid_w;
  const std::int64_t extent = (sum.grid_h - 1) * sum.out_h + sum.grid_w;  // of a channel of the result
  struct piece {
    std::int64_t from, to, count;
    bool whole;  // may be written in whole vectors: what follows it in the channel is written later
  } pieces[size::columns];
  tile<Real> work;
  for (int j = 0; j < size::vectors; ++j) work.place[j] = j * lanes<Real>;
  lookahead<Real> next(sum.next, sum.next_count, (all + size::columns - 1) / size::columns);
  for (std::int64_t from = 0; from < all; from += size::columns) {
    next.step();
    const std::int64_t end = (std::min)(all, from + size::columns);
    const int vectors = static_cast<int>((end - from + lanes<Real> - 1) / lanes<Real>);
    for (int j = 0; j < size::vectors; ++j) work.b[j] = image + from + (std::min)(j, vectors - 1) * lanes<Real>;
    int count = 0;
    for (std::int64_t at = from; at < end;) {
      const std::int64_t y = at / sum.pitch, x = at % sum.pitch;
      if (x < sum.grid_w) {
        const std::int64_t pixels = (std::min)(sum.grid_w - x, end - at), to = y * sum.out_h + x;
        pieces[count++] = {at - from, to, pixels, to + round_up(pixels, lanes<Real>) <= extent};
      }
      at += sum.pitch - x;
    }
    for_outputs(sum, work, [&](int output, int outputs) {
      alignas(64) Real held[size::rows * size::columns + lanes<Real>];
      multiply_vectors(work, vectors, held, size::columns, false);
      for (int i = 0; i < outputs; ++i)
        for (int p = 0; p < count; ++p) {
          Real* to = out + (output + i) * sum.out_channel + pieces[p].to;
          const Real* values = held + i * size::columns + pieces[p].from;
          if (pieces[p].whole)
            for (std::int64_t at = 0; at < pieces[p].count; at += lanes<Real>) store(to + at, load(values + at));
          else
            copy_short(to, values, pieces[p].count);
        }
    });
  }
}

template <class Real>
[[gnu::noinline]] void sum_taps(const tap_sum<Real>& sum, const Real* image, Real* out) {
  if (sum.grid_h <= 0 || sum.grid_w <= 0) return;
  if (sum.taps == 0 || sum.channels == 0) {
    for (int output = 0; output < sum.outputs; ++output)
      for (int y = 0; y < sum.grid_h; ++y)
        std::fill_n(out + output * sum.out_channel + y * sum.out_h, sum.grid_w, Real{});
    return;
  }
  // By line, unless the vectors drawn back cost more than the pixels between lines.
  const std::int64_t by_line = round_up(sum.grid_w, lanes<Real>) * sum.grid_h;
  if (sum.grid_w >= lanes<Real> && by_line * 9 <= round_up(sum.grid_h * sum.pitch, lanes<Real>) * 10)
    sum_taps_by_line(sum, image, out);
  else
    sum_taps_across_lines(sum, image, out);
}

/// Calls body(image, group, padded image, rest of the slot, output) for every image of the batch; hands each output
/// image to the epilogue.
template <class Real, class Body>
void for_images(const conv_geometry& g, const conv_plan& plan, std::int64_t channel, int channels, Real* slots,
                Real* result, const epilogue<Real>* finish, const parallel& run, Body&& body) {
  const std::int64_t whole = channel * channels;
  (multiply_adds(g) < tuning::conv_serial ? parallel{} : run)(plan.tasks, [&](std::int64_t task) {
    alignas(64) Real local[tuning::conv_image];
    alignas(64) Real held[tuning::conv_held];
    Real* const slot = slots + task * plan.slot();
    Real* const rest = plan.on_stack() ? slot : slot + plan.image;
    const std::int64_t end = (std::min)(std::int64_t{g.batch}, (task + 1) * plan.images);
    for (std::int64_t image = task * plan.images; image < end; ++image)
      for (int group = 0; group < g.groups; ++group) {
        const std::int64_t first = (image * g.groups + group) * whole;
        Real* out = finish == nullptr ? result + first : plan.held > 0 ? rest : held;
        body(image, group, plan.on_stack() ? local : slot, rest + plan.held, out);
        if (finish != nullptr) finish->apply(finish->self, first, whole, out);
      }
  });
}

/// y = x convolved with w (a correlation, as usual).
/// @param workspace conv2d_workspace(g) elements
template <class Real>
void conv2d(const conv_geometry& g, const Real* x, const Real* w, Real* y, const epilogue<Real>* finish,
            Real* workspace, const parallel& run) {
  constexpr int rows = tuning::gemm<Real>::rows;
  const conv_plan plan = plan_forward(g);
  const image_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w;
  auto* offset = reinterpret_cast<std::int64_t*>(workspace);
  Real* weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups;
  for (int tap = 0; tap < taps; ++tap) {
    offset[tap] = layout.offset(tap / g.kernel_w * g.dilation_h, tap % g.kernel_w * g.dilation_w);
    offset[taps + tap] = std::int64_t{tap} * in * rows;
  }
  for (int group = 0; group < g.groups; ++group)
    for (int tap = 0; tap < taps; ++tap)
      pack_weights(weights + group * group_weights, w + std::int64_t{group} * out * in * taps + tap,
                   std::int64_t{in} * taps, taps, out, in, taps, tap);
  for_images(g, plan, std::int64_t{g.out_height} * g.out_width, out, weights + plan.weights, y, finish, run,
             [&](std::int64_t image, int group, Real* slot, Real*, Real* to) {
               const std::int64_t from = in * std::int64_t{g.height} * g.width;
               const Real* source = x + (image * g.groups + group) * from;
               fill_image(layout, in, source, slot);
               sum_taps<Real>({in, out, taps, offset, offset + taps, weights + group * group_weights, g.out_height,
                               g.out_width, layout.plane(), layout.columns, std::int64_t{g.out_height} * g.out_width,
                               g.out_width, source + from, image + 1 < g.batch ? from : 0},
                              slot, to);
             });
}

/// dx: the gradient of the input for the gradient dy of the output. An image falls into stride_h * stride_w phases,
/// each of which sees a fixed subset of the taps.
/// @param workspace conv2d_input_gradient_workspace(g) elements
template <class Real>
void conv2d_input_gradient(const conv_geometry& g, const Real* dy, const Real* w, Real* dx,
                           const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  constexpr int rows = tuning::gemm<Real>::rows;
  const conv_plan plan = plan_input_gradient(g);
  const image_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w;
  auto* offset = reinterpret_cast<std::int64_t*>(workspace);
  Real* weights = workspace + plan.tables;
  const std::int64_t group_weights = plan.weights / g.groups;
  const auto in_phase = [&](int phase_h, int phase_w, int tap) {
    return tap / g.kernel_w * g.dilation_h % g.stride_h == phase_h &&
           tap % g.kernel_w * g.dilation_w % g.stride_w == phase_w;
  };
  const auto for_phases = [&](auto&& body) {
    for (int phase_h = 0, first = 0; phase_h < g.stride_h; ++phase_h)
      for (int phase_w = 0; phase_w < g.stride_w; ++phase_w) {
        int count = 0;
        for (int tap = 0; tap < taps; ++tap) count += in_phase(phase_h, phase_w, tap);
        body(phase_h, phase_w, first, count);
        first += count;
      }
  };
  const std::int64_t panels = (in + rows - 1) / rows, area = std::int64_t{g.height} * g.width;
  // Phases are computed apart, [phase][channel][line], and then woven together.
  const bool phased = g.stride_h > 1 || g.stride_w > 1;
  const int phase_width = (g.width + g.stride_w - 1) / g.stride_w;
  const std::int64_t phase_area = std::int64_t{(g.height + g.stride_h - 1) / g.stride_h} * phase_width;
  for_phases([&](int phase_h, int phase_w, int first, int count) {
    for (int tap = 0, at = 0; tap < taps; ++tap)
      if (in_phase(phase_h, phase_w, tap)) {
        const int kernel_h = tap / g.kernel_w * g.dilation_h, kernel_w = tap % g.kernel_w * g.dilation_w;
        offset[first + at] = std::int64_t{layout.padding_h + (phase_h - kernel_h) / g.stride_h} * layout.columns +
                             layout.padding_w + (phase_w - kernel_w) / g.stride_w;
        offset[taps + first + at] = std::int64_t{at} * out * rows;
        for (int group = 0; group < g.groups; ++group)
          pack_weights(weights + group * group_weights + panels * rows * first * out,
                       w + std::int64_t{group} * out * in * taps + tap, taps, std::int64_t{in} * taps, in, out, count,
                       at);
        ++at;
      }
  });
  for_images(
      g, plan, std::int64_t{g.height} * g.width, in, weights + plan.weights, dx, finish, run,
      [&](std::int64_t image, int group, Real* slot, Real* phases, Real* to) {
        const std::int64_t from = out * std::int64_t{g.out_height} * g.out_width;
        const Real* source = dy + (image * g.groups + group) * from;
        fill_image(layout, out, source, slot);
        for_phases([&](int phase_h, int phase_w, int first, int count) {
          // Pixels h of the phase are those with h + padding = stride * u + phase.
          const auto low = [](int padding, int stride, int phase) {
            return padding > phase ? (padding - phase + stride - 1) / stride : 0;
          };
          const auto count_of = [&](int size, int padding, int stride, int phase) {
            const int last = size - 1 + padding - phase;
            return last < 0 ? 0 : last / stride - low(padding, stride, phase) + 1;
          };
          const int u = low(g.padding_h, g.stride_h, phase_h), v = low(g.padding_w, g.stride_w, phase_w);
          sum_taps<Real>({out, in, count, offset + first, offset + taps + first,
                          weights + group * group_weights + panels * rows * first * out,
                          count_of(g.height, g.padding_h, g.stride_h, phase_h),
                          count_of(g.width, g.padding_w, g.stride_w, phase_w), layout.plane(), layout.columns,
                          phased ? phase_area : area, phased ? phase_width : g.width, source + from,
                          first == 0 && image + 1 < g.batch ? from : 0},
                         slot + u * layout.columns + v,
                         phased ? phases + (phase_h * g.stride_w + phase_w) * in * phase_area : to);
        });
        if (!phased) return;
        for (int channel = 0; channel < in; ++channel)
          for (int h = 0; h < g.height; ++h) {
            const Real* line = phases +
                               ((h + g.padding_h) % g.stride_h * std::int64_t{g.stride_w} * in + channel) * phase_area +
                               h / g.stride_h * phase_width;
            join_phases(line, in * phase_area, g.stride_w, g.padding_w, g.width, to + channel * area + h * g.width);
          }
      });
}

/// dw: the gradient of the weights. Images are dealt to a number of parts that the sizes fix, whose sums are added in
/// order.
/// @param workspace conv2d_weight_gradient_workspace(g) elements
template <class Real>
void conv2d_weight_gradient(const conv_geometry& g, const Real* x, const Real* dy, Real* dw,
                            const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  const conv_plan plan = plan_weight_gradient(g);
  const image_layout& layout = plan.layout;
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups, taps = g.kernel_h * g.kernel_w,
            inner = in * taps;
  const int pixels = g.out_height * g.out_width;
  const int width = static_cast<int>(round_up(out, 16));
  // Tables: where each line of each image of a block begins in both operands, and each row of the sum in an image.
  auto* image_line = reinterpret_cast<std::int64_t*>(workspace);
  auto* turned_line = image_line + plan.block * g.out_height;
  auto* row_offset = turned_line + plan.block * g.out_height;
  Real* slots = workspace + plan.tables;
  for (int line = 0; line < plan.block * g.out_height; ++line) {
    image_line[line] = line / g.out_height * plan.image + std::int64_t{line % g.out_height} * layout.columns;
    turned_line[line] = line / g.out_height * plan.image + std::int64_t{line % g.out_height} * g.out_width * width;
  }
  for (int row = 0; row < inner; ++row) {
    const int tap = row % taps;
    row_offset[row] =
        row / taps * layout.plane() + layout.offset(tap / g.kernel_w * g.dilation_h, tap % g.kernel_w * g.dilation_w);
  }
  const bool alone = multiply_adds(g) < tuning::conv_serial;
  const std::int64_t partial = std::int64_t{width} * round_up(inner, 8);
  const std::int64_t first_sum = plan.slot() - plan.other;
  (alone ? parallel{} : run)(plan.tasks, [&](std::int64_t task) {
    alignas(64) Real local[tuning::conv_image];
    Real* const slot = slots + task * plan.slot();
    Real* const images = plan.on_stack() ? local : slot;
    Real* const turned = images + plan.image - pixels * width;  // [pixels][width], behind each image
    const std::int64_t begin = task * plan.images, end = (std::min)(std::int64_t{g.batch}, begin + plan.images);
    for (std::int64_t image = begin; image < end; image += plan.block)
      for (int group = 0; group < g.groups; ++group) {
        const int count = static_cast<int>((std::min)(std::int64_t{plan.block}, end - image));
        Real* sum = slot + first_sum + group * partial;  // [inner][width]
        for (int i = 0; i < count; ++i) {
          const std::int64_t one = (image + i) * g.groups + group;
          fill_image(layout, in, x + one * in * g.height * g.width, images + i * plan.image);
          pack(turned + i * plan.image, width, dy + one * out * pixels, pixels, 1, pixels, out);
        }
        // While these are multiplied, the next images come.
        const std::int64_t tiles =
            std::int64_t{(width + size::columns - 1) / size::columns} * ((inner + size::rows - 1) / size::rows);
        const std::int64_t after = (image + plan.block) * g.groups,
                           ahead = image + plan.block < end && group == 0 ? plan.block * g.groups : 0;
        const std::int64_t size_x = in * std::int64_t{g.height} * g.width, size_y = out * std::int64_t{pixels};
        const std::int64_t images_ahead = (std::min)(ahead, end * g.groups - after);
        lookahead<Real> next_x(x + after * size_x, (std::max)(images_ahead, std::int64_t{0}) * size_x, tiles);
        lookahead<Real> next_y(dy + after * size_y, (std::max)(images_ahead, std::int64_t{0}) * size_y, tiles);
        tile<Real> work;
        for (int j = 0; j < size::vectors; ++j) work.place[j] = j * lanes<Real>;
        work.a_step = 1;
        work.b_step = width;
        work.steps = g.out_width;
        work.runs = count * g.out_height;
        work.a_run = image_line;
        work.b_run = turned_line;
        for (int column = 0; column < width; column += size::columns) {
          const int vectors = (std::min)(size::columns, width - column) / lanes<Real>;
          for (int j = 0; j < size::vectors; ++j)
            work.b[j] = turned + column + (std::min)(j, vectors - 1) * lanes<Real>;
          for (int row = 0; row < inner; row += size::rows) {
            next_x.step();
            next_y.step();
            for (int i = 0; i < size::rows; ++i) work.a[i] = images + row_offset[(std::min)(row + i, inner - 1)];
            multiply_vectors(work, vectors, sum + row * width + column, width, image > begin);
          }
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
