#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vivace/core/policy.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/optim/training_graph.hpp>

/// @file
/// Parameters that many graphs share, in one piece of memory.

namespace vivace::inline VIVACE_TARGET::search {

/// Where the parameters of a graph lie in shared memory, by name.
class parameter_table {
 public:
  struct entry {
    variable of;
    shape dims;
    std::int64_t offset = 0;
  };
  parameter_table() = default;
  /// @param without a name that is left out
  explicit parameter_table(const graph& from, std::string_view without = {}) {
    for (const variable& one : from.parameters) {
      if (one.name.view() == without) continue;
      entries_.push_back({one, from.nodes[one.node].dims, size_});
      size_ += entries_.back().dims.size();
    }
    std::sort(entries_.begin(), entries_.end(),
              [](const entry& a, const entry& b) { return before(a, b.of.name.view()); });
  }

  /// Numbers of all parameters together.
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] const std::vector<entry>& entries() const { return entries_; }
  /// Null if there is no parameter of this name.
  [[nodiscard]] const entry* find(std::string_view name) const {
    const auto found = std::lower_bound(entries_.begin(), entries_.end(), name, before);
    return found != entries_.end() && found->of.name.view() == name ? &*found : nullptr;
  }
  /// Numbers of the parameters whose names begin with a scope.
  [[nodiscard]] std::int64_t size_of(std::string_view scope) const {
    std::int64_t total = 0;
    for (const entry& one : entries_) {
      const std::string_view name = one.of.name.view();
      if (name.starts_with(scope) && name.substr(scope.size()).starts_with('.')) total += one.dims.size();
    }
    return total;
  }
  /// Writes the start value of each parameter: a function of the seed, the parameter's name and each element's index.
  template <class Real>
  void initialise(Real* to, std::uint64_t seed) const {
    for (const entry& one : entries_) {
      std::uint32_t number = 0x811C9DC5;  // FNV-1a
      for (const char letter : one.of.name.view()) number = (number ^ static_cast<unsigned char>(letter)) * 0x01000193;
      vivace::initialise(to + one.offset, one.dims, one.of, random_stream(seed, parameter_stream, number));
    }
  }
  /// Copies to variables the parameters that they have.
  template <class Real>
  void copy(const Real* from, variables<Real>& to) const {
    for (int p = 0; p < to.parameter_count(); ++p)
      if (const auto target = to.parameter(p); const entry* found = find(target.name))
        std::copy_n(from + found->offset, found->dims.size(), target.data);
  }

 private:
  static bool before(const entry& a, std::string_view name) { return a.of.name.view() < name; }
  std::vector<entry> entries_;
  std::int64_t size_ = 0;
};

/// Numbers that an optimiser updates as if they were one parameter.
template <class Real, optimiser Optimiser, class Kernels>
class flat_parameters {
 public:
  flat_parameters(std::int64_t size, const Optimiser& how)
      : how_(how), run_(update_graph(static_cast<std::int32_t>(size))), values_(run_.values()), size_(size) {}

  [[nodiscard]] Real* data() const { return values_.parameters(); }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] const Optimiser& how() const { return how_; }
  /// What the optimiser keeps from step to step.
  [[nodiscard]] std::vector<Real> states() const {
    std::vector<Real> all;
    for (int s = 0; s < values_.state_count(); ++s)
      all.insert(all.end(), values_.state(s).data, values_.state(s).data + size_);
    return all;
  }
  /// Steps that were taken.
  [[nodiscard]] long long steps() const { return step_; }

  /// One step of the optimiser.
  /// @param gradient as long as the parameters
  void step(const Real* gradient, double rate_factor, const parallel& lanes) {
    double scalars[Optimiser::settings + 1];
    how_.set({step_++, rate_factor}, scalars);
    for (int i = 0; i < Optimiser::settings; ++i) run_.run().settings()[i] = static_cast<Real>(scalars[i]);
    run_.run().set_input(0, gradient);
    run_.run()({.lanes = lanes, .samples = 1});
  }

  /// Everything that a step changes.
  struct snapshot {
    std::vector<Real> values, states;
    long long step = 0;
  };
  [[nodiscard]] snapshot keep() const { return {{data(), data() + size_}, states(), step_}; }
  void restore(const snapshot& from) {
    std::copy(from.values.begin(), from.values.end(), data());
    for (int s = 0; s < values_.state_count(); ++s)
      std::copy_n(from.states.data() + s * size_, size_, values_.state(s).data);
    step_ = from.step;
  }

 private:
  static graph update_graph(std::int32_t size) {
    builder make;
    make.parameter("parameters", {size}, {initialiser::rule::constant, 0});
    const value gradient = make.input("gradient", {size});
    make.result().loss = make.computed(make.constant(0)).index();
    make.result().gradients.push_back(gradient.index());
    return with_updates<Optimiser>(make.take());
  }

  Optimiser how_;
  runtime_graph<Real, Kernels> run_;
  const variables<Real>& values_;
  std::int64_t size_;
  long long step_ = 0;
};

