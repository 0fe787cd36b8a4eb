#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/vector.hpp>

/// @file
/// What the kernels that walk over stretches of elements share. Stretches may start at any element.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Elements that are worth a task of their own: copying them, or simple arithmetic on them, takes some 10 us.
inline constexpr std::int64_t copy_grain = 65536;
/// The same for work that calls elementary functions.
inline constexpr std::int64_t function_grain = 32768;

/// Elements from what is worked on to what is asked of memory meanwhile.
inline constexpr std::int64_t far_ahead = 512;

/// Calls body(first, count) for stretches of [0, size) of `grain` items each.
template <class Body>
void for_stretches(const step_context& context, std::int64_t size, std::int64_t grain, Body&& body) {
  context.lanes((size + grain - 1) / grain, [&](std::int64_t task) {
    const std::int64_t first = task * grain;
    body(first, (std::min)(grain, size - first));
  });
}

/// 0, 1, 2 ... in the lanes that belong to Real.
template <class Real>
struct lane_numbers {
  typename kernel::vector_of<Real>::integer number[kernel::lanes<Real>]{};
  constexpr lane_numbers() {
    for (int lane = 0; lane < kernel::lanes<Real>; ++lane) number[lane] = lane;
  }
};
template <class Real>
inline constexpr lane_numbers<Real> lane_number{};

/// Mask of the lanes below `count`.
template <class Real>
[[gnu::always_inline]] inline kernel::integer_vector<Real> first_lanes(std::int64_t count) {
  return kernel::load(lane_number<Real>.number) < static_cast<typename kernel::vector_of<Real>::integer>(count);
}

/// The last lanes' worth of a stretch of at least that many elements, of which only the last `count` are let through;
/// the others become `fill`.
template <class Real>
[[gnu::always_inline]] inline kernel::vector<Real> load_end(const Real* end, std::int64_t count, Real fill) {
  const kernel::vector<Real> value = kernel::load(end - kernel::lanes<Real>);
  return first_lanes<Real>(kernel::lanes<Real> - count) != 0 ? kernel::broadcast(fill) : value;
}

/// Copies a run that may be short.
template <class Real>
[[gnu::always_inline]] inline void copy_run(const Real* from, std::int64_t count, Real* to) {
  constexpr int width = kernel::lanes<Real>;
  if (count > 16 * width || count < width) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(Real));
    return;
  }
  for (std::int64_t i = 0; i + width <= count; i += width) kernel::store(to + i, kernel::load(from + i));
  kernel::store(to + count - width, kernel::load(from + count - width));
}

/// Writes zeros.
template <class Real>
void clear_run(Real* to, std::int64_t count) {
  std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(Real));
}

/// to[i] += from[i].
template <class Real>
[[gnu::always_inline]] inline void add_run(const Real* from, std::int64_t count, Real* to) {
  constexpr int width = kernel::lanes<Real>;
  std::int64_t i = 0;
  for (; i + width <= count; i += width) kernel::store(to + i, kernel::load(to + i) + kernel::load(from + i));
  for (; i < count; ++i) to[i] += from[i];
}

/// Sum of a run: short chains of additions in Real, long ones in double.
template <class Real>
double sum_run(const Real* from, std::int64_t count) {
  constexpr int width = kernel::lanes<Real>;
  constexpr std::int64_t stretch = 64 * width;
  double total = 0;
  if (count < width) {
    for (std::int64_t i = 0; i < count; ++i) total += double{from[i]};
    return total;
  }
  const Real* const end = from + count;
  while (from < end) {
    const Real* const stop = from + (std::min)(stretch, std::int64_t{end - from});
    kernel::vector<Real> sum[4]{};
    for (; from + 4 * width <= stop; from += 4 * width) {
      sum[0] += kernel::load(from);
      sum[1] += kernel::load(from + width);
      sum[2] += kernel::load(from + 2 * width);
      sum[3] += kernel::load(from + 3 * width);
    }
    for (; from + width <= stop; from += width) sum[0] += kernel::load(from);
    if (from < stop) sum[1] += load_end(stop, stop - from, Real(0));
    from = stop;
    total += double{kernel::sum_of_lanes<Real>((sum[0] + sum[1]) + (sum[2] + sum[3]))};
  }
  return total;
}

/// The larger of two, lane by lane; NaN if either is NaN.
template <class Vector>
[[gnu::always_inline]] inline Vector larger_or_nan(Vector left, Vector right) {
  return ((left < right) | (right != right)) ? right : left;
}
template <class Real>
[[gnu::always_inline]] inline Real larger_or_nan_of(Real left, Real right) {
  return left < right || right != right ? right : left;
}

/// Largest element of a run of at least one; NaN if any is NaN.
template <class Real>
Real max_run(const Real* from, std::int64_t count) {
  constexpr int width = kernel::lanes<Real>;
  if (count < width) {
    Real best = from[0];
    for (std::int64_t i = 1; i < count; ++i) best = larger_or_nan_of(best, from[i]);
    return best;
  }
  kernel::vector<Real> best = kernel::load(from + count - width);
  kernel::vector<Real> other = best;
  std::int64_t i = 0;
  for (; i + 2 * width <= count; i += 2 * width) {
    best = larger_or_nan(best, kernel::load(from + i));
    other = larger_or_nan(other, kernel::load(from + i + width));
  }
  if (i + width <= count) best = larger_or_nan(best, kernel::load(from + i));
  Real held[width];
  kernel::store(held, larger_or_nan(best, other));
  for (int half = width / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) held[lane] = larger_or_nan_of(held[lane], held[lane + half]);
  return held[0];
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
