#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_geometry.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/slots.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>
#include <vivace/kernel/cpu/tuning/winograd.hpp>
#include <vivace/kernel/cpu/vector.hpp>
#include <vivace/kernel/cpu/weight_sums.hpp>

/// @file
/// Convolutions of 3x3 taps by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): a tile of
/// 6x6 pixels and the taps are evaluated at 36 points, multiplied there, and brought back to 4x4 pixels, which saves
/// three of four products. With the points 0, +-1/sqrt(2), +-sqrt(2) and infinity of each axis the error is two to
/// three times that of a plain sum, a third of what it is with 0, +-1, +-2. It is relative to the values of a whole
/// tile, and an infinite pixel makes its whole tile NaN.

namespace vivace::inline VIVACE_TARGET::kernel {

namespace winograd {

inline constexpr int pixels = 4, window = 6, taps = 3;  // of a tile along one axis
inline constexpr int points = window * window;
inline constexpr double root_half = 0.70710678118654752,
                        root_two = 1.41421356237309505;  // points, beside their negatives

/// B^T of the paper: a window of pixels to its points.
struct from_window {
  static constexpr int in = window, out = window;
  template <class Real, class Value>
  [[gnu::always_inline]] static void apply(const Value (&d)[in], Value (&to)[out]) {
    const Value near_even = d[4] - Real(2) * d[2], near_odd = d[3] - Real(2) * d[1];
    const Value far_even = d[4] - Real(0.5) * d[2], far_odd = d[3] - Real(0.5) * d[1];
    to[0] = d[4] - Real(2.5) * d[2] + d[0];
    to[1] = near_even + Real(root_half) * near_odd;
    to[2] = near_even - Real(root_half) * near_odd;
    to[3] = far_even + Real(root_two) * far_odd;
    to[4] = far_even - Real(root_two) * far_odd;
    to[5] = d[5] - Real(2.5) * d[3] + d[1];
  }
};

/// A^T: points to the pixels of a result.
struct to_pixels {
  static constexpr int in = window, out = pixels;
  template <class Real, class Value>
  [[gnu::always_inline]] static void apply(const Value (&m)[in], Value (&to)[out]) {
    const Value near_even = m[1] + m[2], near_odd = m[1] - m[2], far_even = m[3] + m[4], far_odd = m[3] - m[4];
    to[0] = m[0] + near_even + far_even;
    to[1] = Real(root_half) * near_odd + Real(root_two) * far_odd;
    to[2] = Real(0.5) * near_even + Real(2) * far_even;
    to[3] = Real(root_half / 2) * near_odd + Real(root_two * 2) * far_odd + m[5];
  }
};

/// A: the gradient of a result's pixels to that of its points.
struct from_pixels {
  static constexpr int in = pixels, out = window;
  template <class Real, class Value>
  [[gnu::always_inline]] static void apply(const Value (&y)[in], Value (&to)[out]) {
    const Value near_even = y[0] + Real(0.5) * y[2], near_odd = y[1] + Real(0.5) * y[3];
    const Value far_even = y[0] + Real(2) * y[2], far_odd = y[1] + Real(2) * y[3];
    to[0] = y[0];
    to[1] = near_even + Real(root_half) * near_odd;
    to[2] = near_even - Real(root_half) * near_odd;
    to[3] = far_even + Real(root_two) * far_odd;
    to[4] = far_even - Real(root_two) * far_odd;
    to[5] = y[3];
  }
};

/// G: taps to their points.
struct from_taps {
  static constexpr int in = taps, out = window;
  template <class Real, class Value>
  [[gnu::always_inline]] static void apply(const Value (&w)[in], Value (&to)[out]) {
    const Value near_even = Real(-2. / 3) * w[0] + Real(-1. / 3) * w[2], near_odd = Real(-2. / 3 * root_half) * w[1];
    const Value far_even = Real(1. / 6) * w[0] + Real(1. / 3) * w[2], far_odd = Real(1. / 6 * root_two) * w[1];
    to[0] = w[0];
    to[1] = near_even + near_odd;
    to[2] = near_even - near_odd;
    to[3] = far_even + far_odd;
    to[4] = far_even - far_odd;
    to[5] = w[2];
  }
};

/// G^T: the gradient of the points to that of the taps.
struct to_taps {
  static constexpr int in = window, out = taps;
  template <class Real, class Value>
  [[gnu::always_inline]] static void apply(const Value (&u)[in], Value (&to)[out]) {
    const Value near_even = u[1] + u[2], near_odd = u[1] - u[2], far_even = u[3] + u[4], far_odd = u[3] - u[4];
    to[0] = u[0] + Real(-2. / 3) * near_even + Real(1. / 6) * far_even;
    to[1] = Real(-2. / 3 * root_half) * near_odd + Real(1. / 6 * root_two) * far_odd;
    to[2] = u[5] + Real(-1. / 3) * near_even + Real(1. / 3) * far_even;
  }
};

/// Applies a rule to the columns and then to the rows of a square: store(row, column, value) for what load(row, column)
/// gives.
template <class Rule, class Real, class Load, class Store>
[[gnu::always_inline]] inline void transform(Load&& load, Store&& store) {
  vector<Real> turned[Rule::out][Rule::in];
#pragma GCC unroll 6
  for (int column = 0; column < Rule::in; ++column) {
    vector<Real> from[Rule::in], to[Rule::out];
#pragma GCC unroll 6
    for (int row = 0; row < Rule::in; ++row) from[row] = load(row, column);
    Rule::template apply<Real>(from, to);
#pragma GCC unroll 6
    for (int row = 0; row < Rule::out; ++row) turned[row][column] = to[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < Rule::out; ++row) {
    vector<Real> to[Rule::out];
    Rule::template apply<Real>(turned[row], to);
#pragma GCC unroll 6
    for (int column = 0; column < Rule::out; ++column) store(row, column, to[column]);
  }
}

/// Lines of some channels of images, channels innermost: to[(line * columns + x) * lanes + channel].
struct view {
  int channels, height, width;  // of an image
  int first_line, first_column, lines, columns;
};

/// Copies lines of a vector of channels of an image, with zeros outside the image.
/// @param from the image's first of these channels
template <class Real>
[[gnu::noinline]] void turn_lines(const view& part, int channels, const Real* from, Real* to) {
  const std::int64_t area = std::int64_t{part.height} * part.width;
  const auto clear = [](Real* at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) store(at + i * lanes<Real>, vector<Real>{});
  };
  const int begin = (std::min)(part.columns, (std::max)(0, -part.first_column));
  const int end = (std::max)(begin, (std::min)(part.columns, part.width - part.first_column));
  for (int line = part.first_line; line < part.first_line + part.lines; ++line, to += part.columns * lanes<Real>) {
    const bool outside = line < 0 || line >= part.height;
    if (outside || channels < lanes<Real>) clear(to, part.columns);
    if (outside) continue;
    clear(to, begin);
    clear(to + end * lanes<Real>, part.columns - end);
    transpose(from + std::int64_t{line} * part.width + part.first_column + begin, area, to + begin * lanes<Real>,
              lanes<Real>, channels, end - begin);
  }
}

/// Brings tiles in a row to their points: to[point * plane + tile * next].
/// @param columns pixels of a line
template <class Rule, class Real>
[[gnu::noinline]] void to_points(const Real* from, int columns, int tiles, Real* to, std::int64_t plane,
                                 std::int64_t next) {
  for (int tile = 0; tile < tiles; ++tile, from += pixels * lanes<Real>, to += next)
    transform<Rule, Real>(
        [&](int row, int column) { return load(from + (row * columns + column) * lanes<Real>); },
        [&](int row, int column, vector<Real> value) { store(to + (row * window + column) * plane, value); });
}
/// Brings tiles in a row back to their pixels.
template <class Real>
[[gnu::noinline]] void from_points(const Real* from, std::int64_t plane, std::int64_t next, int tiles, Real* to,
                                   int columns) {
  for (int tile = 0; tile < tiles; ++tile, from += next, to += pixels * lanes<Real>)
    transform<to_pixels, Real>(
        [&](int row, int column) { return load(from + (row * window + column) * plane); },
        [&](int row, int column, vector<Real> value) { store(to + (row * columns + column) * lanes<Real>, value); });
}

/// A matrix for each point.
template <class Real>
struct matrices {
  Real* data;
  std::int64_t plane;        // from one point to the next
  std::int64_t row, column;  // strides
};

/// One panel of a product: to[i, j] = sum over d of a[i, d] b[d, j]. All rows in one call: they are short.
template <int Vectors, class Real>
[[gnu::noinline]] void multiply_rows(int rows, int depth, const Real* a, std::int64_t a_row, std::int64_t a_column,
                                     const Real* b, std::int64_t b_row, Real* to, std::int64_t to_row, bool add) {
  constexpr int tile_rows = tuning::gemm<Real>::rows;
  for (int row = 0; row < rows; row += tile_rows, to += tile_rows * to_row) {
    const Real* from[tile_rows];
#pragma GCC unroll 8
    for (int i = 0; i < tile_rows; ++i) from[i] = a + (std::min)(row + i, rows - 1) * a_row;
    vector<Real> sum[tile_rows][Vectors] = {};
    const Real* right = b;
    std::int64_t at = 0;
#pragma GCC unroll 2
    for (int d = 0; d < depth; ++d, at += a_column, right += b_row) {
      vector<Real> column[Vectors];
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) column[j] = load(right + j * lanes<Real>);
#pragma GCC unroll 8
      for (int i = 0; i < tile_rows; ++i) {
        const vector<Real> left = broadcast(from[i][at]);
#pragma GCC unroll 4
        for (int j = 0; j < Vectors; ++j) sum[i][j] = left * column[j] + sum[i][j];
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < tile_rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) {
        Real* const into = to + i * to_row + j * lanes<Real>;
        store(into, add ? load(into) + sum[i][j] : sum[i][j]);
      }
  }
}

/// For each point, to[i, j] = sum over d of a[i, d] b[d, j], added to what is there if `add`.
/// @param columns a multiple of 16; those of b and to are neighbours
template <class Real>
void multiply(int rows, int columns, int depth, const matrices<Real>& a, const matrices<Real>& b,
              const matrices<Real>& to, bool add) {
  // Panels of about the same width.
  constexpr int most = tuning::gemm<Real>::vectors;
  const int vectors = columns / lanes<Real>, panels = (vectors + most - 1) / most;
  for (int point = 0; point < points; ++point)
    for (int panel = 0; panel < panels; ++panel) {
      const int first = vectors * panel / panels, count = vectors * (panel + 1) / panels - first;
      const auto run = [&]<int Vectors> {
        multiply_rows<Vectors>(rows, depth, a.data + point * a.plane, a.row, a.column,
                               b.data + point * b.plane + first * lanes<Real>, b.row,
                               to.data + point * to.plane + first * lanes<Real>, to.row, add);
      };
      if (count == 1)
        run.template operator()<1>();
      else if (count == 2)
        run.template operator()<2>();
      else
        run.template operator()<most>();
    }
}

/// How a convolution is cut to blocks of tiles, and its workspace, in elements. Depends on sizes only.
struct plan {
  int in, out;       // channels, to whole vectors
  int down, across;  // tiles of an image
  int images, rows;  // of a block: images, and rows of tiles of each; one image if not all of its rows
  int strips;        // blocks that an image falls into
  std::int64_t blocks;
  int tasks;
  std::int64_t lines, held;  // pixels of a vector of channels; results of an image's rows
  [[nodiscard]] constexpr std::int64_t tiles() const { return round_up(std::int64_t{images} * rows * across, 8); }
  // A line more than needed from one point to the next, or all of them would want the same place in the cache.
  [[nodiscard]] constexpr std::int64_t plane(int channels) const { return tiles() * channels + 16; }
  [[nodiscard]] constexpr std::int64_t weights() const { return std::int64_t{in} * out + 16; }
  [[nodiscard]] constexpr std::int64_t slot() const { return points * (plane(in) + plane(out)) + lines + held; }
};
constexpr plan make_plan(const conv_geometry& g) {
  plan made{};
  made.in = static_cast<int>(round_up(g.in_channels, 16));
  made.out = static_cast<int>(round_up(g.out_channels, 16));
  made.down = (g.out_height + pixels - 1) / pixels;
  made.across = (g.out_width + pixels - 1) / pixels;
  const int most = (std::max)(tuning::winograd_tiles, tuning::winograd_block / (std::max)(made.in, made.out));
  const int image = (std::max)(1, made.down * made.across), even = 8 / std::gcd(image, 8);
  made.rows = made.down;
  made.images = (std::max)(1, (std::min)(g.batch, most / image));
  if (made.images >= even) made.images = made.images / even * even;
  made.strips = 1;
  if (image > most) {
    const int rows = (std::max)(1, most / made.across);
    made.strips = (made.down + rows - 1) / rows;
    made.rows = (made.down + made.strips - 1) / made.strips;
  }
  made.blocks = std::int64_t{(g.batch + made.images - 1) / made.images} * made.strips;
  made.tasks = static_cast<int>((std::min)(made.blocks, std::int64_t{tuning::winograd_tasks}));
  made.lines = std::int64_t{made.rows * pixels + 2} * (made.across * pixels + 2) * 16;
  made.held = round_up(std::int64_t{made.out} * made.rows * pixels * g.out_width, 16);
  return made;
}

/// Images [image, image + images), and rows [row, row + rows) of tiles of each.
struct block {
  int image, images, row, rows;
};
constexpr block block_of(const plan& cut, const conv_geometry& g, std::int64_t number) {
  const int image = static_cast<int>(number / cut.strips) * cut.images;
  const int row = static_cast<int>(number % cut.strips) * cut.rows;
  return {image, (std::min)(cut.images, g.batch - image), row, (std::min)(cut.rows, cut.down - row)};
}
/// Calls body(block) for the blocks of a task.
template <class Body>
void for_blocks(const plan& cut, const conv_geometry& g, int tasks, std::int64_t task, Body&& body) {
  for (std::int64_t number = cut.blocks * task / tasks; number < cut.blocks * (task + 1) / tasks; ++number)
    body(block_of(cut, g, number));
}

/// Asks for a stretch of each of a vector of channels, to be read or written soon.
template <int Write, class Real>
[[gnu::always_inline]] inline void ask_for(const Real* from, std::int64_t area, std::int64_t count) {
  for (int channel = 0; channel < lanes<Real>; ++channel)
    for (std::int64_t at = 0; at < count; at += 64 / int{sizeof(Real)})
      __builtin_prefetch(from + channel * area + at, Write);
}

/// Brings what a block sees of images to points: to[point][tile][channel].
/// @param part of an image; its first line belongs to the first row of tiles
/// @param lines room for pixels
template <class Rule, class Real>
void block_to_points(const plan& cut, const block& at, view part, const Real* from, Real* lines,
                     const matrices<Real>& to) {
  const std::int64_t area = std::int64_t{part.height} * part.width;
  part.first_line += at.row * pixels;
  part.lines = (at.rows - 1) * pixels + Rule::in;
  part.columns = (cut.across - 1) * pixels + Rule::in;
  for (int image = 0; image < at.images; ++image)
    for (int channel = 0; channel < to.row; channel += lanes<Real>) {
      const int channels = std::clamp(part.channels - channel, 0, lanes<Real>);
      const Real* const first = from + ((std::int64_t{at.image} + image) * part.channels + channel) * area;
      turn_lines(part, channels, first, lines);
      for (int row = 0; row < at.rows; ++row) {
        ask_for<0>(first + lanes<Real> * area + (at.row + row) * pixels * part.width, area, pixels * part.width);
        to_points<Rule>(lines + row * pixels * part.columns * lanes<Real>, part.columns, cut.across,
                        to.data + (std::int64_t{image} * at.rows + row) * cut.across * to.row + channel, to.plane,
                        to.row);
      }
    }
}

/// Whether a convolution goes by Winograd's algorithm, in all its passes but the gradient of very many weights.
constexpr bool serves(const conv_geometry& g) {
  const auto tiles = [](int extent) { return std::int64_t{(extent + pixels - 1) / pixels}; };
  const bool plain = g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
                     g.dilation_w == 1 && g.groups == 1 && g.padding_h <= 2 && g.padding_w <= 2;
  const std::int64_t products = tiles(g.out_height) * tiles(g.out_width) * points;
  return plain && (std::min)(g.in_channels, g.out_channels) >= tuning::winograd_channels &&
         9. * g.out_height * g.out_width >= tuning::winograd_saving * static_cast<double>(products);
}
constexpr bool serves_weights(const conv_geometry& g) {
  return serves(g) && std::int64_t{g.in_channels} * g.out_channels <= tuning::winograd_weights;
}
/// The convolution that gives the gradient of the input: of the output's, with the taps turned round.
constexpr conv_geometry mirrored(conv_geometry g) {
  std::swap(g.in_channels, g.out_channels);
  std::swap(g.height, g.out_height), std::swap(g.width, g.out_width);
  g.padding_h = 2 - g.padding_h, g.padding_w = 2 - g.padding_w;
  return g;
}
/// Elements that conv2d needs as workspace.
constexpr std::int64_t workspace_of(const conv_geometry& g) {
  const plan cut = make_plan(g);
  return (points + 9) * cut.weights() + cut.tasks * cut.slot();
}

/// y = x convolved with w, where serves(g).
/// @param turned w is that of the mirrored convolution: [in_channels][out_channels] taps, in the opposite order
/// @param workspace workspace_of(g) elements
template <class Real>
void conv2d(const conv_geometry& g, const Real* x, const Real* w, bool turned, Real* y, const epilogue<Real>* finish,
            Real* workspace, const parallel& given) {
  const plan cut = make_plan(g);
  const parallel run = multiply_adds(g) < tuning::conv_serial ? parallel{} : given;
  const std::int64_t area = std::int64_t{g.out_height} * g.out_width;
  const matrices<Real> weights{workspace, cut.weights(), cut.out, 1};
  Real* const taps_first = workspace + points * cut.weights();  // [in][tap][out]
  Real* const first_slot = taps_first + 9 * cut.weights();
  run(cut.in / 16, [&](std::int64_t task) {
    for (int in = static_cast<int>(task) * 16; in < (task + 1) * 16; ++in) {
      Real* const to = taps_first + std::int64_t{in} * 9 * cut.out;
      if (in >= g.in_channels || cut.out != g.out_channels) std::fill_n(to, 9 * cut.out, Real{});
      if (in < g.in_channels) {
        if (turned)
          transpose(w + std::int64_t{in} * g.out_channels * 9, 9, to, cut.out, g.out_channels, 9);
        else
          transpose(w + std::int64_t{in} * 9, std::int64_t{g.in_channels} * 9, to, cut.out, g.out_channels, 9);
      }
      for (int out = 0; out < cut.out; out += lanes<Real>)
        transform<from_taps, Real>(
            [&](int row, int column) {
              const int tap = turned ? 8 - (row * 3 + column) : row * 3 + column;
              return load(to + tap * cut.out + out);
            },
            [&](int row, int column, vector<Real> value) {
              store(weights.data + (row * window + column) * weights.plane + in * weights.row + out, value);
            });
    }
  });
  const view seen{g.in_channels, g.height, g.width, -g.padding_h, -g.padding_w, 0, 0};
  slots places;
  run(cut.tasks, [&](std::int64_t task) {
    const slots::place own(places);
    Real* const slot = first_slot + own.number() * cut.slot();
    const matrices<Real> left{slot, cut.plane(cut.in), cut.in, 1};
    const matrices<Real> product{slot + points * left.plane, cut.plane(cut.out), cut.out, 1};
    Real* const lines = product.data + points * product.plane;
    Real* const held = lines + cut.lines;
    for_blocks(cut, g, cut.tasks, task, [&](const block& at) {
      block_to_points<from_window>(cut, at, seen, x, lines, left);
      multiply(at.images * at.rows * cut.across, cut.out, cut.in, left, weights, product, false);
      const int columns = cut.across * pixels, height = (std::min)(at.rows * pixels, g.out_height - at.row * pixels);
      const std::int64_t count = std::int64_t{height} * g.out_width;
      for (int image = 0; image < at.images; ++image) {
        const std::int64_t first =
            (std::int64_t{at.image} + image) * g.out_channels * area + std::int64_t{at.row} * pixels * g.out_width;
        Real* const to = finish != nullptr ? held : y + first;
        const std::int64_t to_row = finish != nullptr ? count : area;
        for (int channel = 0; channel < g.out_channels; channel += lanes<Real>) {
          for (int row = 0; row < at.rows; ++row) {
            if (finish == nullptr)
              ask_for<1>(to + channel * to_row + row * pixels * g.out_width, to_row, pixels * g.out_width);
            from_points(product.data + (std::int64_t{image} * at.rows + row) * cut.across * cut.out + channel,
                        product.plane, cut.out, cut.across, lines + row * pixels * columns * lanes<Real>, columns);
          }
          for (int line = 0; line < height; ++line)
            transpose(lines + line * columns * lanes<Real>, lanes<Real>, to + channel * to_row + line * g.out_width,
                      to_row, g.out_width, (std::min)(lanes<Real>, g.out_channels - channel));
        }
        if (finish != nullptr) (*finish)(first, g.out_channels, area, count, held);
      }
    });
  });
}

/// Partial sums of a weight gradient, one for each task.
constexpr int parts_of_weights(const conv_geometry& g) {
  const plan cut = make_plan(g);
  const std::int64_t few = tuning::winograd_sums / (points * cut.weights());
  const std::int64_t parts =
      std::clamp(few, std::int64_t{tuning::winograd_least_parts}, std::int64_t{tuning::winograd_most_parts});
  return static_cast<int>((std::min)(parts, cut.blocks));
}
/// Elements that weight_gradient needs as workspace.
constexpr std::int64_t weight_gradient_workspace(const conv_geometry& g) {
  const plan cut = make_plan(g);
  return parts_of_weights(g) * (cut.slot() + points * cut.weights()) + 9 * cut.weights();
}

/// dw: the gradient of the weights, where serves(g): the products are summed at the points.
/// @param workspace weight_gradient_workspace(g) elements
template <class Real>
void weight_gradient(const conv_geometry& g, const Real* x, const Real* dy, Real* dw, const epilogue<Real>* finish,
                     Real* workspace, const parallel& given) {
  const plan cut = make_plan(g);
  const parallel run = multiply_adds(g) < tuning::conv_serial ? parallel{} : given;
  const int parts = parts_of_weights(g);
  const std::int64_t sum = points * cut.weights();
  Real* const first_slot = workspace + parts * sum;
  const view seen{g.in_channels, g.height, g.width, -g.padding_h, -g.padding_w, 0, 0};
  const view result{g.out_channels, g.out_height, g.out_width, 0, 0, 0, 0};
  slots places;
  run(parts, [&](std::int64_t part) {
    const slots::place own(places);
    Real* const slot = first_slot + own.number() * cut.slot();
    const matrices<Real> left{slot, cut.plane(cut.in), cut.in, 1};
    const matrices<Real> right{slot + points * left.plane, cut.plane(cut.out), cut.out, 1};
    const matrices<Real> to{workspace + part * sum, cut.weights(), cut.out, 1};
    Real* const lines = right.data + points * right.plane;
    bool add = false;
    for_blocks(cut, g, parts, part, [&](const block& at) {
      block_to_points<from_window>(cut, at, seen, x, lines, left);
      block_to_points<from_pixels>(cut, at, result, dy, lines, right);
      const matrices<Real> across{left.data, left.plane, 1, left.row};
      multiply(cut.in, cut.out, at.images * at.rows * cut.across, across, right, to, add);
      add = true;
    });
  });
  // Adds the parts and brings them back to taps.
  const int inner = g.in_channels * 9;
  Real* const taps_first = first_slot + parts * cut.slot();  // [in][tap][out]
  run(g.in_channels, [&](std::int64_t in) {
    for (int out = 0; out < cut.out; out += lanes<Real>) {
      const Real* const from = workspace + in * cut.out + out;
      transform<to_taps, Real>(
          [&](int row, int column) {
            const Real* const first = from + (row * window + column) * cut.weights();
            vector<Real> value = load(first);
            for (int part = 1; part < parts; ++part) value += load(first + part * sum);
            return value;
          },
          [&](int row, int column, vector<Real> value) {
            store(taps_first + (in * 9 + row * 3 + column) * cut.out + out, value);
          });
    }
  });
  add_weight_sums(weight_sums<Real>{taps_first, 0, 1, 0, 1, inner, g.out_channels, cut.out}, dw, finish, run);
}

}  // namespace winograd

}  // namespace vivace::inline VIVACE_TARGET::kernel
