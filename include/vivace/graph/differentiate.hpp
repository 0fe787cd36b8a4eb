#pragma once
#include <initializer_list>

#include <vivace/graph/ops.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Reverse-mode differentiation: adds the nodes of the gradient of a scalar to the graph that computes it.
///
/// Every rule is written in operations that have rules themselves, so the result can be differentiated again.
class reverse_sweep {
 public:
  /// @param flipped test hook: the contributions of this operation's rule change sign
  constexpr reverse_sweep(builder& graph, std::int32_t loss, op flipped = op::none)
      : graph_(graph), loss_(loss), flipped_(flipped), adjoint_(loss + 1, -1), reached_(loss + 1, 0) {}

  /// The gradients of the loss with respect to the given nodes, in their order; -1 where the loss does not depend on it.
  constexpr sequence<std::int32_t> operator()(const sequence<std::int32_t>& variables) {
    mark_dependents(variables);
    const value one = graph_.constant(1);
    if (reached_[loss_] != 0) adjoint_[loss_] = ops::broadcast(one, graph_.at(loss_).dims).index();
    for (std::int32_t index = loss_; index >= 0; --index)
      if (adjoint_[index] >= 0 && !is_source(graph_.at(index).kind)) propagate(index);
    sequence<std::int32_t> gradients;
    for (const std::int32_t variable : variables)
      gradients.push_back(variable <= loss_ ? adjoint_[variable] : -1);
    return gradients;
  }

 private:
  constexpr void mark_dependents(const sequence<std::int32_t>& variables) {
    for (int v = 0; v < variables.size(); ++v)
      if (variables[v] <= loss_) reached_[variables[v]] = 1;
    for (std::int32_t index = 0; index <= loss_; ++index) {
      const node& current = graph_.at(index);
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
        if (reached_[current.operand[i]] != 0) reached_[index] = 1;
    }
  }

  /// Adds the contribution that operand `position` of the current node receives.
  constexpr void give(int position, value contribution) {
    const std::int32_t target = current_.operand[position];
    if (flipped_ == current_.kind) contribution = ops::negate(contribution);
    contribution = ops::sum_to(contribution, graph_.at(target).dims);
    if (adjoint_[target] >= 0) contribution = graph_.handle(adjoint_[target]) + contribution;
    adjoint_[target] = contribution.index();
  }
  [[nodiscard]] constexpr bool wanted(int position) const {
    return current_.operand[position] >= 0 && reached_[current_.operand[position]] != 0;
  }
  [[nodiscard]] constexpr value operand(int position) const { return graph_.handle(current_.operand[position]); }

  constexpr void propagate(std::int32_t index) {
    current_ = graph_.at(index);
    const value result = graph_.handle(index);
    const value dy = graph_.handle(adjoint_[index]);
    if (current_.kind <= op::broadcast)
      unary_rule(result, dy);
    else if (current_.kind <= op::map)
      elementwise_rule(result, dy);
    else if (current_.kind <= op::max)
      shape_rule(result, dy);
    else if (current_.kind <= op::conv2d_weight_gradient)
      product_rule(dy);
    else
      row_rule(result, dy);
  }

  constexpr void unary_rule(value y, value dy) {
    if (!wanted(0)) return;
    const value x = operand(0);
    constexpr double two_over_root_pi = 1.12837916709551257390;
    switch (current_.kind) {
      case op::affine: return give(0, dy * current_.attr.scale);
      case op::negate: return give(0, -dy);
      case op::exp: return give(0, dy * y);
      case op::log: return give(0, dy / x);
      case op::sqrt: return give(0, dy / y * 0.5);
      case op::reciprocal: return give(0, -(dy * square(y)));
      case op::tanh: return give(0, dy * (1.0 - square(y)));
      case op::sigmoid: return give(0, dy * (y * (1.0 - y)));
      case op::relu: return give(0, dy * step(y));
      case op::abs: return give(0, dy * sign(x));
      case op::sin: return give(0, dy * cos(x));
      case op::cos: return give(0, -(dy * sin(x)));
      case op::erf: return give(0, dy * (exp(-square(x)) * two_over_root_pi));
      case op::square: return give(0, dy * (x * 2.0));
      case op::power:
        if (current_.attr.scale == 0) return;  // flat; 0 * x^-1 would be NaN at zero
        return give(0, dy * (power(x, current_.attr.scale - 1) * current_.attr.scale));
      case op::broadcast: return give(0, sum_to(dy, x.dims(), current_.attr.mean));
      default: return;  // step and sign are flat wherever they have a derivative
    }
  }

