#pragma once
#include <cstdint>

#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// The one inner loop under matrix products and convolutions: out[i, j] = sum over runs and steps of a[i] * b[j].
///
/// `a` gives one element for each row, `b` one vector for each group of lanes. Both advance by a fixed step inside a
/// run; a run begins at the offsets that the tables name. A matrix product is one run; a convolution has a run for each
/// tap (or, for its weight gradient, for each line of the image), which is how it reads its image without unfolding it.
template <class Real>
struct tile {
  const Real* a[tuning::gemm<Real>::rows];
  const Real* b[tuning::gemm<Real>::vectors];
  std::int64_t a_step, b_step;
  std::int64_t steps;
  std::int64_t runs = 1;
  const std::int64_t* a_run = nullptr;  // offsets by run; may be null for a single run
  const std::int64_t* b_run = nullptr;
  std::int64_t place[tuning::gemm<Real>::vectors] = {};  // where each vector's columns go in a row of the output
};

/// Computes a tile of rows x (Vectors * lanes) elements at out, or adds it to what is there. Vector j of row i goes to
/// out + i * out_row + place[j].
template <class Real, int Vectors>
[[gnu::noinline]] void multiply_tile(const tile<Real>& work, Real* out, std::int64_t out_row, bool add) {
  constexpr int rows = tuning::gemm<Real>::rows;
  const Real* a[rows];
  const Real* b[Vectors];
  for (int row = 0; row < rows; ++row) a[row] = work.a[row];
  for (int j = 0; j < Vectors; ++j) b[j] = work.b[j];
  vector<Real> sum[rows][Vectors] = {};
  std::int64_t place[Vectors];
  for (int j = 0; j < Vectors; ++j) place[j] = work.place[j];
  // The output is often cold: ask for its lines now, the sums take longer than they do to come.
  for (int row = 0; row < rows; ++row)
    for (int j = 0; j < Vectors; ++j) __builtin_prefetch(out + row * out_row + place[j], 1);
  const std::int64_t a_step = work.a_step, b_step = work.b_step;
  for (std::int64_t run = 0; run < work.runs; ++run) {
    std::int64_t at_a = work.a_run == nullptr ? 0 : work.a_run[run];
    std::int64_t at_b = work.b_run == nullptr ? 0 : work.b_run[run];
    for (std::int64_t step = work.steps; step > 0; --step) {
      vector<Real> right[Vectors];
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) right[j] = load(b[j] + at_b);
#pragma GCC unroll 8
      for (int row = 0; row < rows; ++row) {
        const vector<Real> left = broadcast(a[row][at_a]);
#pragma GCC unroll 4
        for (int j = 0; j < Vectors; ++j) sum[row][j] = left * right[j] + sum[row][j];
      }
      at_a += a_step;
      at_b += b_step;
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      Real* to = out + row * out_row + place[j];
      store(to, add ? load(to) + sum[row][j] : sum[row][j]);
    }
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
