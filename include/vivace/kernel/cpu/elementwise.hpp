#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include <vivace/core/bfloat16.hpp>
#include <vivace/core/random.hpp>
#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/math.hpp>
#include <vivace/kernel/cpu/stretch.hpp>

/// @file
/// Elementwise operations, a vector at a time.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Square root, lane by lane; correctly rounded, NaN below zero.
template <class Real>
[[gnu::always_inline]] inline kernel::vector<Real> square_root(kernel::vector<Real> x) {
#if defined(__clang__)
  return __builtin_elementwise_sqrt(x);
#elif defined(__x86_64__) && VIVACE_VECTOR_BYTES == 64
  if constexpr (sizeof(Real) == 4)
    return __builtin_ia32_sqrtps512_mask(x, x, static_cast<unsigned short>(-1), 4);
  else
    return __builtin_ia32_sqrtpd512_mask(x, x, static_cast<unsigned char>(-1), 4);
#elif defined(__x86_64__) && VIVACE_VECTOR_BYTES == 32
  if constexpr (sizeof(Real) == 4)
    return __builtin_ia32_sqrtps256(x);
  else
    return __builtin_ia32_sqrtpd256(x);
#elif defined(__x86_64__)
  if constexpr (sizeof(Real) == 4)
    return __builtin_ia32_sqrtps(x);
  else
    return __builtin_ia32_sqrtpd(x);
#else
  for (int lane = 0; lane < kernel::lanes<Real>; ++lane) x[lane] = std::sqrt(x[lane]);
  return x;
#endif
}

/// to[i] = function(x, y, z) with vectors x, y, z of the first `Operands` of a, b, c. `to` may be an operand: the last
/// vector may overlap the one before it, so it is computed first and written last.
template <int Operands, class Real, class Function>
[[gnu::always_inline]] inline void each_vector(Real* to, const Real* a, const Real* b, const Real* c,
                                               std::int64_t count, Function&& function) {
  constexpr int width = kernel::lanes<Real>;
  using vector = kernel::vector<Real>;
  vector x{}, y{}, z{};
  const bool whole = count >= width;
  const std::int64_t last = whole ? count - width : 0;
  const auto read = [&](const Real* from) __attribute__((always_inline)) {
    return kernel::pinned(whole ? kernel::load(from + last) : kernel::load(from, static_cast<int>(count)));
  };
  x = read(a);
  if constexpr (Operands > 1) y = read(b);
  if constexpr (Operands > 2) z = read(c);
  const vector end = kernel::pinned(function(x, y, z));
  for (std::int64_t i = 0; i < last; i += width) {
    x = kernel::load(a + i);
    if constexpr (Operands > 1) y = kernel::load(b + i);
    if constexpr (Operands > 2) z = kernel::load(c + i);
    kernel::store(to + i, kernel::pinned(function(x, y, z)));
  }
  if (whole)
    kernel::store(to + last, end);
  else
    kernel::store(to, end, static_cast<int>(count));
}

/// a ^ exponent. Multiples of one half up to 4 are products, quotients and a root; anything else is the standard
/// library's.
template <class Real>
void power(Real* to, const Real* a, std::int64_t count, double exponent) {
  using vector = kernel::vector<Real>;
  const double size = std::fabs(exponent);
  if (!(size <= 4) || 2 * size != std::floor(2 * size)) {
    const auto typed = static_cast<Real>(exponent);
    for (std::int64_t i = 0; i < count; ++i) to[i] = std::pow(a[i], typed);
    return;
  }
  const int whole = static_cast<int>(size);
  const bool half = size > whole;
  const bool inverse = exponent < 0;
  each_vector<1>(
      to, a, a, a, count, [=](vector x, vector, vector) __attribute__((always_inline)) {
        vector result = kernel::broadcast(Real(1));
        vector factor = x;
        if (half) {  // as the standard says, the root of -0 is 0 here, and that of -infinity is infinity
          const vector root = square_root<Real>(x + Real(0));
          result = x == static_cast<Real>(-HUGE_VAL) ? -x : root;
          factor = x < 0 ? -x : x + Real(0);
          if (inverse) result = Real(1) / result;
        }
        for (int i = 0; i < whole; ++i) result = inverse ? result / factor : result * factor;
        return result;
      });
}

/// Lanes of 64 bits.
typedef std::uint64_t wide_lanes __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
typedef long long long_lanes __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
typedef std::int32_t word_lanes __attribute__((vector_size(VIVACE_VECTOR_BYTES)));
/// Blocks of random bits that are made at once.
inline constexpr int philox_lanes = VIVACE_VECTOR_BYTES / 8;

