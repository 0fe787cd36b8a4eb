#pragma once
#include <cuda_runtime_api.h>

#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/vendor/convolutions.hpp>
#include <vivace/kernel/vendor/products.hpp>

#if defined(__CUDACC__)
namespace vivace::inline VIVACE_TARGET::gpu {

/// Every kernel of ours: runs the phases of a work, the threads of a block meeting in between.
template <class Work>
__global__ void __launch_bounds__(Work::threads) run_work(const __grid_constant__ Work work) {
  extern __shared__ __align__(16) std::byte shared[];
  typename Work::state own{};
  const position at{blockIdx.x, threadIdx.x};
  const int phases = work.phases();
  for (int phase = 0; phase < phases; ++phase) {
    if (phase > 0) __syncthreads();
    work(phase, at, own, shared);
  }
}

/// Queues works on the stream of a device. Nothing is started while the context is sizing.
struct device_launch {
  template <class Work>
  static void run(const Work& work, std::int64_t blocks, const step_context& context) {
    const stream_context& device = stream_context::of(context);
    if (device.sizing || blocks == 0) return;
    if (blocks > 0x7fffffff)
      throw error("a kernel would need too many blocks", "cuda", std::to_string(blocks), "fewer than 2^31: a smaller batch");
    const std::size_t scratch = work.scratch();
    constexpr std::size_t granted = 48 * 1024;  // more has to be asked for
    if (scratch > granted) {  // for all launches of this kernel the same limit, since they share it
      int device_number = 0, most = 0;
      check(cudaGetDevice(&device_number));
      check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_number));
      check(cudaFuncSetAttribute(run_work<Work>, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
    }
    cudaLaunchConfig_t how{};
    how.gridDim = dim3(static_cast<unsigned>(blocks));
    how.blockDim = dim3(Work::threads);
    how.dynamicSmemBytes = scratch;
    how.stream = static_cast<cudaStream_t>(device.stream);
    check(cudaLaunchKernelEx(&how, run_work<Work>, work));
  }
  static const std::uint64_t* seed(const step_context& context) { return stream_context::of(context).seed; }
  static const std::uint32_t* step(const step_context& context) { return stream_context::of(context).step; }

  /// True if a vendor's library took the problem.
  template <class Problem>
  static bool solved_by_library(const Problem& problem, const step_context& context) {
    stream_context& device = stream_context::of(context);
    return device.vendor && vendor::solve(problem, device);
  }

 private:
  static void check(cudaError_t result) {
    if (result == cudaSuccess) return;
    cudaGetLastError();  // the failure is answered
    throw error("a kernel could not be started", "cuda", cudaGetErrorString(result),
                "a device of compute capability 8.0 or above, and code compiled for it");
  }
};

}  // namespace vivace::inline VIVACE_TARGET::gpu
#endif
