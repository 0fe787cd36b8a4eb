#pragma once
#include <cstdint>
#include <string_view>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What a node of a graph computes. The set is small on purpose: layers, losses and optimisers are compositions of it,
/// and the gradient of every operation is again made of operations in the set.
enum class op : std::uint8_t {
  none,
  // Sources: their values come from outside.
  input,      ///< numbers of a batch
  labels,     ///< integers of a batch
  parameter,  ///< trained
  state,      ///< kept from step to step: optimiser moments, running statistics
  setting,    ///< a scalar the caller sets before a step: learning rate and the like
  constant,   ///< a literal scalar: attributes.scale
  // Elementwise: operands broadcast to the node's shape.
  affine,        ///< scale * a + shift
  negate,        ///< -a
  exp,           ///< e^a
  log,           ///< natural logarithm
  sqrt,          ///< square root
  reciprocal,    ///< 1 / a
  tanh,          ///< hyperbolic tangent
  sigmoid,       ///< 1 / (1 + e^-a)
  relu,          ///< max(a, 0); NaN stays NaN
  step,          ///< 1 where a > 0, else 0
  abs,           ///< magnitude
  sign,          ///< -1, 0 or 1
  sin,           ///< sine
  cos,           ///< cosine
  erf,           ///< error function
  square,        ///< a * a
  power,         ///< a ^ scale
  broadcast,     ///< a, repeated to the node's shape; with `mean`, divided by the number of repetitions
  add,           ///< a + b
  subtract,      ///< a - b
  multiply,      ///< a * b
  divide,        ///< a / b
  maximum,       ///< the larger
  minimum,       ///< the smaller
  greater,       ///< 1 where a > b, else 0
  equal,         ///< 1 where a == b, else 0
  select,        ///< b where a != 0, else c
  multiply_add,  ///< scale * (a * b) + shift * c; scale and shift are 1 or -1, not both -1; made by `contracted`
  narrow,        ///< a, rounded to bfloat16, and stored so; made by `with_narrow_storage`, read by `widen` or a product
  widen,         ///< a, which `narrow` made
  dropout_mask,  ///< 0 with probability scale, else 1 / (1 - scale); random, keyed by (seed, stream, step, index)
  map,           ///< a user's functor, or a derivative of it
  // Shape.
  reshape,      ///< same elements, other extents: an alias, no work
  transpose,    ///< axes permuted
  slice,        ///< a range of one axis
  pad,          ///< a range of one axis, zeros around it: the transpose of slice
  concatenate,  ///< b after a along one axis
  // Reductions to the node's shape.
  sum,  ///< sum over the axes that the node's shape lacks; with `mean`, divided by their size
  max,  ///< maximum over them
  // Products.
  matmul,                  ///< a b over the last two axes, either transposed
  conv2d,                  ///< a = image, b = weight
  conv2d_input_gradient,   ///< a = gradient of the output, b = weight
  conv2d_weight_gradient,  ///< a = image, b = gradient of the output
  // Windows and rows.
  max_pool,           ///< largest of each window
  max_pool_gradient,  ///< a = image, b = gradient of the output: added where the maximum was found
  max_pool_pick,      ///< a = image, b = values: those at the place of each window's maximum
  avg_pool,           ///< mean of each window
  avg_pool_gradient,  ///< a = gradient of the output
  softmax,            ///< over the last axis; `causal`: row r of the last two axes sees columns up to r
  cross_entropy,      ///< a = logits [n, classes], b = labels [n]; loss of each row; scale = label smoothing
  cross_entropy_gradient,  ///< a = logits, b = labels, c = gradient of the losses
  take_rows,               ///< a = table [count, width], b = labels: the rows they name
  add_rows,                ///< a = values, b = labels: added to the rows they name of a table of zeros
  // Loops: names of memory that a loop reads or fills; no work. See `loop`.
  carried,  ///< in a loop: a at the first turn, then what the turn before assigned to it
  turn,     ///< in a loop: a[turn], a part along the first axis
  stack,    ///< after a loop: a of every turn, along a new first axis
  last,     ///< after a loop: the carried value a as the last turn left it
  count_
};

/// Number of operations, `none` included.
inline constexpr int op_count = static_cast<int>(op::count_);

/// The operation's name, as messages and tables print it.
constexpr std::string_view to_string(op kind) {
  constexpr std::string_view names[op_count] = {
      "none",          "input",         "labels",   "parameter",
      "state",         "setting",       "constant", "affine",
      "negate",        "exp",           "log",      "sqrt",
      "reciprocal",    "tanh",          "sigmoid",  "relu",
      "step",          "abs",           "sign",     "sin",
      "cos",           "erf",           "square",   "power",
      "broadcast",     "add",           "subtract", "multiply",
      "divide",        "maximum",       "minimum",  "greater",
      "equal",         "select",        "multiply_add", "narrow",
      "widen",         "dropout_mask",  "map",      "reshape",
      "transpose",     "slice",         "pad",      "concatenate",
      "sum",           "max",           "matmul",   "conv2d",
      "conv2d_input_gradient", "conv2d_weight_gradient", "max_pool", "max_pool_gradient",
      "max_pool_pick", "avg_pool",      "avg_pool_gradient", "softmax",
      "cross_entropy", "cross_entropy_gradient", "take_rows", "add_rows",
      "carried",       "turn",          "stack",    "last"};
  return names[static_cast<int>(kind)];
}

/// True for operations whose element i depends on element i of each (broadcast) operand alone.
constexpr bool is_elementwise(op kind) { return kind >= op::affine && kind <= op::map; }

/// Operands that an elementwise operation reads.
constexpr int operands_of(op kind) {
  if (kind == op::dropout_mask) return 0;
  if (kind == op::select || kind == op::multiply_add) return 3;
  return kind >= op::add && kind < op::select ? 2 : 1;
}

/// True for values that come from outside the graph.
constexpr bool is_source(op kind) { return kind >= op::input && kind <= op::constant; }

/// True for operations that only name memory, another value's or a loop's.
constexpr bool is_view(op kind) { return kind == op::reshape || (kind >= op::carried && kind <= op::last); }

/// True for what a loop leaves behind.
constexpr bool is_loop_result(op kind) { return kind == op::stack || kind == op::last; }

/// True for operations that do work when a step runs.
constexpr bool runs(op kind) { return kind != op::none && !is_source(kind) && !is_view(kind); }

/// True for operations that can hand finished stretches of their output to a fused elementwise program.
constexpr bool takes_epilogue(op kind) { return kind >= op::matmul && kind <= op::conv2d_weight_gradient; }

}  // namespace vivace::inline VIVACE_TARGET
