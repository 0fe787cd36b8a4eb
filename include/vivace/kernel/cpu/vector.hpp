#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Holder of the vector type: compilers accept the attribute on a dependent type only in a typedef.
template <class Real>
struct vector_of {
  using element = Real;
  using integer = std::conditional_t<sizeof(Real) == 4, std::int32_t, std::int64_t>;
  typedef Real type __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
  typedef integer integer_type __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
};

/// A register full of Real, as wide as the instruction set allows. Operators act lane by lane; a scalar operand is
/// broadcast; a comparison gives a mask (integer lanes, all bits set where true) that picks by `mask ? x : y`.
/// A product and a sum in one expression, `a * b + c`, become one fused multiply-add where the machine has it.
template <class Real>
using vector = typename vector_of<Real>::type;
/// Signed integer lanes of the same width as Real.
template <class Real>
using integer_vector = typename vector_of<Real>::integer_type;

/// Lanes of a vector.
template <class Real>
inline constexpr int lanes = VIVACE_VECTOR_BYTES / int{sizeof(Real)};

/// Lanes' worth of elements from any address.
template <class Real>
[[gnu::always_inline]] inline vector<Real> load(const Real* from) {
  vector<Real> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
/// Writes all lanes to any address.
template <class Real>
[[gnu::always_inline]] inline void store(Real* to, vector<Real> value) {
  std::memcpy(to, &value, sizeof value);
}
/// The first `count` lanes from memory, zero in the others; touches no memory behind them.
template <class Real>
[[gnu::always_inline]] inline vector<Real> load(const Real* from, int count) {
  Real held[lanes<Real>] = {};
  for (int lane = 0; lane < count; ++lane) held[lane] = from[lane];
  return load(held);
}
/// Writes the first `count` lanes only.
template <class Real>
[[gnu::always_inline]] inline void store(Real* to, vector<Real> value, int count) {
  Real held[lanes<Real>];
  store(held, value);
  for (int lane = 0; lane < count; ++lane) to[lane] = held[lane];
}
/// All lanes equal to value.
template <class Real>
[[gnu::always_inline]] inline vector<Real> broadcast(Real value) {
  // Not value + vector{}: that would turn -0 into 0 and so could not become a plain broadcast.
  return value - vector<Real>{};
}

/// Lane by lane the larger; the second where either is NaN.
template <class Vector>
[[gnu::always_inline]] inline Vector maximum(Vector left, Vector right) {
  return left > right ? left : right;
}
/// Lane by lane the smaller; the second where either is NaN.
template <class Vector>
[[gnu::always_inline]] inline Vector minimum(Vector left, Vector right) {
  return left < right ? left : right;
}

namespace detail {

template <int First, int Step, class Vector, int... Index>
[[gnu::always_inline]] inline Vector every_other(Vector low, Vector high, std::integer_sequence<int, Index...>) {
  return __builtin_shufflevector(low, high, First + Step * Index...);
}
template <int First, class Vector, int... Index>
[[gnu::always_inline]] inline Vector interleave(Vector left, Vector right, std::integer_sequence<int, Index...>) {
  return __builtin_shufflevector(left, right, (First + Index / 2 + Index % 2 * int{sizeof...(Index)})...);
}

/// Of lanes that differ in bit `Stage` alone the lower or upper ones: those of `low` where that bit of a lane's number is
/// 0, those of `high` where it is 1.
template <int Stage, bool Upper, class Vector, int... Index>
[[gnu::always_inline]] inline Vector neighbours(Vector low, Vector high, std::integer_sequence<int, Index...>) {
  return __builtin_shufflevector(low, high,
                                 ((Index & Stage) == 0 ? Index + (Upper ? Stage : 0)
                                                       : Index - (Upper ? 0 : Stage) + int{sizeof...(Index)})...);
}

}  // namespace detail

/// Lanes 0, 2, 4 ... of two vectors in a row.
template <class Real>
[[gnu::always_inline]] inline vector<Real> even_lanes(vector<Real> low, vector<Real> high) {
  return detail::every_other<0, 2>(low, high, std::make_integer_sequence<int, lanes<Real>>{});
}
/// left[0], right[0], left[1], right[1] ... : `low` for the first half of the lanes, `high` for the second.
template <class Real>
[[gnu::always_inline]] inline void interleave(vector<Real> left, vector<Real> right, vector<Real>& low,
                                              vector<Real>& high) {
  low = detail::interleave<0>(left, right, std::make_integer_sequence<int, lanes<Real>>{});
  high = detail::interleave<lanes<Real> / 2>(left, right, std::make_integer_sequence<int, lanes<Real>>{});
}

/// Its argument, as a value that exists here: what made it and what follows are neither moved past this place nor fused.
/// g++ fuses products and sums across expressions, but only within a basic block: without pins, the bits of a result
/// could depend on the code around it.
template <class Vector>
[[gnu::always_inline]] inline Vector pinned(Vector value) {
#if defined(__clang__)  // fuses within an expression alone
#elif defined(__x86_64__) && VIVACE_VECTOR_BYTES == 64
  asm volatile("" : "+v"(value));
#elif defined(__x86_64__)
  asm volatile("" : "+x"(value));
#else
  asm volatile("" : "+m"(value));
#endif
  return value;
}

/// The same bits as another type.
template <class To, class From>
[[gnu::always_inline]] inline To bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

/// Sum of all lanes, halves first: a fixed order.
template <class Real>
[[gnu::always_inline]] inline Real sum_of_lanes(vector<Real> value) {
  Real held[lanes<Real>];
  store(held, value);
  for (int half = lanes<Real> / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) held[lane] += held[lane + half];
  return held[0];
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
