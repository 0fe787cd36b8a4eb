#pragma once
#include <vivace/core/policy.hpp>
#include <vivace/kernel/cpu/compiled_program.hpp>
#include <vivace/kernel/cpu/elementwise.hpp>
#include <vivace/kernel/cpu/movement.hpp>
#include <vivace/kernel/cpu/products.hpp>
#include <vivace/kernel/cpu/reductions.hpp>
#include <vivace/kernel/cpu/rows.hpp>
#include <vivace/kernel/cpu/windows.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The fast kernels for CPUs: explicit vectors, blocked products, fused programs, tasks split by size alone.
struct cpu_kernels {
  static constexpr bool fused = true;

  /// The kernel of an operation that is not elementwise.
  template <op Kind, class Real>
  static constexpr kernel_function<Real> operation() {
    // clang-format off
    if constexpr (Kind == op::transpose) return cpu::transpose<Real>;
    else if constexpr (Kind == op::slice) return cpu::slice<Real>;
    else if constexpr (Kind == op::pad) return cpu::pad<Real>;
    else if constexpr (Kind == op::concatenate) return cpu::concatenate<Real>;
    else if constexpr (Kind == op::sum) return cpu::sum<Real>;
    else if constexpr (Kind == op::max) return cpu::max<Real>;
    else if constexpr (Kind == op::matmul) return cpu::matmul<Real>;
    else if constexpr (Kind == op::conv2d) return cpu::conv2d<Real>;
    else if constexpr (Kind == op::conv2d_input_gradient) return cpu::conv2d_input_gradient<Real>;
    else if constexpr (Kind == op::conv2d_weight_gradient) return cpu::conv2d_weight_gradient<Real>;
    else if constexpr (Kind == op::max_pool) return cpu::max_pool<Real>;
    else if constexpr (Kind == op::max_pool_gradient) return cpu::max_pool_gradient<Real>;
    else if constexpr (Kind == op::max_pool_pick) return cpu::max_pool_pick<Real>;
    else if constexpr (Kind == op::avg_pool) return cpu::avg_pool<Real>;
    else if constexpr (Kind == op::avg_pool_gradient) return cpu::avg_pool_gradient<Real>;
    else if constexpr (Kind == op::softmax) return cpu::softmax<Real>;
    else if constexpr (Kind == op::cross_entropy) return cpu::cross_entropy<Real>;
    else if constexpr (Kind == op::cross_entropy_gradient) return cpu::cross_entropy_gradient<Real>;
    else if constexpr (Kind == op::take_rows) return cpu::take_rows<Real>;
    else if constexpr (Kind == op::add_rows) return cpu::add_rows<Real>;
    else return nullptr;
    // clang-format on
  }
  /// The kernel of an elementwise operation.
  template <op Kind, class Real>
  static constexpr elementwise_function<Real> elementwise() {
    return cpu::elementwise<Kind, Real>;
  }
  /// The code of a whole program.
  template <program_form Form, class Real>
  static constexpr block_function<Real> program() {
    return cpu::compiled_program<Form, Real>;
  }

  /// Elements of scratch memory that a command wants at a batch of `samples`.
  static constexpr std::int64_t workspace(const command& from, std::int32_t samples) {
    const shape to = from.out.dims.at(samples);
    const shape first = from.in[0].dims.at(samples);
    const shape second = from.in[1].dims.at(samples);
    switch (from.kind) {
      case op::sum:
        return cpu::sum_workspace(first, to);
      case op::matmul: {
        const cpu::product_extents size = cpu::extents_of_product(first, to, from.attr.transpose_a);
        return kernel::gemm_workspace(size.m, size.n, size.k, size.batch);
      }
      case op::conv2d:
        return kernel::conv2d_workspace(cpu::geometry_of(first, second, to, from.attr.frame));
      case op::conv2d_input_gradient:
        return kernel::conv2d_input_gradient_workspace(cpu::geometry_of(to, second, first, from.attr.frame));
      case op::conv2d_weight_gradient:
        return kernel::conv2d_weight_gradient_workspace(cpu::geometry_of(first, to, second, from.attr.frame));
      default:
        return 0;
    }
  }
};

/// Policy of kernels: the fast ones, which are the default.
struct fast_kernels {
  using family = kernels_family;
  using table = cpu_kernels;
  bool operator==(const fast_kernels&) const = default;
};

}  // namespace vivace::inline VIVACE_TARGET
