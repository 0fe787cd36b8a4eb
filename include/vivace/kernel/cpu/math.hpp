#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

// Elementary functions of whole vectors. Float lanes are polynomials (minimax fits of our own) after the usual range
// reductions, within 2 units in the last place (3 for tanh, sigmoid, erf, sin and cos) over the whole range, denormal
// numbers, infinities and NaN included. Double lanes go through the standard library, one by one: there accuracy
// matters, not speed.

namespace detail {

using floats = vector<float>;
using integers = integer_vector<float>;

template <class Real, class Function>
[[gnu::always_inline]] inline vector<Real> each_lane(vector<Real> x, Function&& function) {
  for (int lane = 0; lane < lanes<Real>; ++lane) x[lane] = function(x[lane]);
  return x;
}

/// Adding it rounds a float of magnitude below 2^22 to an integer, found in the low bits of the sum.
inline constexpr float rounder = 12582912.f;

/// exp for x that is NaN or in [-150, 129] * log 2 or so; the scale is applied in two steps for denormal results.
/// @tparam Moderate x is in [-80, 80]: one step will do
template <bool Moderate = false>
[[gnu::always_inline]] inline floats exp_in_range(floats x) {
  const floats shifted = x * 1.44269504f + rounder;
  const integers n = bits<integers>(shifted) - bits<std::int32_t>(rounder);
  const floats whole = shifted - rounder;
  const floats high = whole * -0.693359375f + x;
  const floats r = whole * 0.00021219444f + high;
  floats p = r * 0.00138144648f + 0.00836878062f;
  p = p * r + 0.0416683943f;
  p = p * r + 0.166665201f;
  p = p * r + 0.499999934f;
  p = p * (r * r) + r + 1.f;
  if constexpr (Moderate) return p * bits<floats>((n + 127) << 23);
  const integers half = n >> 1, rest = n - half;
  return p * bits<floats>((half + 127) << 23) * bits<floats>((rest + 127) << 23);
}

}  // namespace detail

/// e to the x.
template <class Real>
[[gnu::always_inline]] inline vector<Real> exp(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::exp(lane); });
  } else {
    // A NaN fails both comparisons and goes on.
    x = x > 89.f ? broadcast(89.f) : x;
    x = x < -104.f ? broadcast(-104.f) : x;
    return detail::exp_in_range(x);
  }
}

/// Natural logarithm; -infinity at zero, NaN below.
template <class Real>
[[gnu::always_inline]] inline vector<Real> log(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::log(lane); });
  } else {
    using detail::floats, detail::integers;
    const auto denormal = x < (std::numeric_limits<float>::min)();
    const floats scaled = denormal ? x * 8388608.f : x;
    typedef std::uint32_t words __attribute__((vector_size(VIVACE_VECTOR_BYTES)));  // wraps around where x < 0
    const words word = bits<words>(scaled);
    // Mantissa in [sqrt(1/2), sqrt(2)).
    const integers e = bits<integers>(word - 0x3f3504f3u) >> 23;
    const floats f = bits<floats>(word - (bits<words>(e) << 23)) - 1.f;
    const integers exponent = denormal ? e - 23 : e;
    const floats n = __builtin_convertvector(exponent, floats);
    floats p = f * 0.0674660133f - 0.116756413f;
    p = p * f + 0.118881746f;
    p = p * f - 0.124055914f;
    p = p * f + 0.142195509f;
    p = p * f - 0.166679957f;
    p = p * f + 0.200021187f;
    p = p * f - 0.250000096f;
    p = p * f + 0.333333126f;
    const floats square = f * f;
    floats low = p * (square * f);
    low = n * -0.00021219444f + low;
    low = square * -0.5f + low;
    floats result = n * 0.693359375f + (f + low);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    result = x == infinity ? x : result;
    result = x == 0.f ? broadcast(-infinity) : result;
    const floats nan = broadcast(std::numeric_limits<float>::quiet_NaN());
    return x >= 0.f ? result : nan;
  }
}

/// Hyperbolic tangent.
template <class Real>
[[gnu::always_inline]] inline vector<Real> tanh(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::tanh(lane); });
  } else {
    using detail::floats, detail::integers;
    const floats size = bits<floats>(bits<integers>(x) & 0x7fffffff);
    const floats bounded = size > 10.f ? broadcast(10.f) : size;
    const floats large = 1.f - 2.f / (detail::exp_in_range<true>(bounded + bounded) + 1.f);
    const floats s = x * x;
    floats p = s * 0.00214753686f - 0.00818267386f;
    p = p * s + 0.0217029671f;
    p = p * s - 0.0539472043f;
    p = p * s + 0.133332098f;
    p = p * s - 0.333333309f;
    const floats inner = p * (s * size) + size;
    const integers sign = bits<integers>(x) & (std::numeric_limits<std::int32_t>::min)();
    return bits<floats>(bits<integers>(size < 0.625f ? inner : large) | sign);
  }
}

