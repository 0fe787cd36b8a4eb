#pragma once
#include <vivace/nn/layer.hpp>
#include <vivace/nn/model.hpp>

namespace vivace::inline VIVACE_TARGET {

namespace ops {

/// log(1 + e^x), without overflow. At 0 it has the derivatives of its left branch, which are the exact ones.
constexpr value softplus(value from) {
  const value positive = step(from);
  const value negated = -from;
  const value exponent = where(positive, negated, from);  // -|x|
  const value rest = log(exp(exponent) + 1.0);
  return relu(from) + rest;
}

/// True if a loss can compare the two; else the mistake is kept.
constexpr bool comparable(std::string_view loss, value prediction, value target) {
  if (prediction.dims() == target.dims()) return true;
  prediction.owner().fail(problem::sizes_differ, loss, prediction.dims(), target.dims());
  return false;
}

/// Mean of the squared differences; both of one shape.
constexpr value mean_squared_error(value prediction, value target) {
  if (!comparable("mse", prediction, target)) return prediction.owner().constant(0);
  return mean(square(prediction - target));
}

/// Mean of e^2 / 2 where |e| <= delta, else delta * (|e| - delta / 2), for the differences e (Huber, 1964).
constexpr value huber(value prediction, value target, double delta) {
  builder& graph = prediction.owner();
  if (delta <= 0) return graph.fail(problem::extent_must_be_positive, "huber", prediction.dims(), {});
  if (!comparable("huber", prediction, target)) return graph.constant(0);
  const value difference = prediction - target;
  const value clamped = maximum(minimum(difference, delta), -delta);
  const value rest = difference - clamped * 0.5;
  return mean(clamped * rest);
}

/// Mean of log(1 + e^x) - x t for logits x and targets t in [0, 1]: each element is a yes-or-no question of its own.
constexpr value binary_cross_entropy(value logits, value target) {
  if (!comparable("binary_cross_entropy", logits, target)) return logits.owner().constant(0);
  const value all = softplus(logits);
  return mean(all - logits * target);
}

/// Mean cross entropy of logits [..., classes] with labels [...]: over all rows, or all positions of all samples.
constexpr value mean_cross_entropy(value logits, value labels, double smoothing = 0) {
  const shape from = logits.dims();
  if (from.rank < 2) return logits.owner().fail(problem::wrong_rank, "cross_entropy", from, labels.dims());
  const value flat = reshape(logits, merge_leading(from, from.rank - 1));
  const value flat_labels = reshape(labels, merge_leading(labels.dims(), labels.dims().rank));
  return mean(cross_entropy(flat, flat_labels, smoothing));
}

}  // namespace ops

/// A loss: takes a prediction and its target to a scalar.
template <class Type>
concept loss_function = requires(const Type& self, value prediction, value target) {
  { self(prediction, target) } -> std::same_as<value>;
};

/// Mean squared error.
struct mse {
  constexpr value operator()(value prediction, value target) const {
    return ops::mean_squared_error(prediction, target);
  }
};

/// Squared error near zero, absolute error beyond `delta`: outliers pull less.
struct huber {
  double delta = 1;
  constexpr value operator()(value prediction, value target) const { return ops::huber(prediction, target, delta); }
};

/// Binary cross entropy on logits; targets in [0, 1].
struct binary_cross_entropy {
  constexpr value operator()(value logits, value target) const { return ops::binary_cross_entropy(logits, target); }
};

/// Cross entropy on logits [..., classes] and labels [...]. `smoothing` spreads that share of the target over all
/// classes, in training only.
struct cross_entropy {
  double smoothing = 0;
  constexpr value operator()(value logits, value labels) const {
    return ops::mean_cross_entropy(logits, labels, logits.owner().training() ? smoothing : 0);
  }
};

/// Number of target values of each sample.
struct targets {
  int count = 1;
  [[nodiscard]] constexpr shape dims() const { return {rows, count}; }
};

/// A regressor's definition: inputs "input" and "target", output "prediction" of the target's shape.
template <class Input, class Target, loss_function Loss, class Body>
struct regressor_definition {
  Input from;
  Target to;
  Loss measure;
  Body body;

  constexpr value operator()(builder& graph) const {
    const value input = graph.input("input", from.dims());
    const value target = graph.input("target", to.dims());
    const value prediction = body(input);
    if (graph.failed()) return prediction;
    if (prediction.dims() != target.dims())
      return graph.fail(problem::sizes_differ, "regressor", prediction.dims(), target.dims());
    graph.output("prediction", prediction);
    return measure(prediction, target);
  }
  /// The same with another loss: `regressor(...).loss(huber{.delta = 1})`.
  template <loss_function Other>
  [[nodiscard]] constexpr auto loss(const Other& other) const {
    return regressor_definition<Input, Target, Other, Body>{from, to, other, body};
  }
};

/// Composes layers into a model of numbers, trained on the mean squared error until loss() says otherwise. Whatever has
/// `dims()` can be the input or the target: `features`, `image`, `targets`.
template <class Input, class Target, class... Layers>
constexpr auto regressor(Input from, Target to, const Layers&... layers) {
  if constexpr (layers_only<Layers...>()) return regressor_definition<Input, Target, mse, chain<Layers...>>{from, to, mse{}, chain<Layers...>(layers...)};
}

}  // namespace vivace::inline VIVACE_TARGET
