// What only a GPU can show: the kernels and the vendor's libraries give what the CPU gives, the same bits twice, and
// a training reaches the CPU's accuracy. A line a check; 77 where there is no device.
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <vivace/data/shapes.hpp>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../../graph/interpreter.hpp"
#include "../../graph/random_graph.hpp"
#include "networks.hpp"

namespace {

namespace vv = vivace;

int failures = 0;

void report(const std::string& name, bool passed, const std::string& detail) {
  std::printf("%-62s %-6s %s\n", name.c_str(), passed ? "ok" : "FAILED", detail.c_str());
  std::fflush(stdout);
  failures += passed ? 0 : 1;
}
template <class Check>
void guarded(const std::string& name, Check&& check) {
  try {
    check();
  } catch (const std::exception& failure) {
    report(name, false, failure.what());
  }
}

double difference(const std::vector<double>& found, const std::vector<double>& wanted) {
  double worst = found.size() == wanted.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < found.size() && i < wanted.size(); ++i) {
    const double off = std::abs(found[i] - wanted[i]) / (1 + std::abs(wanted[i]));
    worst = off > worst || std::isnan(off) ? off : worst;
  }
  return worst;
}

// --- Random graphs -------------------------------------------------------------------------------------------------

constexpr std::int32_t batch = 5;
constexpr auto all_kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();

/// The largest difference between a device and a naive interpreter, over several steps of a graph.
double difference_of_graph(std::uint64_t seed, int steps, bool products, bool loops, bool libraries) {
  const vv::graph base = vv::with_late_stores(
      vv::without_dead_code(vv::canonical(graph_test::random_graph(seed, steps, products, loops).take())));
  const vv::graph scheduled = base.loops.empty() ? base : vv::with_late_stores(vv::with_loops_together(base));
  graph_test::interpreter truth(base);
  const vv::plan plan = vv::make_plan<vv::cuda_kernels>(scheduled, batch);
  vv::gpu::cuda_device<double> device(0, libraries, false, true);
  vv::variables<double> values(scheduled, plan);
  vv::instance<double> run(scheduled, plan, all_kernels, values, &device);
  values.initialise(1);
  const vv::random_stream random(seed, 2);
  std::uint64_t index = 0;
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < batch; ++i)
    labels.push_back(static_cast<std::int32_t>(random.below(index++, graph_test::random_graph::label_bound)));
  std::vector<std::vector<double>> data(static_cast<std::size_t>(scheduled.inputs.size()));
  std::vector<const void*> inputs;
  for (int i = 0; i < scheduled.inputs.size(); ++i) {
    const vv::node& node = scheduled.nodes[scheduled.inputs[i].node];
    auto& own = data[static_cast<std::size_t>(i)];
    for (std::int64_t e = 0; e < node.dims.size_at(batch); ++e) own.push_back(2 * random.uniform(index++) - 1);
    inputs.push_back(node.kind == vv::op::labels ? static_cast<const void*>(labels.data()) : own.data());
    run.set_input(i, inputs.back());
  }
  const std::vector<double> settings{0.75};
  run.settings()[0] = settings[0];
  double worst = 0;
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, batch, batch, batch, 1, 3}) {
    const vv::step_context context{.seed = 4, .step = step++, .samples = samples};
    truth.step(context, inputs, settings);
    run(context);
    const vv::graph& graph = truth.structure();
    worst = std::fmax(worst, difference({run.loss()}, truth.result(graph.loss)));
    const auto see = [&](const double* found, const std::vector<double>& wanted) {
      worst = std::fmax(worst, difference({found, found + wanted.size()}, wanted));
    };
    for (const vv::port& output : graph.outputs) see(run.output(output.name.view()).data, truth.result(output.node));
    for (const vv::variable& one : graph.parameters) see(values.find(one.name.view()).data, truth.stored(one.node));
    for (const vv::variable& one : graph.states) see(values.find(one.name.view()).data, truth.stored(one.node));
  }
  return worst;
}
void check_graphs(const char* name, bool products, bool loops, bool libraries) {
  guarded(name, [&] {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed)
      worst = std::fmax(worst, difference_of_graph(seed, 4 + static_cast<int>(seed), products, loops, libraries));
    report(name, worst < 1e-9, "largest difference " + std::to_string(worst));
  });
}