  constexpr void elementwise_rule(value y, value dy) {
    switch (current_.kind) {
      case op::add:
        if (wanted(0)) give(0, dy);
        if (wanted(1)) give(1, dy);
        return;
      case op::subtract:
        if (wanted(0)) give(0, dy);
        if (wanted(1)) give(1, -dy);
        return;
      case op::multiply:
        if (wanted(0)) give(0, dy * operand(1));
        if (wanted(1)) give(1, dy * operand(0));
        return;
      case op::divide:
        if (wanted(0)) give(0, dy / operand(1));
        if (wanted(1)) give(1, -(dy * y / operand(1)));
        return;
      case op::maximum:  // a tie goes to the left operand
        if (wanted(0)) give(0, dy * (1.0 - (operand(1) > operand(0))));
        if (wanted(1)) give(1, dy * (operand(1) > operand(0)));
        return;
      case op::minimum:
        if (wanted(0)) give(0, dy * (1.0 - (operand(0) > operand(1))));
        if (wanted(1)) give(1, dy * (operand(0) > operand(1)));
        return;
      case op::select:
        if (wanted(1)) give(1, where(operand(0), dy, graph_.constant(0)));
        if (wanted(2)) give(2, where(operand(0), graph_.constant(0), dy));
        return;
      case op::map: {
        if (!wanted(0)) return;
        node derived = current_;
        if (++derived.attr.derivative == functor_orders) {
          graph_.fail(problem::no_second_derivative, current_.attr.functor->name, current_.dims, {});
          return;
        }
        give(0, dy * graph_.add(derived));
        return;
      }
      default: return;  // comparisons and masks are flat
    }
  }

  constexpr void shape_rule(value y, value dy) {
    const int axis = current_.attr.axes[0];
    const std::int32_t first = current_.attr.first;
    switch (current_.kind) {
      case op::reshape: return give(0, reshape(dy, operand(0).dims()));
      case op::transpose: {
        node back{.kind = op::transpose, .dims = operand(0).dims(), .operand = {dy.index(), -1, -1}};
        for (int d = 0; d < current_.dims.rank; ++d) back.attr.axes[current_.attr.axes[d]] = static_cast<std::int8_t>(d);
        return give(0, graph_.add(back));
      }
      case op::slice: return give(0, pad(dy, axis, first, operand(0).dims()[axis]));
      case op::pad: return give(0, slice(dy, axis, first, operand(0).dims()[axis]));
      case op::concatenate: {
        const std::int32_t left = operand(0).dims()[axis];
        if (wanted(0)) give(0, slice(dy, axis, 0, left));
        if (wanted(1)) give(1, slice(dy, axis, left, operand(1).dims()[axis]));
        return;
      }
      case op::sum: return give(0, broadcast(dy, operand(0).dims(), current_.attr.mean));
      case op::max: {  // equal maxima share the gradient
        const value found = equal(operand(0), y);
        const value share = dy / sum_to(found, y.dims());
        return give(0, found * share);
      }
      default: return;
    }
  }

  constexpr void product_rule(value dy) {
    const window frame = current_.attr.frame;
    switch (current_.kind) {
      case op::matmul: {
        const bool left = current_.attr.transpose_a;
        const bool right = current_.attr.transpose_b;
        if (wanted(0)) give(0, left ? matmul(operand(1), dy, right, true) : matmul(dy, operand(1), false, !right));
        if (wanted(1)) give(1, right ? matmul(dy, operand(0), true, left) : matmul(operand(0), dy, !left, false));
        return;
      }
      case op::conv2d:
        if (wanted(0)) give(0, convolve_input_gradient(dy, operand(1), frame, operand(0).dims()));
        if (wanted(1)) give(1, convolve_weight_gradient(operand(0), dy, frame, operand(1).dims()));
        return;
      case op::conv2d_input_gradient:
        if (wanted(0)) give(0, convolve(dy, operand(1), frame));
        if (wanted(1)) give(1, convolve_weight_gradient(dy, operand(0), frame, operand(1).dims()));
        return;
      case op::conv2d_weight_gradient:
        if (wanted(0)) give(0, convolve_input_gradient(operand(1), dy, frame, operand(0).dims()));
        if (wanted(1)) give(1, convolve(operand(0), dy, frame));
        return;
      default: return;
    }
  }

