#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/tuning/few_columns.hpp>
#include <vivace/kernel/cpu/vector.hpp>

/// @file
/// Products C = A B with a few columns, such as the scores of ten classes. With columns in the lanes of vectors most
/// lanes would be empty, so that lanes are steps of the sums here, where rows of A lie in a row, and rows of C, where
/// columns of A do.

namespace vivace::inline VIVACE_TARGET::kernel::few_columns {

/// What such a product reads.
template <class Real>
struct operands {
  int n, k;
  const Real* a;
  std::int64_t a_row, a_column;
  const Real* b;
  std::int64_t b_row, b_column;
};

/// Lane i: the sum of all lanes of from[i], halves last.
template <class Real, int Count = lanes<Real>>
[[gnu::always_inline]] inline vector<Real> sums_of_lanes(const vector<Real>* from) {
  if constexpr (Count == 1) {
    return from[0];
  } else {
    vector<Real> half[Count / 2];
    constexpr auto all = std::make_integer_sequence<int, lanes<Real>>{};
    constexpr int stage = lanes<Real> / Count;  // lanes that differ in this bit hold sums of neighbours
#pragma GCC unroll 8
    for (int i = 0; i < Count / 2; ++i)
      half[i] = detail::neighbours<stage, false>(from[2 * i], from[2 * i + 1], all) +
                detail::neighbours<stage, true>(from[2 * i], from[2 * i + 1], all);
    return sums_of_lanes<Real, Count / 2>(half);
  }
}

/// Sums of products of rows of A with columns of B, by lanes: to[row * of.n + column].
/// @tparam Rows and Columns of a tile
/// @param first row of A, of `rows`: Rows at least
/// @param turned columns of B, b_column elements apart, the first of Columns
/// @param valid columns that there are, if fewer
template <int Rows, int Columns, class Real>
[[gnu::noinline]] void multiply_by_depth(const operands<Real>& of, int first, int rows, const Real* turned,
                                         std::int64_t b_column, int valid, vector<Real>* to) {
  const Real* b[Columns];
#pragma GCC unroll 8
  for (int c = 0; c < Columns; ++c) {
    b[c] = turned + (std::min)(c, valid - 1) * b_column;
    asm("" : "+r"(b[c]));  // one by one: as a vector they would have to be taken apart again
  }
  integer_vector<Real> number{};
  for (int lane = 0; lane < lanes<Real>; ++lane) number[lane] = lane;
  const std::int64_t k = of.k, whole = k / lanes<Real> * lanes<Real>;
  const integer_vector<Real> rest =
      number >= static_cast<int>(lanes<Real> - (k - whole));  // behind the last whole vector
  for (int row = 0; row < rows; row += Rows) {
    const int at = (std::min)(row, rows - Rows);  // the last rows may be computed twice
    const Real* a[Rows];
    a[0] = of.a + (first + at) * of.a_row;
#pragma GCC unroll 8
    for (int r = 1; r < Rows; ++r) {
      a[r] = a[r - 1] + of.a_row;
      asm("" : "+r"(a[r]));
    }
    vector<Real> sum[Rows][Columns] = {};
    const auto step = [&](auto&& value) __attribute__((always_inline)) {
      vector<Real> right[Columns];
#pragma GCC unroll 8
      for (int c = 0; c < Columns; ++c) right[c] = value(b[c]);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const vector<Real> left = value(a[r]);
#pragma GCC unroll 8
        for (int c = 0; c < Columns; ++c) sum[r][c] = left * right[c] + sum[r][c];
      }
    };
    for (std::int64_t d = 0; d < whole; d += lanes<Real>)
      step([&](const Real* from) __attribute__((always_inline)) { return load(from + d); });
    if (whole < k)
      step([&](const Real* from) __attribute__((always_inline)) {
        return bits<vector<Real>>(bits<integer_vector<Real>>(load(from + k - lanes<Real>)) & rest);
      });
    vector<Real>* const out = to + at * of.n;
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < Columns; ++c)
        if (c < valid) out[r * of.n + c] = sum[r][c];
  }
}

