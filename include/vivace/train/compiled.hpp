#pragma once
#include <vivace/core/policy.hpp>
#include <vivace/exec/step.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/training_graph.hpp>

/// @file
/// Graphs and plans of a network tag as constants, one variable a pass.

namespace vivace::inline VIVACE_TARGET {

/// Instantiated with the mistake of an architecture, so that the compiler prints it: what is wrong, the position and
/// name of the layer, the shape it got and the shape it needs.
template <problem What, int Layer, auto Where, shape Got, shape Needs>
struct network {
  static_assert(What == problem::none,
                "vivace: this architecture does not fit together; the arguments of `network` in these lines say what "
                "is wrong, in which layer, the shape it got and the shape it needs");
  static constexpr bool fits = true;
};

/// A name without spare room, its end written: clang prints others as numbers.
template <int Length>
constexpr fixed_string<Length> without_room(const identifier& name) {
  fixed_string<Length> result(name.view());
  result.text[Length] = '\0';
  return result;
}
/// The same as a constant.
template <identifier Name>
inline constexpr auto exact_name = without_room<static_cast<int>(Name.view().size())>(Name);

/// True, or a compile error that shows the mistake.
template <diagnosis Found>
inline constexpr bool network_fits =
    network<Found.what, Found.layer, exact_name<Found.kind>, Found.got, Found.needs>::fits;

/// The graph that Maker{}() returns, frozen.
template <class Maker>
inline constexpr auto frozen_graph_of = frozen_graph_from<Maker>();
/// The same of a plan.
template <class Maker>
inline constexpr auto frozen_plan_of = frozen_plan_from<Maker>();

/// The model of a network, for training or for prediction.
template <class Net, bool Training>
struct model_of {
  constexpr graph operator()() const { return model_graph(Net::graph, Training); }
};

/// What is wrong with a network's model; problem::none if nothing is.
template <class Net>
inline constexpr diagnosis mistake_of = frozen_graph_of<model_of<Net, true>>.mistake;

/// The model and its gradients.
template <class Net>
struct gradients_of {
  constexpr graph operator()() const { return differentiated(thawed(frozen_graph_of<model_of<Net, true>>)); }
};

/// A whole training step.
template <class Net, class Optimiser, class Clipping, narrowing Narrow = narrowing::none>
struct training_graph_of {
  constexpr graph operator()() const {
    if constexpr (Narrow != narrowing::none)
      return with_narrow_storage(thawed(frozen_graph_of<training_graph_of<Net, Optimiser, Clipping>>), Narrow);
    else
      return with_updates<Optimiser, Clipping>(thawed(frozen_graph_of<gradients_of<Net>>));
  }
};

/// The forward pass, on the variables of the training step.
template <class Net>
struct prediction_graph_of {
  constexpr graph operator()() const {
    return prediction_graph(thawed(frozen_graph_of<model_of<Net, false>>), thawed(frozen_graph_of<model_of<Net, true>>));
  }
};

/// The plan of the graph that GraphMaker makes.
template <class GraphMaker, int Batch, class Kernels>
struct plan_of {
  constexpr plan operator()() const {
    const graph from = thawed(frozen_graph_of<GraphMaker>);
    return make_plan<Kernels>(from, Batch);
  }
};

/// Everything about a network's training that the compiler knows: graphs, plans, sizes, kernels.
/// @tparam Narrow whether bfloat16 takes the place of single precision, as far as the kernels can
template <class Net, int Batch, class Optimiser, class Clipping, class Kernels, class Real, bool Narrow = false>
struct compiled {
  static_assert(network_fits<mistake_of<Net>>);
  using training_maker = training_graph_of<Net, Optimiser, Clipping, Narrow ? narrowing_of<Kernels> : narrowing::none>;
  static constexpr const auto& training = frozen_graph_of<training_maker>;
  static_assert(network_fits<training.mistake>);  // one that only differentiation could find
  static constexpr const auto& prediction = frozen_graph_of<prediction_graph_of<Net>>;
  static constexpr const auto& training_plan = frozen_plan_of<plan_of<training_maker, Batch, Kernels>>;
  static constexpr const auto& prediction_plan =
      frozen_plan_of<plan_of<prediction_graph_of<Net>, Batch, Kernels>>;
  static constexpr kernel_needs needs = needs_of<Kernels>(training_plan, prediction_plan);
  static constexpr kernel_table<Real> kernels = kernels_for<Kernels, Real, needs>();

  constexpr explicit compiled(const Net&) {}
  [[nodiscard]] static network_plans<Real> plans() {
    return {training, prediction, training_plan, prediction_plan, kernels};
  }
};

}  // namespace vivace::inline VIVACE_TARGET
