#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/stretch.hpp>

namespace vivace::inline VIVACE_TARGET::cpu {

/// Extents of one plane and its windows.
struct pool_extents {
  std::int64_t planes, height, width, rows, columns;
  std::int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;

  pool_extents(const shape& image, const shape& windows, const window& frame)
      : planes(std::int64_t{image[0]} * image[1]),
        height(image[2]),
        width(image[3]),
        rows(windows[2]),
        columns(windows[3]),
        kernel_h(frame.kernel[0]),
        kernel_w(frame.kernel[1]),
        stride_h(frame.stride[0]),
        stride_w(frame.stride[1]),
        padding_h(frame.padding[0]),
        padding_w(frame.padding[1]) {}

  [[nodiscard]] std::int64_t image_size() const { return height * width; }
  [[nodiscard]] std::int64_t window_count() const { return rows * columns; }
  /// Rows of the image that a row of windows sees.
  [[nodiscard]] std::int64_t top(std::int64_t row) const {
    return (std::max)(row * stride_h - padding_h, std::int64_t{0});
  }
  [[nodiscard]] std::int64_t bottom(std::int64_t row) const {
    return (std::min)(row * stride_h - padding_h + kernel_h, height);
  }
  /// Columns of the image that a window sees.
  [[nodiscard]] std::int64_t left(std::int64_t column) const {
    return (std::max)(column * stride_w - padding_w, std::int64_t{0});
  }
  [[nodiscard]] std::int64_t right(std::int64_t column) const {
    return (std::min)(column * stride_w - padding_w + kernel_w, width);
  }
  /// Elements of a line that holds all that the windows of a row see, padding included.
  [[nodiscard]] std::int64_t line() const { return (std::max)((columns - 1) * stride_w + kernel_w, padding_w + width); }
  /// 2 x 2 windows side by side, all inside the image.
  [[nodiscard]] bool pairs() const {
    return kernel_h == 2 && kernel_w == 2 && stride_h == 2 && stride_w == 2 && padding_h == 0 && padding_w == 0;
  }
};

/// Calls body(first plane, planes) side by side.
template <class Body>
void for_planes(const step_context& context, const pool_extents& size, Body&& body) {
  for_stretches(context, size.planes, (std::max)(std::int64_t{1}, function_grain / size.image_size()), body);
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
