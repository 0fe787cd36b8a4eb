#pragma once
#include <concepts>
#include <cstdint>

#include <vivace/graph/dual.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A user's elementwise function: a stateless type whose call operator is a template on the scalar, as in
///
///     struct softsign {
///       static constexpr std::string_view label = "softsign";  // optional: names it in tables and messages
///       template <class T>
///       constexpr T operator()(T x) const { using std::abs; return x / (T(1) + abs(x)); }
///     };
///
/// It may give its derivative, as a member template `derivative` of the same form; else dual numbers find it.
template <class Type>
concept elementwise_functor = std::default_initializable<Type> && requires(const Type& self) {
  { self(1.0F) } -> std::convertible_to<float>;
  { self(1.0) } -> std::convertible_to<double>;
};

/// The value of a functor, or a derivative of it.
/// @tparam Order 0: the value, 1: the first derivative, 2: the second
template <int Order, class Functor, class Real>
constexpr Real derivative_of(Real x) {
  const Functor self{};
  if constexpr (Order == 0) {
    return self(x);
  } else if constexpr (requires { self.derivative(x); }) {
    if constexpr (Order == 1)
      return self.derivative(x);
    else
      return self.derivative(dual<Real>(x, 1)).slope;
  } else if constexpr (Order == 1) {
    return self(dual<Real>(x, 1)).slope;
  } else {
    using once = dual<Real>;
    return self(dual<once>(once(x, 1), once(1))).slope.slope;
  }
}

/// The kernel of a functor: one order of derivative, over a stretch of elements.
template <int Order, class Functor, class Real>
void map_stretch(const Real* from, Real* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = derivative_of<Order, Functor>(from[i]);
}

/// A functor's label, or "map".
template <class Functor>
constexpr std::string_view functor_name() {
  if constexpr (requires { Functor::label; })
    return Functor::label;
  else
    return "map";
}

/// What graphs know of a functor.
template <elementwise_functor Functor>
inline constexpr functor_info info_of{
    functor_name<Functor>(),
    {map_stretch<0, Functor, float>, map_stretch<1, Functor, float>, map_stretch<2, Functor, float>},
    {map_stretch<0, Functor, double>, map_stretch<1, Functor, double>, map_stretch<2, Functor, double>}};

namespace ops {

/// A user's functor, applied to each element. It can be differentiated twice; a third time is
/// problem::no_second_derivative.
template <elementwise_functor Functor>
constexpr value map(value from) {
  return unary(op::map, from, {.functor = &info_of<Functor>});
}

}  // namespace ops

/// Layer: a user's functor, applied to each element.
template <elementwise_functor Functor>
struct map {
  static constexpr std::string_view label = functor_name<Functor>();
  constexpr value operator()(value input) const { return ops::map<Functor>(input); }
};

}  // namespace vivace::inline VIVACE_TARGET
