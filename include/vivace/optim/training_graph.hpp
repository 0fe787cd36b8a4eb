#pragma once
#include <vivace/graph/differentiate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/graph/recompute.hpp>
#include <vivace/optim/clip.hpp>
#include <vivace/optim/optimiser.hpp>

/// @file
/// From a definition to the graphs that are planned. All functions run at compile time and at run time alike.

namespace vivace::inline VIVACE_TARGET {

/// The nodes of a definition, canonically numbered, with the loss.
template <class Definition>
constexpr graph model_graph(const Definition& definition, bool training) {
  builder make(training);
  const value loss = definition(make);
  if (!make.failed() && (loss.dims().size() != 1 || loss.dims().per_sample()))
    make.fail(problem::loss_must_be_a_scalar, "loss", loss.dims(), {});
  make.result().loss = make.computed(loss).index();
  // No conditional expression: g++ 12 copies its class operands bit by bit in constant evaluation.
  if (make.failed()) return make.take();
  return canonical(make.result());
}

/// A graph that leaves parameters and states as they are.
constexpr graph without_updates(graph from) {
  sequence<assignment> kept;
  for (int s = 0; s < from.assignments.size(); ++s)
    if (from.nodes[from.assignments[s].target].kind == op::carried) kept.push_back(from.assignments[s]);
  from.assignments = static_cast<sequence<assignment>&&>(kept);
  return from;
}

/// A model with the nodes of its gradients: graph::gradients.
/// @param flipped test hook: this operation's backward rule changes sign
constexpr graph differentiated(graph model, op flipped = op::none) {
  if (model.mistake.what != problem::none) return model;
  const std::int32_t loss = model.loss;
  builder make(static_cast<graph&&>(model));
  sequence<std::int32_t> wanted;
  for (const variable& parameter : make.result().parameters) wanted.push_back(parameter.node);
  if (wanted.empty()) make.fail(problem::no_parameter, "training", {}, {});
  const std::int32_t backward = make.result().nodes.size();
  make.result().gradients = reverse_sweep(make, loss, flipped)(wanted);
  if (make.failed()) return make.take();
  if (make.result().loops.empty()) return recomputation(make.take(), backward)();
  make.result().gradients.push_back(backward);  // moves with the others: in front of it go copies that loops keep
  graph together = with_loops_together(make.take());
  const std::int32_t start = together.gradients.back();
  together.gradients.pop_back();
  return recomputation(static_cast<graph&&>(together), start)();
}

/// The graph of the loss and its gradients: an output for each parameter, with its name, in the table's order; zeros if
/// the loss does not depend on it.
constexpr graph gradient_graph(graph model) {
  model = without_updates(static_cast<graph&&>(model));
  model.outputs.clear();
  builder make(differentiated(static_cast<graph&&>(model)));
  if (make.failed()) return make.take();
  const sequence<std::int32_t> gradients = make.result().gradients;
  for (int p = 0; p < gradients.size(); ++p) {
    const shape dims = make.at(make.result().parameters[p].node).dims;
    value gradient;
    if (gradients[p] >= 0)
      gradient = make.handle(gradients[p]);
    else
      gradient = ops::broadcast(make.constant(0), dims);
    // A copy: a gradient may be an alias, or one value the gradient of two parameters.
    const value copy = ops::affine(gradient, 1, 0);
    make.result().outputs.push_back({make.result().parameters[p].name, copy.index()});
  }
  make.result().gradients.clear();
  return with_late_stores(without_dead_code(contracted(make.take())));
}

/// The graph of a training step, from a model with its gradients: clipping, and the update of every parameter.
template <class Optimiser, class Clipping = no_clipping>
constexpr graph with_updates(graph model) {
  if (model.mistake.what != problem::none) return model;
  builder make(static_cast<graph&&>(model));
  const sequence<std::int32_t> gradients = make.result().gradients;

  sequence<value> settings;
  for (int i = 0; i < Optimiser::settings; ++i) settings.push_back(make.setting("optimiser"));
  value clip;
  if constexpr (Clipping::active) clip = Clipping::factor(make, gradients, make.setting("clipping"));

  sequence<update_range> updates;
  // Gradients come out last parameter first; updates follow in that order.
  for (int p = gradients.size() - 1; p >= 0; --p) {
    if (gradients[p] < 0) continue;
    const std::int32_t begin = make.result().nodes.size();
    const variable parameter = make.result().parameters[p];
    update_builder update(make, parameter, settings);
    value gradient = make.handle(gradients[p]);
    if constexpr (Clipping::active) gradient = gradient * clip;
    Optimiser::update(update, make.handle(parameter.node), gradient);
    updates.push_back({begin, make.result().nodes.size()});
  }
  if (make.failed()) return make.take();
  make.result().gradients.clear();
  graph placed = with_updates_placed(make.take(), updates);  // taken: the old order is freed before the next copy
  return with_late_stores(without_dead_code(contracted(static_cast<graph&&>(placed))));
}

/// The graph of a training step: loss, gradients, clipping, and the update of every parameter.
/// @param flipped test hook: this operation's backward rule changes sign
template <class Optimiser, class Clipping = no_clipping>
constexpr graph training_graph(graph model, op flipped = op::none) {
  return with_updates<Optimiser, Clipping>(differentiated(static_cast<graph&&>(model), flipped));
}

/// The graph of a forward pass: no updates. Its parameters and states are those of the training graph, in its order.
constexpr graph prediction_graph(graph model, const graph& training) {
  if (model.mistake.what != problem::none) return model;
  model = without_updates(static_cast<graph&&>(model));
  const auto adopt = [&](sequence<variable>& own, const sequence<variable>& reference, op kind) {
    sequence<variable> table;
    for (int i = 0; i < reference.size(); ++i) {
      variable entry = reference[i];
      entry.node = -1;
      if (i < own.size() && own[i].name == entry.name) entry.node = own[i].node;
      for (int j = 0; entry.node < 0 && j < own.size(); ++j)
        if (own[j].name == entry.name) entry.node = own[j].node;
      if (entry.node < 0) {
        entry.node = model.nodes.size();
        model.nodes.push_back({.kind = kind, .dims = training.nodes[reference[i].node].dims});
      }
      table.push_back(entry);
    }
    own = table;
  };
  adopt(model.parameters, training.parameters, op::parameter);
  sequence<variable> kept;  // the optimiser's states are no business of a forward pass
  for (int i = 0; i < model.states.size() && i < training.states.size(); ++i) kept.push_back(training.states[i]);
  adopt(model.states, kept, op::state);
  return with_late_stores(without_dead_code(contracted(static_cast<graph&&>(model))));
}

}  // namespace vivace::inline VIVACE_TARGET
