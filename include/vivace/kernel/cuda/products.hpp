#pragma once
#include <type_traits>

#include <vivace/kernel/cuda/each.hpp>
#include <vivace/kernel/cuda/problems.hpp>
#include <vivace/kernel/cuda/program.hpp>

/// @file
/// Products and convolutions without a vendor's library: plain, tested on the host, and there for comparison.

namespace vivace::inline VIVACE_TARGET::gpu {

/// What stands behind a product whose values are just written.
struct no_program {
  static constexpr int registers = 0;
};

/// A tile of a product for each block: the threads bring stretches of both operands into the block's memory, meet, and
/// each multiplies for its 4 x 4 results, which it writes in the end, or hands to the program that takes them.
template <class Real, class Program = no_program>
struct product_work {
  static constexpr int threads = 256;
  static constexpr int tile = 64, depth = 16, own = 4;
  struct state {
    Real sum[own][own]{};
  };
  factor<Real> a, b;
  Real* c;
  std::uint32_t m, n, k;
  std::uint32_t a_row, a_column, b_row, b_column;  ///< strides
  divider tiles_of_one, tiles_of_row;
  Program code;

  constexpr explicit product_work(const product_problem<Real>& of, const Program& behind = {})
      : a{of.a, of.narrow}, b{of.b, of.narrow}, c(of.c), m(static_cast<std::uint32_t>(of.m)), n(static_cast<std::uint32_t>(of.n)),
        k(static_cast<std::uint32_t>(of.k)), a_row(of.transpose_a ? 1 : k), a_column(of.transpose_a ? m : 1),
        b_row(of.transpose_b ? 1 : n), b_column(of.transpose_b ? k : 1),
        tiles_of_one(static_cast<std::uint32_t>(blocks_of(m, tile) * blocks_of(n, tile))),
        tiles_of_row(static_cast<std::uint32_t>(blocks_of(n, tile))), code(behind) {}

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 2 * static_cast<int>(blocks_of(k, depth)) + 1; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const {
    const std::size_t operands = sizeof(Real) * 2 * depth * (tile + own);
    if constexpr (std::is_same_v<Program, no_program>) return operands;
    const std::size_t program =
        (sizeof(packet<Real, width_of<Real>>) * static_cast<std::size_t>(code.registers) + sizeof(Real) * own * own) * threads;
    return operands > program ? operands : program;
  }

  VIVACE_HOST_DEVICE void operator()(int phase, position at, state& sums, std::byte* shared) const {
    const std::uint32_t one = tiles_of_one.quotient(at.block);
    const std::uint32_t place = at.block - one * tiles_of_one.divisor;
    const std::uint32_t row = tiles_of_row.quotient(place) * tile;
    const std::uint32_t column = (place - tiles_of_row.quotient(place) * tiles_of_row.divisor) * tile;
    Real* const left = reinterpret_cast<Real*>(shared);  // [depth][tile], rows a little longer
    Real* const right = left + depth * (tile + own);
    const std::uint32_t i = at.thread / (tile / own) * own, j = at.thread % (tile / own) * own;
    if (phase + 1 == phases()) return write(sums, one, row + i, column + j, at.thread, shared);
    const std::uint32_t first = static_cast<std::uint32_t>(phase / 2) * depth;
    if (phase % 2 == 0) {
      fetch(left, a.behind(std::size_t{one} * m * k), row, m, a_row, first, a_column, at.thread);
      fetch(right, b.behind(std::size_t{one} * k * n), column, n, b_column, first, b_row, at.thread);
      return;
    }
    for (int d = 0; d < depth; ++d) {
      Real x[own], y[own];
      for (int v = 0; v < own; ++v) x[v] = left[d * (tile + own) + static_cast<int>(i) + v];
      for (int v = 0; v < own; ++v) y[v] = right[d * (tile + own) + static_cast<int>(j) + v];
      for (int u = 0; u < own; ++u)
        for (int v = 0; v < own; ++v) sums.sum[u][v] += x[u] * y[v];
    }
  }

