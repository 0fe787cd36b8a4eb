#pragma once
#include <vivace/nn/attention.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/residual.hpp>

namespace vivace::inline VIVACE_TARGET {

/// flow + part(flow) for the layers of the part; what they add is subject to dropout.
template <layer... Layers>
constexpr value add_part(value flow, double rate, const Layers&... layers) {
  if (rate > 0) return apply(residual{layers..., dropout{rate}}, flow);
  return apply(residual{layers...}, flow);
}

/// A decoder-only transformer with normalisation before each part (Radford et al., 2019): tokens [batch, context] to
/// logits [batch, context, vocabulary]. Position p sees the tokens up to p.
struct gpt {
  static constexpr bool is_block = true;
  int layers = 4;
  int width = 128;
  int heads = 4;
  int context = 128;
  int vocabulary = 65;
  double dropout = 0;

  constexpr value operator()(value tokens) const {
    constexpr initialiser start = init::normal(0.02);
    // Each of the 2 * layers sums would otherwise grow the variance.
    const initialiser last = init::normal(0.02 / root_of(2.0 * (layers < 1 ? 1 : layers)));
    builder& graph = tokens.owner();
    if (layers < 1 || context < 1 || vocabulary < 1 || width < 1)
      return graph.fail(problem::extent_must_be_positive, "gpt", tokens.dims(), {layers, width, context, vocabulary});
    const shape needs{rows, context};
    if (tokens.dims() != needs) return graph.fail(problem::sizes_differ, "gpt", tokens.dims(), needs);
    value flow = apply(embedding{vocabulary, width, start}, tokens);
    flow = apply(positional_embedding{start}, flow);
    for (int l = 0; l < layers; ++l) {
      const multi_head_attention attention{
          .heads = heads, .causal = true, .dropout = dropout, .qkv_init = start, .out_init = last};
      flow = add_part(flow, dropout, layer_norm{}, attention);
      const dense wide{.units = 4 * width, .weight_init = start};
      const dense narrow{.units = width, .weight_init = last};
      flow = add_part(flow, dropout, layer_norm{}, wide, gelu{}, narrow);
      if (graph.failed()) return flow;
    }
    flow = apply(layer_norm{}, flow);
    return apply(dense{.units = vocabulary, .bias = false, .weight_init = start}, flow);
  }
};

/// A language model's definition: integers "tokens" [batch, context] and "next_tokens", the token that follows each;
/// output "prediction", logits [batch, context, vocabulary]; loss the mean cross entropy over all positions.
template <class Body>
struct language_model_definition {
  Body body;
  int context = 1;

  constexpr value operator()(builder& graph) const {
    const value tokens = graph.labels("tokens", {rows, context});
    const value next_tokens = graph.labels("next_tokens", {rows, context});
    const value logits = body(tokens);
    if (graph.failed()) return logits;
    if (logits.dims().rank != 3)
      return graph.fail(problem::wrong_rank, "language_model", logits.dims(), {rows, context, 1});
    graph.output("prediction", logits);
    return ops::mean_cross_entropy(logits, next_tokens);
  }
};

/// A language model of a network that says how many positions it sees: `language_model(gpt{.context = 64})`.
template <layer Body>
requires requires(const Body& body) {
  { body.context } -> std::convertible_to<int>;
}
constexpr auto language_model(const Body& body) { return language_model_definition<Body>{body, body.context}; }
/// A language model of any layers from integers [batch, context] to logits [batch, context, vocabulary].
template <class... Layers>
constexpr auto language_model(int context, const Layers&... layers) {
  if constexpr (layers_only<Layers...>()) return language_model_definition<chain<Layers...>>{chain<Layers...>(layers...), context};
}

}  // namespace vivace::inline VIVACE_TARGET
