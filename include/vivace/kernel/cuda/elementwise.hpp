#pragma once
#include <cmath>

#include <vivace/core/bfloat16.hpp>
#include <vivace/core/random.hpp>
#include <vivace/kernel/cuda/launch.hpp>

namespace vivace::inline VIVACE_TARGET::gpu {

/// One operation of a program as a device reads it. Operands >= 0 are registers, operand -1 - l is load l.
template <class Real>
struct line {
  op kind = op::none;
  std::int16_t to = 0;
  std::int16_t from[max_operands]{};
  std::uint32_t stream = 0;     ///< of dropout_mask
  std::uint32_t threshold = 0;  ///< of dropout_mask: zero where the 24 random bits are below it
  Real scale = 1;               ///< of broadcast: the number of repetitions; of dropout_mask: what is kept becomes this
  Real shift = 0;
};

/// operands_of() as a constant.
template <op Kind>
inline constexpr int operand_count = operands_of(Kind);
/// True of operations that a program interprets.
template <op Kind>
inline constexpr bool interpreted = is_elementwise(Kind) && Kind != op::map;

template <op Kind>
inline constexpr bool known_operation = false;

/// The value of an elementwise operation that is not random.
template <op Kind, class Real>
VIVACE_HOST_DEVICE Real elementwise_value(Real a, Real b, Real c, const line<Real>& code) {
  // clang-format off
  if constexpr (Kind == op::affine) return code.scale * a + code.shift;
  else if constexpr (Kind == op::negate) return -a;
  else if constexpr (Kind == op::exp) return std::exp(a);
  else if constexpr (Kind == op::log) return std::log(a);
  else if constexpr (Kind == op::sqrt) return std::sqrt(a);
  else if constexpr (Kind == op::reciprocal) return 1 / a;
  else if constexpr (Kind == op::tanh) return std::tanh(a);
  else if constexpr (Kind == op::sigmoid) return 1 / (1 + std::exp(-a));
  else if constexpr (Kind == op::relu) return a < 0 ? Real(0) : a;
  else if constexpr (Kind == op::step) return a > 0 ? Real(1) : Real(0);
  else if constexpr (Kind == op::abs) return a < 0 ? -a : a == 0 ? Real(0) : a;
  else if constexpr (Kind == op::sign) return a > 0 ? Real(1) : a < 0 ? Real(-1) : a;
  else if constexpr (Kind == op::sin) return std::sin(a);
  else if constexpr (Kind == op::cos) return std::cos(a);
  else if constexpr (Kind == op::erf) return std::erf(a);
  else if constexpr (Kind == op::square) return a * a;
  else if constexpr (Kind == op::power) return std::pow(a, code.scale);
  else if constexpr (Kind == op::broadcast) return a / code.scale;
  else if constexpr (Kind == op::add) return a + b;
  else if constexpr (Kind == op::subtract) return a - b;
  else if constexpr (Kind == op::multiply) return a * b;
  else if constexpr (Kind == op::divide) return a / b;
  else if constexpr (Kind == op::maximum) return b > a ? b : a;
  else if constexpr (Kind == op::minimum) return a > b ? b : a;
  else if constexpr (Kind == op::greater) return a > b ? Real(1) : Real(0);
  else if constexpr (Kind == op::equal) return a == b ? Real(1) : Real(0);
  else if constexpr (Kind == op::select) return a != 0 ? b : c;
  else if constexpr (Kind == op::multiply_add) return code.scale * (a * b) + code.shift * c;
  else if constexpr (Kind == op::narrow && stores_narrow<Real>) return to_float(to_bfloat16(a));
  else if constexpr (Kind == op::narrow || Kind == op::widen) return a;
  else static_assert(known_operation<Kind>, "vivace: the device's kernels lack an elementwise operation; it is named in the template arguments of elementwise_value");
  // clang-format on
}

/// Masks of dropout for the elements [first, first + Width). Four neighbours share one block of random bits.
template <class Real, int Width>
VIVACE_HOST_DEVICE packet<Real, Width> dropout_mask(std::uint32_t first, const line<Real>& code, std::uint64_t seed,
                                                    std::uint32_t step) {
  packet<Real, Width> result;
  philox_block bits{};
  for (int v = 0; v < Width; ++v) {
    const std::uint32_t index = first + static_cast<std::uint32_t>(v);
    if (v == 0 || index % 4 == 0) bits = philox({{index / 4, 0, code.stream, step}}, seed);
    result.value[v] = (bits.word[index % 4] >> 8) < code.threshold ? Real(0) : code.scale;
  }
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
