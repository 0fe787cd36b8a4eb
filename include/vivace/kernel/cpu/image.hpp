#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Elements behind a padded image that whole vectors may read.
inline constexpr int image_slack = 128;

/// How an image is laid out for convolution: padded with zeros, and split so that pixels a stride apart are neighbours.
/// A channel is stride_h * stride_w planes of rows x columns; pixel (h, w) of the padded image lies in plane
/// (h % stride_h, w % stride_w) at (h / stride_h, w / stride_w).
struct image_layout {
  int height, width;         // of the source
  int padding_h, padding_w;  // zeros before it; negative to cut
  int stride_h, stride_w;
  int rows, columns;  // of each plane

  [[nodiscard]] constexpr std::int64_t plane() const { return std::int64_t{rows} * columns * stride_h * stride_w; }
  [[nodiscard]] constexpr std::int64_t offset(int h, int w) const {
    return std::int64_t{h % stride_h * stride_w + w % stride_w} * rows * columns +
           std::int64_t{h / stride_h} * columns + w / stride_w;
  }
};

/// Writes zeros in whole vectors, up to a vector less one behind `count`.
template <class Real>
[[gnu::always_inline]] inline void clear_over(Real* to, int count) {
  for (int at = 0; at < count; at += lanes<Real>) store(to + at, vector<Real>{});
}

/// Copies channels of a source image into the layout, and clears image_slack elements behind it.
/// Lines are short, so they are written in whole vectors from first to last: what overruns one, the next writes over.
template <class Real>
[[gnu::noinline]] void fill_image(const image_layout& layout, int channels, const Real* from, Real* to) {
  const auto [height, width, padding_h, padding_w, stride_h, stride_w, rows, columns] = layout;
  const Real* const readable = from + std::int64_t{channels} * height * width;
  for (int channel = 0; channel < channels; ++channel, from += std::int64_t{height} * width)
    for (int phase_h = 0; phase_h < stride_h; ++phase_h)
      for (int phase_w = 0; phase_w < stride_w; ++phase_w) {
        // Columns of the plane that hold source pixels: 0 <= x * stride_w + shift < width.
        const int shift = phase_w - padding_w;
        const int begin = shift >= 0 ? 0 : (std::min)(columns, (-shift + stride_w - 1) / stride_w);
        const int end =
            shift >= width ? begin : (std::max)(begin, (std::min)(columns, (width - 1 - shift) / stride_w + 1));
        const int count = end - begin, whole = (count + lanes<Real> - 1) / lanes<Real> * lanes<Real>;
        for (int row = 0; row < rows; ++row, to += columns) {
          const int source = row * stride_h + phase_h - padding_h;
          if (source < 0 || source >= height) {
            clear_over(to, columns);
            continue;
          }
          const Real* line = from + std::int64_t{source} * width + begin * stride_w + shift;
          clear_over(to, begin);
          Real* const into = to + begin;
          if (whole * stride_w > readable - line) {
            for (int x = 0; x < count; ++x) into[x] = line[x * stride_w];
          } else if (stride_w == 1) {
            for (int x = 0; x < count; x += lanes<Real>) store(into + x, load(line + x));
          } else if (stride_w == 2) {
            for (int x = 0; x < count; x += lanes<Real>)
              store(into + x, even_lanes<Real>(load(line + 2 * x), load(line + 2 * x + lanes<Real>)));
          } else {
            for (int x = 0; x < count; ++x) into[x] = line[x * stride_w];
          }
          clear_over(to + end, columns - end);
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

/// Packs one tap's weights, [outputs, channels] with the given strides, into panels
/// [outputs / rows][taps][channels][rows], zero in rows past the last output.
template <class Real>
[[gnu::noinline]] void pack_weights(Real* panels, const Real* from, std::int64_t output_stride,
                                    std::int64_t channel_stride, int outputs, int channels, int taps, int tap) {
  constexpr int rows = tuning::gemm<Real>::rows;
  for (int output = 0; output < outputs; output += rows) {
    Real* to = panels + (std::int64_t{output} * taps + std::int64_t{tap} * rows) * channels;
    for (int channel = 0; channel < channels; ++channel)
      for (int i = 0; i < rows; ++i)
        *to++ = output + i < outputs ? from[(output + i) * output_stride + channel * channel_stride] : Real{};
  }
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
