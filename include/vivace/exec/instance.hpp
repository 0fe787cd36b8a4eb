#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/exec/initialise.hpp>
#include <vivace/exec/step.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The values of parameters and states. Several plans of one model may share them.
template <class Real>
class variables {
 public:
  /// Allocates; initialise() sets the values.
  variables(const graph_view& from, const plan_view& places)
      : graph_(from), plan_(places), parameters_(bytes(places.parameter_size)), states_(bytes(places.state_size)) {}

  /// Sets every value to its start.
  void initialise(std::uint64_t seed) {
    initialise_variables(graph_, plan_, parameters(), states(), seed);
  }
  /// All parameters, at the places of the plan: with gaps between them.
  [[nodiscard]] Real* parameters() const { return parameters_.template as<Real>(); }
  /// All states, at the places of the plan.
  [[nodiscard]] Real* states() const { return states_.template as<Real>(); }
  /// Bytes of all of them.
  [[nodiscard]] std::size_t bytes() const { return parameters_.bytes() + states_.bytes(); }
  [[nodiscard]] const graph_view& structure() const { return graph_; }

  /// One parameter or state: where it is and its extents.
  struct entry {
    std::string_view name;
    Real* data = nullptr;
    shape dims{};
  };
  /// Entries of the graph's table of parameters.
  [[nodiscard]] int parameter_count() const { return graph_.parameters.size(); }
  /// Entries of the graph's table of states.
  [[nodiscard]] int state_count() const { return graph_.states.size(); }
  /// A parameter by its place in the table.
  [[nodiscard]] entry parameter(int index) const {
    const variable& found = graph_.parameters[index];
    return {found.name.view(), parameters() + plan_.parameters[index].offset, graph_.nodes[found.node].dims};
  }
  /// A state by its place in the table.
  [[nodiscard]] entry state(int index) const {
    const variable& found = graph_.states[index];
    return {found.name.view(), states() + plan_.states[index].offset, graph_.nodes[found.node].dims};
  }
  /// The parameter or state of a name.
  /// @throws error if there is none
  [[nodiscard]] entry find(std::string_view wanted) const {
    for (int p = 0; p < parameter_count(); ++p)
      if (parameter(p).name == wanted) return parameter(p);
    for (int s = 0; s < state_count(); ++s)
      if (state(s).name == wanted) return state(s);
    throw error("no such parameter", "network", std::string(wanted), "one of the names that summary() lists");
  }

 private:
  static std::size_t bytes(std::int64_t elements) { return static_cast<std::size_t>(elements) * sizeof(Real); }
  graph_view graph_;
  plan_view plan_;
  buffer parameters_, states_;
};

/// A plan with an arena of its own, ready to run on given variables.
template <class Real>
class instance {
 public:
  instance(const graph_view& from, const plan_view& steps, const kernel_table<Real>& kernels,
           const variables<Real>& values)
      : graph_(from), plan_(steps), arena_(static_cast<std::size_t>(steps.arena_size) * sizeof(Real)),
        settings_(static_cast<std::size_t>(from.settings.size() + 1), Real(0)),
        inputs_(static_cast<std::size_t>(from.inputs.size() + 1), nullptr),
        run_(steps, kernels, {values.parameters(), values.states(), arena_.template as<Real>(), settings_.data()}) {}
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;

  [[nodiscard]] const graph_view& structure() const { return graph_; }
  [[nodiscard]] const plan_view& steps() const { return plan_; }
  /// Bytes of the memory that is this instance's own.
  [[nodiscard]] std::size_t arena_bytes() const { return arena_.bytes(); }
  /// The scalars of a step, in the order of the graph's table.
  [[nodiscard]] Real* settings() { return settings_.data(); }

  /// Position of an input in the graph's table.
  /// @throws error if there is no input of this name
  [[nodiscard]] int input(std::string_view wanted) const {
    for (int i = 0; i < graph_.inputs.size(); ++i)
      if (graph_.inputs[i].name.view() == wanted) return i;
    throw error("no such input", "network", std::string(wanted), "an input that the graph declares");
  }
  /// Says where an input's numbers are: Real, or int32 for labels; not copied, read by the runs that follow.
  void set_input(int position, const void* data) { inputs_[static_cast<std::size_t>(position)] = data; }

  /// Runs the plan once.
  /// @throws error if the samples are none or more than the plan's batch, or if an input that the plan reads is not set
  void operator()(const step_context& context) {
    if (context.samples < 1 || context.samples > plan_.batch)
      throw error("the number of samples is out of range", "network", std::to_string(context.samples),
                  "1 to " + std::to_string(plan_.batch) + ", the batch that the plan was made for");
    if (const std::int64_t missing = run_.missing(inputs_.data()); missing >= 0)
      throw error("an input has no data",
                  "input " + std::string(graph_.inputs[static_cast<int>(missing)].name.view()), "nothing",
                  "set_input() before the step");
    run_(context, inputs_.data());
  }

  /// The loss of the last run.
  [[nodiscard]] Real loss() const { return *run_.at(plan_.loss); }
  /// A result of the last run by its position in the graph's table; its extents still have the batch marked.
  [[nodiscard]] tensor<const Real> output(int position) const {
    return {run_.at(plan_.outputs[position]), graph_.nodes[graph_.outputs[position].node].dims};
  }
  /// A named result of the last run; its extents still have the batch marked.
  /// @throws error if there is no output of this name
  [[nodiscard]] tensor<const Real> output(std::string_view wanted) const {
    for (int i = 0; i < graph_.outputs.size(); ++i)
      if (graph_.outputs[i].name.view() == wanted) return output(i);
    throw error("no such output", "network", std::string(wanted), "an output that the graph names");
  }

 private:
  graph_view graph_;
  plan_view plan_;
  buffer arena_;
  std::vector<Real> settings_;
  std::vector<const void*> inputs_;
  bound_plan<Real> run_;
};

}  // namespace vivace::inline VIVACE_TARGET
