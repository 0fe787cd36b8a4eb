#pragma once
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A trained vector for each of `count` integers: labels [batch] to [batch, width], or [batch, positions] to
/// [batch, positions, width]. Parameters: weight [count, width].
struct embedding {
  static constexpr std::string_view label = "embedding";
  int count = 1;
  int width = 1;
  initialiser weight_init = init::normal(1);

  constexpr value operator()(value labels) const {
    builder& graph = labels.owner();
    const shape from = labels.dims();
    if (from.rank < 1 || from.rank > max_rank - 1) return graph.fail(problem::wrong_rank, label, from, {rows, width});
    if (count < 1 || width < 1) return graph.fail(problem::extent_must_be_positive, label, from, {count, width});
    const value table = graph.parameter("weight", {count, width}, weight_init, count, width);
    const value flat = ops::reshape(labels, ops::merge_leading(from, from.rank));
    const value found = ops::take_rows(table, flat);
    shape dims = from;
    dims.extent[dims.rank++] = width;
    return ops::reshape(found, dims);
  }
};

/// Adds a trained vector to each position of [batch, positions, width]. Parameters: weight [positions, width].
struct positional_embedding {
  static constexpr std::string_view label = "positional_embedding";
  initialiser weight_init = init::normal(0.02);

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape from = input.dims();
    if (from.rank != 3) return graph.fail(problem::wrong_rank, label, from, {rows, 1, 1});
    const value table = graph.parameter("weight", {from[1], from[2]}, weight_init, from[1], from[2]);
    return input + table;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
