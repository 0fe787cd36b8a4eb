#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Four 32-bit words: a counter or a block of random bits.
struct philox_block {
  std::uint32_t word[4];
  constexpr bool operator==(const philox_block&) const = default;
};

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the random bits of a counter
/// under a key. No state, hence the same numbers in any order and on any number of threads.
VIVACE_HOST_DEVICE constexpr philox_block philox(philox_block counter, std::uint64_t key) {
  auto low = static_cast<std::uint32_t>(key);
  auto high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * counter.word[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(second >> 32) ^ counter.word[1] ^ low, static_cast<std::uint32_t>(second),
                static_cast<std::uint32_t>(first >> 32) ^ counter.word[3] ^ high, static_cast<std::uint32_t>(first)}};
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  return counter;
}

/// A stream of random numbers that is a function of its coordinates (seed, stream, substream) and an index alone.
/// Typical coordinates are (seed, layer, step).
class random_stream {
 public:
  constexpr random_stream(std::uint64_t seed, std::uint32_t stream, std::uint32_t substream = 0)
      : key_(seed), stream_(stream), substream_(substream) {}

  /// 32 random bits at a position of the stream.
  [[nodiscard]] constexpr std::uint32_t bits(std::uint64_t index) const {
    const std::uint64_t block = index / 4;
    return philox({{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream_, substream_}}, key_)
        .word[index % 4];
  }
  /// 64 random bits, from positions 2 * index and 2 * index + 1.
  [[nodiscard]] constexpr std::uint64_t bits64(std::uint64_t index) const {
    return (std::uint64_t{bits(2 * index)} << 32) | bits(2 * index + 1);
  }
  /// Uniform in [0, 1), a multiple of 2^-24: the same value in float and double.
  [[nodiscard]] constexpr double uniform(std::uint64_t index) const { return static_cast<double>(bits(index) >> 8) * 0x1p-24; }
  /// Uniform integer in [0, bound), unbiased to within 2^-64 * bound.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t index, std::uint64_t bound) const {
    __extension__ using wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<wide>(bits64(index)) * bound) >> 64);
  }

 private:
  std::uint64_t key_;
  std::uint32_t stream_, substream_;
};

}  // namespace vivace::inline VIVACE_TARGET
