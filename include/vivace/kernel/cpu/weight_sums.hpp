#pragma once
#include <algorithm>
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/tuning/conv.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Partial sums of a weight gradient: [part][group][inner][width], of which `out` columns count.
template <class Real>
struct weight_sums {
  const Real* first;
  std::int64_t part;  // from one to the next
  int parts;
  std::int64_t group;
  int groups, inner, out, width;
};

/// Adds the parts in order, a few rows at a time, and turns them: dw is [group][out][inner].
template <class Real>
void add_weight_sums(const weight_sums<Real>& from, Real* dw, const epilogue<Real>* finish, const parallel& run) {
  const int wide = (std::min)(from.width, tuning::conv_stretch / 64), rows = tuning::conv_stretch / wide;
  const int cuts = (from.inner + rows - 1) / rows, across = (from.width + wide - 1) / wide;
  run(std::int64_t{cuts} * across * from.groups, [&](std::int64_t task) {
    alignas(64) Real held[tuning::conv_stretch];
    alignas(64) Real turned[tuning::conv_stretch];
    const std::int64_t group = task / cuts / across;
    const int begin = static_cast<int>(task % cuts) * rows, count = (std::min)(rows, from.inner - begin);
    const int column = static_cast<int>(task / cuts % across) * wide, channels = (std::min)(wide, from.out - column);
    const Real* const sums = from.first + group * from.group + std::int64_t{begin} * from.width + column;
    for (int row = 0; row < count; ++row)
      for (int at = 0; at < channels; at += lanes<Real>) {
        vector<Real> sum = load(sums + std::int64_t{row} * from.width + at);
        for (int part = 1; part < from.parts; ++part)
          sum += load(sums + part * from.part + std::int64_t{row} * from.width + at);
        store(held + row * wide + at, sum);
      }
    const std::int64_t first = (group * from.out + column) * from.inner + begin;
    transpose(held, wide, finish != nullptr ? turned : dw + first, finish != nullptr ? count : from.inner, count,
              channels);
    if (finish != nullptr) (*finish)(first, channels, from.inner, count, turned);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
