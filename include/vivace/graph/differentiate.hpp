#pragma once
#include <initializer_list>

#include <vivace/graph/ops.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/graph/summation.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Reverse-mode differentiation: adds the nodes of the gradient of a scalar to the graph that computes it.
///
/// Every rule is written in operations that have rules themselves, so the result can be differentiated again.
///
/// The gradient of a loop is a loop over the same turns in the other direction. What it reads of a turn, the loop
/// itself stacks, or, if that is cheap or marked for it, the other loop computes it again; what many turns give to one
/// value from outside of the loop, it carries and adds up.
class reverse_sweep {
 public:
  /// @param flipped test hook: the contributions of this operation's rule change sign
  constexpr reverse_sweep(builder& graph, std::int32_t loss, op flipped = op::none)
      : graph_(graph), summed_(graph), loss_(loss), level_(graph.at(loss).loop), start_level_(level_), flipped_(flipped),
        adjoint_(loss + 1, -1), reached_(loss + 1, 0) {}

  /// The gradients of the loss with respect to the given nodes, in their order; -1 where the loss does not depend on it.
  constexpr sequence<std::int32_t> operator()(const sequence<std::int32_t>& variables) {
    mark_dependents(variables);
    if (!graph_.result().loops.empty()) prepare_loops();
    const value one = graph_.constant(1);
    if (reached_[loss_] != 0) adjoint_[loss_] = ops::broadcast(one, graph_.at(loss_).dims).index();
    for (std::int32_t index = loss_; index >= 0; --index)
      if (encloses(graph_.result().loops, graph_.at(index).loop, start_level_)) visit(index);
    sequence<std::int32_t> gradients;
    for (int v = 0; v < variables.size(); ++v)
      gradients.push_back(variables[v] <= loss_ ? adjoint_[variables[v]] : -1);
    return gradients;
  }

 private:
  constexpr void mark_dependents(const sequence<std::int32_t>& variables) {
    for (int v = 0; v < variables.size(); ++v)
      if (variables[v] <= loss_) reached_[variables[v]] = 1;
    for (bool again = true; again;) {
      for (std::int32_t index = 0; index <= loss_; ++index) {
        const node& current = graph_.at(index);
        for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
          if (reached_[current.operand[i]] != 0) reached_[index] = 1;
      }
      again = false;
      for (int s = 0; s < graph_.result().assignments.size() && !graph_.result().loops.empty(); ++s) {
        const assignment& store = graph_.result().assignments[s];
        if (graph_.at(store.target).kind != op::carried || store.value > loss_ || store.target > loss_) continue;
        again = again || (reached_[store.value] != 0 && reached_[store.target] == 0);
        if (reached_[store.value] != 0) reached_[store.target] = 1;
      }
    }
  }

  /// Passes on what a node has received, or what a loop has, when the first of its results is reached.
  constexpr void visit(std::int32_t index) {
    const op kind = graph_.at(index).kind;
    if (graph_.failed()) return;
    if (is_loop_result(kind)) {
      const std::int32_t loop = graph_.at(graph_.at(index).operand[0]).loop;
      if (first_result_[loop] == index) differentiate_loop(loop);
    } else if (adjoint_[index] >= 0 && !is_source(kind)) {
      propagate(index);
    }
  }

  /// What the current node received.
  [[nodiscard]] constexpr value received() { return graph_.handle(adjoint_[index_]); }

  /// Adds the contribution that operand `position` of the current node receives.
  constexpr void give(int position, value share) {
    const std::int32_t target = current_.operand[position];
    give_to(target, summed_(by_rule_of(current_.kind, share), graph_.at(target).dims));
  }
  constexpr value by_rule_of(op kind, value share) const {
    if (flipped_ == kind) share = ops::negate(share);
    return share;
  }
  constexpr void give_to(std::int32_t target, value share) {
    std::int32_t& all = adjoint_at_level(target);
    if (all >= 0) share = summed_.total(graph_.handle(all), share);
    all = share.index();
  }
  [[nodiscard]] constexpr bool wanted(int position) const {
    return current_.operand[position] >= 0 && reached_[current_.operand[position]] != 0;
  }
  [[nodiscard]] constexpr value operand(int position) { return available(current_.operand[position]); }
  [[nodiscard]] constexpr shape dims_of(int position) const { return graph_.at(current_.operand[position]).dims; }
  /// The value of the current node.
  [[nodiscard]] constexpr value result() { return available(index_); }

