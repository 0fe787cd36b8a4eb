#pragma once
#include <vivace/graph/planner.hpp>

/// @file
/// Graphs and plans as constants. A pass works on growing arrays, which no constant may hold; freezing copies the
/// result into arrays of exact size. Code that runs a plan takes views, and so does not care which of the two it gets.

namespace vivace::inline VIVACE_TARGET {

/// What running code needs of a graph.
struct graph_view {
  sequence_view<node> nodes;
  sequence_view<variable> parameters;
  sequence_view<variable> states;
  sequence_view<port> inputs;
  sequence_view<port> outputs;
  sequence_view<port> settings;
  sequence_view<layer_record> layers;
  std::int32_t loss = -1;

  constexpr graph_view() = default;
  constexpr graph_view(const graph& from)  // NOLINT: a view
      : nodes(from.nodes), parameters(from.parameters), states(from.states), inputs(from.inputs),
        outputs(from.outputs), settings(from.settings), layers(from.layers), loss(from.loss) {}
};

/// What running code needs of a plan.
struct plan_view {
  sequence_view<command> commands;
  sequence_view<load> loads;
  sequence_view<instruction> instructions;
  sequence_view<store> stores;
  sequence_view<location> parameters;
  sequence_view<location> states;
  sequence_view<location> outputs;
  location loss;
  std::int64_t parameter_size = 0;
  std::int64_t state_size = 0;
  std::int64_t arena_size = 0;
  std::int32_t batch = 1;

  constexpr plan_view() = default;
  constexpr plan_view(const plan& from)  // NOLINT: a view
      : commands(from.commands), loads(from.loads), instructions(from.instructions), stores(from.stores),
        parameters(from.parameters), states(from.states), outputs(from.outputs), loss(from.loss),
        parameter_size(from.parameter_size), state_size(from.state_size), arena_size(from.arena_size),
        batch(from.batch) {}
};

/// Lengths of a graph's arrays.
struct graph_sizes {
  int nodes, parameters, states, inputs, outputs, settings, layers, assignments, gradients;
};

/// Lengths of a graph's arrays.
constexpr graph_sizes sizes_of(const graph& from) {
  return {from.nodes.size(),   from.parameters.size(), from.states.size(), from.inputs.size(),
          from.outputs.size(), from.settings.size(),   from.layers.size(), from.assignments.size(), from.gradients.size()};
}

/// A graph as a constant.
template <graph_sizes Sizes>
struct frozen_graph {
  frozen_sequence<node, Sizes.nodes> nodes;
  frozen_sequence<variable, Sizes.parameters> parameters;
  frozen_sequence<variable, Sizes.states> states;
  frozen_sequence<port, Sizes.inputs> inputs;
  frozen_sequence<port, Sizes.outputs> outputs;
  frozen_sequence<port, Sizes.settings> settings;
  frozen_sequence<layer_record, Sizes.layers> layers;
  frozen_sequence<assignment, Sizes.assignments> assignments;
  frozen_sequence<std::int32_t, Sizes.gradients> gradients;
  std::int32_t loss;
  diagnosis mistake;

  constexpr explicit frozen_graph(const graph& from)
      : nodes(from.nodes), parameters(from.parameters), states(from.states), inputs(from.inputs),
        outputs(from.outputs), settings(from.settings), layers(from.layers), assignments(from.assignments),
        gradients(from.gradients), loss(from.loss), mistake(from.mistake) {}

  [[nodiscard]] constexpr graph_view view() const {
    graph_view result;
    result.nodes = nodes;
    result.parameters = parameters;
    result.states = states;
    result.inputs = inputs;
    result.outputs = outputs;
    result.settings = settings;
    result.layers = layers;
    result.loss = loss;
    return result;
  }
  /// The graph as passes take it.
  [[nodiscard]] constexpr graph thaw() const {
    graph result;
    const auto copy = [](auto& to, auto from) {
      to.reserve(from.size());
      for (const auto& entry : from) to.push_back(entry);
    };
    copy(result.nodes, sequence_view<node>(nodes));
    copy(result.parameters, sequence_view<variable>(parameters));
    copy(result.states, sequence_view<variable>(states));
    copy(result.inputs, sequence_view<port>(inputs));
    copy(result.outputs, sequence_view<port>(outputs));
    copy(result.settings, sequence_view<port>(settings));
    copy(result.layers, sequence_view<layer_record>(layers));
    copy(result.assignments, sequence_view<assignment>(assignments));
    copy(result.gradients, sequence_view<std::int32_t>(gradients));
    result.loss = loss;
    result.mistake = mistake;
    return result;
  }
};

/// Lengths of a plan's arrays.
struct plan_sizes {
  int commands, loads, instructions, stores, parameters, states, outputs;
};

/// Lengths of a plan's arrays.
constexpr plan_sizes sizes_of(const plan& from) {
  return {from.commands.size(),   from.loads.size(),  from.instructions.size(), from.stores.size(),
          from.parameters.size(), from.states.size(), from.outputs.size()};
}

/// A plan as a constant.
template <plan_sizes Sizes>
struct frozen_plan {
  frozen_sequence<command, Sizes.commands> commands;
  frozen_sequence<load, Sizes.loads> loads;
  frozen_sequence<instruction, Sizes.instructions> instructions;
  frozen_sequence<store, Sizes.stores> stores;
  frozen_sequence<location, Sizes.parameters> parameters;
  frozen_sequence<location, Sizes.states> states;
  frozen_sequence<location, Sizes.outputs> outputs;
  location loss;
  std::int64_t parameter_size, state_size, arena_size, unplanned_size;
  std::int32_t batch;

  constexpr explicit frozen_plan(const plan& from)
      : commands(from.commands), loads(from.loads), instructions(from.instructions), stores(from.stores),
        parameters(from.parameters), states(from.states), outputs(from.outputs), loss(from.loss),
        parameter_size(from.parameter_size), state_size(from.state_size), arena_size(from.arena_size),
        unplanned_size(from.unplanned_size), batch(from.batch) {}

  [[nodiscard]] constexpr plan_view view() const {
    plan_view result;
    result.commands = commands;
    result.loads = loads;
    result.instructions = instructions;
    result.stores = stores;
    result.parameters = parameters;
    result.states = states;
    result.outputs = outputs;
    result.loss = loss;
    result.parameter_size = parameter_size;
    result.state_size = state_size;
    result.arena_size = arena_size;
    result.batch = batch;
    return result;
  }
};

/// Which operations a plan runs: the kernels to compile.
struct op_set {
  std::uint64_t bits = 0;
  constexpr void insert(op kind) { bits |= std::uint64_t{1} << static_cast<int>(kind); }
  [[nodiscard]] constexpr bool contains(op kind) const { return (bits >> static_cast<int>(kind) & 1) != 0; }
  constexpr op_set operator|(op_set other) const { return {bits | other.bits}; }
  constexpr bool operator==(const op_set&) const = default;
};
static_assert(op_count <= 64);

/// Every operation that a plan uses: the kernels it needs.
constexpr op_set operations_of(const plan_view& from) {
  op_set result;
  for (const command& current : from.commands) result.insert(current.kind);
  for (const instruction& current : from.instructions) result.insert(current.kind);
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET
