#pragma once
#include <vivace/nn/activations.hpp>
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Square root by Newton's method, fit for constant evaluation; the same bits at compile time and at run time.
constexpr double root_of(double number) {
  double root = number > 1 ? number : 1;
  for (double next = 0; root > 0; root = next) {
    next = (root + number / root) / 2;
    if (next >= root) break;  // descends until rounding stops it
  }
  return root;
}

/// Multi-head self-attention (Vaswani et al., NeurIPS 2017) over [batch, positions, width]; `heads` divides the width.
/// With `causal`, a position sees itself and those before it. `dropout` is the share of attention weights that training
/// drops. Parameters: qkv_weight [width, 3 * width] and qkv_bias (queries, keys, values), out_weight [width, width] and
/// out_bias.
struct multi_head_attention {
  static constexpr std::string_view label = "attention";  // names are 31 characters: short ones stay whole
  int heads = 1;
  bool causal = false;
  double dropout = 0;
  initialiser qkv_init = init::xavier();
  initialiser out_init = init::xavier();

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape dims = input.dims();
    if (dims.rank != 3) return graph.fail(problem::wrong_rank, label, dims, {rows, 1, heads});
    const std::int32_t positions = dims[1];
    const std::int32_t width = dims[2];
    if (heads < 1 || width % heads != 0)
      return graph.fail(problem::groups_do_not_divide_channels, label, dims, {width, heads});
    const std::int32_t depth = width / heads;
    const value qkv_weight = graph.parameter("qkv_weight", {width, 3 * width}, qkv_init, width, width);
    const value qkv_bias = graph.parameter("qkv_bias", {3 * width}, init::zeros);
    const value out_weight = graph.parameter("out_weight", {width, width}, out_init, width, width);
    const value out_bias = graph.parameter("out_bias", {width}, init::zeros);

    const value product = ops::matmul(input, qkv_weight);
    const value heads_last = ops::reshape(product + qkv_bias, {dims[0], positions, 3 * heads, depth});
    const value heads_first = ops::transpose(heads_last, {0, 2, 1, 3});
    const value query = ops::slice(heads_first, 1, 0, heads);
    const value key = ops::slice(heads_first, 1, heads, heads);
    const value content = ops::slice(heads_first, 1, 2 * heads, heads);
    const value scores = ops::matmul(query, key, false, true) * (1 / root_of(depth));
    value weights = ops::softmax(scores, causal);
    if (graph.training() && dropout > 0) weights = vivace::dropout{dropout}(weights);
    const value seen = ops::transpose(ops::matmul(weights, content), {0, 2, 1, 3});
    return ops::matmul(ops::reshape(seen, dims), out_weight) + out_bias;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
