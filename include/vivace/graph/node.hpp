#pragma once
#include <cstdint>

#include <vivace/core/fixed_string.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/graph/functor.hpp>
#include <vivace/graph/op.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Most operands a node can have.
inline constexpr int max_operands = 3;

/// A sliding window: of a convolution or a pooling. Index 0 is vertical, 1 horizontal.
struct window {
  std::int16_t kernel[2]{1, 1};
  std::int16_t stride[2]{1, 1};
  std::int16_t padding[2]{0, 0};
  std::int16_t dilation[2]{1, 1};
  std::int32_t groups = 1;
  constexpr bool operator==(const window&) const = default;
};

/// Settings of an operation; each one reads the few that concern it.
struct attributes {
  double scale = 1;                   ///< constant, affine, power, dropout_mask, cross_entropy
  double shift = 0;                   ///< affine
  window frame{};                     ///< convolutions, pools
  std::int8_t axes[max_rank]{};       ///< transpose: source axis of each axis; slice, pad, concatenate: axes[0]
  std::int32_t first = 0;             ///< slice, pad: start of the range
  std::uint32_t stream = 0;           ///< dropout_mask: which random stream
  std::int8_t derivative = 0;         ///< map: which derivative of the functor
  bool transpose_a = false;           ///< matmul
  bool transpose_b = false;           ///< matmul
  bool causal = false;                ///< softmax
  bool mean = false;                  ///< sum, broadcast
  const functor_info* functor = nullptr;  ///< map
  constexpr bool operator==(const attributes&) const = default;
};

/// One operation of a graph.
struct node {
  op kind = op::none;
  shape dims{};                                 ///< extents of the result
  std::int32_t operand[max_operands]{-1, -1, -1};  ///< indices of earlier nodes, -1 for none
  std::int32_t layer = -1;                      ///< index into graph::layers, for tables and messages
  std::int32_t loop = -1;                       ///< the loop it runs in, index into graph::loops; -1: once a step
  bool repeat = false;                          ///< the backward pass computes it again: see recompute
  attributes attr{};

  [[nodiscard]] constexpr int operands() const {
    int count = 0;
    while (count < max_operands && operand[count] >= 0) ++count;
    return count;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
