#pragma once
#include <vivace/graph/planner.hpp>

/// @file
/// Graphs and plans as constants. A pass works on growing arrays, which no constant may hold; freezing copies the
/// result into arrays of exact size. Code that runs a plan takes views, and so does not care which of the two it gets.

namespace vivace::inline VIVACE_TARGET {

/// A graph to read, wherever it is kept.
struct graph_view {
  sequence_view<node> nodes;
  sequence_view<variable> parameters;
  sequence_view<variable> states;
  sequence_view<port> inputs;
  sequence_view<port> outputs;
  sequence_view<port> settings;
  sequence_view<layer_record> layers;
  sequence_view<assignment> assignments;
  sequence_view<loop> loops;
  sequence_view<std::int32_t> gradients;
  std::int32_t loss = -1;
  diagnosis mistake;

  constexpr graph_view() = default;
  /// A view of a graph, or of a frozen one.
  template <class Graph>
    requires requires(const Graph& any) { any.nodes, any.gradients; }
  constexpr graph_view(const Graph& from)  // NOLINT: a view
      : nodes(from.nodes), parameters(from.parameters), states(from.states), inputs(from.inputs),
        outputs(from.outputs), settings(from.settings), layers(from.layers), assignments(from.assignments),
        loops(from.loops), gradients(from.gradients), loss(from.loss), mistake(from.mistake) {}
};

/// Lengths of a graph's arrays.
struct graph_sizes {
  int nodes, parameters, states, inputs, outputs, settings, layers, assignments, loops, gradients;

  static constexpr graph_sizes of(const graph_view& from) {
    return {from.nodes.size(),    from.parameters.size(), from.states.size(),
            from.inputs.size(),   from.outputs.size(),    from.settings.size(),
            from.layers.size(),   from.assignments.size(), from.loops.size(),
            from.gradients.size()};
  }
  [[nodiscard]] constexpr bool fit_in(const graph_sizes& room) const {
    return nodes <= room.nodes && parameters <= room.parameters && states <= room.states && inputs <= room.inputs &&
           outputs <= room.outputs && settings <= room.settings && layers <= room.layers &&
           assignments <= room.assignments && loops <= room.loops && gradients <= room.gradients;
  }
};

/// A graph as a constant.
template <graph_sizes Room>
struct frozen_graph {
  frozen_sequence<node, Room.nodes> nodes;
  frozen_sequence<variable, Room.parameters> parameters;
  frozen_sequence<variable, Room.states> states;
  frozen_sequence<port, Room.inputs> inputs;
  frozen_sequence<port, Room.outputs> outputs;
  frozen_sequence<port, Room.settings> settings;
  frozen_sequence<layer_record, Room.layers> layers;
  frozen_sequence<assignment, Room.assignments> assignments;
  frozen_sequence<loop, Room.loops> loops;
  frozen_sequence<std::int32_t, Room.gradients> gradients;
  std::int32_t loss;
  diagnosis mistake;

  constexpr explicit frozen_graph(const graph_view& from)
      : nodes(from.nodes), parameters(from.parameters), states(from.states), inputs(from.inputs),
        outputs(from.outputs), settings(from.settings), layers(from.layers), assignments(from.assignments),
        loops(from.loops), gradients(from.gradients), loss(from.loss), mistake(from.mistake) {}
};

/// A frozen graph as passes take it.
constexpr graph thawed(const graph_view& from) {
  graph result;
  const auto copy = [](auto& to, const auto& table) {
    to.reserve(table.size());
    for (int i = 0; i < table.size(); ++i) to.push_back(table[i]);
  };
  copy(result.nodes, from.nodes);
  copy(result.parameters, from.parameters);
  copy(result.states, from.states);
  copy(result.inputs, from.inputs);
  copy(result.outputs, from.outputs);
  copy(result.settings, from.settings);
  copy(result.layers, from.layers);
  copy(result.assignments, from.assignments);
  copy(result.loops, from.loops);
  copy(result.gradients, from.gradients);
  result.loss = from.loss;
  result.mistake = from.mistake;
  return result;
}

/// A plan to read, wherever it is kept.
struct plan_view {
  sequence_view<command> commands;
  sequence_view<load> loads;
  sequence_view<instruction> instructions;
  sequence_view<store> stores;
  sequence_view<location> parameters;
  sequence_view<location> states;
  sequence_view<location> outputs;
  sequence_view<command_loop> loops;
  sequence_view<turn_stride> strides;
  location loss;
  std::int64_t parameter_size = 0;
  std::int64_t state_size = 0;
  std::int64_t arena_size = 0;
  std::int64_t unplanned_size = 0;
  std::int32_t batch = 1;

