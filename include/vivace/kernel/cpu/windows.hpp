#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/stretch.hpp>
#include <vivace/kernel/reference/windows.hpp>

/// @file
/// Pooling. A plane is one channel of one sample; planes run side by side. Windows are reduced over their rows first,
/// into a line of the image's width, then along the line.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Extents of one plane and its windows.
struct pool_extents {
  std::int64_t planes, height, width, rows, columns;
  std::int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;

  pool_extents(const shape& image, const shape& windows, const window& frame)
      : planes(std::int64_t{image[0]} * image[1]), height(image[2]), width(image[3]), rows(windows[2]),
        columns(windows[3]), kernel_h(frame.kernel[0]), kernel_w(frame.kernel[1]), stride_h(frame.stride[0]),
        stride_w(frame.stride[1]), padding_h(frame.padding[0]), padding_w(frame.padding[1]) {}

  [[nodiscard]] std::int64_t image_size() const { return height * width; }
  [[nodiscard]] std::int64_t window_count() const { return rows * columns; }
  /// Rows of the image that a row of windows sees.
  [[nodiscard]] std::int64_t top(std::int64_t row) const { return (std::max)(row * stride_h - padding_h, std::int64_t{0}); }
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
  [[nodiscard]] std::int64_t line() const {
    return (std::max)((columns - 1) * stride_w + kernel_w, padding_w + width);
  }
  /// 2 x 2 windows side by side, all inside the image.
  [[nodiscard]] bool pairs() const {
    return kernel_h == 2 && kernel_w == 2 && stride_h == 2 && stride_w == 2 && padding_h == 0 && padding_w == 0;
  }
};

/// Longest line that is held on the stack.
inline constexpr std::int64_t longest_line = 2048;

/// Calls body(first plane, planes) side by side.
template <class Body>
void for_planes(const step_context& context, const pool_extents& size, Body&& body) {
  for_stretches(context, size.planes, (std::max)(std::int64_t{1}, function_grain / size.image_size()), body);
}

/// Half as many lanes.
template <class T>
struct half_vector_of {
  typedef T type __attribute__((vector_size(VIVACE_VECTOR_BYTES / 2)));
};
using half_words = half_vector_of<std::uint32_t>::type;
typedef std::uint64_t pair_lanes __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
/// Pairs of floats in a vector.
inline constexpr int pairs_at_once = VIVACE_VECTOR_BYTES / 8;

/// The even lanes of floats, side by side.
[[gnu::always_inline]] inline half_words even_lanes(kernel::vector<float> value) {
  return __builtin_convertvector(kernel::bits<pair_lanes>(value), half_words);
}

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

