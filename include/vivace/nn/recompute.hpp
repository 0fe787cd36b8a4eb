#pragma once
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Layers whose inner values are not kept for the backward pass but computed again there (activation checkpointing:
/// Chen et al., 2016): about a third more work for memory that grows with the number of such blocks, not of layers.
/// The results are the same bits.
template <layer... Layers>
struct recompute {
  static constexpr bool is_block = true;
  chain<Layers...> inner;

  constexpr explicit recompute(const Layers&... layers) : inner(layers...) {}

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    graph.begin_recompute();
    const value output = inner(input);
    graph.end_recompute(output);
    return output;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
