#pragma once
#include <vivace/core/policy.hpp>
#include <vivace/kernel/cuda/table.hpp>

namespace vivace::inline VIVACE_TARGET {

namespace gpu {

/// The launchers of the device's kernels. Defined by <vivace/kernel/cuda/library.hpp>, which one file of a program, a
/// .cu file, includes; without it the linker says that this is missing.
template <class Real>
const launcher_table<Real>& device_launchers();

template <op Kind, class Real>
void start(const call<Real>& self, const step_context& context) {
  device_launchers<Real>().operation[static_cast<int>(Kind)](self, context);
}
template <class Real>
void start_program(const call<Real>& self, const step_context& context) {
  device_launchers<Real>().lone_program(self, context);
}

}  // namespace gpu

/// Kernels of a CUDA device. A set of one's own derives from it and replaces what it does otherwise: a function that
/// takes a call, queues kernels on the stream of gpu::stream_context, and returns.
struct cuda_kernels {
  static constexpr bool fused = true;
  using narrow_products = cuda_kernels;  ///< operands of products may be of bfloat16
  static constexpr std::int32_t memory_rest = gpu::device_memory_rest;

  /// What starts an operation that is not elementwise.
  template <op Kind, class Real>
  static constexpr kernel_function<Real> operation() {
    if constexpr (gpu::has_no_kernel<Kind>)
      return nullptr;
    else
      return gpu::start<Kind, Real>;
  }
  /// Elementwise operations are interpreted by the kernel of their program.
  template <op, class Real>
  static constexpr elementwise_function<Real> elementwise() {
    return nullptr;
  }
  /// What starts a program that stands alone.
  template <class Real>
  static constexpr kernel_function<Real> lone_program() {
    return gpu::start_program<Real>;
  }
  /// Elements of scratch memory that a command wants at a batch of `samples`.
  static constexpr std::int64_t workspace(const command& from, std::int32_t samples) {
    return gpu::device_workspace(from, samples);
  }
};

/// Policy of kernels: those of a CUDA device. What goes with the executor cuda{}, unless another is given.
struct device_kernels {
  using family = kernels_family;
  using table = cuda_kernels;
  bool operator==(const device_kernels&) const = default;
};

}  // namespace vivace::inline VIVACE_TARGET
