#pragma once
#include <cstdint>

#include <vivace/core/fixed_string.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/graph/node.hpp>

namespace vivace::inline VIVACE_TARGET {

/// How a parameter or a state starts.
struct initialiser {
  enum class rule : std::uint8_t {
    constant,        ///< `gain` everywhere
    xavier_uniform,  ///< uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010)
    xavier_normal,   ///< normal, deviation gain * sqrt(2 / (fan_in + fan_out))
    he_uniform,      ///< uniform in +-gain * sqrt(3 / fan_in) (He et al., ICCV 2015, with their gain sqrt(2) in `gain`)
    he_normal,       ///< normal, deviation gain / sqrt(fan_in)
    normal,          ///< normal, deviation gain
    uniform,         ///< uniform in +-gain
    orthogonal       ///< rows or columns orthonormal, times gain (Saxe et al., ICLR 2014)
  };
  rule kind = rule::constant;
  double gain = 0;
  constexpr bool operator==(const initialiser&) const = default;
};

/// A parameter or state of a graph.
struct variable {
  identifier name;          ///< the layer's path and the role: "2.conv2d.weight"
  std::int32_t node = -1;
  std::int32_t fan_in = 1;    ///< inputs that one output sees; for initialisers
  std::int32_t fan_out = 1;   ///< outputs that one input reaches
  initialiser start;
};

/// A named end of a graph: an input, or a result.
struct port {
  identifier name;
  std::int32_t node = -1;
};

/// One line of the architecture's table.
struct layer_record {
  identifier name;          ///< "2.conv2d"
  std::int32_t output = -1;   ///< the node that holds the layer's result
};

/// Nodes that run once a turn, one turn after another.
///
/// A node says which loop it is in, and may read any value of an enclosing loop or of none. In a loop, `turn` is a
/// sequence's part for the turn; `carried` is a value from the turn before, an assignment gives that of the next. After
/// it, `stack` is a value of all turns and `last` a carried value at the end. So there is one graph, whatever repeats.
struct loop {
  std::int32_t turns = 1;
  std::int32_t outer = -1;  ///< the loop around it, which has a smaller index; -1 for none
  bool reverse = false;     ///< from the last part of a sequence to the first
};

/// A new value for a parameter, a state or a carried value, stored when every reader of the old one is done.
struct assignment {
  std::int32_t target = -1;
  std::int32_t value = -1;
};

/// What is wrong with an architecture.
enum class problem : std::uint8_t {
  none,
  shapes_do_not_broadcast,
  inner_extents_differ,
  wrong_rank,
  channels_do_not_match,
  groups_do_not_divide_channels,
  window_larger_than_input,
  extent_must_be_positive,
  sizes_differ,
  axis_out_of_range,
  range_outside_axis,
  loss_must_be_a_scalar,
  classes_do_not_match,
  batch_cannot_be_reshaped,
  no_second_derivative,
  no_parameter,
  name_used_twice,
  batch_in_two_axes,
  labels_and_numbers_mixed,
  cannot_be_updated,
  carried_shape_changes,
  value_outside_its_loop
};

/// The first mistake of an architecture, kept as a value: a compile error prints it, an exception spells it out.
struct diagnosis {
  problem what = problem::none;
  std::int32_t layer = -1;  ///< position of the layer, from 0; -1: not in a layer
  identifier kind;        ///< layer or operation
  shape got;
  shape needs;
  constexpr bool operator==(const diagnosis&) const = default;
};

/// An architecture or a training step as a value: nodes in an order in which each follows its operands. From
/// canonical() on, the nodes of a loop stand together.
struct graph {
  sequence<node> nodes;
  sequence<variable> parameters;
  sequence<variable> states;
  sequence<port> inputs;
  sequence<port> outputs;         ///< named results, such as "prediction"
  sequence<port> settings;        ///< scalars set before a step
  sequence<layer_record> layers;
  sequence<assignment> assignments;
  sequence<loop> loops;
  sequence<std::int32_t> gradients;  ///< of each parameter, -1 for none; only between differentiation and the updates
  std::int32_t loss = -1;
  diagnosis mistake;
};

/// True if one loop is the other or around it; -1, no loop, is around all.
constexpr bool encloses(const sequence<loop>& loops, std::int32_t outer, std::int32_t inner) {
  while (inner > outer) inner = loops[inner].outer;  // outer loops have smaller indices
  return inner == outer;
}

}  // namespace vivace::inline VIVACE_TARGET
