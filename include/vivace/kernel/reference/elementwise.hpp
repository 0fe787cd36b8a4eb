#pragma once
#include <cmath>

#include <vivace/core/bfloat16.hpp>
#include <vivace/core/random.hpp>
#include <vivace/kernel/call.hpp>

namespace vivace::inline VIVACE_TARGET::reference {

/// The value of an elementwise operation, one element at a time: the definition that faster kernels are tested against.
template <op Kind, class Real>
Real elementwise_value(Real a, Real b, Real c, std::int64_t index, const instruction& code,
                       const step_context& context) {
  const auto scale = static_cast<Real>(code.scale);
  // clang-format off
  if constexpr (Kind == op::affine) return scale * a + static_cast<Real>(code.shift);
  else if constexpr (Kind == op::negate) return -a;
  else if constexpr (Kind == op::exp) return std::exp(a);
  else if constexpr (Kind == op::log) return std::log(a);
  else if constexpr (Kind == op::sqrt) return std::sqrt(a);
  else if constexpr (Kind == op::reciprocal) return 1 / a;
  else if constexpr (Kind == op::tanh) return std::tanh(a);
  else if constexpr (Kind == op::sigmoid) return 1 / (1 + std::exp(-a));
  else if constexpr (Kind == op::relu) return a < 0 ? Real(0) : a;
  else if constexpr (Kind == op::step) return a > 0 ? Real(1) : Real(0);
  else if constexpr (Kind == op::abs) return std::abs(a);
  else if constexpr (Kind == op::sign) return a > 0 ? Real(1) : a < 0 ? Real(-1) : a;
  else if constexpr (Kind == op::sin) return std::sin(a);
  else if constexpr (Kind == op::cos) return std::cos(a);
  else if constexpr (Kind == op::erf) return std::erf(a);
  else if constexpr (Kind == op::square) return a * a;
  else if constexpr (Kind == op::power) return std::pow(a, scale);
  else if constexpr (Kind == op::broadcast)  // scale counts repetitions, per sample if negative
    return a / (scale < 0 ? -scale * static_cast<Real>(context.samples) : scale);
  else if constexpr (Kind == op::add) return a + b;
  else if constexpr (Kind == op::subtract) return a - b;
  else if constexpr (Kind == op::multiply) return a * b;
  else if constexpr (Kind == op::divide) return a / b;
  else if constexpr (Kind == op::maximum) return b > a ? b : a;
  else if constexpr (Kind == op::minimum) return a > b ? b : a;
  else if constexpr (Kind == op::greater) return a > b ? Real(1) : Real(0);
  else if constexpr (Kind == op::equal) return a == b ? Real(1) : Real(0);
  else if constexpr (Kind == op::select) return a != 0 ? b : c;
  else if constexpr (Kind == op::multiply_add) return scale * (a * b) + static_cast<Real>(code.shift) * c;
  else if constexpr (Kind == op::narrow) return static_cast<Real>(to_float(to_bfloat16(static_cast<float>(a))));
  else if constexpr (Kind == op::widen) return a;
  else if constexpr (Kind == op::dropout_mask) {
    const random_stream random(context.seed, code.stream, context.step);
    return random.uniform(static_cast<std::uint64_t>(index)) < code.scale ? Real(0) : static_cast<Real>(1 / (1 - code.scale));
  }
  // clang-format on
}

template <op Kind, class Real>
void elementwise(Real* to, const Real* a, const Real* b, const Real* c, std::int64_t first, std::int64_t count,
                 const instruction& code, const step_context& context) {
  if constexpr (Kind == op::map) {
    if constexpr (sizeof(Real) == sizeof(float))
      code.functor->f32[code.derivative](a, to, count);
    else
      code.functor->f64[code.derivative](a, to, count);
  } else {
    constexpr bool two = Kind >= op::add && Kind <= op::multiply_add;
    constexpr bool three = Kind == op::select || Kind == op::multiply_add;
    constexpr bool none = Kind == op::dropout_mask;
    for (std::int64_t i = 0; i < count; ++i)
      to[i] = elementwise_value<Kind>(none ? Real(0) : a[i], two ? b[i] : Real(0), three ? c[i] : Real(0), first + i,
                                      code, context);
  }
}

}  // namespace vivace::inline VIVACE_TARGET::reference
