#pragma once
#include <initializer_list>

#include <vivace/graph/builder.hpp>

/// @file
/// The operations as functions on values: what layers, losses, optimisers and free-form models are written in.

namespace vivace::inline VIVACE_TARGET::ops {

/// The shape of an elementwise result of two shapes, aligned at their last axes as in NumPy; false if they do not fit.
constexpr bool broadcast_shapes(const shape& left, const shape& right, shape& result) {
  result = left.rank >= right.rank ? left : right;
  const shape& shorter = left.rank >= right.rank ? right : left;
  const int lead = result.rank - shorter.rank;
  for (int d = 0; d < shorter.rank; ++d) {
    std::int32_t& extent = result[lead + d];
    if (extent == shorter[d] || shorter[d] == 1) continue;
    if (extent != 1) return false;
    extent = shorter[d];
  }
  return true;
}

/// True if a value of the smaller shape can be repeated to the larger.
constexpr bool broadcasts_to(const shape& smaller, const shape& larger) {
  shape common;
  return broadcast_shapes(larger, smaller, common) && common == larger;
}

/// A node of one operand and the operand's shape.
constexpr value unary(op kind, value from, const attributes& attr = {}) {
  return from.owner().add({.kind = kind, .dims = from.dims(), .operand = {from.index(), -1, -1}, .attr = attr});
}

/// A node of two operands, broadcast to a common shape.
constexpr value binary(op kind, value left, value right) {
  builder& graph = left.owner();
  shape dims;
  if (!broadcast_shapes(left.dims(), right.dims(), dims))
    return graph.fail(problem::shapes_do_not_broadcast, to_string(kind), left.dims(), right.dims());
  return graph.add({.kind = kind, .dims = dims, .operand = {left.index(), right.index(), -1}});
}

// clang-format off
/// @name Element by element
/// @{

/// Operands broadcast as in NumPy; `op` says what each computes. Comparisons give 1 or 0.
constexpr value negate(value from) { return unary(op::negate, from); }
constexpr value exp(value from) { return unary(op::exp, from); }
constexpr value log(value from) { return unary(op::log, from); }
constexpr value sqrt(value from) { return unary(op::sqrt, from); }
constexpr value reciprocal(value from) { return unary(op::reciprocal, from); }
constexpr value tanh(value from) { return unary(op::tanh, from); }
constexpr value sigmoid(value from) { return unary(op::sigmoid, from); }
constexpr value relu(value from) { return unary(op::relu, from); }
constexpr value step(value from) { return unary(op::step, from); }
constexpr value abs(value from) { return unary(op::abs, from); }
constexpr value sign(value from) { return unary(op::sign, from); }
constexpr value sin(value from) { return unary(op::sin, from); }
constexpr value cos(value from) { return unary(op::cos, from); }
constexpr value erf(value from) { return unary(op::erf, from); }
constexpr value square(value from) { return unary(op::square, from); }
constexpr value operator-(value from) { return negate(from); }
constexpr value operator+(value left, value right) { return binary(op::add, left, right); }
constexpr value operator-(value left, value right) { return binary(op::subtract, left, right); }
constexpr value operator*(value left, value right) { return binary(op::multiply, left, right); }
constexpr value operator/(value left, value right) { return binary(op::divide, left, right); }
constexpr value maximum(value left, value right) { return binary(op::maximum, left, right); }
constexpr value minimum(value left, value right) { return binary(op::minimum, left, right); }
constexpr value operator>(value left, value right) { return binary(op::greater, left, right); }
constexpr value operator<(value left, value right) { return binary(op::greater, right, left); }
constexpr value equal(value left, value right) { return binary(op::equal, left, right); }
/// @}
// clang-format on

/// scale * from + shift.
constexpr value affine(value from, double scale, double shift) {
  return unary(op::affine, from, {.scale = scale, .shift = shift});
}
/// from ^ exponent; the exponent is a literal.
constexpr value power(value from, double exponent) { return unary(op::power, from, {.scale = exponent}); }

/// @name With a literal
/// @{

/// The literal is part of the operation, where there is such an operation, and else a constant.
constexpr value operator+(value from, double number) { return affine(from, 1, number); }
constexpr value operator+(double number, value from) { return affine(from, 1, number); }
constexpr value operator-(value from, double number) { return affine(from, 1, -number); }
constexpr value operator-(double number, value from) { return affine(from, -1, number); }
constexpr value operator*(value from, double number) { return affine(from, number, 0); }
constexpr value operator*(double number, value from) { return affine(from, number, 0); }
constexpr value operator/(value from, double number) { return affine(from, 1 / number, 0); }
constexpr value operator/(double number, value from) { return affine(reciprocal(from), number, 0); }
constexpr value operator>(value left, double right) { return left > left.owner().constant(right); }
constexpr value operator<(value left, double right) { return left < left.owner().constant(right); }
constexpr value maximum(value left, double right) { return maximum(left, left.owner().constant(right)); }
constexpr value minimum(value left, double right) { return minimum(left, left.owner().constant(right)); }
/// @}

/// `yes` where the condition is not 0, else `no`.
constexpr value where(value condition, value yes, value no) {
  builder& graph = condition.owner();
  shape branches;
  shape dims;
  if (!broadcast_shapes(yes.dims(), no.dims(), branches))
    return graph.fail(problem::shapes_do_not_broadcast, "where", yes.dims(), no.dims());
  if (!broadcast_shapes(condition.dims(), branches, dims))
    return graph.fail(problem::shapes_do_not_broadcast, "where", condition.dims(), branches);
  return graph.add({.kind = op::select, .dims = dims, .operand = {condition.index(), yes.index(), no.index()}});
}

/// Elements before the axis that is the batch alone; -1 if there is no such axis.
constexpr std::int64_t before_batch(const shape& dims) {
  std::int64_t before = 1;
  for (int d = 0; d < dims.rank; ++d) {
    if (dims[d] == rows) return before;
    before *= dims[d];
  }
  return -1;
}

/// The same elements in another shape. Free of cost.
constexpr value reshape(value from, shape dims) {
  if (from.dims() == dims) return from;
  builder& graph = from.owner();
  const bool moves_batch = before_batch(from.dims()) >= 0 && before_batch(dims) >= 0 &&
                           before_batch(from.dims()) != before_batch(dims);
  if (from.dims().per_sample() != dims.per_sample() || moves_batch)
    return graph.fail(problem::batch_cannot_be_reshaped, "reshape", from.dims(), dims);
  if (from.dims().size() != dims.size()) return graph.fail(problem::sizes_differ, "reshape", from.dims(), dims);
  return graph.add({.kind = op::reshape, .dims = dims, .operand = {from.index(), -1, -1}});
}

/// Repeats a value to a larger shape.
/// @param mean divides by the number of repetitions
constexpr value broadcast(value from, shape dims, bool mean = false) {
  if (from.dims() == dims) return from;
  if (!broadcasts_to(from.dims(), dims))
    return from.owner().fail(problem::shapes_do_not_broadcast, "broadcast", from.dims(), dims);
  return from.owner().add(
      {.kind = op::broadcast, .dims = dims, .operand = {from.index(), -1, -1}, .attr = {.mean = mean}});
}

/// Sums a value down to a smaller shape that broadcasts to its own; with `mean`, divides by the number of summands.
constexpr value sum_to(value from, shape dims, bool mean = false) {
  if (from.dims() == dims) return from;
  if (!broadcasts_to(dims, from.dims()))
    return from.owner().fail(problem::shapes_do_not_broadcast, "sum", from.dims(), dims);
  return from.owner().add({.kind = op::sum, .dims = dims, .operand = {from.index(), -1, -1}, .attr = {.mean = mean}});
}

/// The shape with the listed axes at extent 1. A negative axis counts from the last.
constexpr shape keep_axes(const shape& dims, std::initializer_list<int> axes) {
  shape result = dims;
  for (const int axis : axes) result[axis < 0 ? axis + dims.rank : axis] = 1;
  return result;
}

/// The shape without the listed axes.
constexpr shape drop_axes(const shape& dims, std::initializer_list<int> axes) {
  shape result;
  for (int d = 0; d < dims.rank; ++d) {
    bool dropped = false;
    for (const int axis : axes) dropped = dropped || (axis < 0 ? axis + dims.rank : axis) == d;
    if (!dropped) result.extent[result.rank++] = dims[d];
  }
  return result;
}

/// True if a value has all of these axes; negative ones count from the last.
constexpr bool axes_exist(value from, std::initializer_list<int> axes) {
  for (const int axis : axes)
    if (axis >= from.dims().rank || axis < -from.dims().rank) return false;
  return true;
}

/// Sum over the listed axes, which vanish.
constexpr value sum(value from, std::initializer_list<int> axes) {
  if (!axes_exist(from, axes)) return from.owner().fail(problem::axis_out_of_range, "sum", from.dims(), {});
  return reshape(sum_to(from, keep_axes(from.dims(), axes)), drop_axes(from.dims(), axes));
}
/// Mean over the listed axes, which vanish.
constexpr value mean(value from, std::initializer_list<int> axes) {
  if (!axes_exist(from, axes)) return from.owner().fail(problem::axis_out_of_range, "mean", from.dims(), {});
  return reshape(sum_to(from, keep_axes(from.dims(), axes), true), drop_axes(from.dims(), axes));
}
/// Maximum over the listed axes, which vanish.
constexpr value(max)(value from, std::initializer_list<int> axes) {
  if (!axes_exist(from, axes)) return from.owner().fail(problem::axis_out_of_range, "max", from.dims(), {});
  const shape kept = keep_axes(from.dims(), axes);
  const value largest = from.owner().add({.kind = op::max, .dims = kept, .operand = {from.index(), -1, -1}});
  return reshape(largest, drop_axes(from.dims(), axes));
}
/// Sum of all elements, a scalar.
constexpr value sum(value from) { return sum_to(from, shape{}); }
/// Mean of all elements, a scalar.
constexpr value mean(value from) { return sum_to(from, shape{}, true); }

/// Permutes axes: axis d of the result is axis axes[d] of the operand.
constexpr value transpose(value from, std::initializer_list<int> axes) {
  builder& graph = from.owner();
  if (static_cast<int>(axes.size()) != from.dims().rank)
    return graph.fail(problem::wrong_rank, "transpose", from.dims(), {});
  if (!axes_exist(from, axes)) return graph.fail(problem::axis_out_of_range, "transpose", from.dims(), {});
  node made{.kind = op::transpose, .dims = from.dims(), .operand = {from.index(), -1, -1}};
  int d = 0;
  for (const int axis : axes) {
    made.attr.axes[d] = static_cast<std::int8_t>(axis < 0 ? axis + from.dims().rank : axis);
    made.dims[d] = from.dims()[made.attr.axes[d]];
    for (int other = 0; other < d; ++other)
      if (made.attr.axes[other] == made.attr.axes[d])
        return graph.fail(problem::axis_out_of_range, "transpose", from.dims(), {});
    ++d;
  }
  return graph.add(made);
}
/// Exchanges the two axes of a matrix.
constexpr value transpose(value from) { return transpose(from, {1, 0}); }

/// The range [first, first + count) of one axis.
constexpr value slice(value from, int axis, std::int32_t first, std::int32_t count) {
  builder& graph = from.owner();
  if (!axes_exist(from, {axis})) return graph.fail(problem::axis_out_of_range, "slice", from.dims(), {});
  node made{.kind = op::slice, .dims = from.dims(), .operand = {from.index(), -1, -1}};
  const int d = axis < 0 ? axis + from.dims().rank : axis;
  if (from.dims()[d] < 0 || first < 0 || count < 1 || first + count > from.dims()[d])
    return graph.fail(problem::range_outside_axis, "slice", from.dims(), {first, count});
  made.dims[d] = count;
  made.attr.axes[0] = static_cast<std::int8_t>(d);
  made.attr.first = first;
  return graph.add(made);
}

/// Puts a value into the range that starts at `first` of one axis of a tensor of zeros; `extent` is the axis's.
constexpr value pad(value from, int axis, std::int32_t first, std::int32_t extent) {
  builder& graph = from.owner();
  if (!axes_exist(from, {axis})) return graph.fail(problem::axis_out_of_range, "pad", from.dims(), {});
  node made{.kind = op::pad, .dims = from.dims(), .operand = {from.index(), -1, -1}};
  const int d = axis < 0 ? axis + from.dims().rank : axis;
  if (from.dims()[d] < 0 || first < 0 || first + from.dims()[d] > extent)
    return graph.fail(problem::range_outside_axis, "pad", from.dims(), {first, extent});
  made.dims[d] = extent;
  made.attr.axes[0] = static_cast<std::int8_t>(d);
  made.attr.first = first;
  return graph.add(made);
}

/// `right` after `left` along one axis.
constexpr value concatenate(value left, value right, int axis) {
  builder& graph = left.owner();
  if (left.dims().rank != right.dims().rank)
    return graph.fail(problem::wrong_rank, "concatenate", right.dims(), left.dims());
  if (!axes_exist(left, {axis})) return graph.fail(problem::axis_out_of_range, "concatenate", left.dims(), {});
  const int d = axis < 0 ? axis + left.dims().rank : axis;
  for (int other = 0; other < left.dims().rank; ++other)
    if ((other == d) != (left.dims()[other] > 0 && right.dims()[other] > 0 && other == d) ||
        (other != d && left.dims()[other] != right.dims()[other]))
      return graph.fail(problem::sizes_differ, "concatenate", right.dims(), left.dims());
  node made{.kind = op::concatenate, .dims = left.dims(), .operand = {left.index(), right.index(), -1}};
  made.dims[d] += right.dims()[d];
  made.attr.axes[0] = static_cast<std::int8_t>(d);
  return graph.add(made);
}

/// Merges the axes [0, count) of a shape into one.
constexpr shape merge_leading(const shape& dims, int count) {
  std::int32_t merged = 1;
  bool per_sample = false;
  for (int d = 0; d < count; ++d) {
    per_sample = per_sample || dims[d] < 0;
    merged *= dims[d] < 0 ? -dims[d] : dims[d];
  }
  shape result;
  result.extent[result.rank++] = per_sample ? -merged : merged;
  for (int d = count; d < dims.rank; ++d) result.extent[result.rank++] = dims[d];
  return result;
}

/// Matrix product over the last two axes: [..., m, k] by [..., k, n] with equal leading axes, or [..., k] by [k, n].
/// @param transpose_left the left operand is [..., k, m]
/// @param transpose_right the right operand is [..., n, k]
constexpr value matmul(value left, value right, bool transpose_left = false, bool transpose_right = false) {
  builder& graph = left.owner();
  if (left.dims().rank < 2 || right.dims().rank < 2)
    return graph.fail(problem::wrong_rank, "matmul", left.dims(), right.dims());
  if (right.dims().rank == 2 && left.dims().rank > 2 && !transpose_left) {
    shape dims = left.dims();
    const value flat = reshape(left, merge_leading(dims, dims.rank - 1));
    const value product = matmul(flat, right, false, transpose_right);
    if (graph.failed()) return product;
    dims[dims.rank - 1] = product.dims()[1];
    return reshape(product, dims);
  }
  const int rank = left.dims().rank;
  if (rank != right.dims().rank) return graph.fail(problem::wrong_rank, "matmul", left.dims(), right.dims());
  for (int d = 0; d < rank - 2; ++d)
    if (left.dims()[d] != right.dims()[d])
      return graph.fail(problem::shapes_do_not_broadcast, "matmul", left.dims(), right.dims());
  if (left.dims()[transpose_left ? rank - 2 : rank - 1] != right.dims()[transpose_right ? rank - 1 : rank - 2])
    return graph.fail(problem::inner_extents_differ, "matmul", left.dims(), right.dims());
  node made{.kind = op::matmul, .dims = left.dims(), .operand = {left.index(), right.index(), -1}};
  made.dims[rank - 2] = left.dims()[transpose_left ? rank - 1 : rank - 2];
  made.dims[rank - 1] = right.dims()[transpose_right ? rank - 2 : rank - 1];
  made.attr.transpose_a = transpose_left;
  made.attr.transpose_b = transpose_right;
  return graph.add(made);
}

/// Places a window of one axis takes; below 1 if it does not fit.
constexpr std::int32_t window_places(std::int32_t extent, const window& frame, int d) {
  const std::int32_t reach = frame.dilation[d] * (frame.kernel[d] - 1) + 1;
  const std::int32_t room = extent + 2 * frame.padding[d] - reach;
  return room < 0 ? 0 : room / frame.stride[d] + 1;
}

/// True if a window has an extent, goes forward and adds no negative padding.
constexpr bool window_is_sound(const window& frame) {
  for (int d = 0; d < 2; ++d)
    if (frame.kernel[d] < 1 || frame.stride[d] < 1 || frame.dilation[d] < 1 || frame.padding[d] < 0) return false;
  return true;
}

/// Convolution (cross-correlation, as in every framework): image [batch, channels, height, width] by weight
/// [filters, channels / groups, kernel height, kernel width].
constexpr value convolve(value image, value weight, window frame) {
  builder& graph = image.owner();
  const shape from = image.dims();
  const shape filter = weight.dims();
  if (from.rank != 4 || filter.rank != 4) return graph.fail(problem::wrong_rank, "conv2d", from, filter);
  if (frame.groups < 1 || from[1] % frame.groups != 0 || filter[0] % frame.groups != 0)
    return graph.fail(problem::groups_do_not_divide_channels, "conv2d", from, {filter[0], frame.groups});
  if (filter[1] * frame.groups != from[1]) return graph.fail(problem::channels_do_not_match, "conv2d", from, filter);
  frame.kernel[0] = static_cast<std::int16_t>(filter[2]);
  frame.kernel[1] = static_cast<std::int16_t>(filter[3]);
  if (!window_is_sound(frame)) return graph.fail(problem::extent_must_be_positive, "conv2d", from, filter);
  const shape dims{from[0], filter[0], window_places(from[2], frame, 0), window_places(from[3], frame, 1)};
  if (dims[2] < 1 || dims[3] < 1) return graph.fail(problem::window_larger_than_input, "conv2d", from, filter);
  return graph.add(
      {.kind = op::conv2d, .dims = dims, .operand = {image.index(), weight.index(), -1}, .attr = {.frame = frame}});
}

/// Gradient of a convolution with respect to its image, which has shape `dims`.
constexpr value convolve_input_gradient(value dy, value weight, window frame, shape dims) {
  return dy.owner().add({.kind = op::conv2d_input_gradient,
                         .dims = dims,
                         .operand = {dy.index(), weight.index(), -1},
                         .attr = {.frame = frame}});
}

/// Gradient of a convolution with respect to its weight, which has shape `dims`.
constexpr value convolve_weight_gradient(value image, value dy, window frame, shape dims) {
  return dy.owner().add({.kind = op::conv2d_weight_gradient,
                         .dims = dims,
                         .operand = {image.index(), dy.index(), -1},
                         .attr = {.frame = frame}});
}

/// Pooling of [batch, channels, height, width] by a window.
constexpr value pool(op kind, value image, window frame) {
  builder& graph = image.owner();
  const shape from = image.dims();
  if (from.rank != 4) return graph.fail(problem::wrong_rank, to_string(kind), from, {});
  if (!window_is_sound(frame) || frame.dilation[0] != 1 || frame.dilation[1] != 1)
    return graph.fail(problem::extent_must_be_positive, to_string(kind), from, {frame.kernel[0], frame.kernel[1]});
  const shape dims{from[0], from[1], window_places(from[2], frame, 0), window_places(from[3], frame, 1)};
  if (dims[2] < 1 || dims[3] < 1 || frame.padding[0] >= frame.kernel[0] || frame.padding[1] >= frame.kernel[1])
    return graph.fail(problem::window_larger_than_input, to_string(kind), from, {frame.kernel[0], frame.kernel[1]});
  return graph.add({.kind = kind, .dims = dims, .operand = {image.index(), -1, -1}, .attr = {.frame = frame}});
}

/// Softmax over the last axis. With `causal`, row r of the last two axes sees columns 0..r only.
constexpr value softmax(value from, bool causal = false) {
  if (from.dims().rank < (causal ? 2 : 1)) return from.owner().fail(problem::wrong_rank, "softmax", from.dims(), {});
  return unary(op::softmax, from, {.causal = causal});
}

/// Cross entropy of each row of logits [n, classes] with its label; labels [n]. `smoothing` spreads that share of the
/// target over all classes (Szegedy et al., CVPR 2016).
constexpr value cross_entropy(value logits, value labels, double smoothing = 0) {
  builder& graph = logits.owner();
  if (logits.dims().rank != 2 || labels.dims().rank != 1)
    return graph.fail(problem::wrong_rank, "cross_entropy", logits.dims(), labels.dims());
  if (logits.dims()[0] != labels.dims()[0])
    return graph.fail(problem::sizes_differ, "cross_entropy", logits.dims(), labels.dims());
  return graph.add({.kind = op::cross_entropy,
                    .dims = labels.dims(),
                    .operand = {logits.index(), labels.index(), -1},
                    .attr = {.scale = smoothing}});
}

/// Rows of a table [count, width] named by labels [n]: [n, width].
constexpr value take_rows(value table, value labels) {
  builder& graph = table.owner();
  if (table.dims().rank != 2 || labels.dims().rank != 1)
    return graph.fail(problem::wrong_rank, "take_rows", table.dims(), labels.dims());
  return graph.add({.kind = op::take_rows,
                    .dims = {labels.dims()[0], table.dims()[1]},
                    .operand = {table.index(), labels.index(), -1}});
}

/// The part of a sequence [turns, ...] that belongs to the turn of a loop; that is, its place along the first axis.
constexpr value turn(value sequence, std::int32_t loop) {
  builder& graph = sequence.owner();
  std::int32_t base = sequence.index();
  while (graph.at(base).kind == op::reshape) base = graph.at(base).operand[0];
  if (graph.at(base).kind == op::constant || graph.at(base).kind == op::setting)  // numbers, not memory
    sequence = unary(op::affine, sequence);
  return sequence.owner().add({.kind = op::turn,
                               .dims = drop_axes(sequence.dims(), {0}),
                               .operand = {sequence.index(), -1, -1},
                               .loop = loop});
}

/// A value that is `start` in the first turn of a loop, and then what builder::carry() gives it.
constexpr value carried(value start, std::int32_t loop) {
  builder& graph = start.owner();
  const std::int32_t outer = graph.loop_at(loop).outer;
  // A copy is the memory that the turns overwrite.
  const value memory = graph.add(
      {.kind = op::affine, .dims = start.dims(), .operand = {start.index(), -1, -1}, .loop = outer});
  return graph.add({.kind = op::carried, .dims = start.dims(), .operand = {memory.index(), -1, -1}, .loop = loop});
}

/// What a carried value is after its loop.
constexpr value last(value carried) {
  return carried.owner().add({.kind = op::last, .dims = carried.dims(), .operand = {carried.index(), -1, -1}});
}

/// A value of a loop, of all turns: [turns, ...]; of a value with as many axes as there can be, [turns, elements].
constexpr value stack(value from) {
  builder& graph = from.owner();
  const std::int32_t loop = graph.at(from.index()).loop;
  if (loop < 0) return graph.fail(problem::value_outside_its_loop, "stack", from.dims(), {});
  const std::int32_t before = graph.enter_loop(loop);
  std::int32_t base = from.index();
  while (graph.at(base).kind == op::reshape) base = graph.at(base).operand[0];
  const op kind = graph.at(base).kind;
  const bool renamed = base != from.index() && graph.at(base).dims.rank < max_rank;
  // What only names memory needs a copy to be kept; one value has one stack.
  value kept = graph.handle(renamed ? base : from.index());
  if (kind == op::carried || kind == op::turn || kind == op::last || (base != from.index() && !renamed))
    kept = unary(op::affine, kept);
  (void)graph.enter_loop(graph.loop_at(loop).outer);
  const auto stacked = [&](shape dims) {
    if (dims.rank == max_rank) dims = merge_leading(dims, max_rank);
    for (int d = dims.rank++; d > 0; --d) dims.extent[d] = dims.extent[d - 1];
    dims.extent[0] = graph.loop_at(loop).turns;
    return dims;
  };
  value all;
  for (std::int32_t index = kept.index() + 1; index < graph.result().nodes.size(); ++index)
    if (graph.at(index).kind == op::stack && graph.at(index).operand[0] == kept.index()) all = graph.handle(index);
  if (!all.exists())
    all = graph.add({.kind = op::stack, .dims = stacked(kept.dims()), .operand = {kept.index(), -1, -1}});
  if (renamed) all = reshape(all, stacked(from.dims()));
  (void)graph.enter_loop(before);
  return all;
}

/// A random mask of the given shape: 0 with probability `rate`, else 1 / (1 - rate). In a loop, every turn has its own.
constexpr value dropout_mask(value like, double rate, std::uint32_t stream) {
  builder& graph = like.owner();
  sequence<std::int32_t> loops;  // those around the value, the innermost first
  for (std::int32_t loop = graph.at(like.index()).loop; loop >= 0; loop = graph.loop_at(loop).outer)
    loops.push_back(loop);
  shape dims = like.dims();
  if (dims.rank + loops.size() > max_rank) return graph.fail(problem::wrong_rank, "dropout_mask", dims, {});
  for (int l = 0; l < loops.size(); ++l) {
    for (int d = dims.rank++; d > 0; --d) dims.extent[d] = dims.extent[d - 1];
    dims.extent[0] = graph.loop_at(loops[l]).turns;
  }
  value mask = graph.add({.kind = op::dropout_mask, .dims = dims, .attr = {.scale = rate, .stream = stream}});
  for (int l = loops.size() - 1; l >= 0; --l) mask = turn(mask, loops[l]);
  return mask;
}

}  // namespace vivace::inline VIVACE_TARGET::ops
