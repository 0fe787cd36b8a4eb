#pragma once
#include <cstdint>

#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// The one inner loop under matrix products and convolutions: out[i, j] = sum
/// over runs and steps of a[i] * b[j].
///
/// `a` gives one element for each row, `b` vectors one behind the other.
/// Both advance by a fixed step inside a run and from run to run; or `b` lies
/// at the offsets that a table names for each step, which is how a convolution
/// reads its image without unfolding it, and `a` is packed: a[0] points to the
/// elements of the first step, one row behind the other, then of the next.
template <class Real>
struct tile {
  const Real* a[tuning::gemm<Real>::rows];
  const Real* b;
  std::int64_t a_step, b_step;
  std::int64_t steps;
  std::int64_t runs = 1;
  std::int64_t a_run = 0, b_run = 0;
  const std::int32_t* table = nullptr;  // offsets of b by step
  std::int64_t b_vector = lanes<Real>;  // with a table: from one vector of b to the next
  // With a table: what to fetch meanwhile, so many bytes at each step; in one go it would fill the queue of loads.
  const char* ahead = nullptr;
  std::int64_t ahead_step = 0;
};

/// Computes a tile of rows x (Vectors * lanes) elements at out, or adds it to what is there.
/// @tparam Rows of the tile; the elements of a step lie as far apart as in the whole one
/// @tparam Keep the vectors of b are copied, one behind the other, for the tiles below: so packing them costs no pass
template <class Real, int Vectors, bool Table, bool Keep = false, int Rows = tuning::gemm<Real>::rows>
[[gnu::noinline]] void multiply_tile(const tile<Real>& work, Real* out, std::int64_t out_row, bool add,
                                     [[maybe_unused]] Real* kept = nullptr) {
  constexpr int rows = Rows;
  const Real* a[rows];
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row) {
    a[row] = work.a[row];
    asm("" : "+r"(a[row]));  // one by one, as they were written: a vector of them would wait for memory
  }
  vector<Real> sum[rows][Vectors] = {};
  // The output is often cold: ask for its lines now, the sums take longer than they do to come.
  const Real* line = out;
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row) {
    asm("" : "+r"(line));  // not kept until the end, for which there are no registers
    for (int j = 0; j < Vectors; ++j) __builtin_prefetch(line + j * lanes<Real>, 1);
    if (row + 1 < rows) line += out_row;
  }
  const std::int64_t a_step = Table ? tuning::gemm<Real>::rows : work.a_step, b_step = work.b_step;
  [[maybe_unused]] const char* ahead = work.ahead != nullptr ? work.ahead : reinterpret_cast<const char*>(a[0]);
  for (std::int64_t run = 0; run < work.runs; ++run) {
    std::int64_t at_a = run * work.a_run;
    const Real* b = work.b + run * work.b_run;
    const std::int32_t* table = work.table;
    for (std::int64_t step = work.steps; step > 0; --step) {
      if constexpr (Table) {
        b = work.b + *table++;
        __builtin_prefetch(ahead, 0, 2);
        ahead += work.ahead_step;
      }
      vector<Real> right[Vectors];
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) right[j] = load(b + j * (Table ? work.b_vector : lanes<Real>));
      if constexpr (Keep) {
#pragma GCC unroll 4
        for (int j = 0; j < Vectors; ++j) store(kept + j * lanes<Real>, right[j]);
        kept += Vectors * lanes<Real>;
      }
#pragma GCC unroll 8
      for (int row = 0; row < rows; ++row) {
        const vector<Real> left = broadcast(Table ? a[0][at_a + row] : a[row][at_a]);
#pragma GCC unroll 4
        for (int j = 0; j < Vectors; ++j) sum[row][j] = left * right[j] + sum[row][j];
      }
      at_a += a_step;
      asm("" : "+r"(at_a));
      if constexpr (!Table) b += b_step;
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row) {
    asm("" : "+r"(out));
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      Real* to = out + j * lanes<Real>;
      store(to, add ? load(to) + sum[row][j] : sum[row][j]);
    }
    if (row + 1 < rows) out += out_row;
  }
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
