#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/pool_extents.hpp>
#include <vivace/kernel/cpu/pool_pairs.hpp>
#include <vivace/kernel/cpu/stretch.hpp>
#include <vivace/kernel/reference/windows.hpp>

/// @file
/// Pooling. A plane is one channel of one sample; planes run side by side. Windows are reduced over their rows first,
/// into a line of the image's width, then along the line.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Longest line that is held on the stack.
inline constexpr std::int64_t longest_line = 2048;

/// Takes the maximum of elements at a time: what max_pool does to rows and along them.
struct pool_maximum {
  template <class Value>
  [[gnu::always_inline]] static Value join(Value left, Value right) {
    if constexpr (std::is_arithmetic_v<Value>)
      return larger_or_nan_of(left, right);
    else
      return larger_or_nan(left, right);
  }
  template <class Real>
  static constexpr Real neutral = static_cast<Real>(-HUGE_VAL);
};
struct pool_sum {
  template <class Value>
  [[gnu::always_inline]] static Value join(Value left, Value right) {
    return left + right;
  }
  template <class Real>
  static constexpr Real neutral = Real(0);
};

/// line[i] = all rows [top, bottom) of the image at column i.
/// @param end of what may be read
template <class Join, class Real>
void join_rows(const Real* image, std::int64_t width, std::int64_t top, std::int64_t bottom, const Real* end,
               Real* line) {
  constexpr int lanes = kernel::lanes<Real>;
  const Real* const first = image + top * width;
  const Real* const last = image + (bottom - 1) * width;
  const auto join = [&](std::int64_t i) __attribute__((always_inline)) {
    kernel::vector<Real> value = kernel::load(first + i);
    for (const Real* row = first + width; row <= last; row += width) value = Join::join(value, kernel::load(row + i));
    return value;
  };
  if (width >= lanes) {
    for (std::int64_t i = 0; i + lanes < width; i += lanes) kernel::store(line + i, join(i));
    kernel::store(line + width - lanes, join(width - lanes));
  } else if (end - last >= lanes) {
    kernel::store(line, first_lanes<Real>(width) != 0 ? join(0) : kernel::broadcast(Join::template neutral<Real>));
  } else {
    for (std::int64_t i = 0; i < width; ++i) {
      line[i] = first[i];
      for (const Real* row = first + width; row <= last; row += width) line[i] = Join::join(line[i], row[i]);
    }
  }
}

/// to[x] = line[x * stride] joined with the taps - 1 elements behind it. May read lanes behind the line, and writes
/// lanes behind the columns up to `end`.
template <class Join, class Real>
void join_columns(const Real* line, std::int64_t columns, std::int64_t taps, std::int64_t stride, Real* to,
                  const Real* end) {
  constexpr int lanes = kernel::lanes<Real>;
  std::int64_t x = 0;
  if (stride == 1) {
    for (; x < columns && end - (to + x) >= lanes; x += lanes) {
      kernel::vector<Real> value = kernel::load(line + x);
      for (std::int64_t k = 1; k < taps; ++k) value = Join::join(value, kernel::load(line + x + k));
      kernel::store(to + x, value);
    }
  }
  if constexpr (sizeof(Real) == 4) {
    if (stride == 2)
      for (; x < columns; x += pairs_at_once) {
        kernel::vector<Real> value = kernel::load(line + 2 * x);
        for (std::int64_t k = 1; k < taps; ++k) value = Join::join(value, kernel::load(line + 2 * x + k));
        const half_words even = even_lanes(value);
        const std::int64_t count = (std::min)(columns - x, std::int64_t{pairs_at_once});
        const bool whole = end - (to + x) >= pairs_at_once;  // what is behind the row comes later
        std::memcpy(to + x, &even, whole ? sizeof even : static_cast<std::size_t>(count) * sizeof(float));
      }
  }
  for (; x < columns; ++x) {
    Real value = line[x * stride];
    for (std::int64_t k = 1; k < taps; ++k) value = Join::join(value, line[x * stride + k]);
    to[x] = value;
  }
}

/// Reduces all windows; calls finish(row of windows, its results) for each row.
template <class Join, class Real, class Finish>
void pool(const Real* image, const pool_extents& size, Real* to, const step_context& context, Finish&& finish) {
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    alignas(64) Real line[longest_line + 2 * kernel::lanes<Real>];
    const Real* const image_end = image + size.planes * size.image_size();
    const Real* const end = to + (first + count) * size.window_count();
    std::fill_n(line, size.line() + 2 * kernel::lanes<Real>, Join::template neutral<Real>);
    for (std::int64_t plane = first; plane < first + count; ++plane)
      for (std::int64_t row = 0; row < size.rows; ++row) {
        Real* target = to + plane * size.window_count() + row * size.columns;
        join_rows<Join>(image + plane * size.image_size(), size.width, size.top(row), size.bottom(row), image_end,
                        line + size.padding_w);
        join_columns<Join>(line, size.columns, size.kernel_w, size.stride_w, target, end);
        finish(row, target);
      }
  });
}

