#pragma once
#include <cstring>
#include <vector>

#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/cuda/problems.hpp>

namespace vivace::inline VIVACE_TARGET::gpu {

/// Runs works on the host, thread after thread: for tests of their logic. Threads that do not wait for each other where
/// they should show when they run backwards.
template <bool Backwards>
struct host_launch_in_order {
  template <class Work>
  static void run(const Work& work, std::int64_t blocks, const step_context&) {
    struct alignas(16) unit {
      std::byte bytes[16];
    };
    std::vector<unit> shared(work.scratch() / sizeof(unit) + 1);
    std::vector<typename Work::state> own(Work::threads);
    for (std::int64_t block = 0; block < blocks; ++block) {
      std::memset(static_cast<void*>(shared.data()), 0xff, shared.size() * sizeof(unit));  // NaN: not to be read first
      own.assign(Work::threads, typename Work::state{});
      for (int phase = 0; phase < work.phases(); ++phase)
        for (std::uint32_t each = 0; each < static_cast<std::uint32_t>(Work::threads); ++each) {
          const std::uint32_t thread = Backwards ? static_cast<std::uint32_t>(Work::threads) - 1 - each : each;
          work(phase, {static_cast<std::uint32_t>(block), thread}, own[thread], shared.data()->bytes);
        }
    }
  }
  static const std::uint64_t* seed(const step_context& context) { return &context.seed; }
  static const std::uint32_t* step(const step_context& context) { return &context.step; }
  /// No library takes a problem here.
  template <class Problem>
  static bool solved_by_library(const Problem&, const step_context&) {
    return false;
  }
};
using host_launch = host_launch_in_order<false>;

}  // namespace vivace::inline VIVACE_TARGET::gpu
