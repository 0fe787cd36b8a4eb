#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::kernel::tuning {

/// Channels on either side from which Winograd's algorithm is used: with fewer the transforms cost more than they save.
inline constexpr int winograd_channels = 16;
/// Products saved by it, at least: 4 if the tiles cover the result exactly, less if they overlap its border.
inline constexpr double winograd_saving = 2;
/// Tiles times channels of a block, whose values at the points of one side take 36 times as much memory; tiles at
/// least.
inline constexpr int winograd_block = 2304, winograd_tiles = 32;
/// Tasks that the blocks of a batch are dealt to, at most.
inline constexpr int winograd_tasks = 32;
/// Partial sums of a weight gradient: elements of all together, about, and their number at least and at most.
inline constexpr std::int64_t winograd_sums = 600'000;
inline constexpr int winograd_least_parts = 4, winograd_most_parts = 16;
/// Products of channels up to which a weight gradient is summed at the points: above, its sums leave the cache.
inline constexpr std::int64_t winograd_weights = 128 * 128;

}  // namespace vivace::inline VIVACE_TARGET::kernel::tuning
