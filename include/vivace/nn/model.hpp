#pragma once
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A description of a model: a constant that adds its nodes to a builder and returns the loss, a scalar.
template <class Type>
concept definition = requires(const Type& self, builder& graph) {
  { self(graph) } -> std::same_as<value>;
};

/// A network: a tag type whose static member `graph` is its definition.
template <class Type>
concept network_tag = requires { requires definition<decltype(Type::graph)>; };

/// Extents of an image: channels, height, width.
struct image {
  int channels = 1, height = 1, width = 1;
  [[nodiscard]] constexpr shape dims() const { return {rows, channels, height, width}; }
};
/// Number of features of a plain vector input.
struct features {
  int count = 1;
  [[nodiscard]] constexpr shape dims() const { return {rows, count}; }
};
/// Number of classes.
struct classes {
  int count = 2;
};

/// A classifier's definition: input "input", labels "label", output "prediction" (logits [batch, classes]), loss the
/// batch's mean cross entropy.
template <class Input, class Body>
struct classifier_definition {
  Input from;
  classes to;
  Body body;
  double label_smoothing = 0;

  constexpr value operator()(builder& graph) const {
    const value input = graph.input("input", from.dims());
    const value label = graph.labels("label", {rows});
    const value logits = body(input);
    if (graph.failed()) return logits;
    const shape needs{rows, to.count};
    if (logits.dims() != needs) return graph.fail(problem::classes_do_not_match, "classifier", logits.dims(), needs);
    graph.output("prediction", logits);
    return ops::mean(ops::cross_entropy(logits, label, graph.training() ? label_smoothing : 0));
  }
  /// The same with label smoothing in training.
  [[nodiscard]] constexpr classifier_definition smoothed(double share) const {
    classifier_definition result = *this;
    result.label_smoothing = share;
    return result;
  }
};

/// Composes layers into a classifier.
template <class Input, class... Layers>
constexpr auto classifier(Input from, classes to, const Layers&... layers) {
  if constexpr (layers_only<Layers...>()) return classifier_definition<Input, chain<Layers...>>{from, to, chain<Layers...>(layers...)};
}

/// Free-form model: a function object that adds nodes to a builder and returns the loss, a scalar.
template <definition Build>
constexpr Build define(Build build) {
  return build;
}

}  // namespace vivace::inline VIVACE_TARGET