/// 1 / the columns of the image that each window sees.
template <class Real>
void inverse_widths(const pool_extents& size, Real* to) {
  for (std::int64_t x = 0; x < size.columns; ++x) to[x] = 1 / static_cast<Real>(size.right(x) - size.left(x));
}

/// to[i] = from[i] * factor[i] * scale. `to` may be `from`.
template <class Real>
void scale_run(const Real* from, const Real* factor, Real scale, std::int64_t count, Real* to) {
  constexpr int lanes = kernel::lanes<Real>;
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    kernel::store(to + i, kernel::load(from + i) * (kernel::load(factor + i) * scale));
  for (; i < count; ++i) to[i] = from[i] * (factor[i] * scale);
}

/// Mean of the elements of each window that lie in the image.
template <class Real>
void avg_pool(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs())
      return pool_pairs(size, self.out.data, context, [&](auto& load, std::int64_t at, std::int64_t below) {
        const kernel::vector<float> rows = load(self.in[0].data, at) + load(self.in[0].data, below);
        return (rows + odd_lanes(rows)) * 0.25f;
      });
  if (size.line() > longest_line) return reference::avg_pool(self, context);
  Real inverse[longest_line];
  inverse_widths(size, inverse);
  pool<pool_sum>(self.in[0].data, size, self.out.data, context, [&](std::int64_t row, Real* to) {
    scale_run(to, inverse, 1 / static_cast<Real>(size.bottom(row) - size.top(row)), size.columns, to);
  });
}

/// The largest of each window; NaN if one is NaN.
template <class Real>
void max_pool(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs())
      return pool_pairs(size, self.out.data, context, [&](auto& load, std::int64_t at, std::int64_t below) {
        return pair_maximum(load(self.in[0].data, at), load(self.in[0].data, below)).value;
      });
  if (size.line() > longest_line) return reference::max_pool(self, context);
  pool<pool_maximum>(self.in[0].data, size, self.out.data, context, [](std::int64_t, Real*) {});
}

/// An element and its index in the plane. The first of equals wins, and so does the first NaN.
template <class Real>
struct placed_maximum {
  kernel::vector<Real> value;
  kernel::integer_vector<Real> place;

  [[gnu::always_inline]] void join(kernel::vector<Real> next, kernel::integer_vector<Real> at) {
    const kernel::integer_vector<Real> nan = value != value;
    const kernel::integer_vector<Real> next_nan = next != next;
    const auto taken = (value < next) | (next_nan & ~nan) | (((value == next) | (nan & next_nan)) & (at < place));
    value = taken != 0 ? next : value;
    place = taken != 0 ? at : place;
  }
};

/// Indices in its plane of the maxima of one row of windows, first along the columns, then along the line of these.
template <class Real>
class maximum_finder {
 public:
  using integer = typename kernel::vector_of<Real>::integer;
  explicit maximum_finder(const pool_extents& size) : size_(size) {
    std::fill_n(value_, size.line() + slack, static_cast<Real>(-HUGE_VAL));
    std::fill_n(place_, size.line() + slack, (std::numeric_limits<integer>::max)());
  }

  /// @param end of what may be read
  /// @return indices of the row's windows
  const integer* operator()(const Real* plane, const Real* end, std::int64_t row) {
    join_rows(plane, end, row);
    join_columns();
    return found_;
  }

 private:
  static constexpr int lanes = kernel::lanes<Real>;
  static constexpr std::int64_t slack = 2 * lanes;

  void join_rows(const Real* plane, const Real* end, std::int64_t row) {
    const std::int64_t top = size_.top(row);
    const std::int64_t bottom = size_.bottom(row);
    const auto numbers = kernel::load(lane_number<Real>.number);
    for (std::int64_t x = 0; x < size_.width; x += lanes) {
      const std::int64_t rest = size_.width - x;
      placed_maximum<Real> best{kernel::broadcast(static_cast<Real>(-HUGE_VAL)),
                                kernel::integer_vector<Real>{} + (std::numeric_limits<integer>::max)()};
      for (std::int64_t y = top; y < bottom; ++y) {
        const Real* from = plane + y * size_.width + x;
        best.join(end - from >= lanes ? kernel::load(from)
                                      : kernel::load(from, static_cast<int>((std::min)(rest, std::int64_t{lanes}))),
                  numbers + static_cast<integer>(y * size_.width + x));
      }
      if (rest < lanes) {  // keep what is behind the image as it is
        const auto inside = first_lanes<Real>(rest) != 0;
        best.value = inside ? best.value : kernel::broadcast(static_cast<Real>(-HUGE_VAL));
        best.place = inside ? best.place : kernel::integer_vector<Real>{} + (std::numeric_limits<integer>::max)();
      }
      kernel::store(value_ + size_.padding_w + x, best.value);
      kernel::store(place_ + size_.padding_w + x, best.place);
    }
  }