/// Products of the low halves of 64-bit lanes.
[[gnu::always_inline]] inline wide_lanes multiply_low(wide_lanes left, std::uint32_t right) {
#if defined(__clang__) || !defined(__x86_64__)
  return (left & 0xffffffff) * (wide_lanes{} + right);  // clang knows this pattern
#else
  const auto x = kernel::bits<word_lanes>(left), y = kernel::bits<word_lanes>(wide_lanes{} + right);
#if VIVACE_VECTOR_BYTES == 64
  return kernel::bits<wide_lanes>(
      __builtin_ia32_pmuludq512_mask(x, y, kernel::bits<long_lanes>(left), static_cast<unsigned char>(-1)));
#elif VIVACE_VECTOR_BYTES == 32
  return kernel::bits<wide_lanes>(__builtin_ia32_pmuludq256(x, y));
#else
  return kernel::bits<wide_lanes>(__builtin_ia32_pmuludq128(x, y));
#endif
#endif
}

/// Words 0 to 3 of the random blocks [first, first + philox_lanes), in the low halves of the lanes: the same numbers as
/// random_stream's.
[[gnu::always_inline]] inline void philox_blocks(std::uint64_t first, std::uint32_t stream, std::uint32_t substream,
                                                 std::uint64_t key, wide_lanes (&word)[4]) {
  const wide_lanes block = kernel::bits<wide_lanes>(kernel::load(lane_number<double>.number)) + first;
  word[0] = block;
  word[1] = block >> 32;
  word[2] = wide_lanes{} + stream;
  word[3] = wide_lanes{} + substream;
  auto low = static_cast<std::uint32_t>(key);
  auto high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const wide_lanes left = multiply_low(word[0], 0xD2511F53);
    const wide_lanes right = multiply_low(word[2], 0xCD9E8D57);
    word[0] = (right >> 32) ^ word[1] ^ low;
    word[1] = right;
    word[2] = (left >> 32) ^ word[3] ^ high;
    word[3] = left;
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
}

/// Zeros with probability rate, `kept` elsewhere; element i of the stream is at to[i - first].
template <class Real>
void random_mask(Real* to, std::int64_t first, std::int64_t count, double rate, Real kept, std::uint32_t stream,
                 const step_context& context) {
  constexpr std::int64_t made = 4 * philox_lanes;
  // 24 random bits r: r * 2^-24 < rate if and only if r < bound.
  const double scaled = std::ceil(rate * 0x1p24);
  const auto bound = static_cast<std::uint64_t>(scaled > 0 ? (std::min)(scaled, 0x1p24) : 0);
  using unsigned_integer = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;
  const std::uint64_t value = kernel::bits<unsigned_integer>(kept);
  const std::int64_t end = first + count;
  for (std::int64_t start = first / 4 * 4; start < end; start += made) {
    wide_lanes word[4];
    philox_blocks(static_cast<std::uint64_t>(start) / 4, stream, context.step, context.seed, word);
    for (wide_lanes& each : word) each = ((each & 0xffffffff) >> 8) < bound ? wide_lanes{} : wide_lanes{} + value;
    std::uint64_t held[4][philox_lanes];
    alignas(64) Real mixed[made];
    for (int w = 0; w < 4; ++w) std::memcpy(held[w], &word[w], sizeof held[w]);
    if constexpr (sizeof(Real) == 4) {
      for (int lane = 0; lane < philox_lanes; ++lane) {
        const std::uint64_t pair[2] = {held[0][lane] | held[1][lane] << 32, held[2][lane] | held[3][lane] << 32};
        std::memcpy(mixed + 4 * lane, pair, sizeof pair);
      }
    } else {
      for (int lane = 0; lane < philox_lanes; ++lane)
        for (int w = 0; w < 4; ++w) std::memcpy(mixed + 4 * lane + w, &held[w][lane], sizeof(Real));
    }
    const std::int64_t begin = (std::max)(start, first);
    const std::int64_t stop = (std::min)(start + made, end);
    std::memcpy(to + (begin - first), mixed + (begin - start), static_cast<std::size_t>(stop - begin) * sizeof(Real));
  }
}

/// The nearest numbers that a bfloat16 can be; see to_bfloat16.
template <class Real>
[[gnu::always_inline]] inline kernel::vector<Real> rounded_to_bfloat16(kernel::vector<Real> x) {
  if constexpr (sizeof(Real) == sizeof(float)) {
    using integers = kernel::integer_vector<Real>;
    const auto whole = kernel::bits<integers>(x);
    const integers rounded = x == x ? whole + 0x7fff + (whole >> 16 & 1) : whole | 0x400000;
    return kernel::bits<kernel::vector<Real>>(rounded & -0x10000);
  } else {
    for (int lane = 0; lane < kernel::lanes<Real>; ++lane)
      x[lane] = static_cast<Real>(to_float(to_bfloat16(static_cast<float>(x[lane]))));
    return x;
  }
}

