#pragma once
#include <cstdint>

#include <vivace/core/shape.hpp>

/// @file
/// Where an element lies. The same functions run on a device and, in tests, on the host.

namespace vivace::inline VIVACE_TARGET::gpu {

/// Elements of a tensor at most: indices are below 2^31, so that a division is one multiplication.
inline constexpr std::int64_t most_elements = std::int64_t{1} << 31;

/// A divisor that is known when a kernel starts. Division by it is a multiplication and a shift (Granlund and
/// Montgomery, "Division by invariant integers using multiplication", PLDI 1994), exact for numbers below 2^31.
struct divider {
  std::uint32_t divisor = 1;
  std::uint32_t factor = 0x80000001;
  std::uint8_t shift = 31;

  constexpr divider() = default;
  /// @param by 1 to 2^31 - 1
  constexpr explicit divider(std::uint32_t by) : divisor(by) {
    while ((std::uint64_t{1} << (shift - 31)) < by) ++shift;
    factor = static_cast<std::uint32_t>((std::uint64_t{1} << shift) / by + 1);
  }
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr std::uint32_t quotient(std::uint32_t number) const {
    return static_cast<std::uint32_t>((std::uint64_t{number} * factor) >> shift);
  }
};

/// Turns the number of an element, counted over some axes, into its offset: the sum of its coordinates times strides.
struct strided_index {
  std::int8_t rank = 0;
  divider extent[max_rank]{};
  std::uint32_t stride[max_rank]{};

  constexpr void add_axis(std::int64_t extent_of, std::int64_t stride_of) {
    if (extent_of == 1) return;
    extent[rank] = divider(static_cast<std::uint32_t>(extent_of));
    stride[rank] = static_cast<std::uint32_t>(stride_of);
    ++rank;
  }
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr std::uint32_t offset(std::uint32_t number) const {
    std::uint32_t result = 0;
    for (int d = max_rank - 1; d > 0; --d) {
      if (d >= rank) continue;
      const std::uint32_t rest = extent[d].quotient(number);
      result += (number - rest * extent[d].divisor) * stride[d];
      number = rest;
    }
    return rank > 0 ? result + number * stride[0] : result;
  }
};

/// Blocks of `each` that cover `count`.
VIVACE_HOST_DEVICE constexpr std::int64_t blocks_of(std::int64_t count, std::int64_t each) {
  return (count + each - 1) / each;
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
