#pragma once
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>
#include <vivace/nn/scan.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What recurrent layers share: products of the input for all positions at once, and the parameters of the products
/// with the hidden state.
struct recurrence {
  value projected;  ///< [positions, batch, gates * width]
  value weight;     ///< [width, gates * width]
  value bias;       ///< [gates * width]
  value start;      ///< zeros [batch, width]
  std::int32_t width = 1;

  /// The products with a hidden state [batch, width].
  [[nodiscard]] constexpr value of(value hidden) const { return ops::matmul(hidden, weight) + bias; }
  /// Gates [first, first + count) of values [batch, gates * width].
  [[nodiscard]] constexpr value gate(value from, int first, int count = 1) const {
    return ops::slice(from, 1, first * width, count * width);
  }
};

/// Makes the parameters of a recurrent layer. False if the input does not suit it; the mistake is kept.
constexpr bool begin_recurrence(recurrence& made, std::string_view label, value input, int gates, int width) {
  builder& graph = input.owner();
  const shape dims = input.dims();
  if (dims.rank != 3)
    graph.fail(problem::wrong_rank, label, dims, {rows, 1, 1});
  else if (width < 1 || dims[1] < 1 || dims[2] < 1)
    graph.fail(problem::extent_must_be_positive, label, dims, {width});
  if (graph.failed()) return false;
  const std::int32_t features = dims[2];
  const value weight = graph.parameter("input_weight", {features, gates * width}, init::xavier(), features, width);
  const value bias = graph.parameter("input_bias", {gates * width}, init::zeros);
  made.width = width;
  made.weight = graph.parameter("hidden_weight", {width, gates * width}, init::orthogonal(), width, width);
  made.bias = graph.parameter("hidden_bias", {gates * width}, init::zeros);
  const value by_position = ops::transpose(input, {1, 0, 2});
  made.projected = ops::matmul(by_position, weight) + bias;
  made.start = ops::broadcast(graph.constant(0), {dims[0], width});
  return true;
}

/// Gated recurrent unit (Cho et al., EMNLP 2014) over [batch, positions, features]: the hidden states [batch,
/// positions, width], or with `last` that of the last position, [batch, width]. With gates r and z between 0 and 1, h'
/// = (1 - z) * tanh(x W_n + r * (h U_n + b_n)) + z * h. Parameters: input_weight [features, 3 * width] (r, z, n),
/// input_bias, hidden_weight [width, 3 * width], hidden_bias.
struct gru {
  static constexpr std::string_view label = "gru";
  int width = 1;
  bool last = false;

  constexpr value operator()(value input) const {
    recurrence part;
    if (!begin_recurrence(part, label, input, 3, width)) return input.owner().constant(0);
    value hidden = part.start;
    const value all = ops::scan(part.projected, 0, hidden, [&](value given, value& state) {
      const value own = part.of(state);
      const value given_gates = part.gate(given, 0, 2);
      const value gates = ops::sigmoid(given_gates + part.gate(own, 0, 2));
      const value reset = part.gate(gates, 0);
      const value keep = part.gate(gates, 1);
      const value recalled = reset * part.gate(own, 2);
      const value fresh = ops::tanh(part.gate(given, 2) + recalled);
      const value change = keep * (state - fresh);
      state = fresh + change;
      return state;
    });
    return last ? hidden : ops::transpose(all, {1, 0, 2});
  }
};

/// Long short-term memory (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000) over [batch,
/// positions, features]: the hidden states [batch, positions, width], or with `last` that of the last position,
/// [batch, width]. c' = f * c + i * g, h' = o * tanh(c'). Parameters: input_weight [features, 4 * width] (i, f, o, g),
/// input_bias, hidden_weight [width, 4 * width], hidden_bias.
struct lstm {
  static constexpr std::string_view label = "lstm";
  int width = 1;
  bool last = false;

  constexpr value operator()(value input) const {
    recurrence part;
    if (!begin_recurrence(part, label, input, 4, width)) return input.owner().constant(0);
    struct memory {
      value hidden, cell;
    } state{part.start, part.start};
    const value all = ops::scan(part.projected, 0, state, [&](value given, memory& carried) {
      const value sums = given + part.of(carried.hidden);
      const value gates = ops::sigmoid(part.gate(sums, 0, 3));
      const value fresh = ops::tanh(part.gate(sums, 3));
      const value kept = part.gate(gates, 1) * carried.cell;
      const value added = part.gate(gates, 0) * fresh;
      carried.cell = kept + added;
      const value shown = ops::tanh(carried.cell);
      carried.hidden = part.gate(gates, 2) * shown;
      return carried.hidden;
    });
    return last ? state.hidden : ops::transpose(all, {1, 0, 2});
  }
};

}  // namespace vivace::inline VIVACE_TARGET
