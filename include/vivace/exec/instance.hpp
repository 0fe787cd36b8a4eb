#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/exec/device.hpp>
#include <vivace/exec/initialise.hpp>
#include <vivace/exec/step.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The values of parameters and states. Several plans of one model may share them. Where they run on a device, this is
/// a copy, brought up to date whenever it is asked for: pointers are good until the next step.
template <class Real>
class variables {
 public:
  /// Allocates; initialise() sets the values.
  variables(const graph_view& from, const plan_view& places)
      : graph_(from), plan_(places), parameters_(bytes(places.parameter_size)), states_(bytes(places.state_size)) {}

  /// Sets every value to its start.
  void initialise(std::uint64_t seed) { initialise_variables(graph_, plan_, parameters(), states(), seed); }
  /// All parameters, at the places of the plan: with gaps between them.
  [[nodiscard]] Real* parameters() const {
    if (device_ != nullptr) bring_back();
    return parameters_.template as<Real>();
  }
  /// All states, at the places of the plan.
  [[nodiscard]] Real* states() const {
    if (device_ != nullptr) bring_back();
    return states_.template as<Real>();
  }
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

  /// Says that plans of a device use the values from now on; the device must live as long.
  void attach(step_device<Real>& device) const {
    device_ = &device;
    device.reserve(plan_.parameter_size, plan_.state_size);
  }
  /// To be called before each run on the device. @param writes says that the run changes the values
  void use_on_device(bool writes) const {
    if (written_here_) device_->upload(parameters_.template as<Real>(), states_.template as<Real>());
    written_here_ = false;
    written_there_ = written_there_ || writes;
  }

 private:
  /// Whoever asks may write, so the device takes the values anew.
  void bring_back() const {
    if (written_there_) device_->download(parameters_.template as<Real>(), states_.template as<Real>());
    written_there_ = false;
    written_here_ = true;
  }
  static std::size_t bytes(std::int64_t elements) { return static_cast<std::size_t>(elements) * sizeof(Real); }
  graph_view graph_;
  plan_view plan_;
  buffer parameters_, states_;
  mutable step_device<Real>* device_ = nullptr;
  mutable bool written_here_ = true, written_there_ = false;  // since the two were the same
};

/// A plan with an arena of its own, ready to run on given variables.
template <class Real>
class instance {
 public:
  /// @param device runs the plan with memory of its own; null: the host does
  instance(const graph_view& from, const plan_view& steps, const kernel_table<Real>& kernels,
           const variables<Real>& values, step_device<Real>* device = nullptr);
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;
  ~instance();

  [[nodiscard]] const graph_view& structure() const { return graph_; }
  [[nodiscard]] const plan_view& steps() const { return plan_; }
  /// Bytes of the memory that is this instance's own.
  [[nodiscard]] std::size_t arena_bytes() const { return remote_ == nullptr ? arena_.bytes() : remote_->bytes(); }
  /// The scalars of a step, in the order of the graph's table.
  [[nodiscard]] Real* settings() { return settings_.data(); }

  /// Position of an input in the graph's table.
  /// @throws error if there is no input of this name
  [[nodiscard]] int input(std::string_view wanted) const;
  /// Says where an input's numbers are: Real, or int32 for labels; not copied, read by the runs that follow.
  void set_input(int position, const void* data) { inputs_[static_cast<std::size_t>(position)] = data; }

  /// Runs the plan once.
  /// @throws error if the samples are none or more than the plan's batch, or if an input that the plan reads is not set
  void operator()(const step_context& context);

  /// The loss of the last run.
  [[nodiscard]] Real loss() const { return remote_ == nullptr ? *run_.at(plan_.loss) : remote_->loss(); }
  /// True if runs go on while the host does other things.
  [[nodiscard]] bool runs_ahead() const { return remote_ != nullptr; }
  /// Where runs go on: the loss of the run before the last one, without waiting for the last.
  [[nodiscard]] Real earlier_loss() const { return remote_->earlier_loss(); }
  /// A result of the last run by its position in the graph's table; its extents still have the batch marked.
  [[nodiscard]] tensor<const Real> output(int position) const;
  /// A named result of the last run; its extents still have the batch marked.
  /// @throws error if there is no output of this name
  [[nodiscard]] tensor<const Real> output(std::string_view wanted) const;

