#pragma once
#include <cstdint>

#include <vivace/graph/graph.hpp>

/// @file
/// What a graph computes and moves for one sample, counted from its nodes. Runs at compile time and at run time alike.

namespace vivace::inline VIVACE_TARGET {

/// Work for one sample.
struct cost {
  std::int64_t flops = 0;  ///< floating-point operations; a multiplication and an addition are two
  std::int64_t bytes = 0;  ///< read and written, if only what enters and leaves a layer goes through memory
  constexpr cost& operator+=(const cost& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
  constexpr bool operator==(const cost&) const = default;
};

/// Floating-point operations of a node for one sample. An elementary function (exp, tanh, a user's functor) counts as
/// one; softmax as five an element, cross entropy as four a logit; moving and repeating numbers costs none.
constexpr std::int64_t flops_of(const graph& from, std::int32_t index) {
  const node& self = from.nodes[index];
  const std::int64_t size = self.dims.size();
  const auto operand = [&](int position) { return from.nodes[self.operand[position]].dims; };
  const std::int64_t window_size = std::int64_t{self.attr.frame.kernel[0]} * self.attr.frame.kernel[1];
  switch (self.kind) {
    case op::broadcast: return self.attr.mean ? size : 0;
    case op::affine: return size * ((self.attr.scale != 1 ? 1 : 0) + (self.attr.shift != 0 ? 1 : 0));
    case op::multiply_add: return 2 * size;
    case op::narrow:
    case op::widen: return 0;
    case op::sum:
    case op::max: return operand(0).size() + (self.attr.mean ? size : 0);
    case op::matmul: {
      const shape left = operand(0);
      const std::int64_t inner = left[left.rank - (self.attr.transpose_a ? 2 : 1)];
      return 2 * size * (inner < 0 ? -inner : inner);
    }
    case op::conv2d: {
      const shape weight = operand(1);
      return 2 * size * weight[1] * weight[2] * weight[3];
    }
    case op::conv2d_input_gradient:  // both gradients multiply what the convolution multiplies
      return 2 * operand(0).size() * operand(1)[1] * operand(1)[2] * operand(1)[3];
    case op::conv2d_weight_gradient: return 2 * operand(1).size() * self.dims[1] * self.dims[2] * self.dims[3];
    case op::max_pool:
    case op::avg_pool: return size * window_size;
    case op::max_pool_gradient: return operand(1).size() * window_size;
    case op::max_pool_pick: return size * window_size;
    case op::avg_pool_gradient: return operand(0).size() * window_size;
    case op::softmax: return 5 * size;
    case op::cross_entropy: return 4 * operand(0).size();
    case op::cross_entropy_gradient: return 5 * size;
    case op::add_rows: return operand(0).size();
    default: return is_elementwise(self.kind) ? size : 0;
  }
}

/// How often a node runs in a step: the turns of the loops around it.
constexpr std::int64_t turns_of(const graph& from, std::int32_t index) {
  std::int64_t turns = 1;
  for (std::int32_t l = from.nodes[index].loop; l >= 0; l = from.loops[l].outer) turns *= from.loops[l].turns;
  return turns;
}

/// Work of each layer for one sample: entry i is layer i of the graph's table, the last entry is all that stands in no
/// layer, such as the loss.
/// @param element_bytes size of a number
constexpr sequence<cost> layer_costs(const graph& from, int element_bytes = 4) {
  const int outside = from.layers.size();
  const auto place = [&](std::int32_t index) {
    return from.nodes[index].layer < 0 ? outside : static_cast<int>(from.nodes[index].layer);
  };
  sequence<cost> costs(outside + 1);
  sequence<std::int32_t> last_reader(from.nodes.size(), -1);  // the layer that read a value last
  sequence<char> leaves(from.nodes.size(), 0);                // counted as written
  for (std::int32_t index = 0; index < from.nodes.size(); ++index) {
    const node& self = from.nodes[index];
    const int layer = place(index);
    costs[layer].flops += flops_of(from, index) * turns_of(from, index);
    if (is_view(self.kind)) continue;  // moves nothing: its readers read what it stands for
    for (std::int32_t operand : self.operand) {
      while (operand >= 0 && (from.nodes[operand].kind == op::reshape || from.nodes[operand].kind == op::turn))
        operand = from.nodes[operand].operand[0];
      if (operand < 0) continue;
      const op kind = from.nodes[operand].kind;
      const bool enters = is_source(kind) ? kind != op::constant && kind != op::setting : place(operand) != layer;
      if (!enters || last_reader[operand] == layer) continue;
      last_reader[operand] = layer;
      const std::int64_t bytes = from.nodes[operand].dims.size() * element_bytes;
      costs[layer].bytes += bytes;
      if (is_source(kind) || leaves[operand] != 0) continue;
      leaves[operand] = 1;
      costs[place(operand)].bytes += bytes;
    }
  }
  return costs;
}

/// Work of a whole graph for one sample.
constexpr cost total_cost(const graph& from, int element_bytes = 4) {
  cost total;
  for (const cost& one : layer_costs(from, element_bytes)) total += one;
  return total;
}

}  // namespace vivace::inline VIVACE_TARGET
