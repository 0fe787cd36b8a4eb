#pragma once
/// @file
/// Where the randomness of data comes from: streams of their own, so that no layer shares them.
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <vivace/config.hpp>
#include <vivace/core/random.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Stream numbers of random_stream that belong to data; layers count from zero and stay far below.
inline constexpr std::uint32_t shuffle_stream = 0xDA7A'0001, split_stream = 0xDA7A'0002, shapes_stream = 0xDA7A'0003,
                               transform_stream = 0xDA7A'1000;

/// Puts indices into random order: the shuffle of Fisher and Yates, from the last position to the first, where
/// position i is exchanged with position `stream.below(i, i + 1)`.
inline void shuffle(std::span<std::uint32_t> indices, const random_stream& stream) {
  for (std::size_t i = indices.size(); i-- > 1;) std::swap(indices[i], indices[stream.below(i, i + 1)]);
}

/// What the randomness of a transform may depend on: nothing but this.
struct sample_key {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t sample = 0;     ///< index in the source, not in the shuffled order
  std::uint32_t transform = 0;  ///< place in a chain of transforms

  /// Uniform in [0, 1), the same for the same key and number.
  [[nodiscard]] constexpr double uniform(std::uint32_t number) const { return stream().uniform(2 * index(number)); }
  /// Uniform integer in [0, bound).
  [[nodiscard]] constexpr std::uint64_t below(std::uint32_t number, std::uint64_t bound) const {
    return stream().below(index(number), bound);
  }

 private:
  [[nodiscard]] constexpr random_stream stream() const { return {seed, transform_stream + transform, epoch}; }
  [[nodiscard]] constexpr std::uint64_t index(std::uint32_t number) const {
    return std::uint64_t{sample} << 31 | number;
  }
};

}  // namespace vivace::inline VIVACE_TARGET::data