  constexpr plan_view() = default;
  /// A view of a plan, or of a frozen one.
  template <class Plan>
    requires requires(const Plan& any) { any.commands, any.unplanned_size; }
  constexpr plan_view(const Plan& from)  // NOLINT: a view
      : commands(from.commands), loads(from.loads), instructions(from.instructions), stores(from.stores),
        parameters(from.parameters), states(from.states), outputs(from.outputs), loops(from.loops),
        strides(from.strides), loss(from.loss), parameter_size(from.parameter_size), state_size(from.state_size),
        arena_size(from.arena_size), unplanned_size(from.unplanned_size), batch(from.batch) {}
};

/// Lengths of a plan's arrays.
struct plan_sizes {
  int commands, loads, instructions, stores, parameters, states, outputs, loops, strides;

  static constexpr plan_sizes of(const plan_view& from) {
    return {from.commands.size(),   from.loads.size(),  from.instructions.size(), from.stores.size(),
            from.parameters.size(), from.states.size(), from.outputs.size(), from.loops.size(),
            from.strides.size()};
  }
  [[nodiscard]] constexpr bool fit_in(const plan_sizes& room) const {
    return commands <= room.commands && loads <= room.loads && instructions <= room.instructions &&
           stores <= room.stores && parameters <= room.parameters && states <= room.states &&
           outputs <= room.outputs && loops <= room.loops && strides <= room.strides;
  }
};

/// A plan as a constant.
template <plan_sizes Room>
struct frozen_plan {
  frozen_sequence<command, Room.commands> commands;
  frozen_sequence<load, Room.loads> loads;
  frozen_sequence<instruction, Room.instructions> instructions;
  frozen_sequence<store, Room.stores> stores;
  frozen_sequence<location, Room.parameters> parameters;
  frozen_sequence<location, Room.states> states;
  frozen_sequence<location, Room.outputs> outputs;
  frozen_sequence<command_loop, Room.loops> loops;
  frozen_sequence<turn_stride, Room.strides> strides;
  location loss;
  std::int64_t parameter_size, state_size, arena_size, unplanned_size;
  std::int32_t batch;

  constexpr explicit frozen_plan(const plan_view& from)
      : commands(from.commands), loads(from.loads), instructions(from.instructions), stores(from.stores),
        parameters(from.parameters), states(from.states), outputs(from.outputs), loops(from.loops),
        strides(from.strides), loss(from.loss), parameter_size(from.parameter_size), state_size(from.state_size),
        arena_size(from.arena_size), unplanned_size(from.unplanned_size), batch(from.batch) {}
};

/// Room for the graphs of most networks.
inline constexpr graph_sizes usual_graph{2048, 128, 384, 16, 128, 16, 128, 512, 16, 128};
/// Room for the plans of most networks.
inline constexpr plan_sizes usual_plan{512, 2048, 2048, 1024, 128, 384, 128, 16, 128};

/// The graph that Make{}() returns as a constant of exact size. One evaluation, into a constant with room to spare,
/// finds both size and content; only a graph that does not fit there is made a second time.
template <class Make>
constexpr auto frozen_graph_from() {
  constexpr frozen_graph<usual_graph> spacious(Make{}());
  constexpr graph_sizes sizes = graph_sizes::of(spacious);
  if constexpr (sizes.fit_in(usual_graph))
    return frozen_graph<sizes>(spacious);
  else
    return frozen_graph<sizes>(Make{}());
}
/// The same of a plan.
template <class Make>
constexpr auto frozen_plan_from() {
  constexpr frozen_plan<usual_plan> spacious(Make{}());
  constexpr plan_sizes sizes = plan_sizes::of(spacious);
  if constexpr (sizes.fit_in(usual_plan))
    return frozen_plan<sizes>(spacious);
  else
    return frozen_plan<sizes>(Make{}());
}

/// Which operations a plan runs: the kernels to compile.
struct op_set {
  std::uint64_t bits = 0;
  constexpr void insert(op kind) { bits |= std::uint64_t{1} << static_cast<int>(kind); }
  [[nodiscard]] constexpr bool contains(op kind) const { return (bits >> static_cast<int>(kind) & 1) != 0; }
  constexpr op_set operator|(op_set other) const { return {bits | other.bits}; }
  constexpr bool operator==(const op_set&) const = default;
};
static_assert(op_count <= 64);

}  // namespace vivace::inline VIVACE_TARGET