  constexpr void propagate(std::int32_t index) {
    index_ = index;
    current_ = graph_.at(index);
    const value dy = received();
    if (current_.kind <= op::broadcast)
      unary_rule(dy);
    else if (current_.kind <= op::map)
      elementwise_rule(dy);
    else if (current_.kind <= op::max)
      shape_rule(dy);
    else if (current_.kind <= op::conv2d_weight_gradient)
      product_rule(dy);
    else if (current_.kind == op::turn)
      parts_.push_back({current_.operand[0], by_rule_of(op::turn, dy).index()});
    else if (current_.kind != op::carried)
      row_rule(dy);
  }

  constexpr void unary_rule(value dy) {
    if (!wanted(0)) return;
    constexpr double two_over_root_pi = 1.12837916709551257390;
    switch (current_.kind) {
      case op::affine: return give(0, dy * current_.attr.scale);
      case op::negate: return give(0, -dy);
      case op::exp: return give(0, dy * result());
      case op::log: return give(0, dy / operand(0));
      case op::sqrt: return give(0, dy / result() * 0.5);
      case op::reciprocal: return give(0, -(dy * square(result())));
      case op::tanh: return give(0, dy * (1.0 - square(result())));
      case op::sigmoid: {
        const value y = result();
        return give(0, dy * (y * (1.0 - y)));
      }
      case op::relu: return give(0, dy * step(result()));
      case op::abs: return give(0, dy * sign(operand(0)));
      case op::sin: return give(0, dy * cos(operand(0)));
      case op::cos: return give(0, -(dy * sin(operand(0))));
      case op::erf: return give(0, dy * (exp(-square(operand(0))) * two_over_root_pi));
      case op::square: return give(0, dy * (operand(0) * 2.0));
      case op::power:
        if (current_.attr.scale == 0) return;  // flat; 0 * x^-1 would be NaN at zero
        return give(0, dy * (power(operand(0), current_.attr.scale - 1) * current_.attr.scale));
      case op::broadcast: return give(0, sum_to(dy, dims_of(0), current_.attr.mean));
      default: return;  // step and sign are flat wherever they have a derivative
    }
  }

