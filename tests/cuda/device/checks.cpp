// What only a GPU can show: the kernels and the vendor's libraries give what the CPU gives, the same bits twice, and
// a training reaches the CPU's accuracy. A line a check; 77 where there is no device.
#include <cmath>
#include <cstdio>
#include <exception>
#include <future>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/data/shapes.hpp>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../../graph/interpreter.hpp"
#include "../../graph/random_graph.hpp"
#include "networks.hpp"

namespace {

namespace vv = vivace;

int failures = 0;
bool takes_libraries = true;

vv::cuda on_device() { return {.libraries = takes_libraries}; }
/// Whether the vendor's libraries do what they can.
std::vector<bool> library_choices() { return takes_libraries ? std::vector{false, true} : std::vector{false}; }

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
  vv::gpu::cuda_device<double> device(0, libraries, false, true, true);
  vv::variables<double> values(scheduled, plan);
  vv::instance<double> run(scheduled, plan, all_kernels, values, &device);
  values.initialise(1);
  const graph_test::feed<> given(scheduled, batch, seed);
  given.give_to(run);
  double worst = 0;
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, batch, batch, batch, 1, 3}) {
    const vv::step_context context{.seed = 4, .step = step++, .samples = samples};
    truth.step(context, given.inputs, given.settings);
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
void check_graphs(const std::string& name, bool products, bool loops, bool libraries, std::uint64_t seeds) {
  guarded(name, [&] {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < seeds; ++seed)
      worst = std::fmax(worst, difference_of_graph(seed, 4 + static_cast<int>(seed), products, loops, libraries));
    report(name, worst < 1e-9, "largest difference " + std::to_string(worst));
  });
}

/// The largest difference between a device and its kernels on the host, where products read bfloat16.
double difference_of_narrow_graph(std::uint64_t seed, int steps, bool libraries) {
  const vv::graph base = vv::with_late_stores(
      vv::without_dead_code(vv::canonical(graph_test::random_graph(seed, steps, true, false).take())));
  const vv::graph narrow = vv::with_narrow_storage(base, vv::narrowing::products);
  static constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, float, vv::all_operations>();
  const vv::plan plan = vv::make_plan<vv::cuda_kernels>(narrow, batch);
  vv::gpu::cuda_device<float> device(0, libraries, false, true, true);
  vv::variables<float> values(narrow, plan);
  vv::instance<float> run(narrow, plan, kernels, values, &device);
  vv::runtime_graph<float, vv::gpu::kernels_by<vv::gpu::host_launch>> on_host(narrow, batch);
  values.initialise(1);
  on_host.values().initialise(1);
  const graph_test::feed<float> given(narrow, batch, seed);
  given.give_to(run);
  given.give_to(on_host.run());
  std::vector<double> found, wanted;
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, batch, batch, batch, 1, 3}) {
    const vv::step_context context{.seed = 4, .step = step++, .samples = samples};
    run(context);
    on_host.run()(context);
    found.push_back(static_cast<double>(run.loss()));
    wanted.push_back(static_cast<double>(on_host.run().loss()));
  }
  for (const auto* table : {&narrow.parameters, &narrow.states})
    for (const vv::variable& one : *table) {
      const auto here = values.find(one.name.view()), there = on_host.values().find(one.name.view());
      found.insert(found.end(), here.data, here.data + here.dims.size());
      wanted.insert(wanted.end(), there.data, there.data + there.dims.size());
    }
  return difference(found, wanted);
}
void check_narrow_graphs(const std::string& name, bool libraries, std::uint64_t seeds) {
  guarded(name, [&] {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < seeds; ++seed)
      worst = std::fmax(worst, difference_of_narrow_graph(seed, 4 + static_cast<int>(seed), libraries));
    // A sum in another order may make the other neighbour of a value that lies between two of bfloat16.
    report(name, worst < 5e-3, "largest difference " + std::to_string(worst));
  });
}

// --- NaN and infinity ----------------------------------------------------------------------------------------------

vv::graph convolution() {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 16, 12, 12});
  const vv::value w = make.parameter("w", {16, 16, 3, 3});
  const vv::value b = make.parameter("b", {16, 1, 1});
  vv::window frame;
  frame.kernel[0] = frame.kernel[1] = 3;
  const vv::value product = vv::ops::convolve(x, w, frame);
  const vv::value sum = product + b;
  make.output("y", vv::ops::relu(sum));
  make.result().loss = mean(x).index();
  return make.take();
}
vv::graph dense(bool relu) {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 256});
  const vv::value w = make.parameter("w", {256, 64});
  const vv::value b = make.parameter("b", {64});
  const vv::value product = matmul(x, w);
  const vv::value sum = product + b;
  make.output("y", relu ? vv::ops::relu(sum) : sum);
  make.result().loss = mean(x).index();
  return make.take();
}
vv::graph of_rows() {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 300});
  const vv::value total = sum(x, {1}), largest = max(x, {1});
  const vv::value both = total + largest;
  const vv::value clipped = vv::ops::maximum(x, -0.5);
  const vv::value likely = softmax(x);
  const vv::value scaled = likely * clipped;
  make.output("y", scaled + reshape(both, {vv::rows, 1}));
  make.result().loss = mean(x).index();
  return make.take();
}