/// Logistic function 1 / (1 + exp(-x)).
template <class Real>
[[gnu::always_inline]] inline vector<Real> sigmoid(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(
        x, [](Real lane) { return lane >= 0 ? 1 / (1 + std::exp(-lane)) : std::exp(lane) / (1 + std::exp(lane)); });
  } else {
    using detail::floats, detail::integers;
    floats low = bits<floats>(bits<integers>(x) | (std::numeric_limits<std::int32_t>::min)());
    low = low < -104.f ? broadcast(-104.f) : low;
    const floats e = detail::exp_in_range(low);
    const floats top = x < 0.f ? e : broadcast(1.f);
    return top / (1.f + e);
  }
}

/// Error function.
template <class Real>
[[gnu::always_inline]] inline vector<Real> erf(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::erf(lane); });
  } else {
    using detail::floats, detail::integers;
    const floats size = bits<floats>(bits<integers>(x) & 0x7fffffff);
    const floats s = x * x;
    floats p = s * 7.8538577e-05f - 0.000801019252f;
    p = p * s + 0.00518832756f;
    p = p * s - 0.0268538119f;
    p = p * s + 0.112835851f;
    p = p * s - 0.376126258f;
    // 2 / sqrt(pi) - 1, so that the largest term is x itself.
    p = p * s + 0.128379167f;
    const floats inner = p * x + x;
    // Above 1: 1 - exp(-q) with q = -log(erfc).
    const floats t = size > 4.f ? broadcast(4.f) : size;
    floats q = t * 2.1697639e-05f - 0.000441472917f;
    q = q * t + 0.0042052859f;
    q = q * t - 0.0252103423f;
    q = q * t + 0.108422103f;
    q = q * t + 0.633216395f;
    q = q * t + 1.12958031f;
    q = q * t - 0.000188467788f;
    const floats large = 1.f - detail::exp_in_range<true>(-q);
    const integers sign = bits<integers>(x) & (std::numeric_limits<std::int32_t>::min)();
    return size < 1.f ? inner : bits<floats>(bits<integers>(large) | sign);
  }
}

namespace detail {

/// Both functions of a reduced angle; `turn` is 0 for sin and 1 for cos, a quarter turn ahead.
[[gnu::always_inline]] inline floats sin_or_cos(floats x, std::int32_t turn) {
  const floats shifted = x * 0.636619772f + rounder;
  const integers quadrant = bits<integers>(shifted) + turn;
  const floats n = shifted - rounder;
  // pi / 2 in parts so short that their products with n are exact.
  floats r = n * -1.5703125f + x;
  r = n * -0.00048351287841796875f + r;
  r = n * -3.1385570764541626e-07f + r;
  r = n * -6.07710063e-11f + r;
  const floats s = r * r;
  floats sine = s * 2.71812175e-06f - 0.000198393151f;
  sine = sine * s + 0.00833332933f;
  sine = sine * s - 0.166666666f;
  sine = sine * (s * r) + r;
  floats cosine = s * 2.44366086e-05f - 0.0013887352f;
  cosine = cosine * s + 0.0416666466f;
  const floats base = s * -0.5f + 1.f;
  cosine = cosine * (s * s) + base;
  const floats picked = (quadrant & 1) != 0 ? cosine : sine;
  return bits<floats>(bits<integers>(picked) ^ ((quadrant & 2) << 30));
}

/// Redoes lanes too large for the reduction (and infinities) in double.
template <class Function>
[[gnu::always_inline]] inline floats mend_large(floats x, floats result, Function&& function) {
  constexpr float largest = 16384.f;
  bool any = false;
  for (int lane = 0; lane < lanes<float>; ++lane) any |= !(std::fabs(x[lane]) <= largest);
  if (any) [[unlikely]]
    for (int lane = 0; lane < lanes<float>; ++lane)
      if (!(std::fabs(x[lane]) <= largest)) result[lane] = static_cast<float>(function(double{x[lane]}));
  return result;
}

}  // namespace detail

/// Sine, of radians.
template <class Real>
[[gnu::always_inline]] inline vector<Real> sin(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::sin(lane); });
  } else {
    // Tiny angles skip the sums above, which would turn -0 into 0.
    const detail::floats size = bits<detail::floats>(bits<detail::integers>(x) & 0x7fffffff);
    const detail::floats result =
        detail::mend_large(x, detail::sin_or_cos(x, 0), [](double lane) { return std::sin(lane); });
    return size < 1e-4f ? x : result;
  }
}

/// Cosine, of radians.
template <class Real>
[[gnu::always_inline]] inline vector<Real> cos(vector<Real> x) {
  if constexpr (sizeof(Real) == 8) {
    return detail::each_lane<Real>(x, [](Real lane) { return std::cos(lane); });
  } else {
    return detail::mend_large(x, detail::sin_or_cos(x, 1), [](double lane) { return std::cos(lane); });
  }
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
