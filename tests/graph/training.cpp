#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/clip.hpp>
#include <vivace/optim/lion.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/train/compiled.hpp>

#include "fused_reference.hpp"
#include "interpreter.hpp"
#include "nets.hpp"

// Training steps of networks: every kind of plan does what the naive interpreter does, step after step, and the
// compiler's plan is the run-time one.

namespace {

namespace vv = vivace;
using graph_test::numbers;

constexpr std::int32_t batch = 6;
constexpr int label_bound = 3;  // every network has as many classes

struct feed {
  std::vector<numbers> data;
  std::vector<std::vector<std::int32_t>> labels;
  std::vector<const void*> inputs;
  numbers settings;

  feed(const vv::graph& from, std::uint32_t step) {
    const vv::random_stream random(3, 1, step);
    std::uint64_t index = 0;
    for (const vv::port& input : from.inputs) {
      const vv::node& node = from.nodes[input.node];
      const std::int64_t count = node.dims.size_at(batch);
      numbers values;
      std::vector<std::int32_t> whole;
      for (std::int64_t i = 0; i < count; ++i) {
        values.push_back(2 * random.uniform(index++) - 1);
        whole.push_back(static_cast<std::int32_t>(random.below(index++, label_bound)));
      }
      data.push_back(values);
      labels.push_back(whole);
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
      const bool whole = from.nodes[from.inputs[static_cast<int>(i)].node].kind == vv::op::labels;
      inputs.push_back(whole ? static_cast<const void*>(labels[i].data()) : data[i].data());
    }
  }
};

template <class Optimiser>
numbers settings_of(const vv::graph& from, const Optimiser& optimiser, int step) {
  numbers result(static_cast<std::size_t>(from.settings.size()) + Optimiser::settings, 0.05);  // of clipping, too
  optimiser.set({.step = step}, result.data());
  result.resize(static_cast<std::size_t>(from.settings.size()));
  return result;
}

template <class Kernels, class Net, class Clipping, class Optimiser>
double worst_difference(const Optimiser& optimiser, bool narrow = false) {
  vv::graph training = vv::training_graph<Optimiser, Clipping>(vv::model_graph(Net::graph, true));
  if (narrow) training = vv::with_narrow_storage(training);
  graph_test::interpreter truth(training);
  vv::runtime_graph<double, Kernels> made(training, batch);
  made.values().initialise(1);
  double worst = 0;
  const auto see = [&](const double* found, const numbers& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double error = std::abs(found[i] - wanted[i]) / (1 + std::abs(wanted[i]));
      if (!(error <= worst)) worst = error;
    }
  };
  int step = 0;
  for (const std::int32_t samples : {batch, batch, 1, 4, batch}) {
    const feed given(training, static_cast<std::uint32_t>(step));
    const numbers settings = settings_of(training, optimiser, step);
    const vv::step_context context{.seed = 8, .step = static_cast<std::uint32_t>(step++), .samples = samples};
    truth.step(context, given.inputs, settings);
    for (int i = 0; i < training.inputs.size(); ++i) made.run().set_input(i, given.inputs[static_cast<std::size_t>(i)]);
    std::copy(settings.begin(), settings.end(), made.run().settings());
    made.run()(context);
    const double loss = made.run().loss();
    see(&loss, truth.result(training.loss));
    for (int p = 0; p < training.parameters.size(); ++p) see(made.values().parameter(p).data, truth.stored(training.parameters[p].node));
    for (int s = 0; s < training.states.size(); ++s) see(made.values().state(s).data, truth.stored(training.states[s].node));
  }
  return worst;
}

template <class Net>
void check_training(const char* name) {
  INFO(name);
  constexpr double bound = 1e-9;
  CHECK(worst_difference<vv::reference_kernels, Net, vv::no_clipping>(vv::adamw{}) <= bound);
  CHECK(worst_difference<graph_test::fused_reference_kernels, Net, vv::no_clipping>(vv::adamw{}) <= bound);
  CHECK(worst_difference<graph_test::fused_reference_kernels, Net, vv::clip_norm>(vv::sgd_momentum{.nesterov = true}) <= bound);
  CHECK(worst_difference<vv::cpu_kernels, Net, vv::no_clipping>(vv::adam{}) <= bound);
  CHECK(worst_difference<vv::cpu_kernels, Net, vv::clip_norm>(vv::sgd_momentum{.weight_decay = 0.1}) <= bound);
  CHECK(worst_difference<vv::cpu_kernels, Net, vv::clip_norm>(vv::sgd{}) <= bound);
  CHECK(worst_difference<vv::reference_kernels, Net, vv::no_clipping>(vv::adamw{}, true) <= bound);
  CHECK(worst_difference<graph_test::fused_reference_kernels, Net, vv::no_clipping>(vv::sgd{}, true) <= bound);
  CHECK(worst_difference<vv::cpu_kernels, Net, vv::no_clipping>(vv::adam{}, true) <= bound);
}

std::string text_of(const vv::location& at) {
  return " " + std::to_string(static_cast<int>(at.where)) + ":" + std::to_string(at.offset);
}