  constexpr void row_rule(value y, value dy) {
    switch (current_.kind) {
      case op::max_pool: return give(0, windowed(op::max_pool_gradient, operand(0), dy, operand(0).dims()));
      case op::max_pool_gradient:  // flat in the image wherever it has a derivative
        if (wanted(1)) give(1, windowed(op::max_pool_pick, operand(0), dy, operand(1).dims()));
        return;
      case op::max_pool_pick:
        if (wanted(1)) give(1, windowed(op::max_pool_gradient, operand(0), dy, operand(1).dims()));
        return;
      case op::avg_pool: return give(0, windowed(op::avg_pool_gradient, dy, {}, operand(0).dims()));
      case op::avg_pool_gradient: return give(0, windowed(op::avg_pool, dy, {}, operand(0).dims()));
      case op::softmax: return give(0, softmax_rule(y, dy));
      case op::cross_entropy: return give(0, cross_entropy_gradient(dy));
      case op::cross_entropy_gradient: {
        if (wanted(0)) {
          const value probability = ops::softmax(operand(0));  // not the layer of that name
          const value scale = reshape(operand(2), {operand(2).dims()[0], 1});
          give(0, softmax_rule(probability, dy * scale));
        }
        if (wanted(2)) {
          const value one = broadcast(graph_.constant(1), operand(2).dims());
          give(2, sum(dy * cross_entropy_gradient(one), {1}));
        }
        return;
      }
      case op::take_rows:
        return give(0, graph_.add({.kind = op::add_rows,
                                   .dims = operand(0).dims(),
                                   .operand = {dy.index(), current_.operand[1], -1}}));
      case op::add_rows: return give(0, take_rows(dy, operand(1)));
      default: return;
    }
  }

  constexpr value windowed(op kind, value first, value second, shape dims) {
    return graph_.add({.kind = kind,
                       .dims = dims,
                       .operand = {first.index(), second.index(), -1},
                       .attr = {.frame = current_.attr.frame}});
  }
  constexpr value softmax_rule(value y, value dy) {
    const value weighted = dy * y;
    const value total = sum_to(weighted, ops::keep_axes(y.dims(), {-1}));
    return y * (dy - total);
  }
  /// (softmax(logits) - target) * scale, for the logits and labels of the current node.
  constexpr value cross_entropy_gradient(value scale) {
    return graph_.add({.kind = op::cross_entropy_gradient,
                       .dims = operand(0).dims(),
                       .operand = {current_.operand[0], current_.operand[1], scale.index()},
                       .attr = {.scale = current_.attr.scale}});
  }

  builder& graph_;
  std::int32_t loss_;
  op flipped_;
  sequence<std::int32_t> adjoint_;
  sequence<char> reached_;
  node current_;  // a copy: adding nodes moves the array
};

namespace ops {

/// Gradient of a scalar with respect to a value it is computed from; zeros if it does not depend on it. An ordinary
/// value: it can be differentiated again.
constexpr value gradient(value loss, value with_respect_to) {
  builder& graph = loss.owner();
  if (loss.dims().size() != 1 || loss.dims().per_sample())
    return graph.fail(problem::loss_must_be_a_scalar, "gradient", loss.dims(), {});
  sequence<std::int32_t> variables;
  variables.push_back(with_respect_to.index());
  const std::int32_t found = reverse_sweep(graph, loss.index())(variables)[0];
  if (found >= 0) return graph.handle(found);
  return broadcast(graph.constant(0), with_respect_to.dims());
}

}  // namespace ops

}  // namespace vivace::inline VIVACE_TARGET
