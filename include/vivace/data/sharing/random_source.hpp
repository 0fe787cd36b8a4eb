#pragma once
/// @file
/// Exact random decisions for samplers, one after another.
#include <cstdint>

#include <vivace/config.hpp>
#include <vivace/core/random.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Stream number of shared samplers; the others of data are in <vivace/data/random.hpp>.
inline constexpr std::uint32_t sharing_stream = 0xDA7A'0004;

/// Philox read from front to back. Probabilities are ratios of integers and hold exactly: a float ratio would be wrong
/// from 2^24 items on.
class random_source {
 public:
  constexpr explicit random_source(std::uint64_t seed, std::uint32_t stream = sharing_stream)
      : seed_(seed), stream_(stream) {}

  /// 32 random bits.
  constexpr std::uint32_t bits() {
    if (used_ == 4) {
      block_ =
          philox({{static_cast<std::uint32_t>(next_), static_cast<std::uint32_t>(next_ >> 32), stream_, 0}}, seed_);
      ++next_;
      used_ = 0;
    }
    return block_.word[used_++];
  }

  /// Uniform in [0, bound), without bias: Lemire, "Fast random integer generation in an interval", 2019.
  /// @param bound above zero
  constexpr std::uint64_t below(std::uint64_t bound) {
    if (bound <= 0xFFFF'FFFF) {
      std::uint64_t product = bits() * bound;
      if (static_cast<std::uint32_t>(product) < bound) {
        const std::uint64_t rejected = (std::uint64_t{1} << 32) % bound;
        while (static_cast<std::uint32_t>(product) < rejected) product = bits() * bound;
      }
      return product >> 32;
    }
    const std::uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound
    std::uint64_t word = 0;
    do {
      word = std::uint64_t{bits()} << 32;
      word |= bits();
    } while (word < rejected);
    return word % bound;
  }

  /// True with probability part / whole. @param whole above zero
  constexpr bool chance(std::uint64_t part, std::uint64_t whole) { return part >= whole || below(whole) < part; }

 private:
  std::uint64_t seed_, next_ = 0;
  std::uint32_t stream_;
  std::uint32_t used_ = 4;
  philox_block block_{};
};

}  // namespace vivace::inline VIVACE_TARGET::data
