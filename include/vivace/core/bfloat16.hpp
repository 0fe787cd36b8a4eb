#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The upper half of a 32-bit floating point number: its range, with 8 bits of mantissa.
enum class bfloat16 : std::uint16_t {};

/// The nearest bfloat16, of two the even one; NaN stays NaN.
VIVACE_HOST_DEVICE constexpr bfloat16 to_bfloat16(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  const std::uint32_t rounded = nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
  return static_cast<bfloat16>(rounded >> 16);
}
/// The same of a number that is a bfloat16's.
VIVACE_HOST_DEVICE constexpr bfloat16 upper_half(float value) {
  return static_cast<bfloat16>(__builtin_bit_cast(std::uint32_t, value) >> 16);
}
VIVACE_HOST_DEVICE constexpr float to_float(bfloat16 value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value) << 16);
}

}  // namespace vivace::inline VIVACE_TARGET