/// Rows [first, end) of C, at least size::dot_rows, one behind the other, with lanes along the depth.
/// @param turned columns of B, b_column elements apart
template <class Real>
void rows_by_depth(const operands<Real>& of, const Real* turned, std::int64_t b_column, int first, int end, Real* to) {
  using size = tuning::few_columns<Real>;
  vector<Real> sums[size::dot_block * size::most + lanes<Real>];
  const int most = of.n == 1 ? size::column_block : size::dot_block;
  // Divisions would take longer than the sums of a small product.
  for (int chunks = end - first <= most ? 1 : (end - first + most - 1) / most; chunks > 0; --chunks) {
    // Even, lest the last has fewer than a tile.
    const int rows = chunks == 1 ? end - first : (end - first) / chunks, count = rows * of.n;
    if (of.n == 1) multiply_by_depth<size::column_rows, 1>(of, first, rows, turned, b_column, 1, sums);
    for (int column = 0; column < of.n && of.n > 1; column += size::dot_columns)
      multiply_by_depth<size::dot_rows, size::dot_columns>(of, first, rows, turned + column * b_column, b_column,
                                                           (std::min)(of.n - column, size::dot_columns), sums + column);
    for (int i = count; i % lanes<Real> != 0; ++i) sums[i] = vector<Real>{};
    for (int i = 0; i < count; i += lanes<Real>) {
      const vector<Real> total = sums_of_lanes<Real>(sums + i);
      if (count - i >= lanes<Real>)
        store(to + i, total);
      else
        store(to + i, total, count - i);
    }
    to += count;
    first += rows;
  }
}

/// Rows of C, as many as its vectors have lanes, turned: to[column * rows + row].
/// @param steps of B: Columns elements for each, one behind the other
template <int Columns, class Real>
[[gnu::noinline]] void multiply_by_rows(const Real* a, std::int64_t a_column, const Real* steps, int k, Real* to) {
  constexpr int vectors = tuning::few_columns<Real>::sums / Columns, rows = vectors * lanes<Real>;
  vector<Real> sum[Columns][vectors] = {};
  for (int d = 0; d < k; ++d, a += a_column, steps += Columns) {
    vector<Real> left[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) left[v] = load(a + v * lanes<Real>);
#pragma GCC unroll 10
    for (int c = 0; c < Columns; ++c) {
      const vector<Real> right = broadcast(steps[c]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[c][v] = left[v] * right + sum[c][v];
    }
  }
#pragma GCC unroll 10
  for (int c = 0; c < Columns; ++c)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) store(to + c * rows + v * lanes<Real>, sum[c][v]);
}

/// Rows [first, end) of C, one behind the other, with lanes along the rows; at least as many as a tile has.
template <int Columns, class Real>
void rows_by_rows(const operands<Real>& of, const Real* steps, int first, int end, Real* to) {
  constexpr int rows = tuning::few_columns<Real>::sums / Columns * lanes<Real>;
  alignas(64) Real turned[Columns * rows];
  for (int row = first; row < end; row += rows) {
    const int at = (std::min)(row, end - rows);  // the last rows may be computed twice
    multiply_by_rows<Columns>(of.a + at, of.a_column, steps, of.k, turned);
    transpose(turned, rows, to + std::int64_t{at - first} * of.n, of.n, of.n, rows);
  }
}

/// Whether a product is made here.
template <class Real>
constexpr bool serves(int m, int n, int k, std::int64_t a_row, std::int64_t a_column) {
  using size = tuning::few_columns<Real>;
  if (n > size::most || k < lanes<Real> || k > size::depth) return false;
  if (n == 1 && a_column != 1) return false;  // columns of A are summed as rows of the transposed product
  return (a_column == 1 && m >= size::dot_rows) || (a_row == 1 && m >= size::lane_rows);
}

/// Calls finish(first row, rows, values) for all rows of C, in tasks whose number the sizes decide.
template <class Real, class Finish>
void multiply(int m, const operands<Real>& of, const parallel& run, Finish&& finish) {
  using size = tuning::few_columns<Real>;
  const bool by_depth = of.a_column == 1;
  alignas(64) Real packed[size::packed];
  const int columns = of.n > 5 ? 10 : 5;
  const std::int64_t b_column = of.b_row == 1 ? of.b_column : of.k;
  const Real* b = of.b;
  if (by_depth && of.b_row != 1) {
    pack(packed, of.k, of.b, of.b_row, of.b_column, of.n, of.k);
    b = packed;
  } else if (!by_depth) {
    pack(packed, columns, of.b, of.b_column, of.b_row, of.k, of.n);
    b = packed;
  }
  const int least = by_depth ? size::dot_block : size::lane_rows;
  const int tasks = (std::max)({1, (m + size::block - 1) / size::block, (std::min)(size::tasks, m / least)});
  run(tasks, [&](std::int64_t task) {
    alignas(64) Real held[size::block * size::most];
    const int first = tasks == 1 ? 0 : static_cast<int>(task * m / tasks);
    const int end = tasks == 1 ? m : static_cast<int>((task + 1) * m / tasks);
    if (by_depth)
      rows_by_depth(of, b, b_column, first, end, held);
    else if (columns == 5)
      rows_by_rows<5>(of, b, first, end, held);
    else
      rows_by_rows<10>(of, b, first, end, held);
    finish(first, end - first, held);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::kernel::few_columns
