#pragma once
#include <utility>

#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/training_graph.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What `compiled` is for a network tag, for a definition that is a value: its graphs and plans are made when it is
/// constructed, by the same passes, and no code is compiled for it. A table of all kernels serves every network.
template <class Definition, int Batch, class Optimiser, class Clipping, class Kernels, class Real, bool Narrow = false>
class planned {
 public:
  static constexpr kernel_table<Real> kernels = kernels_for<Kernels, Real, all_operations>();

  /// @throws error with the text of the compile error if the definition has a mistake
  explicit planned(const Definition& from) {
    graph model = checked(model_graph(from, true));
    prediction_ = checked(prediction_graph(model_graph(from, false), model));
    training_ = checked(training_graph<Optimiser, Clipping>(std::move(model)));
    if constexpr (Narrow) training_ = with_narrow_storage(training_, narrowing_of<Kernels>);
    prediction_plan_ = plan_of_graph(prediction_);
    training_plan_ = plan_of_graph(training_);
  }
  planned(const planned&) = delete;  // views of it are given out
  planned& operator=(const planned&) = delete;

  [[nodiscard]] network_plans<Real> plans() const {
    return {training_, prediction_, training_plan_, prediction_plan_, kernels};
  }

 private:
  static graph checked(graph from) {
    if (from.mistake.what != problem::none) throw explain(from.mistake);
    return from;
  }
  static plan plan_of_graph(const graph& from) {
    return make_plan<Kernels>(from, Batch);
  }

  graph training_, prediction_;
  plan training_plan_, prediction_plan_;
};

}  // namespace vivace::inline VIVACE_TARGET
