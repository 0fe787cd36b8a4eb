#pragma once
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Fully connected layer over the last axis: [batch, features] or [batch, positions, features] to the same with `units`.
/// Parameters: weight [features, units], bias [units].
struct dense {
  static constexpr std::string_view label = "dense";
  int units = 1;
  bool bias = true;
  initialiser weight_init = init::he();
  initialiser bias_init = init::zeros;

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape dims = input.dims();
    if (dims.rank < 2 || dims.rank > 3) return graph.fail(problem::wrong_rank, label, dims, {rows, units});
    const std::int32_t features = dims[dims.rank - 1];
    if (features < 1 || units < 1) return graph.fail(problem::extent_must_be_positive, label, dims, {rows, units});
    const value weight = graph.parameter("weight", {features, units}, weight_init, features, units);
    const value product = ops::matmul(input, weight);
    if (!bias) return product;
    const value shift = graph.parameter("bias", {units}, bias_init, features, units);
    return product + shift;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
