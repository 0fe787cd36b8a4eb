#pragma once
#include <vivace/core/policy.hpp>
#include <vivace/kernel/reference/elementwise.hpp>
#include <vivace/kernel/reference/movement.hpp>
#include <vivace/kernel/reference/products.hpp>
#include <vivace/kernel/reference/reductions.hpp>
#include <vivace/kernel/reference/rows.hpp>
#include <vivace/kernel/reference/windows.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Kernels that are slow and obviously right. Plans for them are not fused: one command, one node.
struct reference_kernels {
  static constexpr bool fused = false;

  /// The kernel of an operation that is not elementwise.
  template <op Kind, class Real>
  static constexpr kernel_function<Real> operation() {
    // clang-format off
    if constexpr (Kind == op::transpose) return reference::transpose<Real>;
    else if constexpr (Kind == op::slice) return reference::slice<Real>;
    else if constexpr (Kind == op::pad) return reference::pad<Real>;
    else if constexpr (Kind == op::concatenate) return reference::concatenate<Real>;
    else if constexpr (Kind == op::sum) return reference::sum<Real>;
    else if constexpr (Kind == op::max) return reference::max<Real>;
    else if constexpr (Kind == op::matmul) return reference::matmul<Real>;
    else if constexpr (Kind == op::conv2d) return reference::conv2d<Real>;
    else if constexpr (Kind == op::conv2d_input_gradient) return reference::conv2d_input_gradient<Real>;
    else if constexpr (Kind == op::conv2d_weight_gradient) return reference::conv2d_weight_gradient<Real>;
    else if constexpr (Kind == op::max_pool) return reference::max_pool<Real>;
    else if constexpr (Kind == op::max_pool_gradient) return reference::max_pool_gradient<Real>;
    else if constexpr (Kind == op::max_pool_pick) return reference::max_pool_pick<Real>;
    else if constexpr (Kind == op::avg_pool) return reference::avg_pool<Real>;
    else if constexpr (Kind == op::avg_pool_gradient) return reference::avg_pool_gradient<Real>;
    else if constexpr (Kind == op::softmax) return reference::softmax<Real>;
    else if constexpr (Kind == op::cross_entropy) return reference::cross_entropy<Real>;
    else if constexpr (Kind == op::cross_entropy_gradient) return reference::cross_entropy_gradient<Real>;
    else if constexpr (Kind == op::take_rows) return reference::take_rows<Real>;
    else if constexpr (Kind == op::add_rows) return reference::add_rows<Real>;
    else return nullptr;
    // clang-format on
  }
  /// The kernel of an elementwise operation.
  template <op Kind, class Real>
  static constexpr elementwise_function<Real> elementwise() {
    return reference::elementwise<Kind, Real>;
  }
  /// Elements of scratch memory that a command wants.
  static constexpr std::int64_t workspace(const command&, std::int32_t) { return 0; }
};

/// Policy: the reference kernels in place of the fast ones, to tell a wrong kernel from a wrong model.
struct plain_kernels {
  using family = kernels_family;
  using table = reference_kernels;
  bool operator==(const plain_kernels&) const = default;
};

}  // namespace vivace::inline VIVACE_TARGET