/// All of a plan, one line a command.
std::vector<std::string> lines_of(const vv::plan_view& from) {
  std::vector<std::string> result;
  for (const vv::command& current : from.commands) {
    std::string line(vv::to_string(current.kind));
    for (const std::int64_t number :
         {std::int64_t{current.node}, std::int64_t{current.layer}, std::int64_t{current.registers},
          std::int64_t{current.head_register}, std::int64_t{current.fed_register}, current.extents.size()})
      line += " " + std::to_string(number);
    line += text_of(current.out.at) + text_of(current.workspace);
    for (const vv::operand_slot& slot : current.in) line += text_of(slot.at) + "x" + std::to_string(slot.dims.size());
    for (int l = 0; l < current.loads; ++l) {
      const vv::load& load = from.loads[current.first_load + l];
      line += " load" + text_of(load.from) + " " + std::to_string(load.literal) + " " + std::to_string(load.spread.rank) + (load.narrow ? "n" : "");
    }
    for (int i = 0; i < current.instructions; ++i) {
      const vv::instruction& code = from.instructions[current.first_instruction + i];
      line += " " + std::string(vv::to_string(code.kind)) + " " + std::to_string(code.to);
      for (const std::int16_t operand : code.from) line += "," + std::to_string(operand);
      line += " " + std::to_string(code.scale) + " " + std::to_string(code.shift);
    }
    for (int s = 0; s < current.stores; ++s) {
      const vv::store& store = from.stores[current.first_store + s];
      line += " store " + std::to_string(store.from) + (store.direct ? "!" : "") + (store.narrow ? "n" : "") + text_of(store.to);
    }
    result.push_back(line);
  }
  return result;
}

template <class Net, class Kernels>
void check_compiled(const char* name) {
  INFO(name);
  using compiled = vv::compiled<Net, batch, vv::adamw, vv::no_clipping, Kernels, float>;
  const auto planned = [](const vv::graph& from) {
    return vv::make_plan(from, Kernels::fused ? vv::fuse(from) : vv::unfused(from), batch, &Kernels::workspace);
  };
  const vv::graph model = vv::model_graph(Net::graph, true);
  const vv::graph training = vv::training_graph<vv::adamw>(model);
  const vv::graph prediction = vv::prediction_graph(vv::model_graph(Net::graph, false), model);
  const vv::plan steps = planned(training);
  const vv::plan forward = planned(prediction);
  CHECK(lines_of(compiled::training_plan) == lines_of(steps));
  CHECK(lines_of(compiled::prediction_plan) == lines_of(forward));
  CHECK(compiled::training_plan.arena_size == steps.arena_size);
  CHECK(compiled::training_plan.parameter_size == steps.parameter_size);
  CHECK(compiled::training_plan.state_size == steps.state_size);
  CHECK(compiled::training_plan.unplanned_size == steps.unplanned_size);
  CHECK(compiled::prediction_plan.arena_size <= compiled::training_plan.arena_size);
  const auto same_names = [](const auto& one, const auto& other) {
    REQUIRE(one.size() <= other.size());
    for (int i = 0; i < one.size(); ++i) CHECK(one[i].name.view() == other[i].name.view());
  };
  same_names(vv::graph_view(compiled::training).parameters, vv::graph_view(training).parameters);
  same_names(vv::graph_view(compiled::prediction).parameters, vv::graph_view(training).parameters);
  same_names(vv::graph_view(compiled::prediction).states, vv::graph_view(training).states);
}

}  // namespace

TEST_CASE("training steps of networks in every kind of plan") {
  check_training<graph_test::perceptron>("perceptron");
  check_training<graph_test::small_lenet>("small_lenet");
  check_training<graph_test::small_resnet>("small_resnet");
  check_training<graph_test::small_attention>("small_attention");
  check_training<graph_test::gradient_penalty>("gradient_penalty");
  check_training<graph_test::small_recurrent>("small_recurrent");
}

TEST_CASE("the compiler's plan is the run-time plan, command by command") {
  check_compiled<graph_test::perceptron, vv::reference_kernels>("perceptron");
  check_compiled<graph_test::perceptron, vv::cpu_kernels>("perceptron, fused");
  check_compiled<graph_test::small_lenet, vv::cpu_kernels>("small_lenet");
  check_compiled<graph_test::small_resnet, vv::cpu_kernels>("small_resnet");
  check_compiled<graph_test::small_attention, vv::cpu_kernels>("small_attention");
  check_compiled<graph_test::gradient_penalty, vv::reference_kernels>("gradient_penalty");
  check_compiled<graph_test::small_recurrent, vv::cpu_kernels>("small_recurrent");
}

TEST_CASE("every parameter and the optimiser's states are updated once") {
  const vv::graph model = vv::model_graph(graph_test::small_resnet::graph, true);
  const vv::graph training = vv::training_graph<vv::adamw>(model);
  CHECK(training.states.size() == model.states.size() + 2 * model.parameters.size());
  CHECK(training.assignments.size() == training.states.size() + training.parameters.size());
  for (int one = 0; one < training.assignments.size(); ++one)
    for (int other = 0; other < one; ++other)
      CHECK(training.assignments[one].target != training.assignments[other].target);
}

TEST_CASE("prediction reads the training's parameters and states, and leaves them alone") {
  const vv::graph model = vv::model_graph(graph_test::small_resnet::graph, true);
  const vv::graph prediction = vv::prediction_graph(vv::model_graph(graph_test::small_resnet::graph, false), model);
  CHECK(prediction.assignments.empty());
  CHECK(prediction.states.size() == model.states.size());
  for (int p = 0; p < model.parameters.size(); ++p) CHECK(prediction.parameters[p].name == model.parameters[p].name);
  for (const vv::node& node : prediction.nodes) CHECK(node.kind != vv::op::dropout_mask);
}
