#pragma once
#include <vivace/kernel/cuda/movement.hpp>
#include <vivace/kernel/cuda/products.hpp>
#include <vivace/kernel/cuda/reductions.hpp>
#include <vivace/kernel/cuda/rows.hpp>
#include <vivace/kernel/cuda/windows.hpp>

namespace vivace::inline VIVACE_TARGET::gpu {

/// The launcher of an operation that is not elementwise: it queues kernels, and returns.
template <op Kind, class Launch, class Real>
constexpr kernel_function<Real> launcher() {
  // clang-format off
  if constexpr (Kind == op::transpose) return transpose<Launch, Real>;
  else if constexpr (Kind == op::slice) return slice<Launch, Real>;
  else if constexpr (Kind == op::pad) return pad<Launch, Real>;
  else if constexpr (Kind == op::concatenate) return concatenate<Launch, Real>;
  else if constexpr (Kind == op::sum) return sum<Launch, Real>;
  else if constexpr (Kind == op::max) return max<Launch, Real>;
  else if constexpr (Kind == op::matmul) return matmul<Launch, Real>;
  else if constexpr (Kind == op::conv2d || Kind == op::conv2d_input_gradient || Kind == op::conv2d_weight_gradient) return convolution<Launch, Kind, Real>;
  else if constexpr (Kind == op::max_pool) return max_pool<Launch, Real>;
  else if constexpr (Kind == op::max_pool_gradient) return max_pool_gradient<Launch, Real>;
  else if constexpr (Kind == op::max_pool_pick) return max_pool_pick<Launch, Real>;
  else if constexpr (Kind == op::avg_pool) return avg_pool<Launch, Real>;
  else if constexpr (Kind == op::avg_pool_gradient) return avg_pool_gradient<Launch, Real>;
  else if constexpr (Kind == op::softmax) return softmax<Launch, Real>;
  else if constexpr (Kind == op::cross_entropy) return cross_entropy<Launch, Real>;
  else if constexpr (Kind == op::cross_entropy_gradient) return cross_entropy_gradient<Launch, Real>;
  else if constexpr (Kind == op::take_rows) return take_rows<Launch, Real>;
  else if constexpr (Kind == op::add_rows) return add_rows<Launch, Real>;
  else {
    static_assert(has_no_kernel<Kind>, "vivace: an operation has no kernel for devices; it is named in the template arguments of launcher");
    return nullptr;
  }
  // clang-format on
}

template <class Launch, class Real>
constexpr launcher_table<Real> all_launchers() {
  launcher_table<Real> table;
  [&]<int... Index>(std::integer_sequence<int, Index...>) {
    ((table.operation[Index] = launcher<static_cast<op>(Index), Launch, Real>()), ...);
  }(std::make_integer_sequence<int, op_count>{});
  table.lone_program = run_program_alone<Launch, Real>;
  return table;
}

/// A set of kernels: everything as `Launch` runs it.
template <class Launch>
struct kernels_by {
  static constexpr bool fused = true;
  using narrow_products = kernels_by;
  static constexpr std::int32_t memory_rest = device_memory_rest;
  template <op Kind, class Real>
  static constexpr kernel_function<Real> operation() {
    return launcher<Kind, Launch, Real>();
  }
  template <op, class Real>
  static constexpr elementwise_function<Real> elementwise() {
    return nullptr;  // programs run as a whole
  }
  template <class Real>
  static constexpr kernel_function<Real> lone_program() {
    return run_program_alone<Launch, Real>;
  }
  static constexpr std::int64_t workspace(const command& from, std::int32_t samples) {
    return device_workspace(from, samples);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::gpu