 private:
  /// Elements of the outputs before one.
  [[nodiscard]] std::size_t room_before(int position) const;

  graph_view graph_;
  plan_view plan_;
  const variables<Real>& values_;
  buffer arena_;
  std::vector<Real> settings_;
  std::vector<const void*> inputs_;
  bound_plan<Real> run_;  // without commands if a device runs the plan
  std::unique_ptr<device_plan<Real>> remote_;
  mutable std::vector<Real> fetched_;  // outputs, side by side
  std::int32_t samples_ = 1;           // of the last run
};

// Members of more than a few lines stand outside of the class, where they are not inline: vivace::precompiled has them.

template <class Real>
instance<Real>::instance(const graph_view& from, const plan_view& steps, const kernel_table<Real>& kernels,
                         const variables<Real>& values, step_device<Real>* device)
    : graph_(from),
      plan_(steps),
      values_(values),
      arena_(device == nullptr ? static_cast<std::size_t>(steps.arena_size) * sizeof(Real) : 0),
      settings_(static_cast<std::size_t>(from.settings.size() + 1), Real(0)),
      inputs_(static_cast<std::size_t>(from.inputs.size() + 1), nullptr),
      run_(device == nullptr ? steps : plan_view{}, kernels,
           {values.parameters(), values.states(), arena_.template as<Real>(), settings_.data()}) {
  if (device == nullptr) return;
  values.attach(*device);
  remote_ = device->bind(from, steps, kernels);
  fetched_.resize(room_before(from.outputs.size()));
}

template <class Real>
instance<Real>::~instance() = default;

template <class Real>
int instance<Real>::input(std::string_view wanted) const {
  for (int i = 0; i < graph_.inputs.size(); ++i)
    if (graph_.inputs[i].name.view() == wanted) return i;
  throw error("no such input", "network", std::string(wanted), "an input that the graph declares");
}

template <class Real>
void instance<Real>::operator()(const step_context& context) {
  if (context.samples < 1 || context.samples > plan_.batch)
    throw error("the number of samples is out of range", "network", std::to_string(context.samples),
                "1 to " + std::to_string(plan_.batch) + ", the batch that the plan was made for");
  const void* const* const inputs = inputs_.data();
  const std::int64_t missing = remote_ == nullptr ? run_.missing(inputs) : remote_->missing(inputs);
  if (missing >= 0)
    throw error("an input has no data", "input " + std::string(graph_.inputs[static_cast<int>(missing)].name.view()),
                "nothing", "set_input() before the step");
  if (remote_ == nullptr) return run_(context, inputs);
  values_.use_on_device(!graph_.assignments.empty());
  remote_->run(context, inputs, settings_.data());
  samples_ = context.samples;
}

template <class Real>
tensor<const Real> instance<Real>::output(int position) const {
  const shape& dims = graph_.nodes[graph_.outputs[position].node].dims;
  if (remote_ == nullptr) return {run_.at(plan_.outputs[position]), dims};
  Real* const to = fetched_.data() + room_before(position);
  remote_->fetch(plan_.outputs[position], dims.size_at(samples_), to);
  return {to, dims};
}

template <class Real>
tensor<const Real> instance<Real>::output(std::string_view wanted) const {
  for (int i = 0; i < graph_.outputs.size(); ++i)
    if (graph_.outputs[i].name.view() == wanted) return output(i);
  throw error("no such output", "network", std::string(wanted), "an output that the graph names");
}

template <class Real>
std::size_t instance<Real>::room_before(int position) const {
  std::int64_t room = 0;
  for (int o = 0; o < position; ++o) room += graph_.nodes[graph_.outputs[o].node].dims.size_at(plan_.batch);
  return static_cast<std::size_t>(room);
}

}  // namespace vivace::inline VIVACE_TARGET