  void join_columns() {
    const std::int64_t step = size_.stride_w == 1 ? lanes : sizeof(Real) == 4 && size_.stride_w == 2 ? lanes / 2 : 1;
    for (std::int64_t x = 0; x < size_.columns; x += step) {
      const std::int64_t at = x * size_.stride_w;
      placed_maximum<Real> best{kernel::load(value_ + at), kernel::load(place_ + at)};
      for (std::int64_t k = 1; k < size_.kernel_w; ++k)
        best.join(kernel::load(value_ + at + k), kernel::load(place_ + at + k));
      if (step == lanes) {
        kernel::store(found_ + x, best.place);
        continue;
      }
      if constexpr (sizeof(Real) == 4)
        if (step > 1) {
          const half_words even = even_lanes(kernel::bits<kernel::vector<float>>(best.place));
          std::memcpy(found_ + x, &even, sizeof even);
          continue;
        }
      found_[x] = best.place[0];
    }
  }

  const pool_extents& size_;
  alignas(64) Real value_[longest_line + slack];
  alignas(64) integer place_[longest_line + slack];
  alignas(64) integer found_[longest_line + slack];
};

/// Calls body(plane, row, indices of the maxima of that row of windows) side by side, the planes each in order.
template <class Real, class Body>
void for_maxima(const Real* image, const pool_extents& size, const step_context& context, Body&& body) {
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    maximum_finder<Real> find(size);
    const Real* const end = image + size.planes * size.image_size();
    for (std::int64_t plane = first; plane < first + count; ++plane)
      for (std::int64_t row = 0; row < size.rows; ++row)
        body(plane, row, find(image + plane * size.image_size(), end, row));
  });
}

/// True if maximum_finder can number the elements of a plane and hold its lines.
inline bool findable(const pool_extents& size) {
  return size.line() <= longest_line && size.image_size() < (std::numeric_limits<std::int32_t>::max)();
}

/// a = image, b = gradient of the output: added where the maximum was found.
template <class Real>
void max_pool_gradient(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.out.dims, self.in[1].dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs()) return max_pool_gradient_of_pairs(size, self.in[0].data, self.in[1].data, self.out.data, context);
  if (!findable(size)) return reference::max_pool_gradient(self, context);
  for_maxima(self.in[0].data, size, context, [&](std::int64_t plane, std::int64_t row, const auto* place) {
    Real* to = self.out.data + plane * size.image_size();
    const Real* gradient = self.in[1].data + plane * size.window_count() + row * size.columns;
    if (row == 0) clear_run(to, size.image_size());
    for (std::int64_t x = 0; x < size.columns; ++x) to[place[x]] += gradient[x];
  });
}

/// a = image, b = values: those at the place of each window's maximum.
template <class Real>
void max_pool_pick(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs())
      return pool_pairs(size, self.out.data, context, [&](auto& load, std::int64_t at, std::int64_t below) {
        const pair_maximum found(load(self.in[0].data, at), load(self.in[0].data, below));
        return found.pick(load(self.in[1].data, at), load(self.in[1].data, below));
      });
  if (!findable(size)) return reference::max_pool_pick(self, context);
  for_maxima(self.in[0].data, size, context, [&](std::int64_t plane, std::int64_t row, const auto* place) {
    Real* to = self.out.data + plane * size.window_count() + row * size.columns;
    const Real* from = self.in[1].data + plane * size.image_size();
    for (std::int64_t x = 0; x < size.columns; ++x) to[x] = from[place[x]];
  });
}

/// a = gradient of the output: each element of the image gets its share of the windows that see it.
template <class Real>
void avg_pool_gradient(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.out.dims, self.in[0].dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs()) return avg_pool_gradient_of_pairs(size, self.in[0].data, self.out.data, context);
  if (size.line() + size.kernel_w > longest_line) return reference::avg_pool_gradient(self, context);
  Real inverse[longest_line];
  inverse_widths(size, inverse);
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    constexpr int slack = 2 * kernel::lanes<Real>;
    // Shares a stride apart, and so far from the left that column x of the image is the sum of kernel_w from x on.
    alignas(64) Real shares[longest_line + slack];
    alignas(64) Real line[longest_line + slack];
    Real share[longest_line];
    clear_run(shares, longest_line + slack);
    Real* const placed = shares + size.kernel_w - 1 - size.padding_w;
    for (std::int64_t plane = first; plane < first + count; ++plane) {
      Real* to = self.out.data + plane * size.image_size();
      std::int64_t written = 0;  // rows of the image that have a value
      for (std::int64_t y = 0; y < size.rows; ++y) {
        const std::int64_t top = size.top(y);
        const std::int64_t bottom = size.bottom(y);
        const Real* gradient = self.in[0].data + plane * size.window_count() + y * size.columns;
        scale_run(gradient, inverse, 1 / static_cast<Real>(bottom - top), size.columns, share);
        for (std::int64_t x = 0; x < size.columns; ++x) placed[x * size.stride_w] = share[x];
        join_columns<pool_sum>(shares, size.width, size.kernel_w, 1, line, line + longest_line + slack);
        if (top > written) clear_run(to + written * size.width, (top - written) * size.width);
        for (std::int64_t row = top; row < bottom; ++row) {
          if (row < written)
            add_run(line, size.width, to + row * size.width);
          else
            copy_run(line, size.width, to + row * size.width);
        }
        written = (std::max)(written, bottom);
      }
      clear_run(to + written * size.width, (size.height - written) * size.width);
    }
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
