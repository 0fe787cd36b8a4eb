#pragma once
#include <algorithm>

#include <vivace/kernel/cuda/index.hpp>
#include <vivace/kernel/cuda/launch.hpp>

/// @file
/// What a program needs to know of the device's kernels to plan for them, without any of their code.

namespace vivace::inline VIVACE_TARGET::gpu {

/// A reduction taken apart: element r of result q lies at kept.offset(q) + reduced.offset(r).
struct reduction {
  strided_index kept{}, reduced{};
  std::int64_t results = 1;
  std::int64_t count = 1;  ///< elements of each result
  bool by_thread = false;  ///< a thread makes a part; otherwise a block does
  std::int64_t parts = 1;  ///< of each result
  [[nodiscard]] constexpr std::int64_t per_part() const { return blocks_of(count, parts); }
};

/// Threads of a block that makes a part, and how often their number is halved to 1.
inline constexpr int reduction_threads = 128, halvings = 7;
static_assert(reduction_threads == 1 << halvings);
/// Elements of a part at least, of a thread and of a block.
inline constexpr std::int64_t thread_part = 64, block_part = 32 * reduction_threads;
/// Parts of a result at most; few results may have more, until there are so many parts by threads, or by blocks.
inline constexpr std::int64_t most_parts = 64, thread_parts = 32768, block_parts = 1024;

/// How `from` becomes `to`. Neighbours in memory are read side by side: by threads that make neighbouring results if
/// the innermost axis is kept, by threads of one result otherwise.
constexpr reduction reduction_of(const shape& from, const shape& to) {
  reduction work;
  bool innermost_kept = false;
  const pattern axes = spread_pattern(to, from);  // reduced axes are repeated
  std::int64_t strides[max_rank]{};
  std::int64_t stride = 1;
  for (int d = axes.rank - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= axes.extent[d];
  }
  for (int d = 0; d < axes.rank; ++d) {
    if (axes.repeated[d]) {
      work.reduced.add_axis(axes.extent[d], strides[d]);
      work.count *= axes.extent[d];
    } else {
      work.kept.add_axis(axes.extent[d], strides[d]);
      work.results *= axes.extent[d];
    }
    innermost_kept = !axes.repeated[d];
  }
  work.by_thread = innermost_kept || work.count <= thread_part / 4;
  const std::int64_t most = (std::max)(most_parts, (work.by_thread ? thread_parts : block_parts) / work.results);
  work.parts =
      (std::max)(std::int64_t{1}, (std::min)(most, work.count / (work.by_thread ? thread_part : block_part)));
  return work;
}

/// Elements of scratch memory that a reduction wants, for that many samples or fewer: parts may be more of fewer results.
constexpr std::int64_t reduction_workspace(const shape& from, const shape& to) {
  const reduction work = reduction_of(from, to);
  if (work.parts == 1) return 0;
  return (std::min)((std::max)(most_parts * work.results, work.by_thread ? thread_parts : block_parts),
                    work.results * work.count / (work.by_thread ? thread_part : block_part));
}

/// True of operations that name memory or come from outside, or that programs run: they have no kernel of their own.
template <op Kind>
inline constexpr bool has_no_kernel = !runs(Kind) || is_elementwise(Kind);

/// Elements of scratch memory that a command wants on a device at a batch of `samples`.
constexpr std::int64_t device_workspace(const command& from, std::int32_t samples) {
  if (from.kind == op::sum || from.kind == op::max)
    return reduction_workspace(from.in[0].dims.at(samples), from.out.dims.at(samples));
  if (!takes_epilogue(from.kind)) return 0;
  const std::int64_t size = from.out.dims.size_at(samples);
  // A product whose values the program takes has to leave them somewhere, a convolution what a library makes of bfloat16.
  if (from.out.at.where == space::none) return size;
  return from.in[0].narrow && from.kind != op::matmul ? (size + 1) / 2 : 0;
}

/// Commands that memory is left alone for before it is used again. Where it is used at once, a step's commands wait for
/// each other: 18 of the MLP then have 13 in a row, with this 8, of 299 of the small GPT 229 and 179.
inline constexpr std::int32_t device_memory_rest = 8;

/// The launchers of all operations, as they cross from the file that nvcc compiles to the rest of a program.
template <class Real>
struct launcher_table {
  kernel_function<Real> operation[op_count]{};
  kernel_function<Real> lone_program = nullptr;  ///< of a program that stands alone
};
}  // namespace vivace::inline VIVACE_TARGET::gpu
