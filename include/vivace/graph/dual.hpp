#pragma once
#include <cmath>
#include <concepts>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Apart from the library's other names: some layers are called like functions of numbers.
namespace duals {

/// A plain number.
template <class Type>
concept number = std::floating_point<Type> || std::integral<Type>;

/// True for a number that is 0.
template <number Number>
constexpr bool vanishes(Number constant) {
  return constant == 0;
}

/// A number and its derivative: f(dual{x, 1}) is {f(x), f'(x)} for any f that is written for a scalar type.
/// `dual<dual<double>>` carries the second derivative.
///
/// Functions are found by argument: write `using std::exp;` and call `exp(x)`. Comparisons look at the value alone.
template <class Scalar>
struct dual {
  Scalar value{};
  Scalar slope{};

  constexpr dual() = default;
  constexpr dual(const Scalar& of, const Scalar& change) : value(of), slope(change) {}
  /// A constant.
  template <number Number>
  constexpr dual(Number constant) : value(static_cast<Scalar>(constant)) {}  // NOLINT: numbers mix with duals

  friend constexpr dual operator+(const dual& a) { return a; }
  friend constexpr dual operator-(const dual& a) { return {-a.value, -a.slope}; }
  friend constexpr dual operator+(const dual& a, const dual& b) { return {a.value + b.value, a.slope + b.slope}; }
  friend constexpr dual operator-(const dual& a, const dual& b) { return {a.value - b.value, a.slope - b.slope}; }
  friend constexpr dual operator*(const dual& a, const dual& b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  friend constexpr dual operator/(const dual& a, const dual& b) {
    const Scalar quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
  constexpr dual& operator+=(const dual& other) { return *this = *this + other; }
  constexpr dual& operator-=(const dual& other) { return *this = *this - other; }
  constexpr dual& operator*=(const dual& other) { return *this = *this * other; }
  constexpr dual& operator/=(const dual& other) { return *this = *this / other; }

  friend constexpr bool operator==(const dual& a, const dual& b) { return a.value == b.value; }
  friend constexpr bool operator!=(const dual& a, const dual& b) { return !(a == b); }
  friend constexpr bool operator<(const dual& a, const dual& b) { return a.value < b.value; }
  friend constexpr bool operator>(const dual& a, const dual& b) { return b < a; }
  friend constexpr bool operator<=(const dual& a, const dual& b) { return a.value <= b.value; }
  friend constexpr bool operator>=(const dual& a, const dual& b) { return b <= a; }

  friend dual exp(const dual& x) {
    using std::exp;
    const Scalar result = exp(x.value);
    return {result, result * x.slope};
  }
  friend dual log(const dual& x) {
    using std::log;
    return {log(x.value), x.slope / x.value};
  }
  friend dual sqrt(const dual& x) {
    using std::sqrt;
    const Scalar root = sqrt(x.value);
    return {root, x.slope / (root + root)};
  }
  friend dual tanh(const dual& x) {
    using std::tanh;
    const Scalar result = tanh(x.value);
    return {result, (Scalar(1) - result * result) * x.slope};
  }
  friend dual sin(const dual& x) {
    using std::cos;
    using std::sin;
    return {sin(x.value), cos(x.value) * x.slope};
  }
  friend dual cos(const dual& x) {
    using std::cos;
    using std::sin;
    return {cos(x.value), -(sin(x.value) * x.slope)};
  }
  friend dual erf(const dual& x) {
    using std::erf;
    using std::exp;
    const auto two_over_root_pi = static_cast<Scalar>(1.12837916709551257390);
    return {erf(x.value), two_over_root_pi * exp(-(x.value * x.value)) * x.slope};
  }
  /// The derivative at 0 is 0.
  friend constexpr dual abs(const dual& x) {
    if (x.value > Scalar(0)) return x;
    if (x.value < Scalar(0)) return -x;
    return {x.value, Scalar(0) * x.slope};
  }
  /// Where the exponent is a constant, the base may have any sign that std::pow allows.
  friend dual pow(const dual& x, const dual& exponent) {
    using std::log;
    using std::pow;
    if (vanishes(exponent)) return dual(1);  // flat; 0 * x^-1 would be NaN at zero
    const Scalar& power = exponent.value;
    const Scalar result = pow(x.value, power);
    if (vanishes(exponent.slope)) return {result, power * Scalar(pow(x.value, power - Scalar(1))) * x.slope};
    return {result, result * (exponent.slope * log(x.value) + power * x.slope / x.value)};
  }

  /// True if the number and all its derivatives are zero.
  friend constexpr bool vanishes(const dual& x) { return vanishes(x.value) && vanishes(x.slope); }
};

}  // namespace duals

using duals::dual;

}  // namespace vivace::inline VIVACE_TARGET
