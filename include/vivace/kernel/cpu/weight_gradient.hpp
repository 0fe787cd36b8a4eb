#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_plan.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>
#include <vivace/kernel/cpu/weight_sums.hpp>
#include <vivace/kernel/cpu/winograd.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// A stretch of pixels of some images, those of a filter's gradient and of what a tap sees one behind the other.
template <class Real>
struct pixel_streams {
  const Real* gradient[few_filters::filters];
  const Real* seen[few_filters::taps];
  std::int64_t count;  // pixels, whole vectors
  int images;
  std::int64_t next;  // from one image to the next
};
/// sums[filter][tap], by lanes: products of their pixels, added to what is there if `add`.
template <class Real>
[[gnu::noinline]] void multiply_streams(const pixel_streams<Real>& of, Real* sums, bool add) {
  constexpr int filters = few_filters::filters, taps = few_filters::taps;
  vector<Real> sum[filters][taps] = {};
  const Real* gradient[filters];
  const Real* seen[taps];
  for (int f = 0; f < filters; ++f) gradient[f] = of.gradient[f];
  for (int t = 0; t < taps; ++t) seen[t] = of.seen[t];
  for (int image = 0; image < of.images; ++image)
    for (std::int64_t at = image * of.next, end = at + of.count; at < end; at += lanes<Real>) {
      vector<Real> pixels[taps];
#pragma GCC unroll 4
      for (int t = 0; t < taps; ++t) pixels[t] = load(seen[t] + at);
#pragma GCC unroll 6
      for (int f = 0; f < filters; ++f) {
        const vector<Real> factor = load(gradient[f] + at);
#pragma GCC unroll 4
        for (int t = 0; t < taps; ++t) sum[f][t] = factor * pixels[t] + sum[f][t];
      }
    }
#pragma GCC unroll 6
  for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
    for (int t = 0; t < taps; ++t) {
      Real* const to = sums + (f * taps + t) * lanes<Real>;
      store(to, add ? load(to) + sum[f][t] : sum[f][t]);
    }
}