 private:
  VIVACE_HOST_DEVICE void write(const state& sums, std::uint32_t one, std::uint32_t row, std::uint32_t column,
                                [[maybe_unused]] std::uint32_t thread, [[maybe_unused]] std::byte* shared) const {
    const std::uint32_t first = (one * m + row) * n + column;
    if constexpr (std::is_same_v<Program, no_program>) {
      for (std::uint32_t u = 0; u < own; ++u)
        for (std::uint32_t v = 0; v < own; ++v)
          if (row + u < m && column + v < n) c[first + u * n + v] = sums.sum[u][v];
    } else {
      // The sums leave the registers of the hardware here, so that the program's code stands in a loop and not 16 times.
      constexpr int width = width_of<Real>;
      using values = packet<Real, width>;
      auto* const registers = reinterpret_cast<values*>(shared) + thread;
      Real* const heads = reinterpret_cast<Real*>(reinterpret_cast<values*>(shared) + threads * code.registers) + thread;
      for (int u = 0; u < own; ++u)
        for (int v = 0; v < own; ++v) heads[(u * own + v) * threads] = sums.sum[u][v];
      const std::uint32_t rows = row < m ? m - row : 0, columns = column < n ? n - column : 0;
      for (std::uint32_t part = 0; part < own * own; part += width) {
        const std::uint32_t u = part / own, v = part % own;
        if (u >= rows || v >= columns) continue;
        values head;
        for (std::uint32_t w = 0; w < width; ++w) head.value[w] = heads[(part + w) * threads];
        const int count = columns - v < width ? static_cast<int>(columns - v) : width;
        program_thread<Program, Real, width>(code, registers, threads, first + u * n + v, count).run(head);
      }
    }
  }

  /// Brings [depth, tile] elements: `outer` runs along the tile, `inner` along k. Neighbouring threads read neighbours.
  VIVACE_HOST_DEVICE void fetch(Real* to, const factor<Real>& from, std::uint32_t outer, std::uint32_t outer_end,
                                std::uint32_t outer_stride, std::uint32_t inner, std::uint32_t inner_stride,
                                std::uint32_t thread) const {
    for (std::uint32_t e = thread; e < depth * tile; e += threads) {
      const std::uint32_t o = inner_stride == 1 ? e / depth : e % tile;
      const std::uint32_t d = inner_stride == 1 ? e % depth : e / tile;
      to[d * (tile + own) + o] =
          outer + o < outer_end && inner + d < k
              ? from[std::size_t{outer + o} * outer_stride + std::size_t{inner + d} * inner_stride]
              : Real(0);
    }
  }
};

/// Extents of a convolution.
struct convolution_geometry {
  std::int32_t samples, channels, height, width;         ///< of the image
  std::int32_t filters, rows, columns;                   ///< of the result
  std::int32_t group_in, group_out, kernel[2];           ///< channels and filters of a group
  std::int32_t stride[2], padding[2], dilation[2];

  template <class Real>
  constexpr explicit convolution_geometry(const convolution_problem<Real>& of)
      : samples(of.image[0]), channels(of.image[1]), height(of.image[2]), width(of.image[3]), filters(of.weight[0]),
        rows(of.result[2]), columns(of.result[3]), group_in(of.weight[1]), group_out(of.weight[0] / of.frame.groups),
        kernel{of.weight[2], of.weight[3]}, stride{of.frame.stride[0], of.frame.stride[1]},
        padding{of.frame.padding[0], of.frame.padding[1]}, dilation{of.frame.dilation[0], of.frame.dilation[1]} {}

  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t image_at(std::int32_t n, std::int32_t c, std::int32_t y,
                                                          std::int32_t x) const {
    return static_cast<std::uint32_t>(((n * channels + c) * height + y) * width + x);
  }
  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t result_at(std::int32_t n, std::int32_t f, std::int32_t y,
                                                           std::int32_t x) const {
    return static_cast<std::uint32_t>(((n * filters + f) * rows + y) * columns + x);
  }
  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t weight_at(std::int32_t f, std::int32_t c, std::int32_t y,
                                                           std::int32_t x) const {
    return static_cast<std::uint32_t>(((f * group_in + c) * kernel[0] + y) * kernel[1] + x);
  }
};

/// The four coordinates of an element.
struct coordinates {
  std::int32_t outer, channel, y, x;
  VIVACE_HOST_DEVICE coordinates(std::uint32_t index, std::int32_t channels, std::int32_t height, std::int32_t width) {
    const auto number = static_cast<std::int32_t>(index);
    x = number % width;
    y = number / width % height;
    channel = number / width / height % channels;
    outer = number / width / height / channels;
  }
};

/// A thread makes one element of the result.
template <class Real>
struct convolve {
  convolution_geometry how;
  factor<Real> image, weight;
  Real* to;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const coordinates at(index, how.filters, how.rows, how.columns);
    const std::int32_t first = at.channel / how.group_out * how.group_in;
    Real total = 0;
    for (std::int32_t c = 0; c < how.group_in; ++c)
      for (std::int32_t ky = 0; ky < how.kernel[0]; ++ky) {
        const std::int32_t y = at.y * how.stride[0] - how.padding[0] + ky * how.dilation[0];
        if (y < 0 || y >= how.height) continue;
        for (std::int32_t kx = 0; kx < how.kernel[1]; ++kx) {
          const std::int32_t x = at.x * how.stride[1] - how.padding[1] + kx * how.dilation[1];
          if (x < 0 || x >= how.width) continue;
          total += image[how.image_at(at.outer, first + c, y, x)] * weight[how.weight_at(at.channel, c, ky, kx)];
        }
      }
    to[index] = total;
  }
};

