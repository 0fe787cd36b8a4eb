#pragma once
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel::tuning {

/// Sizes of products with few columns: accumulators fill the register file.
template <class Real>
struct few_columns {
  /// Columns at most: with more, they fill enough lanes of vectors.
  static constexpr int most = 10;
  /// Depth at most: so much of B is packed on the stack.
  static constexpr int depth = 2048;
  /// Tile with lanes along the depth.
  static constexpr int dot_rows = 5;
  static constexpr int dot_columns = VIVACE_VECTOR_BYTES == 64 ? 5 : 2;
  /// Rows whose sums are added up at once.
  static constexpr int dot_block = 20;
  /// The same of a single column.
  static constexpr int column_rows = 4;
  static constexpr int column_block = 4 * lanes<Real>;
  /// Tiles with lanes along the rows have 5 or 10 columns, so many sums, and so many rows at most.
  static constexpr int sums = VIVACE_VECTOR_BYTES == 64 ? 20 : 10;
  static constexpr int lane_rows = sums / 5 * lanes<Real>;
  /// Rows of a task at most, and tasks where there are enough rows.
  static constexpr int block = 4 * 64;
  static constexpr int tasks = 6;
  static constexpr int packed = depth * most;
};

}  // namespace vivace::inline VIVACE_TARGET::kernel::tuning
