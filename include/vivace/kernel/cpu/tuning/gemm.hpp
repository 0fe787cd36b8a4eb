#pragma once
#include <cstdint>

#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel::tuning {

/// Sizes of the matrix product, chosen so that a tile's accumulators fill the register file, a panel of B stays in the
/// first-level cache and a block of A in the second. Changing them changes speed and rounding, never correctness.
template <class Real>
struct gemm {
  /// Tile: rows (broadcast side) by vectors (register side). 8 x 3 of 32 registers, 4 x 3 or 4 x 2 of 16.
  static constexpr int rows = VIVACE_VECTOR_BYTES == 64 ? 8 : 4;
  static constexpr int vectors = VIVACE_VECTOR_BYTES == 16 ? 2 : 3;
  static constexpr int columns = vectors * lanes<Real>;
  /// Rows of a second tile, for convolutions with few channels.
  static constexpr int few_rows = VIVACE_VECTOR_BYTES == 64 ? 6 : rows;
  /// Depth of a packed panel.
  static constexpr int depth = 512 / int{sizeof(Real)};
  /// Rows of a block at most; a multiple of every tile height.
  static constexpr int block_rows = 240;
  /// Panels of a block at most.
  static constexpr int block_panels = 4;
  /// Elements of a block at most: 96 KiB.
  static constexpr int block_elements = 96 * 1024 / int{sizeof(Real)};
};

/// Multiply-adds below which a product runs on the calling thread: waking another costs more.
inline constexpr std::int64_t gemm_serial = 200'000;
/// Elements up to which a product on the calling thread is one block.
inline constexpr int gemm_one_block = 4096;
/// Blocks that a product should fall into where its size allows.
inline constexpr int gemm_blocks = 6;
/// Elements of A that are read column by column where they lie.
inline constexpr int gemm_in_place = 8192;
/// Elements of B that stay in the second-level cache beside all else.
template <class Real>
inline constexpr std::int64_t gemm_cached = 384 * 1024 / std::int64_t{sizeof(Real)};
/// Blocks of whole rows: their number at least, and the rows of each, as fewer do not pay for packing all of B.
inline constexpr int gemm_whole_blocks = 4;
inline constexpr int gemm_whole_rows = 32;
/// Depth from which a product with few blocks is cut along its depth, and the least depth of a part.
inline constexpr int gemm_split_depth = 1024;
/// Parts at most.
inline constexpr int gemm_split_parts = 16;

}  // namespace vivace::inline VIVACE_TARGET::kernel::tuning