/// A thread makes one element of the image's gradient.
template <class Real>
struct convolve_input_gradient {
  convolution_geometry how;
  factor<Real> gradient, weight;
  Real* to;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const coordinates at(index, how.channels, how.height, how.width);
    const std::int32_t group = at.channel / how.group_in;
    Real total = 0;
    for (std::int32_t f = group * how.group_out; f < (group + 1) * how.group_out; ++f)
      for (std::int32_t ky = 0; ky < how.kernel[0]; ++ky) {
        const std::int32_t y = at.y + how.padding[0] - ky * how.dilation[0];
        if (y < 0 || y % how.stride[0] != 0 || y / how.stride[0] >= how.rows) continue;
        for (std::int32_t kx = 0; kx < how.kernel[1]; ++kx) {
          const std::int32_t x = at.x + how.padding[1] - kx * how.dilation[1];
          if (x < 0 || x % how.stride[1] != 0 || x / how.stride[1] >= how.columns) continue;
          total += gradient[how.result_at(at.outer, f, y / how.stride[0], x / how.stride[1])] *
                   weight[how.weight_at(f, at.channel % how.group_in, ky, kx)];
        }
      }
    to[index] = total;
  }
};

/// A block makes one element of the weight's gradient: each thread a share of the results, which are then halved.
template <class Real>
struct weight_gradient_work {
  static constexpr int threads = 256, halvings = 8;
  using state = nothing;
  convolution_geometry how;
  factor<Real> image, gradient;
  Real* to;

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 1 + halvings; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const { return sizeof(Real) * threads; }
  VIVACE_HOST_DEVICE void operator()(int phase, position at, state&, std::byte* shared) const {
    Real* const partial = reinterpret_cast<Real*>(shared);
    if (phase == 0) {
      const coordinates tap(at.block, how.group_in, how.kernel[0], how.kernel[1]);
      const std::int32_t channel = tap.outer / how.group_out * how.group_in + tap.channel;
      Real total = 0;
      const std::int32_t places = how.rows * how.columns;
      for (std::int32_t i = static_cast<std::int32_t>(at.thread); i < how.samples * places; i += threads) {
        const std::int32_t n = i / places, place = i % places;
        const std::int32_t y = place / how.columns * how.stride[0] - how.padding[0] + tap.y * how.dilation[0];
        const std::int32_t x = place % how.columns * how.stride[1] - how.padding[1] + tap.x * how.dilation[1];
        if (y < 0 || y >= how.height || x < 0 || x >= how.width) continue;
        total += image[how.image_at(n, channel, y, x)] *
                 gradient[how.result_at(n, tap.outer, place / how.columns, place % how.columns)];
      }
      partial[at.thread] = total;
    } else {
      const std::uint32_t half = static_cast<std::uint32_t>(threads) >> phase;
      if (at.thread < half) partial[at.thread] += partial[at.thread + half];
      if (half == 1 && at.thread == 0) to[at.block] = partial[0];
    }
  }
};