/// One elementwise operation on vectors: those that are mere arithmetic.
template <op Kind, class Real>
[[gnu::always_inline]] inline kernel::vector<Real> arithmetic(kernel::vector<Real> x, kernel::vector<Real> y,
                                                              kernel::vector<Real> z, Real scale, Real shift) {
  [[maybe_unused]] const kernel::vector<Real> zero{}, one = kernel::broadcast(Real(1));
  // clang-format off
  (void)y, (void)z, (void)scale, (void)shift;
  if constexpr (Kind == op::affine) return scale * x + shift;
  else if constexpr (Kind == op::negate) return -x;
  else if constexpr (Kind == op::exp) return kernel::exp<Real>(x);
  else if constexpr (Kind == op::log) return kernel::log<Real>(x);
  else if constexpr (Kind == op::sqrt) return square_root<Real>(x);
  else if constexpr (Kind == op::reciprocal) return Real(1) / x;
  else if constexpr (Kind == op::tanh) return kernel::tanh<Real>(x);
  else if constexpr (Kind == op::sigmoid) return kernel::sigmoid<Real>(x);
  else if constexpr (Kind == op::relu) return x < zero ? zero : x;
  else if constexpr (Kind == op::step) return x > zero ? one : zero;
  else if constexpr (Kind == op::abs) return x < zero ? -x : x + Real(0);
  else if constexpr (Kind == op::sign) return x > zero ? one : (x < zero ? -one : x);
  else if constexpr (Kind == op::sin) return kernel::sin<Real>(x);
  else if constexpr (Kind == op::cos) return kernel::cos<Real>(x);
  else if constexpr (Kind == op::erf) return kernel::erf<Real>(x);
  else if constexpr (Kind == op::square) return x * x;
  else if constexpr (Kind == op::broadcast) return x;
  else if constexpr (Kind == op::add) return x + y;
  else if constexpr (Kind == op::subtract) return x - y;
  else if constexpr (Kind == op::multiply) return x * y;
  else if constexpr (Kind == op::divide) return x / y;
  else if constexpr (Kind == op::maximum) return y > x ? y : x;
  else if constexpr (Kind == op::minimum) return x > y ? y : x;
  else if constexpr (Kind == op::greater) return x > y ? one : zero;
  else if constexpr (Kind == op::equal) return x == y ? one : zero;
  else if constexpr (Kind == op::select) return x != zero ? y : z;
  else if constexpr (Kind == op::narrow) return rounded_to_bfloat16<Real>(x);
  else if constexpr (Kind == op::widen) return x;
  else return x * kernel::pinned(scale * y) + kernel::pinned(shift * z);  // both are 1 or -1: exact, and no fused sums
  // clang-format on
}

/// What a broadcast divides by: the repetitions, if it takes a mean, and else 1.
template <class Real>
Real repetitions(const instruction& code, std::int32_t samples) {
  const auto scale = static_cast<Real>(code.scale);
  return scale < 0 ? -scale * static_cast<Real>(samples) : scale;
}

/// Does one elementwise operation over a stretch. See elementwise_function.
template <op Kind, class Real>
void elementwise(Real* to, const Real* a, const Real* b, const Real* c, std::int64_t first, std::int64_t count,
                 const instruction& code, const step_context& context) {
  using vector = kernel::vector<Real>;
  [[maybe_unused]] const auto scale = static_cast<Real>(code.scale);
  [[maybe_unused]] const auto shift = static_cast<Real>(code.shift);
  if constexpr (Kind == op::map) {
    if constexpr (sizeof(Real) == sizeof(float))
      code.functor->f32[code.derivative](a, to, count);
    else
      code.functor->f64[code.derivative](a, to, count);
  } else if constexpr (Kind == op::dropout_mask) {
    random_mask(to, first, count, code.scale, static_cast<Real>(1 / (1 - code.scale)), code.stream, context);
  } else if constexpr (Kind == op::power) {
    power(to, a, count, code.scale);
  } else if constexpr (Kind == op::broadcast) {
    const Real times = repetitions<Real>(code, context.samples);
    if (times != 1)
      each_vector<1>(to, a, b, c, count, [=](vector x, vector, vector) { return x / times; });
    else if (to != a)
      std::memcpy(to, a, static_cast<std::size_t>(count) * sizeof(Real));
  } else {
    each_vector<operands_of(Kind)>(to, a, b, c, count, [=](vector x, vector y, vector z) __attribute__((always_inline)) {
      return arithmetic<Kind, Real>(x, y, z, scale, shift);
    });
  }
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
