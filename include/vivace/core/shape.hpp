#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Extent of the batch dimension: the number of samples of a step, known only when the step runs.
///
/// An extent below zero counts samples: -1 is one row a sample, -128 is 128 rows a sample (a sequence of 128
/// positions merged with the batch). At most one extent of a shape is below zero.
inline constexpr std::int32_t rows = -1;

/// Most dimensions a shape can have.
inline constexpr int max_rank = 4;

/// Extents of a tensor, outermost first; the last dimension is contiguous. Rank 0 is a scalar.
struct shape {
  std::int32_t extent[max_rank]{};
  std::int8_t rank = 0;

  constexpr shape() = default;
  /// A shape of the given extents, `rows` standing for the batch.
  template <class... Extents>
    requires(sizeof...(Extents) > 0 && sizeof...(Extents) <= max_rank)
  VIVACE_HOST_DEVICE constexpr shape(Extents... extents)  // NOLINT: a list of extents is a shape
      : extent{static_cast<std::int32_t>(extents)...}, rank(static_cast<std::int8_t>(sizeof...(Extents))) {}

  VIVACE_HOST_DEVICE constexpr std::int32_t operator[](int dimension) const { return extent[dimension]; }
  VIVACE_HOST_DEVICE constexpr std::int32_t& operator[](int dimension) { return extent[dimension]; }
  constexpr bool operator==(const shape&) const = default;

  /// True if an extent counts samples.
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr bool per_sample() const {
    for (int d = 0; d < rank; ++d)
      if (extent[d] < 0) return true;
    return false;
  }

  /// Number of elements of one sample (or of the whole tensor, if no extent counts samples).
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr std::int64_t size() const {
    std::int64_t product = 1;
    for (int d = 0; d < rank; ++d) product *= extent[d] < 0 ? -extent[d] : extent[d];
    return product;
  }

  /// Number of elements at a batch of `samples`.
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr std::int64_t size_at(std::int64_t samples) const {
    return per_sample() ? size() * samples : size();
  }

  /// The same shape with the batch filled in.
  [[nodiscard]] VIVACE_HOST_DEVICE constexpr shape at(std::int32_t samples) const {
    shape result = *this;
    for (int d = 0; d < rank; ++d)
      if (extent[d] < 0) result.extent[d] = -extent[d] * samples;
    return result;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