/// to[x] = line[x * stride] joined with the kernel - 1 elements behind it. May read lanes behind the line, and write
/// lanes behind the columns up to `end`.
template <class Join, class Real>
void join_columns(const Real* line, std::int64_t columns, std::int64_t kernel, std::int64_t stride, Real* to,
                  const Real* end) {
  constexpr int lanes = kernel::lanes<Real>;
  std::int64_t x = 0;
  if (stride == 1) {
    for (; x + lanes <= columns; x += lanes) {
      kernel::vector<Real> value = kernel::load(line + x);
      for (std::int64_t k = 1; k < kernel; ++k) value = Join::join(value, kernel::load(line + x + k));
      kernel::store(to + x, value);
    }
  }
  if constexpr (sizeof(Real) == 4) {
    if (stride == 2)
      for (; x < columns; x += pairs_at_once) {
        kernel::vector<Real> value = kernel::load(line + 2 * x);
        for (std::int64_t k = 1; k < kernel; ++k) value = Join::join(value, kernel::load(line + 2 * x + k));
        const half_words even = even_lanes(value);
        const std::int64_t count = (std::min)(columns - x, std::int64_t{pairs_at_once});
        const bool whole = end - (to + x) >= pairs_at_once;  // what is behind the row comes later
        std::memcpy(to + x, &even, whole ? sizeof even : static_cast<std::size_t>(count) * sizeof(float));
      }
  }
  for (; x < columns; ++x) {
    Real value = line[x * stride];
    for (std::int64_t k = 1; k < kernel; ++k) value = Join::join(value, line[x * stride + k]);
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

/// The largest of each window; NaN if one is NaN.
template <class Real>
void max_pool(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if (size.line() > longest_line) return reference::max_pool(self, context);
  pool<pool_maximum>(self.in[0].data, size, self.out.data, context, [](std::int64_t, Real*) {});
}

/// Mean of the elements of each window that lie in the image.
template <class Real>
void avg_pool(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if (size.line() > longest_line) return reference::avg_pool(self, context);
  // Windows that padding does not touch are many and have the same area.
  const std::int64_t begin = (std::min)(size.columns, (size.padding_w + size.stride_w - 1) / size.stride_w);
  const std::int64_t room = size.width + size.padding_w - size.kernel_w;
  const std::int64_t end = (std::max)(begin, room < 0 ? 0 : (std::min)(size.columns, room / size.stride_w + 1));
  pool<pool_sum>(self.in[0].data, size, self.out.data, context, [&](std::int64_t row, Real* to) {
    const auto height = static_cast<Real>(size.bottom(row) - size.top(row));
    const auto divide = [&](std::int64_t x) { to[x] /= height * static_cast<Real>(size.right(x) - size.left(x)); };
    std::int64_t x = 0;
    for (; x < begin; ++x) divide(x);
    const Real area = height * static_cast<Real>(size.kernel_w);
    for (; x + kernel::lanes<Real> <= end; x += kernel::lanes<Real>) kernel::store(to + x, kernel::load(to + x) / area);
    for (; x < size.columns; ++x) divide(x);
  });
}

/// A pair of rows of floats that 2 x 2 windows tile: even lanes of `value` are the maxima, and the masks, lane by lane
/// of 64 bits, say which element of its window each is.
struct pair_maximum {
  kernel::vector<float> value;
  kernel::integer_vector<float> second, third, fourth;

  [[gnu::always_inline]] pair_maximum(kernel::vector<float> upper, kernel::vector<float> lower) : value(upper) {
    second = take(odd(upper));
    third = take(lower);
    fourth = take(odd(lower));
    third &= ~fourth;
    second &= ~(third | fourth);
  }
  /// Odd lanes, moved to the even ones.
  [[gnu::always_inline]] static kernel::vector<float> odd(kernel::vector<float> from) {
    return kernel::bits<kernel::vector<float>>(kernel::bits<pair_lanes>(from) >> 32);
  }
  /// Even lanes of the values at the places of the maxima.
  [[gnu::always_inline]] kernel::vector<float> pick(kernel::vector<float> upper, kernel::vector<float> lower) const {
    kernel::vector<float> picked = second != 0 ? odd(upper) : upper;
    picked = third != 0 ? lower : picked;
    return fourth != 0 ? odd(lower) : picked;
  }

 private:
  /// The first of equals stays, and so does the first NaN.
  [[gnu::always_inline]] kernel::integer_vector<float> take(kernel::vector<float> next) {
    const kernel::integer_vector<float> taken = (value < next) | ((next != next) & (value == value));
    value = taken != 0 ? next : value;
    return taken;
  }
};

/// A vector from `count` elements, of which `readable` may be read.
[[gnu::always_inline]] inline kernel::vector<float> load_some(const float* from, std::int64_t count,
                                                              std::int64_t readable) {
  return readable >= kernel::lanes<float> ? kernel::load(from) : kernel::load(from, static_cast<int>(count));
}

/// Calls body(image row offset, window offset, windows) for stretches of at most pairs_at_once windows of each row of
/// windows of some planes.
template <class Body>
void for_pairs(const pool_extents& size, std::int64_t first, std::int64_t count, Body&& body) {
  for (std::int64_t plane = first; plane < first + count; ++plane)
    for (std::int64_t row = 0; row < size.rows; ++row)
      for (std::int64_t x = 0; x < size.columns; x += pairs_at_once) {
        // The last whole stretch overlaps the one before it.
        const std::int64_t at = x > 0 ? (std::min)(x, size.columns - pairs_at_once) : 0;
        body(plane * size.image_size() + 2 * row * size.width + 2 * at,
             plane * size.window_count() + row * size.columns + at, (std::min)(std::int64_t{pairs_at_once}, size.columns));
      }
}

/// Gradient of a 2 x 2 pooling: every element of the image is written once, in order; lanes behind a row's end are zeros
/// that what follows overwrites.
inline void max_pool_gradient_of_pairs(const pool_extents& size, const float* image, const float* gradient, float* to,
                                       const step_context& context) {
  const std::int64_t readable = size.planes * size.image_size();
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t end = (first + count) * size.image_size();
    if (size.width % 2 != 0 || size.height % 2 != 0)  // elements that no window sees
      clear_run(to + first * size.image_size(), count * size.image_size());
    for_pairs(size, first, count, [&](std::int64_t at, std::int64_t window, std::int64_t some) {
      const std::int64_t below = at + size.width;
      const pair_maximum found(load_some(image + at, 2 * some, readable - at),
                               load_some(image + below, 2 * some, readable - below));
      half_words narrow{};
      if (size.planes * size.window_count() - window >= pairs_at_once)
        std::memcpy(&narrow, gradient + window, sizeof narrow);
      else
        std::memcpy(&narrow, gradient + window, static_cast<std::size_t>(some) * sizeof(float));
      pair_lanes given = __builtin_convertvector(narrow, pair_lanes);
      given &= kernel::bits<pair_lanes>(first_lanes<double>(some));
      // The masks hold for the lower halves of the pairs, and so are the gradients there.
      const pair_lanes second = given & kernel::bits<pair_lanes>(found.second);
      const pair_lanes third = given & kernel::bits<pair_lanes>(found.third);
      const pair_lanes fourth = given & kernel::bits<pair_lanes>(found.fourth);
      const auto upper = kernel::bits<kernel::vector<float>>((given ^ second ^ third ^ fourth) | second << 32);
      const auto lower = kernel::bits<kernel::vector<float>>(third | fourth << 32);
      if (end - below >= kernel::lanes<float>) {
        kernel::store(to + at, upper);
        kernel::store(to + below, lower);
      } else {
        kernel::store(to + at, upper, static_cast<int>(2 * some));
        kernel::store(to + below, lower, static_cast<int>(2 * some));
      }
    });
  });
}