/// @throws error if a tensor has too many elements for 32-bit indices
inline void check_size(const shape& dims) {
  if (dims.size() >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda", std::to_string(dims.size()) + " elements",
                "fewer than 2^31: a smaller batch");
}

/// The same problem with the result where the program puts it.
template <class Problem, class Real>
Problem with_epilogue(Problem problem, const epilogue<Real>& behind) {
  problem.c = behind.to;
  problem.bias = behind.bias;
  problem.relu = behind.relu;
  return problem;
}

/// Terms of a sum up to which a product of ours, with the program in the same kernel, is taken before a library's with the
/// program behind it in another.
inline constexpr std::int64_t shallow = 64;

template <class Launch, class Real, class Program>
void multiply(const product_problem<Real>& work, const Program& behind, const step_context& context) {
  using tiles = product_work<Real, Program>;
  Launch::run(tiles(work, behind), blocks_of(work.m, tiles::tile) * blocks_of(work.n, tiles::tile) * work.batch, context);
}

template <class Launch, class Real>
void matmul(const call<Real>& self, const step_context& context) {
  check_size(self.in[0].dims);
  check_size(self.in[1].dims);
  check_size(self.out.dims);
  if (!self.body.exists()) {
    const product_problem<Real> work = product_of(self, self.out.data);
    if (!Launch::solved_by_library(work, context)) multiply<Launch>(work, no_program{}, context);
    return;
  }
  product_problem<Real> work = product_of(self, self.workspace);
  if (work.k > shallow) {
    const epilogue<Real> behind = epilogue_of(self.body, work.n, 1);
    if (behind.bias != nullptr && Launch::solved_by_library(with_epilogue(work, behind), context)) return;
    if (Launch::solved_by_library(work, context))
      return run_whole_program<Launch>(self.body, {self.workspace, false}, context);
  }
  with_packed<Launch>(self.body, {}, context,
                      [&](const auto& behind) { multiply<Launch>(work, behind, context); });
}

/// Brings what is bfloat16 to full width.
template <class Real>
struct widened {
  factor<Real> from;
  Real* to;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const { to[index] = from[index]; }
};

template <class Launch, op Kind, class Real>
void convolve_plainly(const convolution_problem<Real>& work, const shape& to, const step_context& context) {
  const convolution_geometry how(work);
  const factor<Real> a{work.a, work.narrow}, b{work.b, work.narrow};
  if constexpr (Kind == op::conv2d)
    for_each<Launch>(convolve<Real>{how, a, b, work.c}, to.size(), context);
  else if constexpr (Kind == op::conv2d_input_gradient)
    for_each<Launch>(convolve_input_gradient<Real>{how, a, b, work.c}, to.size(), context);
  else
    Launch::run(weight_gradient_work<Real>{how, a, b, work.c}, to.size(), context);
}

template <class Launch, op Kind, class Real>
void convolution(const call<Real>& self, const step_context& context) {
  check_size(self.in[0].dims);
  check_size(self.in[1].dims);
  check_size(self.out.dims);
  if constexpr (Kind == op::conv2d) {
    const shape& dims = self.out.dims;
    const epilogue<Real> behind = epilogue_of(self.body, dims[1], std::int64_t{dims[2]} * dims[3]);
    if (behind.bias != nullptr &&
        Launch::solved_by_library(with_epilogue(convolution_of(Kind, self, behind.to), behind), context))
      return;
  }
  // A program takes the values from scratch memory, and so does what widens what a library made of bfloat16.
  Real* const scratch = self.workspace;
  Real* const to = self.body.exists() ? scratch : self.out.data;
  convolution_problem<Real> work = convolution_of(Kind, self, to);
  if (work.narrow) work.c = scratch;
  const bool solved = Launch::solved_by_library(work, context);
  work.c = to;
  if (!solved) convolve_plainly<Launch, Kind>(work, self.out.dims, context);
  const factor<Real> made{solved && work.narrow ? scratch : to, solved && work.narrow};
  if (self.body.exists())
    run_whole_program<Launch>(self.body, made, context);
  else if (made.narrow)
    for_each<Launch>(widened<Real>{made, to}, self.out.dims.size(), context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
