#pragma once
#include <vivace/kernel/cuda/each.hpp>

/// @file
/// Pooling: a thread makes one element of the result. Gradients gather from the windows that hold the element, in their
/// order, so that nothing is added by several threads.

namespace vivace::inline VIVACE_TARGET::gpu {

/// Windows of planes: a plane is one channel of one sample.
struct window_geometry {
  std::int32_t height = 1, width = 1;    ///< of the image
  std::int32_t rows = 1, columns = 1;    ///< of the windows
  std::int32_t kernel[2]{1, 1}, stride[2]{1, 1}, padding[2]{0, 0};
  divider image_plane{}, image_row{}, window_plane{}, window_row{};

  constexpr window_geometry() = default;
  constexpr window_geometry(const shape& image, const shape& windows, const window& frame)
      : height(image[2]), width(image[3]), rows(windows[2]), columns(windows[3]),
        kernel{frame.kernel[0], frame.kernel[1]}, stride{frame.stride[0], frame.stride[1]},
        padding{frame.padding[0], frame.padding[1]}, image_plane(static_cast<std::uint32_t>(height * width)),
        image_row(static_cast<std::uint32_t>(width)), window_plane(static_cast<std::uint32_t>(rows * columns)),
        window_row(static_cast<std::uint32_t>(columns)) {}
};

/// A range of rows and columns, [begin, end).
struct plane_range {
  std::int32_t row_begin, row_end, column_begin, column_end;
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr std::int32_t area() const {
    return (row_end - row_begin) * (column_end - column_begin);
  }
};
VIVACE_HOST_DEVICE constexpr std::int32_t at_least(std::int32_t value, std::int32_t low) {
  return value < low ? low : value;
}
VIVACE_HOST_DEVICE constexpr std::int32_t at_most(std::int32_t value, std::int32_t high) {
  return value > high ? high : value;
}

/// The part of a window that lies in the image.
VIVACE_HOST_DEVICE constexpr plane_range inside(const window_geometry& how, std::int32_t y, std::int32_t x) {
  const std::int32_t top = y * how.stride[0] - how.padding[0];
  const std::int32_t left = x * how.stride[1] - how.padding[1];
  return {at_least(top, 0), at_most(top + how.kernel[0], how.height), at_least(left, 0),
          at_most(left + how.kernel[1], how.width)};
}
/// The windows that hold an element of the image.
VIVACE_HOST_DEVICE constexpr plane_range windows_with(const window_geometry& how, std::int32_t row,
                                                      std::int32_t column) {
  const std::int32_t y = row + how.padding[0], x = column + how.padding[1];
  return {at_least(y - how.kernel[0] + how.stride[0], 0) / how.stride[0], at_most(y / how.stride[0] + 1, how.rows),
          at_least(x - how.kernel[1] + how.stride[1], 0) / how.stride[1], at_most(x / how.stride[1] + 1, how.columns)};
}

/// Index in its plane of the largest element of a window; the first of equals, or the first NaN.
template <class Real>
VIVACE_HOST_DEVICE std::int32_t place_of_maximum(const Real* plane, std::int32_t width, const plane_range& range) {
  std::int32_t best = range.row_begin * width + range.column_begin;
  for (std::int32_t row = range.row_begin; row < range.row_end; ++row)
    for (std::int32_t column = range.column_begin; column < range.column_end; ++column) {
      const std::int32_t place = row * width + column;
      if (plane[best] < plane[place] || (plane[place] != plane[place] && plane[best] == plane[best])) best = place;
    }
  return best;
}

/// What a thread of a window's result knows.
struct window_place {
  std::uint32_t image;  ///< where the image's plane begins
  plane_range range;
  VIVACE_HOST_DEVICE window_place(const window_geometry& how, std::uint32_t index) {
    const std::uint32_t plane = how.window_plane.quotient(index);
    const std::uint32_t rest = index - plane * how.window_plane.divisor;
    const std::uint32_t y = how.window_row.quotient(rest);
    image = plane * how.image_plane.divisor;
    range = inside(how, static_cast<std::int32_t>(y), static_cast<std::int32_t>(rest - y * how.window_row.divisor));
  }
};
/// What a thread of an image's gradient knows.
struct image_place {
  std::uint32_t image;    ///< where the image's plane begins
  std::uint32_t windows;  ///< where the plane of windows begins
  std::int32_t place;     ///< of the element in its plane
  plane_range range;      ///< windows that hold it
  VIVACE_HOST_DEVICE image_place(const window_geometry& how, std::uint32_t index) {
    const std::uint32_t plane = how.image_plane.quotient(index);
    const std::uint32_t rest = index - plane * how.image_plane.divisor;
    const std::uint32_t row = how.image_row.quotient(rest);
    image = plane * how.image_plane.divisor;
    windows = plane * how.window_plane.divisor;
    place = static_cast<std::int32_t>(rest);
    range = windows_with(how, static_cast<std::int32_t>(row),
                         static_cast<std::int32_t>(rest - row * how.image_row.divisor));
  }
};

template <class Real>
struct pool_maximum {
  const Real* image;
  const Real* picked;  ///< where the values are taken from: the image itself, or others of its shape
  Real* to;
  window_geometry how;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const window_place at(how, index);
    to[index] = picked[at.image + static_cast<std::uint32_t>(place_of_maximum(image + at.image, how.width, at.range))];
  }
};
template <class Launch, class Real>
void max_pool(const call<Real>& self, const step_context& context) {
  const window_geometry how(self.in[0].dims, self.out.dims, self.attr->frame);
  for_each<Launch>(pool_maximum<Real>{self.in[0].data, self.in[0].data, self.out.data, how}, self.out.dims.size(),
                   context);
}
template <class Launch, class Real>
void max_pool_pick(const call<Real>& self, const step_context& context) {
  const window_geometry how(self.in[0].dims, self.out.dims, self.attr->frame);
  for_each<Launch>(pool_maximum<Real>{self.in[0].data, self.in[1].data, self.out.data, how}, self.out.dims.size(),
                   context);
}