  constexpr void elementwise_rule(value dy) {
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
        if (wanted(1)) give(1, -(dy * result() / operand(1)));
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
        derived.loop = -1;
        derived.operand[0] = operand(0).index();
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

  constexpr void shape_rule(value dy) {
    const int axis = current_.attr.axes[0];
    const std::int32_t first = current_.attr.first;
    switch (current_.kind) {
      case op::reshape: return give(0, reshape(dy, dims_of(0)));
      case op::transpose: {
        node back{.kind = op::transpose, .dims = dims_of(0), .operand = {dy.index(), -1, -1}};
        for (int d = 0; d < current_.dims.rank; ++d) back.attr.axes[current_.attr.axes[d]] = static_cast<std::int8_t>(d);
        return give(0, graph_.add(back));
      }
      case op::slice: return give(0, pad(dy, axis, first, dims_of(0)[axis]));
      case op::pad: return give(0, slice(dy, axis, first, dims_of(0)[axis]));
      case op::concatenate: {
        const std::int32_t left = dims_of(0)[axis];
        if (wanted(0)) give(0, slice(dy, axis, 0, left));
        if (wanted(1)) give(1, slice(dy, axis, left, dims_of(1)[axis]));
        return;
      }
      case op::sum: return give(0, broadcast(dy, dims_of(0), current_.attr.mean));
      case op::max: {  // equal maxima share the gradient
        const value found = equal(operand(0), result());
        const value share = dy / sum_to(found, current_.dims);
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
        if (wanted(0)) give(0, convolve_input_gradient(dy, operand(1), frame, dims_of(0)));
        if (wanted(1)) give(1, convolve_weight_gradient(operand(0), dy, frame, dims_of(1)));
        return;
      case op::conv2d_input_gradient:
        if (wanted(0)) give(0, convolve(dy, operand(1), frame));
        if (wanted(1)) give(1, convolve_weight_gradient(dy, operand(0), frame, dims_of(1)));
        return;
      case op::conv2d_weight_gradient:
        if (wanted(0)) give(0, convolve_input_gradient(operand(1), dy, frame, dims_of(0)));
        if (wanted(1)) give(1, convolve(operand(0), dy, frame));
        return;
      default: return;
    }
  }

  constexpr void row_rule(value dy) {
    switch (current_.kind) {
      case op::max_pool: return give(0, windowed(op::max_pool_gradient, operand(0), dy, dims_of(0)));
      case op::max_pool_gradient:  // flat in the image wherever it has a derivative
        if (wanted(1)) give(1, windowed(op::max_pool_pick, operand(0), dy, dims_of(1)));
        return;
      case op::max_pool_pick:
        if (wanted(1)) give(1, windowed(op::max_pool_gradient, operand(0), dy, dims_of(1)));
        return;
      case op::avg_pool: return give(0, windowed(op::avg_pool_gradient, dy, {}, dims_of(0)));
      case op::avg_pool_gradient: return give(0, windowed(op::avg_pool, dy, {}, dims_of(0)));
      case op::softmax: return give(0, softmax_rule(result(), dy));
      case op::cross_entropy: return give(0, cross_entropy_gradient(dy));
      case op::cross_entropy_gradient: {
        if (wanted(0)) {
          const value probability = ops::softmax(operand(0));  // not the layer of that name
          const value scale = reshape(operand(2), {dims_of(2)[0], 1});
          give(0, softmax_rule(probability, dy * scale));
        }
        if (wanted(2)) {
          const value one = broadcast(graph_.constant(1), dims_of(2));
          give(2, sum(dy * cross_entropy_gradient(one), {1}));
        }
        return;
      }
      case op::take_rows:
        return give(0, graph_.add({.kind = op::add_rows,
                                   .dims = dims_of(0),
                                   .operand = {dy.index(), operand(1).index(), -1}}));
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
    const value logits = operand(0);
    const value labels = operand(1);
    return graph_.add({.kind = op::cross_entropy_gradient,
                       .dims = dims_of(0),
                       .operand = {logits.index(), labels.index(), scale.index()},
                       .attr = {.scale = current_.attr.scale}});
  }

  // Loops.

  /// A node, and what it receives.
  struct contribution {
    std::int32_t target = -1;
    std::int32_t value = -1;
  };
  /// Longest chain of cheap operations that is repeated.
  static constexpr int most_repeated = 4;
  /// What a node had received before a loop in which it gets more.
  struct set_aside {
    std::int32_t target = -1;
    std::int32_t received = -1;
    std::int32_t level = -1;
  };

  constexpr void prepare_loops() {
    const graph& from = graph_.result();
    needed_.resize(loss_ + 1, 0);
    needed_[loss_] = 1;
    mark_ancestors(from, loss_, needed_);
    first_result_.resize(from.loops.size(), -1);
    backward_.resize(from.loops.size(), -1);
    for (std::int32_t index = loss_; index >= 0; --index)
      if (is_loop_result(graph_.at(index).kind)) first_result_[graph_.at(graph_.at(index).operand[0]).loop] = index;
    available_.resize(loss_ + 1, -1);
    counted_at_.resize(loss_ + 1, start_level_);
  }

  /// True if the loop that is being differentiated, or one around it, does not change the value.
  [[nodiscard]] constexpr bool visible(std::int32_t index) const {
    return encloses(graph_.result().loops, graph_.at(index).loop, start_level_);
  }

  /// A value of the forward pass, for the loop of the backward pass that is being built.
  constexpr value available(std::int32_t index) {
    if (visible(index)) return graph_.handle(index);
    if (index <= loss_ && available_[index] >= 0) return graph_.handle(available_[index]);
    const node old = graph_.at(index);
    const std::int32_t loop = backward_[old.loop];
    value made;
    if (old.kind == op::turn) {
      made = ops::turn(available(old.operand[0]), loop);
    } else if (old.kind == op::reshape) {
      made = ops::reshape(available(old.operand[0]), old.dims);
    } else if (is_repeated(index)) {
      node again = old;
      for (int i = 0; i < old.operands(); ++i) again.operand[i] = available(old.operand[i]).index();
      again.loop = loop;
      again.repeat = false;
      made = graph_.add(again);
    } else {
      const value part = ops::turn(available(stacked(index)), loop);
      made = ops::reshape(part, old.dims);
    }
    if (index <= loss_) available_[index] = made.index();
    return made;
  }
  /// True for a value that the backward loop computes again: it is marked for that, or a cheap function of values that
  /// the backward loop has, or will need anyway.
  [[nodiscard]] constexpr bool is_repeated(std::int32_t index) const {
    const node& old = graph_.at(index);
    if (old.kind == op::carried || is_loop_result(old.kind)) return false;
    return old.repeat || (is_cheap(old.kind) && is_at_hand(index, 0));
  }
  [[nodiscard]] static constexpr bool is_cheap(op kind) {
    return kind == op::affine || kind == op::negate || kind == op::square || kind == op::add || kind == op::subtract ||
           kind == op::multiply || kind == op::broadcast || kind == op::slice || kind == op::reshape;
  }
  [[nodiscard]] constexpr bool is_at_hand(std::int32_t index, int depth) const {
    const node& old = graph_.at(index);
    const bool needed_by_own_rule = old.kind == op::exp || old.kind == op::sqrt || old.kind == op::reciprocal ||
                                    old.kind == op::tanh || old.kind == op::sigmoid;
    if (visible(index) || needed_by_own_rule || old.kind == op::carried || old.kind == op::turn) return true;
    if (index <= loss_ && available_[index] >= 0) return true;
    if (!is_cheap(old.kind) || depth == most_repeated) return false;
    for (int i = 0; i < old.operands(); ++i)
      if (!is_at_hand(old.operand[i], depth + 1)) return false;
    return true;
  }
  /// The stack of a value of the forward pass; made where that is computed.
  constexpr std::int32_t stacked(std::int32_t index) {
    const std::int32_t before = graph_.enter_loop(graph_.at(index).loop);
    const value all = ops::stack(graph_.handle(index));
    (void)graph_.enter_loop(before);
    return all.index();
  }

  /// What a node has received at the level that is being differentiated. What is outside of a loop receives the
  /// contributions of its turns first, and their sum when the loop is done.
  constexpr std::int32_t& adjoint_at_level(std::int32_t target) {
    if (level_ != start_level_ && graph_.at(target).loop != level_ && counted_at_[target] != level_) {
      set_aside_.push_back({target, adjoint_[target], counted_at_[target]});
      counted_at_[target] = level_;
      adjoint_[target] = -1;
    }
    return adjoint_[target];
  }

  /// Carries a value through the loop that is being built.
  constexpr value carried(value start) { return ops::carried(start, backward_[level_]); }
  constexpr value zeros(const shape& dims) {
    const value zero = graph_.constant(0);
    return ops::broadcast(zero, dims);
  }
  /// True if something comes back to a result of the loop.
  [[nodiscard]] constexpr bool is_asked_for(std::int32_t loop) const {
    for (std::int32_t index = first_result_[loop]; index <= loss_; ++index)
      if (is_loop_result(graph_.at(index).kind) && graph_.at(graph_.at(index).operand[0]).loop == loop &&
          adjoint_[index] >= 0)
        return true;
    return false;
  }

  /// Adds the loop of the gradient of a loop.
  constexpr void differentiate_loop(std::int32_t loop) {
    if (!is_asked_for(loop)) return;
    const std::int32_t outer = level_;
    const int first_part = parts_.size();
    const int first_aside = set_aside_.size();
    const bool reverse = !graph_.loop_at(loop).reverse;
    backward_[loop] = graph_.begin_loop(graph_.loop_at(loop).turns, reverse);
    level_ = loop;
    const sequence<contribution> carries = receive_results(loop);
    for (std::int32_t index = loss_; index >= 0; --index)
      if (graph_.at(index).loop == loop) visit(index);
    for (int c = 0; c < carries.size(); ++c) {  // to the turn before; after the first, to the start value
      const std::int32_t given_back = adjoint_[carries[c].target];
      const value adjoint = graph_.handle(carries[c].value);
      value next;
      if (given_back >= 0) next = by_rule_of(op::carried, graph_.handle(given_back));
      else next = zeros(adjoint.dims());
      graph_.carry(adjoint, next);
    }
    // What each turn gave to values outside is added up.
    sequence<contribution> sums;
    for (int a = set_aside_.size() - 1; a >= first_aside; --a) {
      const set_aside aside = set_aside_[a];
      const value given = graph_.handle(adjoint_[aside.target]);
      counted_at_[aside.target] = aside.level;
      adjoint_[aside.target] = aside.received;
      sums.push_back({aside.target, given.index()});
    }
    set_aside_.resize(first_aside);
    level_ = outer;
    for (int t = 0; t < sums.size(); ++t) {
      const std::int32_t so_far = adjoint_at_level(sums[t].target);
      const value given = graph_.handle(sums[t].value);
      value start;
      if (so_far >= 0) start = graph_.handle(so_far);
      else start = zeros(given.dims());
      const value sum = ops::carried(start, backward_[loop]);
      graph_.carry(sum, sum + given);
      sums[t].value = sum.index();
    }
    (void)graph_.enter_loop(graph_.loop_at(backward_[loop]).outer);
    for (int t = 0; t < sums.size(); ++t)
      adjoint_at_level(sums[t].target) = ops::last(graph_.handle(sums[t].value)).index();
    for (int c = 0; c < carries.size(); ++c) {
      const std::int32_t start = graph_.at(carries[c].target).operand[0];
      if (reached_[start] != 0) give_to(start, ops::last(graph_.handle(carries[c].value)));
    }
    for (int p = first_part; p < parts_.size(); ++p) {
      const value all = ops::stack(graph_.handle(parts_[p].value));
      give_to(parts_[p].target, ops::reshape(all, graph_.at(parts_[p].target).dims));
    }
    parts_.resize(first_part);
  }

  /// Hands what has come back to a loop's results to the values of its turns: to those that are stacked, a part in each
  /// turn; to those that are carried, in the last turn, and from turn to turn what the next one gives back.
  /// @return the carried values, and those that carry what they receive
  constexpr sequence<contribution> receive_results(std::int32_t loop) {
    sequence<contribution> carries;
    sequence<std::int32_t> at_end(loss_ + 1, -1);
    for (std::int32_t index = first_result_[loop]; index <= loss_; ++index) {
      const node result = graph_.at(index);
      if (!is_loop_result(result.kind) || graph_.at(result.operand[0]).loop != loop || adjoint_[index] < 0) continue;
      if (result.kind == op::stack) {
        const value all = by_rule_of(op::stack, graph_.handle(adjoint_[index]));
        const value part = ops::turn(all, backward_[loop]);
        give_to(result.operand[0], ops::reshape(part, graph_.at(result.operand[0]).dims));
      } else {
        at_end[result.operand[0]] = by_rule_of(op::last, graph_.handle(adjoint_[index])).index();
      }
    }
    const int assignments = graph_.result().assignments.size();
    for (int s = 0; s < assignments; ++s) {
      const assignment store = graph_.result().assignments[s];
      if (store.target > loss_ || graph_.at(store.target).loop != loop) continue;
      if (reached_[store.target] == 0 || (needed_[store.target] == 0 && at_end[store.target] < 0)) continue;
      value start;
      if (at_end[store.target] >= 0) start = graph_.handle(at_end[store.target]);
      else start = zeros(graph_.at(store.target).dims);
      const value adjoint = ops::carried(start, backward_[loop]);
      carries.push_back({store.target, adjoint.index()});
      if (reached_[store.value] != 0) give_to(store.value, adjoint);
    }
    return carries;
  }

  builder& graph_;
  summation summed_;
  std::int32_t loss_;
  std::int32_t level_;        ///< the loop of the forward pass whose nodes are visited
  std::int32_t start_level_;  ///< that of the loss: what it and those around it compute is there in the backward pass
  op flipped_;
  sequence<std::int32_t> adjoint_;
  sequence<char> reached_;
  std::int32_t index_ = -1;
  node current_;  // a copy: adding nodes moves the array
  // Of graphs with loops:
  sequence<char> needed_;                 ///< the loss is computed from it
  sequence<std::int32_t> first_result_;   ///< of each loop
  sequence<std::int32_t> backward_;       ///< the loop of each loop's gradient
  sequence<std::int32_t> available_;      ///< what a value of a loop is called in the loop of the gradient
  sequence<std::int32_t> counted_at_;     ///< the loop whose contributions adjoint_ holds for a node outside of it
  sequence<set_aside> set_aside_;
  sequence<contribution> parts_;          ///< what the parts of sequences received
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
