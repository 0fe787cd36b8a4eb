#pragma once
#include <algorithm>

#include <vivace/kernel/call.hpp>

/// @file
/// Pooling. A plane is one channel of one sample; planes run side by side.

namespace vivace::inline VIVACE_TARGET::reference {

/// The part of a window that lies inside the image; [begin, end) in rows and columns.
struct window_range {
  std::int64_t row_begin, row_end, column_begin, column_end;
};

inline window_range range_of(const window& frame, const shape& image, std::int64_t y, std::int64_t x) {
  const std::int64_t top = y * frame.stride[0] - frame.padding[0];
  const std::int64_t left = x * frame.stride[1] - frame.padding[1];
  return {(std::max)(top, std::int64_t{0}), (std::min)(top + frame.kernel[0], std::int64_t{image[2]}),
          (std::max)(left, std::int64_t{0}), (std::min)(left + frame.kernel[1], std::int64_t{image[3]})};
}

/// Calls body(plane of the image, plane of the windows, range, place of the window) for each window of each plane.
template <class Body>
void for_each_window(const shape& image, const shape& windows, const window& frame, const step_context& context,
                     Body&& body) {
  const std::int64_t planes = std::int64_t{image[0]} * image[1];
  const std::int64_t image_size = std::int64_t{image[2]} * image[3];
  const std::int64_t window_count = std::int64_t{windows[2]} * windows[3];
  const std::int64_t per_task = (std::max)(std::int64_t{1}, 16384 / image_size);
  context.lanes((planes + per_task - 1) / per_task, [&](std::int64_t task) {
    const std::int64_t end = (std::min)(planes, (task + 1) * per_task);
    for (std::int64_t plane = task * per_task; plane < end; ++plane)
      for (std::int64_t y = 0; y < windows[2]; ++y)
        for (std::int64_t x = 0; x < windows[3]; ++x)
          body(plane * image_size, plane * window_count + y * windows[3] + x, range_of(frame, image, y, x));
  });
}

/// Index in its plane of the largest element of a window; the first of equals, or the first NaN.
template <class Real>
std::int64_t place_of_maximum(const Real* plane, const shape& image, const window_range& range) {
  std::int64_t best = range.row_begin * image[3] + range.column_begin;
  for (std::int64_t row = range.row_begin; row < range.row_end; ++row)
    for (std::int64_t column = range.column_begin; column < range.column_end; ++column) {
      const std::int64_t place = row * image[3] + column;
      if (plane[best] < plane[place] || (plane[place] != plane[place] && plane[best] == plane[best])) best = place;
    }
  return best;
}

template <class Real>
void max_pool(const call<Real>& self, const step_context& context) {
  for_each_window(self.in[0].dims, self.out.dims, self.attr->frame, context,
                  [&](std::int64_t plane, std::int64_t at, const window_range& range) {
                    const Real* image = self.in[0].data + plane;
                    self.out.data[at] = image[place_of_maximum(image, self.in[0].dims, range)];
                  });
}

template <class Real>
void max_pool_gradient(const call<Real>& self, const step_context& context) {
  std::fill_n(self.out.data, self.out.dims.size(), Real(0));
  for_each_window(self.in[0].dims, self.in[1].dims, self.attr->frame, context,
                  [&](std::int64_t plane, std::int64_t at, const window_range& range) {
                    const Real* image = self.in[0].data + plane;
                    self.out.data[plane + place_of_maximum(image, self.in[0].dims, range)] += self.in[1].data[at];
                  });
}

template <class Real>
void max_pool_pick(const call<Real>& self, const step_context& context) {
  for_each_window(self.in[0].dims, self.out.dims, self.attr->frame, context,
                  [&](std::int64_t plane, std::int64_t at, const window_range& range) {
                    const Real* image = self.in[0].data + plane;
                    self.out.data[at] = self.in[1].data[plane + place_of_maximum(image, self.in[0].dims, range)];
                  });
}

inline std::int64_t area(const window_range& range) {
  return (range.row_end - range.row_begin) * (range.column_end - range.column_begin);
}

template <class Real>
void avg_pool(const call<Real>& self, const step_context& context) {
  const std::int64_t width = self.in[0].dims[3];
  for_each_window(self.in[0].dims, self.out.dims, self.attr->frame, context,
                  [&](std::int64_t plane, std::int64_t at, const window_range& range) {
                    Real total = 0;
                    for (std::int64_t row = range.row_begin; row < range.row_end; ++row)
                      for (std::int64_t column = range.column_begin; column < range.column_end; ++column)
                        total += self.in[0].data[plane + row * width + column];
                    self.out.data[at] = total / static_cast<Real>(area(range));
                  });
}

template <class Real>
void avg_pool_gradient(const call<Real>& self, const step_context& context) {
  const std::int64_t width = self.out.dims[3];
  std::fill_n(self.out.data, self.out.dims.size(), Real(0));
  for_each_window(self.out.dims, self.in[0].dims, self.attr->frame, context,
                  [&](std::int64_t plane, std::int64_t at, const window_range& range) {
                    const Real share = self.in[0].data[at] / static_cast<Real>(area(range));
                    for (std::int64_t row = range.row_begin; row < range.row_end; ++row)
                      for (std::int64_t column = range.column_begin; column < range.column_end; ++column)
                        self.out.data[plane + row * width + column] += share;
                  });
}

}  // namespace vivace::inline VIVACE_TARGET::reference