/// What is NaN on the CPU is NaN on the device, what is infinite is not finite, and the rest is the rest; a library may
/// spread NaN to neighbours.
template <class Real>
void check_specials(const std::string& name, vv::graph (*make)(), bool libraries, bool wants_library) {
  guarded(name, [&] {
    constexpr std::int32_t samples = 8;
    static constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, Real, vv::all_operations>();
    vv::runtime_graph<Real, vv::reference_kernels> on_host(make(), samples);
    const vv::graph graph = make();
    const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, samples);
    vv::gpu::cuda_device<Real> device(0, libraries, false, true, true);
    vv::variables<Real> values(graph, plan);
    vv::instance<Real> run(graph, plan, kernels, values, &device);
    on_host.values().initialise(1);
    values.initialise(1);
    std::vector<Real> input;
    const vv::random_stream random(1, 2);
    for (std::int64_t i = 0; i < graph.nodes[graph.inputs[0].node].dims.size_at(samples); ++i)
      input.push_back(static_cast<Real>(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1));
    input[7] = std::numeric_limits<Real>::quiet_NaN();
    input[input.size() / 2 + 1] = std::numeric_limits<Real>::infinity();
    input[input.size() - 3] = -std::numeric_limits<Real>::infinity();
    run.set_input(0, input.data());
    on_host.run().set_input(0, input.data());
    on_host.run()({.samples = samples});
    const auto wanted = on_host.run().output("y");
    int wrong = 0;
    for (int turn = 0; turn < 4; ++turn) {  // both slots, recorded in the end
      run({.samples = samples});
      const Real* const found = run.output("y").data;
      for (std::int64_t i = 0; i < wanted.dims.size_at(samples); ++i) {
        const Real here = found[i], there = wanted.data[i];
        const bool spread = libraries && !std::isfinite(here);
        const bool same = std::abs(here - there) <= Real(1e-4) * (1 + std::abs(there));
        const bool right = std::isnan(there)   ? std::isnan(here)
                           : std::isinf(there) ? here == there || spread
                                               : same || spread;
        wrong += right ? 0 : 1;
      }
    }
    report(name, wrong == 0, std::to_string(wrong) + " wrong");
    if (wants_library)
      report(name + ", taken by a library", device.taken_by_libraries() > 0,
             std::to_string(device.taken_by_libraries()) + " problems, " +
                 std::to_string(device.refused_by_libraries()) + " refused");
  });
}
template <class Real>
void check_all_specials(const std::string& precision) {
#ifdef VIVACE_NO_CUDNN
  constexpr bool convolves = false;
#else
  constexpr bool convolves = true;
#endif
  for (const bool libraries : library_choices()) {
    const std::string with = precision + (libraries ? ", libraries" : ", own kernels");
    check_specials<Real>("NaN in convolution + bias + relu, " + with, convolution, libraries,
                         libraries && convolves && sizeof(Real) == 4);
    check_specials<Real>("NaN in product + bias + relu, " + with, [] { return dense(true); }, libraries, libraries);
    check_specials<Real>("NaN in product + bias, " + with, [] { return dense(false); }, libraries, libraries);
  }
  check_specials<Real>("NaN in rows, " + precision, of_rows, false, false);
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
    for (const bool libraries : library_choices()) {
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

/// Evaluation between steps, which are recorded, changes nothing, and finds what the CPU finds.
void check_evaluation() {
  const std::string name = "lenet, evaluation between steps";
  guarded(name, [&] {
    const auto test = vv::data::rendered_shapes(100, 70, 1).test;  // its last batch is short
    const device::batch_of<device::lenet, float> data(16);
    const auto losses = [&](const auto& executor, bool evaluates) {
      vv::trainer trainer{device::lenet{}, vv::batch<16>, vv::sgd_momentum{.rate = 0.05}, vv::seed{1}, executor};
      std::vector<double> result;
      for (int step = 0; step < 8; ++step) {
        result.push_back(static_cast<double>(
            trainer.step({.features = data.features.data(), .labels = data.labels.data(), .size = 16})));
        if (evaluates && step != 4) trainer.evaluate(test);
      }
      result.push_back(trainer.evaluate(test).loss);
      return result;
    };
    const std::vector<double> found = losses(on_device(), true);
    report(name + ", the same bits without", found == losses(on_device(), false), "");
    const double off = difference(found, losses(vv::serial{}, true));
    report(name, off < 1e-3, "largest difference to the CPU " + std::to_string(off));
  });
}

/// Two trainers that are made, record and end at the same time, each in a thread of its own.
void check_threads() {
  const std::string name = "two trainers in two threads, the same bits as alone";
  guarded(name, [&] {
    const auto first = [] { return trained<device::lenet>(on_device(), vv::f32{}); };
    const auto second = [] { return trained<device::mlp>(on_device(), vv::f32{}); };
    const std::vector<double> wanted_first = first(), wanted_second = second();
    bool same = true;
    for (int round = 0; round < 5; ++round) {
      auto other = std::async(std::launch::async, first);
      const std::vector<double> found = second();
      same = other.get() == wanted_first && found == wanted_second && same;
    }
    report(name, same, "");
  });
}

/// The libraries take some of a network's products and convolutions.
template <class Net, class Precision>
void check_libraries(const char* precision, const Precision& with) {
  const std::string name = std::string(Net::name) + ", " + precision + ", problems taken by libraries";
  guarded(name, [&] {
    vv::trainer trainer{Net{}, vv::batch<16>, vv::sgd_momentum{.rate = 0.05}, vv::seed{1}, vv::cuda{}, with};
    const device::batch_of<Net, float> data(16);
    for (int step = 0; step < 3; ++step)
      trainer.step({.features = data.features.data(), .labels = data.labels.data(), .size = 16});
    const auto& on = dynamic_cast<const vv::gpu::cuda_device<float>&>(*trainer.engine().setup().device);
    report(name, on.taken_by_libraries() > 0,
           std::to_string(on.taken_by_libraries()) + ", " + std::to_string(on.refused_by_libraries()) + " refused");
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
    const double wanted = accuracy(vv::serial{}), found = accuracy(on_device());
    report(name, std::abs(found - wanted) < 0.02, "accuracy " + std::to_string(found) + ", of the CPU " + std::to_string(wanted));
  });
}

/// What takes longer.
void check_the_rest() {
  check_training<device::mlp>(1e-8, "double", vv::f64{});
  check_training<device::mlp>(5e-2, "tf32", vv::tf32{});
  check_training<device::lenet>(1e-8, "double", vv::f64{});
  check_training<device::lenet>(5e-2, "tf32", vv::tf32{});
  check_training<device::mlp>(1e-1, "bf16", vv::bf16{});
  check_training<device::gpt>(1e-1, "bf16", vv::bf16{});
  check_training<device::resnet>(1e-6, "double", vv::f64{});
  check_training<device::resnet>(5e-2, "float", vv::f32{});
  check_training<device::gpt>(1e-8, "double", vv::f64{});
  check_training<device::gpt>(1e-2, "float", vv::f32{});
  check_all_specials<double>("double");
  check_threads();
  check_accuracy();
  if (!takes_libraries) return;
  check_libraries<device::mlp>("float", vv::f32{});
  check_libraries<device::lenet>("float", vv::f32{});
  check_libraries<device::resnet>("float", vv::f32{});
  check_libraries<device::gpt>("float", vv::f32{});
  check_libraries<device::mlp>("bf16", vv::bf16{});
  check_libraries<device::lenet>("bf16", vv::bf16{});
  check_libraries<device::resnet>("bf16", vv::bf16{});
  check_libraries<device::gpt>("bf16", vv::bf16{});
}

}  // namespace

int main(int argc, char** argv) {
  bool is_short = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option != "--short" && option != "--own") {
      std::fputs("usage: cuda_checks [--short] [--own]\nWith --own no kernels but ours are run.\n", stderr);
      return 2;
    }
    (option == "--short" ? is_short : takes_libraries) = option == "--short";
  }
  if (!vv::cuda_available()) {
    std::puts("There is no CUDA device, or no driver for it: nothing is checked.");
    return 77;
  }
  const std::uint64_t seeds = is_short ? 6 : 40;
  check_graphs("random graphs without products", false, false, false, seeds);
  for (const bool libraries : library_choices()) {
    const std::string with = libraries ? ", libraries" : ", own kernels";
    check_graphs("random graphs with products" + with, true, false, libraries, seeds);
    check_graphs("random graphs with loops" + with, true, true, libraries, seeds);
    check_narrow_graphs("random graphs with products in bfloat16" + with, libraries, seeds);
  }
  check_training<device::mlp>(1e-3, "float", vv::f32{});
  check_training<device::lenet>(1e-3, "float", vv::f32{});
  check_training<device::lenet>(1e-1, "bf16", vv::bf16{});
  check_all_specials<float>("float");
  check_evaluation();
  if (!is_short) check_the_rest();
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
