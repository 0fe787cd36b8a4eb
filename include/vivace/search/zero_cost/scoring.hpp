#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <vivace/core/policy.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/differentiate.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/training_graph.hpp>

/// @file
/// What the zero-cost scores share. They look at a freshly initialised network and one batch, and update nothing; a
/// higher score is predicted to be the better network. They take any definition: an architecture of a space
/// (network<space>{of}), or the `graph` of a network tag.
/// @code
/// vv::data::loader<float> batches{set, 64, 1};
/// batches.start_epoch(0);
/// const double score = vv::search::snip{}(vv::search::network<space>{of}, *batches.next(), vv::seed{1});
/// @endcode

namespace vivace::inline VIVACE_TARGET::search::detail {

/// A model's graph under extension by a score. Nothing of it is updated when it runs.
class scored_model {
 public:
  /// @throws error if the definition has a mistake
  template <class Definition>
  scored_model(const Definition& from, bool training) : make_(fitting(model_graph(from, training)), training) {}

  [[nodiscard]] builder& make() { return make_; }
  [[nodiscard]] value loss() { return make_.handle(make_.result().loss); }
  /// @throws error if the model names no such result
  [[nodiscard]] value output(std::string_view name) {
    for (const port& one : make_.result().outputs)
      if (one.name.view() == name) return make_.handle(one.node);
    throw error("no such output", "network", std::string(name), "an output of that name: the score is of it");
  }
  /// The first input of numbers. @throws error if there is none
  [[nodiscard]] value input() {
    for (const port& one : make_.result().inputs)
      if (make_.at(one.node).kind != op::labels) return make_.handle(one.node);
    throw error("the network takes no numbers", "network", "no input", "an input of numbers");
  }
  [[nodiscard]] int parameters() const { return make_.result().parameters.size(); }
  [[nodiscard]] value parameter(int index) { return make_.handle(make_.result().parameters[index].node); }
  /// Gradients of a scalar by values; one that does not exist stands for zeros.
  [[nodiscard]] sequence<value> gradients(value of, const sequence<value>& by) {
    sequence<std::int32_t> nodes;
    for (const value& one : by) nodes.push_back(one.index());
    const sequence<std::int32_t> found = reverse_sweep(make_, of.index())(nodes);
    sequence<value> result;
    for (const std::int32_t one : found) result.push_back(one < 0 ? value{} : make_.handle(one));
    return result;
  }
  [[nodiscard]] sequence<value> all_parameters() {
    sequence<value> result;
    for (int p = 0; p < parameters(); ++p) result.push_back(parameter(p));
    return result;
  }
  /// The finished graph: `score` in the place of the loss.
  graph finish(value score) {
    graph made = make_.take();
    made.assignments.clear();
    made.loss = score.index();
    return without_dead_code(made);
  }

 private:
  static graph fitting(graph from) {
    if (from.mistake.what != problem::none) throw explain(from.mistake);
    return from;
  }
  builder make_;
};

/// The sum of terms, 0 for none.
inline value sum_of(builder& make, const sequence<value>& terms) {
  if (terms.empty()) return make.constant(0);
  value total = terms[0];
  for (int i = 1; i < terms.size(); ++i) total = total + terms[i];
  return total;
}

/// A score's graph with its plan, initialised.
template <class Real>
class scored_run {
 public:
  scored_run(graph from, std::int32_t samples, std::uint64_t seed)
      : run_(std::move(from), samples), samples_(samples), seed_(seed) {
    run_.values().initialise(seed);
  }
  [[nodiscard]] variables<Real>& values() { return run_.values(); }
  [[nodiscard]] instance<Real>& instance_of() { return run_.run(); }

  /// The first input takes the features, the second the targets; labels take labels.
  void set(const data::batch_view<Real>& given) {
    const graph& structure = run_.structure();
    int numbers = 0;
    for (int i = 0; i < structure.inputs.size(); ++i) {
      const void* data = given.labels;
      if (structure.nodes[structure.inputs[i].node].kind != op::labels)
        data = numbers++ == 0 ? given.features : given.targets;
      run_.run().set_input(i, data);
    }
  }
  /// Runs it. @return what stands in the place of the loss
  double operator()() {
    run_.run()({.lanes = {}, .seed = seed_, .step = 0, .samples = samples_});
    return static_cast<double>(run_.run().loss());
  }

 private:
  runtime_graph<Real, cpu_kernels> run_;
  std::int32_t samples_;
  std::uint64_t seed_;
};

/// Scores whose graph is all there is to them.
template <class Real>
double score_on(graph from, const data::batch_view<Real>& batch, std::uint64_t seed) {
  if (batch.size < 1 || batch.features == nullptr)
    throw error("a score needs a batch", "batch", std::to_string(batch.size) + " samples", "at least one");
  scored_run<Real> run(std::move(from), batch.size, seed);
  run.set(batch);
  return run();
}

}  // namespace vivace::inline VIVACE_TARGET::search::detail