/// The gradient of few filters: with a filter a lane, most lanes would be empty, so that a lane is a pixel here.
/// @param workspace conv2d_weight_gradient_workspace(g) elements
template <class Real>
void weight_gradient_of_few(const conv_geometry& g, const Real* x, const Real* dy, Real* dw,
                            const epilogue<Real>* finish, Real* workspace, const parallel& given) {
  const conv_plan plan = plan_weight_gradient<Real>(g);
  const line_layout& layout = plan.layout;
  const parallel run = multiply_adds(g) < tuning::conv_serial ? parallel{} : given;
  const int in = g.in_channels, out = g.out_channels, taps = g.kernel_h * g.kernel_w, inner = in * taps;
  const std::int64_t area = std::int64_t{g.out_height} * g.out_width;
  const int width = static_cast<int>(round_up(out, 16));
  const few_filters blocks(out, inner);
  constexpr int of_block = few_filters::filters * few_filters::taps;
  auto* table = reinterpret_cast<std::int32_t*>(workspace);  // where each tap's pixels begin
  for (int tap = 0; tap < inner; ++tap) {
    const int reach = tap % taps % g.kernel_w * g.dilation_w;
    table[tap] = static_cast<std::int32_t>(tap / taps * layout.plane() +
                                           layout.offset(tap % taps / g.kernel_w * g.dilation_h, reach % g.stride_w) +
                                           reach / g.stride_w);
  }
  Real* const slots = workspace + plan.tables;
  const std::int64_t first_sum = plan.slot() - plan.other, unit = plan.image + plan.held;
  run(plan.tasks, [&](std::int64_t task) {
    alignas(64) Real local[tuning::conv_local<Real>];
    Real* const slot = slots + task * plan.slot();
    Real* const lines = plan.on_stack ? local : slot;
    Real* const gradients = lines + plan.image;
    Real* const sums = slot + first_sum + std::int64_t{width} * round_up(inner, 8);
    const std::int64_t begin = task * plan.images, end = (std::min)(std::int64_t{g.batch}, begin + plan.images);
    bool add = false;
    for (std::int64_t image = begin; image < end; image += plan.block)
      for (int line = 0; line < g.out_height; line += plan.lines) {
        const int count = static_cast<int>((std::min)(std::int64_t{plan.block}, end - image));
        const int height = (std::min)(plan.lines, g.out_height - line);
        const std::int64_t pixels = round_up(std::int64_t{height} * layout.columns, lanes<Real>);
        for (int i = 0; i < count; ++i) {
          fill_lines(layout, in, x + (image + i) * in * g.height * g.width, line * g.stride_h - g.padding_h,
                     height - plan.lines + layout.rows, lines + i * unit);
          for (int filter = 0; filter < out; ++filter) {
            const Real* const from = dy + ((image + i) * out + filter) * area + std::int64_t{line} * g.out_width;
            Real* const to = gradients + i * unit + filter * pixels;
            for (int row = 0; row < height; ++row) {
              copy_short(to + row * layout.columns, from + row * g.out_width, g.out_width);
              for (int at = g.out_width; at < layout.columns; ++at) to[row * layout.columns + at] = Real{};
            }
            for (std::int64_t at = std::int64_t{height} * layout.columns; at < pixels; ++at) to[at] = Real{};
          }
        }
        pixel_streams<Real> streams{{}, {}, pixels, count, unit};
        Real* to = sums;
        for (int down = 0; down < blocks.down; ++down) {
          for (int f = 0; f < few_filters::filters; ++f)
            streams.gradient[f] = gradients + (std::min)(down * few_filters::filters + f, out - 1) * pixels;
          for (int across = 0; across < blocks.across; ++across) {
            for (int t = 0; t < few_filters::taps; ++t)
              streams.seen[t] = lines + table[(std::min)(across * few_filters::taps + t, inner - 1)];
            multiply_streams(streams, to, add);
            to += of_block * lanes<Real>;
          }
        }
        add = true;
      }
    const Real* from = sums;
    for (int down = 0; down < blocks.down; ++down)
      for (int across = 0; across < blocks.across; ++across) {
        alignas(64) Real turned[lanes<Real>][32], total[32] = {};
        transpose(from, lanes<Real>, turned[0], 32, of_block, lanes<Real>);
        for (int lane = 0; lane < lanes<Real>; ++lane)
          for (int i = 0; i < 32; i += lanes<Real>) store(total + i, load(total + i) + load(turned[lane] + i));
        for (int i = 0; i < of_block; ++i) {
          const int filter = down * few_filters::filters + i / few_filters::taps;
          const int tap = across * few_filters::taps + i % few_filters::taps;
          if (filter < out && tap < inner) slot[first_sum + std::int64_t{tap} * width + filter] = total[i];
        }
        from += of_block * lanes<Real>;
      }
  });
  add_weight_sums(weight_sums<Real>{slots + first_sum, plan.slot(), plan.tasks, 0, 1, inner, out, width}, dw, finish,
                  run);
}

/// dw: the gradient of the weights. Images are dealt to a number of parts that the sizes fix, whose sums are added in
/// order.
/// @param workspace conv2d_weight_gradient_workspace(g) elements
template <class Real>
void conv2d_weight_gradient(const conv_geometry& g, const Real* x, const Real* dy, Real* dw,
                            const epilogue<Real>* finish, Real* workspace, const parallel& run) {
  using size = tuning::gemm<Real>;
  if (winograd::serves_weights(g)) return winograd::weight_gradient(g, x, dy, dw, finish, workspace, run);
  if (plan_weight_gradient<Real>(g).few) return weight_gradient_of_few(g, x, dy, dw, finish, workspace, run);
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
  add_weight_sums(weight_sums<Real>{slots + first_sum, plan.slot(), plan.tasks, partial, g.groups, inner, out, width},
                  dw, finish, alone ? parallel{} : run);
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
