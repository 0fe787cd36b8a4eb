#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/conv_plan.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/image.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// out[o, pixel] = sum over d of weights[o, d] * lines[table[d] + pixel].
/// @param weights panels [outputs / rows][depth][rows]
/// @param apart from the pixels of one vector to those of the next
/// @param next what to fetch meanwhile, a share for each tile
template <class Real>
[[gnu::noinline]] void sum_taps(const Real* weights, int depth, const std::int32_t* table, int outputs,
                                const Real* lines, int apart, int pixels, Real* out, std::int64_t out_row,
                                lookahead<Real>& next) {
  using size = tuning::gemm<Real>;
  tile<Real> work{};
  work.b_vector = apart;
  work.steps = depth;
  work.table = table;
  for (int from = 0; from < pixels; from += size::columns) {
    const int columns = (std::min)(size::columns, pixels - from);
    work.b = lines + from / lanes<Real> * apart;
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

/// Where the sums of a strip go, whose lines are longer than those of the result.
template <class Real>
struct strip_result {
  const strip<Real>& at;
  int columns, width;  // of a line of sums, of the result
  std::int64_t area;   // of a channel of the tensor
  Real* tensor;        // null if an epilogue takes the result from at.held

  [[nodiscard]] bool in_place() const { return tensor != nullptr && columns == width; }
  [[nodiscard]] Real* sums() const { return in_place() ? tensor : at.held; }
  [[nodiscard]] std::int64_t sums_row() const { return in_place() ? area : std::int64_t{at.count} * columns; }
  /// Leaves out what lies between the lines.
  void close_up(int channels) const {
    if (columns == width) return;
    Real* const to = tensor != nullptr ? tensor : at.held;
    const std::int64_t to_row = tensor != nullptr ? area : std::int64_t{at.count} * width;
    for (int channel = 0; channel < channels; ++channel)
      for (int line = 0; line < at.count; ++line)
        copy_short(to + channel * to_row + line * width, at.held + channel * sums_row() + line * columns, width);
  }
};

/// What the strip of the next image reads, to be fetched while this one is computed.
template <class Real>
lookahead<Real> next_lines(const conv_geometry& g, const conv_plan& plan, int channels, const Real* from,
                           const strip<Real>& at, std::int64_t tiles) {
  const std::int64_t image = std::int64_t{channels} * plan.layout.height * plan.layout.width;
  if (at.image + 1 >= std::int64_t{g.batch} * g.groups) return {};
  return {from + (at.image + 1) * image + image * (at.line / plan.lines) / plan.strips, image / plan.strips, tiles};
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