/// a = image, b = gradient of the output: added where the maximum was found.
template <class Real>
void max_pool_gradient(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.out.dims, self.in[1].dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs())
      return max_pool_gradient_of_pairs(size, self.in[0].data, self.in[1].data, self.out.data, context);
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t plane = first; plane < first + count; ++plane) {
      const Real* image = self.in[0].data + plane * size.image_size();
      const Real* gradient = self.in[1].data + plane * size.window_count();
      Real* to = self.out.data + plane * size.image_size();
      clear_run(to, size.image_size());
      for (std::int64_t y = 0; y < size.rows; ++y)
        for (std::int64_t x = 0; x < size.columns; ++x) {
          const reference::window_range range{size.top(y), size.bottom(y), size.left(x), size.right(x)};
          to[reference::place_of_maximum(image, self.in[0].dims, range)] += gradient[y * size.columns + x];
        }
    }
  });
}

/// a = image, b = values: those at the place of each window's maximum.
template <class Real>
void max_pool_pick(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.in[0].dims, self.out.dims, self.attr->frame);
  if constexpr (sizeof(Real) == 4)
    if (size.pairs())
      return for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
        for_pairs(size, first, count, [&](std::int64_t at, std::int64_t window, std::int64_t some) {
          const auto load = [&](const float* from, std::int64_t place) {
            return load_some(from + place, 2 * some, size.planes * size.image_size() - place);
          };
          const std::int64_t below = at + size.width;
          const pair_maximum found(load(self.in[0].data, at), load(self.in[0].data, below));
          const half_words picked = even_lanes(found.pick(load(self.in[1].data, at), load(self.in[1].data, below)));
          std::memcpy(self.out.data + window, &picked, static_cast<std::size_t>(some) * sizeof(Real));
        });
      });
  reference::max_pool_pick(self, context);
}

/// a = gradient of the output: each element of the image gets its share of the windows that see it.
template <class Real>
void avg_pool_gradient(const call<Real>& self, const step_context& context) {
  const pool_extents size(self.out.dims, self.in[0].dims, self.attr->frame);
  if (size.width > longest_line) return reference::avg_pool_gradient(self, context);
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    alignas(64) Real line[longest_line];
    for (std::int64_t plane = first; plane < first + count; ++plane) {
      Real* to = self.out.data + plane * size.image_size();
      std::int64_t written = 0;  // rows of the image that have a value
      for (std::int64_t y = 0; y < size.rows; ++y) {
        const Real* gradient = self.in[0].data + plane * size.window_count() + y * size.columns;
        const auto height = static_cast<Real>(size.bottom(y) - size.top(y));
        clear_run(line, size.width);
        for (std::int64_t x = 0; x < size.columns; ++x) {
          const Real share = gradient[x] / (height * static_cast<Real>(size.right(x) - size.left(x)));
          for (std::int64_t column = size.left(x); column < size.right(x); ++column) line[column] += share;
        }
        for (std::int64_t row = (std::min)(written, size.top(y)); row < size.bottom(y); ++row) {
          if (row < size.top(y)) {
            if (row >= written) clear_run(to + row * size.width, size.width);
          } else if (row < written) {
            add_run(line, size.width, to + row * size.width);
          } else {
            copy_run(line, size.width, to + row * size.width);
          }
        }
        written = (std::max)(written, size.bottom(y));
      }
      clear_run(to + written * size.width, (size.height - written) * size.width);
    }
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
