#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Elements behind lines of an image that whole vectors may read.
inline constexpr int image_slack = 128;

/// How lines of an image are laid out for convolution. A channel has a plane for each shift, that is, for each column
/// of the kernel: line h of it holds the pixels (h, x * stride_w + shift * shift_step + shift_from) that the column
/// sees for x in [0, columns), zero outside the image. Lines stride_h apart are neighbours. So the pixels that a tap
/// sees lie one behind the other over any number of lines, whatever the width of the image.
struct line_layout {
  int height, width;  // of the source
  int stride_h, stride_w;
  int shifts, shift_step, shift_from;
  int rows, columns;  // lines of each phase, pixels of each line

  [[nodiscard]] constexpr std::int64_t plane() const { return std::int64_t{shifts} * stride_h * rows * columns; }
  [[nodiscard]] constexpr std::int64_t offset(int h, int shift) const {
    return (std::int64_t{shift * stride_h + h % stride_h} * rows + h / stride_h) * columns;
  }
};

/// Writes zeros in whole vectors, up to a vector less one behind `count`.
template <class Real>
[[gnu::always_inline]] inline void clear_over(Real* to, int count) {
  for (int at = 0; at < count; at += lanes<Real>) store(to + at, vector<Real>{});
}

/// 0, 1, 2 ...
template <class Real>
[[gnu::always_inline]] inline integer_vector<Real> lane_numbers() {
  integer_vector<Real> number{};
  for (int lane = 0; lane < lanes<Real>; ++lane) number[lane] = lane;
  return number;
}

/// Lines [begin, end) of a plane in whole vectors: what overruns a line, the next writes over.
/// @param at place of the first pixel of line 0, even if that is outside the image
template <int Stride, class Real>
[[gnu::always_inline]] inline void fill_plane(const Real* from, std::int64_t at, std::int64_t from_row, Real* to,
                                              int columns, int begin, int end, int first_inside, int last_inside) {
  const integer_vector<Real> number = lane_numbers<Real>();
  if (begin == end) return;
  // From the last vectors of all lines to the first ones, which the overrun has spoilt.
  for (int x = (columns - 1) / lanes<Real> * lanes<Real>; x >= 0; x -= lanes<Real>) {
    const integer_vector<Real> inside = (number >= first_inside - x) & (number < last_inside - x);
    const Real* line = from + (at + begin * from_row + x * Stride);
    Real* into = to + begin * columns + x;
    for (int row = begin; row < end; ++row, line += from_row, into += columns) {
      vector<Real> value = load(line);
      if constexpr (Stride == 2) value = even_lanes<Real>(value, load(line + lanes<Real>));
      store(into, bits<vector<Real>>(bits<integer_vector<Real>>(value) & inside));
    }
  }
}

/// Lays out lines of all channels of an image, and clears image_slack elements behind them.
/// @param top line of the image that comes first; may be negative
/// @param count lines of each phase that are wanted
template <class Real>
[[gnu::noinline]] void fill_lines(const line_layout& layout, int channels, const Real* from, int top, int count,
                                  Real* to) {
  const auto [height, width, stride_h, stride_w, shifts, shift_step, shift_from, rows, columns] = layout;
  const std::int64_t all = std::int64_t{channels} * height * width, next = std::int64_t{stride_h} * width;
  const std::int64_t read = (columns + lanes<Real> - 1) / lanes<Real> * lanes<Real> * stride_w;
  const auto clamp = [&](std::int64_t row) {
    return static_cast<int>(std::clamp(row, std::int64_t{0}, std::int64_t{count}));
  };
  const auto ceil = [](std::int64_t value, std::int64_t part) {
    return value > 0 ? (value + part - 1) / part : value / part;
  };
  for (int channel = 0; channel < channels; ++channel)
    for (int shift = 0; shift < shifts; ++shift) {
      // Pixels inside the image: 0 <= x * stride_w + first < width.
      const int first = shift_from + shift * shift_step;
      const int begin = first >= 0 ? 0 : (std::min)(columns, (-first + stride_w - 1) / stride_w);
      const int end =
          first >= width ? begin : (std::max)(begin, (std::min)(columns, (width - 1 - first) / stride_w + 1));
      for (int phase = 0; phase < stride_h; ++phase, to += std::int64_t{rows} * columns) {
        // Lines inside the image, and those of them that may be read in whole vectors.
        const int line = top + phase;
        const int upper = clamp(ceil(-line, stride_h)), lower = (std::max)(upper, clamp(ceil(height - line, stride_h)));
        const std::int64_t at = (std::int64_t{channel} * height + line) * width + first;
        int safe = (std::max)(upper, clamp(ceil(-at, next)));
        int unsafe = (std::min)(lower, clamp(all - read < at ? 0 : (all - read - at) / next + 1));
        if (stride_w > 2 || unsafe <= safe) safe = unsafe = lower;
        const auto slowly = [&](int row, int last) {
          for (; row < last; ++row) {
            Real* const into = to + std::int64_t{row} * columns;
            clear_over(into, columns);
            if (row < upper || row >= lower) continue;
            for (int x = begin; x < end; ++x) into[x] = from[at + row * next + x * stride_w];
          }
        };
        slowly(0, safe);
        if (stride_w == 1)
          fill_plane<1>(from, at, next, to, columns, safe, unsafe, begin, end);
        else
          fill_plane<2>(from, at, next, to, columns, safe, unsafe, begin, end);
        slowly(unsafe, count);
      }
    }
  clear_over(to, image_slack);
}

/// Writes the pixels of one line from the lines of its phases: to[x] comes from phase (x + padding) % stride.
/// @param line first phase's line, from its first pixel on; the other phases' lines lie `next` elements apart; a
/// vector behind each line may be read
template <class Real>
[[gnu::always_inline]] inline void join_phases(const Real* line, std::int64_t next, int stride, int padding, int width,
                                               Real* to) {
  if (stride == 1) {
    copy_short(to, line, width);
    return;
  }
  if (stride == 2) {
    const Real* left = line + padding % 2 * next;
    const Real* right = line + (1 - padding % 2) * next;
    for (int x = 0; x < width; x += 2 * lanes<Real>) {
      Real held[2 * lanes<Real>];
      vector<Real> low, high;
      interleave<Real>(load(left + x / 2), load(right + x / 2), low, high);
      Real* const into = x + 2 * lanes<Real> <= width ? to + x : held;
      store(into, low);
      store(into + lanes<Real>, high);
      if (into == held) copy_short(to + x, held, width - x);
    }
    return;
  }
  for (int phase = 0; phase < stride; ++phase) {
    const Real* from = line + (phase + padding) % stride * next;
    for (int x = phase; x < width; x += stride) to[x] = *from++;
  }
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
