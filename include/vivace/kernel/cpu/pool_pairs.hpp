#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include <vivace/kernel/cpu/pool_extents.hpp>
#include <vivace/kernel/cpu/stretch.hpp>

/// @file
/// Pooling of floats by 2 x 2 windows side by side: two lanes of two rows are a window.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Half as many lanes.
template <class Element>
struct half_vector_of {
  typedef Element type __attribute__((vector_size(VIVACE_VECTOR_BYTES / 2)));
};
using half_words = half_vector_of<std::uint32_t>::type;
typedef std::uint64_t pair_lanes __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
/// Pairs of floats in a vector.
inline constexpr int pairs_at_once = VIVACE_VECTOR_BYTES / 8;

/// The even lanes of floats, side by side.
[[gnu::always_inline]] inline half_words even_lanes(kernel::vector<float> value) {
  return __builtin_convertvector(kernel::bits<pair_lanes>(value), half_words);
}
/// The odd lanes of floats, moved to the even ones.
[[gnu::always_inline]] inline kernel::vector<float> odd_lanes(kernel::vector<float> from) {
  return kernel::bits<kernel::vector<float>>(kernel::bits<pair_lanes>(from) >> 32);
}

/// A pair of rows of floats that 2 x 2 windows tile: even lanes of `value` are the maxima, and the masks, lane by lane
/// of 64 bits, say which element of its window each is.
struct pair_maximum {
  kernel::vector<float> value;
  kernel::integer_vector<float> second, third, fourth;

  [[gnu::always_inline]] pair_maximum(kernel::vector<float> upper, kernel::vector<float> lower) : value(upper) {
    second = take(odd_lanes(upper));
    third = take(lower);
    fourth = take(odd_lanes(lower));
    third &= ~fourth;
    second &= ~(third | fourth);
  }
  /// Even lanes of the values at the places of the maxima.
  [[gnu::always_inline]] kernel::vector<float> pick(kernel::vector<float> upper, kernel::vector<float> lower) const {
    kernel::vector<float> picked = second != 0 ? odd_lanes(upper) : upper;
    picked = third != 0 ? lower : picked;
    return fourth != 0 ? odd_lanes(lower) : picked;
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
             plane * size.window_count() + row * size.columns + at,
             (std::min)(std::int64_t{pairs_at_once}, size.columns));
      }
}

/// Calls body(load, at, below) for the windows of for_pairs, where load(tensor, place) gives a vector of an image's row
/// at `at` or of the one below; the body's even lanes go to the windows.
template <class Body>
void pool_pairs(const pool_extents& size, float* to, const step_context& context, Body&& body) {
  const std::int64_t readable = size.planes * size.image_size();
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t end = (first + count) * size.window_count();
    for_pairs(size, first, count, [&](std::int64_t at, std::int64_t window, std::int64_t some) {
      const auto load = [&](const float* from, std::int64_t place) {
        return load_some(from + place, 2 * some, readable - place);
      };
      const half_words even = even_lanes(body(load, at, at + size.width));
      if (end - window >= pairs_at_once)  // what is behind the row comes later
        std::memcpy(to + window, &even, sizeof even);
      else
        std::memcpy(to + window, &even, static_cast<std::size_t>(some) * sizeof(float));
    });
  });
}

/// Two rows of lanes, the upper first.
struct pair_of_rows {
  kernel::vector<float> upper, lower;
};

/// Makes the gradient of a 2 x 2 pooling. Elements are written in order, and the last value counts: lanes behind a
/// row's end are zeros that what follows overwrites. Calls body(given, at, below, elements) for the windows of
/// for_pairs, where the lower halves of `given` are their gradients.
template <class Body>
void pool_gradient_of_pairs(const pool_extents& size, const float* gradient, float* to, const step_context& context,
                            Body&& body) {
  for_planes(context, size, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t end = (first + count) * size.image_size();
    if (size.width % 2 != 0 || size.height % 2 != 0)  // elements that no window sees
      clear_run(to + first * size.image_size(), count * size.image_size());
    for_pairs(size, first, count, [&](std::int64_t at, std::int64_t window, std::int64_t some) {
      half_words narrow{};
      if (size.planes * size.window_count() - window >= pairs_at_once)
        std::memcpy(&narrow, gradient + window, sizeof narrow);
      else
        std::memcpy(&narrow, gradient + window, static_cast<std::size_t>(some) * sizeof(float));
      pair_lanes given = __builtin_convertvector(narrow, pair_lanes);
      given &= kernel::bits<pair_lanes>(first_lanes<double>(some));
      const std::int64_t below = at + size.width;
      const pair_of_rows rows = body(given, at, below, 2 * some);
      if (end - below >= kernel::lanes<float>) {
        kernel::store(to + at, rows.upper);
        kernel::store(to + below, rows.lower);
      } else {
        kernel::store(to + at, rows.upper, static_cast<int>(2 * some));
        kernel::store(to + below, rows.lower, static_cast<int>(2 * some));
      }
    });
  });
}

/// The gradient of each window goes to the place of its maximum.
inline void max_pool_gradient_of_pairs(const pool_extents& size, const float* image, const float* gradient, float* to,
                                       const step_context& context) {
  const std::int64_t readable = size.planes * size.image_size();
  pool_gradient_of_pairs(size, gradient, to, context,
                         [&](pair_lanes given, std::int64_t at, std::int64_t below, std::int64_t some) {
                           const pair_maximum found(load_some(image + at, some, readable - at),
                                                    load_some(image + below, some, readable - below));
                           // The masks hold for the lower halves of the pairs, and so are the gradients there.
                           const pair_lanes second = given & kernel::bits<pair_lanes>(found.second);
                           const pair_lanes third = given & kernel::bits<pair_lanes>(found.third);
                           const pair_lanes fourth = given & kernel::bits<pair_lanes>(found.fourth);
                           return pair_of_rows{
                               kernel::bits<kernel::vector<float>>((given ^ second ^ third ^ fourth) | second << 32),
                               kernel::bits<kernel::vector<float>>(third | fourth << 32),
                           };
                         });
}

/// The gradient of each window goes to its four elements in equal parts.
inline void avg_pool_gradient_of_pairs(const pool_extents& size, const float* gradient, float* to,
                                       const step_context& context) {
  pool_gradient_of_pairs(size, gradient, to, context, [](pair_lanes given, std::int64_t, std::int64_t, std::int64_t) {
    const auto share = kernel::bits<kernel::vector<float>>(given | given << 32) * 0.25f;
    return pair_of_rows{share, share};
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