/// Labels are places in a row of scores: how long the shortest is.
template <class Graph>
std::int32_t label_room(const Graph& from) {
  std::int32_t room = (std::numeric_limits<std::int32_t>::max)();
  for (const node& one : from.nodes)
    if (one.kind == op::cross_entropy) {
      const shape& dims = from.nodes[one.operand[0]].dims;
      room = (std::min)(room, dims[dims.rank - 1]);
    }
  return room;
}

/// Says where the numbers of a batch are: the first input takes the features, the second the targets; labels take
/// labels.
/// @param room labels are below it
/// @throws error if the batch does not fit the plan, lacks what an input takes, or has a label that is no class
template <class Real>
void set_batch(instance<Real>& run, const data::batch_view<Real>& given, std::int32_t room) {
  const graph_view& from = run.structure();
  if (given.size < 1 || given.size > run.steps().batch)
    throw error("the batch does not fit the plan", "batch", std::to_string(given.size) + " samples",
                "1 to " + std::to_string(run.steps().batch) + ": a larger batch<n>, or fewer samples");
  int numbers = 0;
  for (int i = 0; i < from.inputs.size(); ++i) {
    const void* data = given.labels;
    const bool labels = from.nodes[from.inputs[i].node].kind == op::labels;
    if (!labels) data = numbers++ == 0 ? given.features : given.targets;
    if (data == nullptr)
      throw error("the batch lacks what the network takes", "input " + std::string(from.inputs[i].name.view()),
                  "a null pointer", "features, labels and targets as the network has inputs for them");
    run.set_input(i, data);
    for (int k = 0; labels && k < given.size; ++k)
      if (given.labels[k] < 0 || given.labels[k] >= room)
        throw error("a label is out of range", "label " + std::to_string(k) + " of a batch",
                    std::to_string(given.labels[k]), "0 to " + std::to_string(room - 1));
  }
}

/// @throws error if a data set has not the samples and labels that a network's model takes
template <class Real, class Source>
void check_source(const graph& model, const Source& set) {
  if (set.size() < 1) throw error("the data set is empty", "data set", "no samples", "at least one sample");
  int classes = 0;
  if constexpr (data::labelled_source<Source>) classes = set.classes();
  int numbers = 0;
  for (const port& input : model.inputs) {
    const shape& dims = model.nodes[input.node].dims;
    const std::string where = "input " + std::string(input.name.view());
    if (model.nodes[input.node].kind == op::labels) {
      if (classes < 1)
        throw error("the network needs labels", where, "a data set without labels", "a labelled data set");
      continue;
    }
    std::int64_t got = set.sample_shape().size();
    if (numbers++ > 0) {
      got = 0;
      if constexpr (data::target_source<Source, Real>) got = set.target_size();
    }
    if (got != dims.size())
      throw error("the data set does not fit the network", where, std::to_string(got) + " numbers a sample",
                  std::to_string(dims.size()) + " numbers a sample");
  }
  if (const std::int32_t room = label_room(model); classes > room)
    throw error("the data set has more classes than the network", "labels",
                std::to_string(classes) + " classes", "at most " + std::to_string(room));
}

/// Loss and gradients of a model on parameters of a table. Nothing is updated.
template <class Real, class Kernels>
class shared_gradient {
 public:
  /// @param model  graph of a definition
  /// @param wanted whether the gradient of a name is computed; null: all are
  /// @throws error if the model has a mistake
  shared_gradient(graph model, std::int32_t batch, bool (*wanted)(std::string_view) = nullptr)
      : run_(gradients_of(std::move(model), wanted), batch), room_(label_room(run_.structure())) {}

  [[nodiscard]] variables<Real>& values() { return run_.values(); }
  /// Runs on parameters that values() holds. @return the loss
  Real operator()(const data::batch_view<Real>& given, const step_context& context) {
    set_batch(run_.run(), given, room_);
    step_context own = context;
    own.samples = given.size;
    run_.run()(own);
    return run_.run().loss();
  }
  /// Adds `scale` times the gradients that were computed to shared memory.
  void add_to(Real* shared, const parameter_table& table, Real scale) {
    const graph& from = run_.structure();
    for (int i = 0; i < from.outputs.size(); ++i) {
      const parameter_table::entry* const to = table.find(from.outputs[i].name.view());
      if (to == nullptr) continue;
      const Real* const numbers = run_.run().output(i).data;
      for (std::int64_t k = 0; k < to->dims.size(); ++k) shared[to->offset + k] += scale * numbers[k];
    }
  }
  /// The gradient of a parameter by its name. @throws error if it was not wanted
  [[nodiscard]] tensor<const Real> gradient(std::string_view name) { return run_.run().output(name); }

 private:
  static graph gradients_of(graph model, bool (*wanted)(std::string_view)) {
    if (model.mistake.what != problem::none) throw explain(model.mistake);
    graph made = gradient_graph(std::move(model));
    if (wanted == nullptr) return made;
    sequence<port> kept;
    for (const port& one : made.outputs)
      if (wanted(one.name.view())) kept.push_back(one);
    made.outputs = kept;
    return without_dead_code(made);
  }
  runtime_graph<Real, Kernels> run_;
  std::int32_t room_;
};

}  // namespace vivace::inline VIVACE_TARGET::search