template <class Real>
struct pool_maximum_gradient {
  const Real* image;
  const Real* gradient;
  Real* to;
  window_geometry how;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const image_place at(how, index);
    Real total = 0;
    for (std::int32_t y = at.range.row_begin; y < at.range.row_end; ++y)
      for (std::int32_t x = at.range.column_begin; x < at.range.column_end; ++x)
        if (place_of_maximum(image + at.image, how.width, inside(how, y, x)) == at.place)
          total += gradient[at.windows + static_cast<std::uint32_t>(y * how.columns + x)];
    to[index] = total;
  }
};
template <class Launch, class Real>
void max_pool_gradient(const call<Real>& self, const step_context& context) {
  const window_geometry how(self.in[0].dims, self.in[1].dims, self.attr->frame);
  for_each<Launch>(pool_maximum_gradient<Real>{self.in[0].data, self.in[1].data, self.out.data, how},
                   self.out.dims.size(), context);
}

template <class Real>
struct pool_mean {
  const Real* image;
  Real* to;
  window_geometry how;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const window_place at(how, index);
    Real total = 0;
    for (std::int32_t row = at.range.row_begin; row < at.range.row_end; ++row)
      for (std::int32_t column = at.range.column_begin; column < at.range.column_end; ++column)
        total += image[at.image + static_cast<std::uint32_t>(row * how.width + column)];
    to[index] = total / static_cast<Real>(at.range.area());
  }
};
template <class Launch, class Real>
void avg_pool(const call<Real>& self, const step_context& context) {
  const window_geometry how(self.in[0].dims, self.out.dims, self.attr->frame);
  for_each<Launch>(pool_mean<Real>{self.in[0].data, self.out.data, how}, self.out.dims.size(), context);
}

template <class Real>
struct pool_mean_gradient {
  const Real* gradient;
  Real* to;
  window_geometry how;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const image_place at(how, index);
    Real total = 0;
    for (std::int32_t y = at.range.row_begin; y < at.range.row_end; ++y)
      for (std::int32_t x = at.range.column_begin; x < at.range.column_end; ++x)
        total += gradient[at.windows + static_cast<std::uint32_t>(y * how.columns + x)] /
                 static_cast<Real>(inside(how, y, x).area());
    to[index] = total;
  }
};
template <class Launch, class Real>
void avg_pool_gradient(const call<Real>& self, const step_context& context) {
  const window_geometry how(self.out.dims, self.in[0].dims, self.attr->frame);
  for_each<Launch>(pool_mean_gradient<Real>{self.in[0].data, self.out.data, how}, self.out.dims.size(), context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
