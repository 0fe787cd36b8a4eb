#pragma once
#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/index.hpp>
#include <vivace/kernel/cuda/launch.hpp>

namespace vivace::inline VIVACE_TARGET::gpu {

/// The kernel of a function of an index: a thread an element.
template <class Function>
struct each_work {
  static constexpr int threads = 256;
  using state = nothing;
  Function function;
  std::uint32_t count = 0;

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 1; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const { return 0; }
  VIVACE_HOST_DEVICE void operator()(int, position at, state&, std::byte*) const {
    const std::uint32_t index = at.block * threads + at.thread;
    if (index < count) function(index);
  }
};

/// Calls function(index), which is `__host__ __device__`, for every index below `count`.
/// @throws error if there are too many elements for 32-bit indices
template <class Launch, class Function>
void for_each(const Function& function, std::int64_t count, const step_context& context) {
  if (count >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda", std::to_string(count) + " elements",
                "fewer than 2^31: a smaller batch");
  using work = each_work<Function>;
  Launch::run(work{function, static_cast<std::uint32_t>(count)}, blocks_of(count, work::threads), context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