// --- Training ------------------------------------------------------------------------------------------------------

/// Losses of some steps, and all parameters and states behind them; the third and sixth batch are short.
template <class Net, class... Policies>
std::vector<double> trained(const Policies&... policies) {
  vv::trainer trainer{Net{}, vv::batch<16>, vv::sgd_momentum{.rate = 0.05}, vv::seed{1}, policies...};
  using real = typename decltype(trainer)::real;
  const device::batch_of<Net, real> data(16);
  std::vector<double> result;
  for (int step = 0; step < 9; ++step)
    result.push_back(static_cast<double>(trainer.step(
        {.features = data.features.data(), .labels = data.labels.data(), .size = step % 3 == 2 ? 5 : 16})));
  for (int p = 0; p < trainer.values().parameter_count(); ++p) {
    const auto one = trainer.values().parameter(p);
    for (std::int64_t i = 0; i < one.dims.size(); ++i) result.push_back(static_cast<double>(one.data[i]));
  }
  return result;
}
template <class Net, class Precision>
void check_training(double tolerance, const char* precision, const Precision& with) {
  const std::string name = std::string(Net::name) + ", " + precision;
  guarded(name, [&] {
    const std::vector<double> wanted = trained<Net>(vv::serial{}, vv::f64{});
    for (const bool libraries : {false, true}) {
      const vv::cuda on{.libraries = libraries};
      const std::vector<double> found = trained<Net>(on, with);
      const double off = difference(found, wanted);
      report(name + (libraries ? ", libraries" : ", own kernels"), off < tolerance,
             "largest difference to the CPU in double " + std::to_string(off));
      report(name + ", the same bits twice", found == trained<Net>(on, with), "");
      report(name + ", the same bits command by command",
             found == trained<Net>(vv::cuda{.libraries = libraries, .captures = false}, with), "");
    }
  });
}

void check_accuracy() {
  const std::string name = "lenet on made-up shapes, 3 epochs";
  guarded(name, [&] {
    const auto data = vv::data::rendered_shapes(4000, 1000, 1);
    const auto accuracy = [&](const auto& executor) {
      vv::trainer trainer{device::lenet{}, vv::batch<64>, vv::adamw{.rate = 1e-3}, vv::seed{1}, executor};
      trainer.fit(data.train, vv::epochs{3});
      return trainer.evaluate(data.test).accuracy;
    };
    const double wanted = accuracy(vv::serial{}), found = accuracy(vv::cuda{});
    report(name, std::abs(found - wanted) < 0.02, "accuracy " + std::to_string(found) + ", of the CPU " + std::to_string(wanted));
  });
}

}  // namespace

int main() {
  if (!vv::cuda_available()) {
    std::puts("There is no CUDA device, or no driver for it: nothing is checked.");
    return 77;
  }
  check_graphs("random graphs without products", false, false, false);
  check_graphs("random graphs with products, own kernels", true, false, false);
  check_graphs("random graphs with products, libraries", true, false, true);
  check_graphs("random graphs with loops", true, true, true);
  check_training<device::mlp>(1e-8, "double", vv::f64{});
  check_training<device::mlp>(1e-3, "float", vv::f32{});
  check_training<device::mlp>(5e-2, "tf32", vv::tf32{});
  check_training<device::lenet>(1e-8, "double", vv::f64{});
  check_training<device::lenet>(1e-3, "float", vv::f32{});
  check_training<device::lenet>(5e-2, "tf32", vv::tf32{});
  check_training<device::resnet>(1e-6, "double", vv::f64{});
  check_training<device::resnet>(5e-2, "float", vv::f32{});
  check_training<device::gpt>(1e-8, "double", vv::f64{});
  check_training<device::gpt>(1e-2, "float", vv::f32{});
  check_accuracy();
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
