#pragma once
#include <algorithm>

#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/stretch.hpp>

/// @file
/// Operations that move elements and compute nothing.

namespace vivace::inline VIVACE_TARGET::cpu {

/// A permutation of axes, with axes merged that stay neighbours and axes of extent 1 left out.
struct permutation {
  int rank = 0;
  std::int64_t extent[max_rank]{};  ///< of each axis of the result
  std::int64_t stride[max_rank]{};  ///< in the operand
};

constexpr permutation merged_permutation(const shape& from, const shape& to, const std::int8_t* axes) {
  permutation result;
  for (int d = 0; d < to.rank; ++d) {
    if (to[d] == 1) continue;
    std::int64_t stride = 1;
    for (int s = axes[d] + 1; s < from.rank; ++s) stride *= from[s];
    const int last = result.rank - 1;
    if (last >= 0 && result.stride[last] == stride * to[d]) {
      result.extent[last] *= to[d];
      result.stride[last] = stride;
    } else {
      result.extent[result.rank] = to[d];
      result.stride[result.rank] = stride;
      ++result.rank;
    }
  }
  if (result.rank == 0) {
    result.rank = 1;
    result.extent[0] = result.stride[0] = 1;
  }
  return result;
}

/// Copies a transposed matrix by blocks: to[i * to_row + j] = from[j * from_row + i].
template <class Real>
void transpose_block(const Real* from, std::int64_t from_row, std::int64_t height, std::int64_t width, Real* to,
                     std::int64_t to_row) {
  constexpr std::int64_t block = 16;
  for (std::int64_t top = 0; top < height; top += block)
    for (std::int64_t left = 0; left < width; left += block) {
      const std::int64_t bottom = (std::min)(top + block, height);
      const std::int64_t right = (std::min)(left + block, width);
      for (std::int64_t i = top; i < bottom; ++i)
        for (std::int64_t j = left; j < right; ++j) to[i * to_row + j] = from[j * from_row + i];
    }
}

/// Axes permuted. The operand's last axis is either the result's last, then runs are copied, or another one, then the
/// two span matrices that are transposed.
template <class Real>
void transpose(const call<Real>& self, const step_context& context) {
  const permutation how = merged_permutation(self.in[0].dims, self.out.dims, self.attr->axes);
  const int last = how.rank - 1;
  int unit = last;  // the result's axis along which the operand is contiguous
  while (unit > 0 && how.stride[unit] != 1) --unit;
  std::int64_t stride[max_rank];  // of the result
  stride[last] = 1;
  for (int d = last; d > 0; --d) stride[d - 1] = stride[d] * how.extent[d];
  // Items: for each index of the other axes, strips of the unit axis.
  const std::int64_t inner = how.extent[last];
  const std::int64_t strip = unit == last ? 1 : 16;
  const std::int64_t strips = unit == last ? 1 : (how.extent[unit] + strip - 1) / strip;
  std::int64_t items = strips;
  for (int d = 0; d < last; ++d)
    if (d != unit) items *= how.extent[d];
  if (how.rank == 1) {
    for_stretches(context, inner, copy_grain, [&](std::int64_t first, std::int64_t count) {
      std::memcpy(self.out.data + first, self.in[0].data + first, static_cast<std::size_t>(count) * sizeof(Real));
    });
    return;
  }
  const std::int64_t grain = (std::max)(std::int64_t{1}, copy_grain / (inner * strip));
  for_stretches(context, items, grain, [&](std::int64_t first, std::int64_t count) {
    std::int64_t digit[max_rank]{};  // of the item's number, to be counted on: divisions cost more than short runs
    std::int64_t at_strip = first % strips, from = 0, to = 0;
    for (std::int64_t d = last - 1, rest = first / strips; d >= 0; --d) {
      if (d == unit) continue;
      digit[d] = rest % how.extent[d];
      rest /= how.extent[d];
      from += digit[d] * how.stride[d];
      to += digit[d] * stride[d];
    }
    for (; count > 0; --count) {
      const std::int64_t begin = at_strip * strip;
      if (unit == last)
        copy_run(self.in[0].data + from, inner, self.out.data + to);
      else
        transpose_block(self.in[0].data + from + begin, how.stride[last], (std::min)(strip, how.extent[unit] - begin),
                        inner, self.out.data + to + begin * stride[unit], stride[unit]);
      if (++at_strip < strips) continue;
      at_strip = 0;
      for (int d = last - 1; d >= 0; --d) {
        if (d == unit) continue;
        from += how.stride[d];
        to += stride[d];
        if (++digit[d] < how.extent[d]) break;
        from -= digit[d] * how.stride[d];
        to -= digit[d] * stride[d];
        digit[d] = 0;
      }
    }
  });
}

/// Splits a shape at an axis: elements before it, and of it with what is behind it.
struct run_split {
  std::int64_t outer = 1;
  std::int64_t run = 1;
  std::int64_t inner = 1;  ///< behind the axis alone
};

constexpr run_split runs_at(const shape& dims, int axis) {
  run_split result;
  for (int d = 0; d < dims.rank; ++d) {
    (d < axis ? result.outer : result.run) *= dims[d];
    if (d > axis) result.inner *= dims[d];
  }
  return result;
}

/// Calls body(run, begin, end) for stretches of `outer` runs of elements; a long run is cut.
template <class Body>
void for_runs(const step_context& context, std::int64_t outer, std::int64_t run, Body&& body) {
  for_stretches(context, outer * run, copy_grain, [&](std::int64_t first, std::int64_t count) {
    std::int64_t index = first / run;
    std::int64_t begin = first % run;
    while (count > 0) {
      const std::int64_t end = (std::min)(run, begin + count);
      body(index, begin, end);
      count -= end - begin;
      begin = 0;
      ++index;
    }
  });
}

/// A range of one axis.
template <class Real>
void slice(const call<Real>& self, const step_context& context) {
  const run_split from = runs_at(self.in[0].dims, self.attr->axes[0]);
  const run_split to = runs_at(self.out.dims, self.attr->axes[0]);
  const Real* source = self.in[0].data + self.attr->first * from.inner;
  for_runs(context, to.outer, to.run, [&](std::int64_t index, std::int64_t begin, std::int64_t end) {
    copy_run(source + index * from.run + begin, end - begin, self.out.data + index * to.run + begin);
  });
}

/// Zeros around a value, which fills a range of one axis.
template <class Real>
void pad(const call<Real>& self, const step_context& context) {
  const run_split from = runs_at(self.in[0].dims, self.attr->axes[0]);
  const run_split to = runs_at(self.out.dims, self.attr->axes[0]);
  const std::int64_t start = self.attr->first * to.inner;
  for_runs(context, to.outer, to.run, [&](std::int64_t index, std::int64_t begin, std::int64_t end) {
    const std::int64_t first = std::clamp(start, begin, end);
    const std::int64_t stop = std::clamp(start + from.run, begin, end);
    Real* target = self.out.data + index * to.run;
    clear_run(target + begin, first - begin);
    if (stop > first) copy_run(self.in[0].data + index * from.run + first - start, stop - first, target + first);
    clear_run(target + stop, end - stop);
  });
}

/// b after a along one axis.
template <class Real>
void concatenate(const call<Real>& self, const step_context& context) {
  const run_split left = runs_at(self.in[0].dims, self.attr->axes[0]);
  const run_split right = runs_at(self.in[1].dims, self.attr->axes[0]);
  const std::int64_t run = left.run + right.run;
  for_runs(context, left.outer, run, [&](std::int64_t index, std::int64_t begin, std::int64_t end) {
    const std::int64_t middle = std::clamp(left.run, begin, end);
    Real* target = self.out.data + index * run;
    if (middle > begin) copy_run(self.in[0].data + index * left.run + begin, middle - begin, target + begin);
    if (end > middle) copy_run(self.in[1].data + index * right.run + middle - left.run, end - middle, target + middle);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
