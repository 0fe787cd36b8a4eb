// Layers, losses, optimisers and schedules against what an independent framework computes; see golden/make_golden.py.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/differentiate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/io/safetensors.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/attention.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/lion.hpp>
#include <vivace/optim/schedule.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/optim/training_graph.hpp>

namespace vv = vivace;
namespace io = vivace::io;

namespace {

const io::safetensors_file& golden() {
  static const io::safetensors_file file(VIVACE_TESTS_DIR "/golden/golden.safetensors");
  return file;
}

std::vector<double> numbers(const std::string& name) {
  const io::extents dims = golden().info(name).dimensions;
  std::int64_t count = 1;
  for (const std::int64_t extent : dims) count *= extent;
  std::vector<double> values(static_cast<std::size_t>(count));
  golden().copy(name, dims, values.data());
  return values;
}

/// Extents of a tensor, the first being the batch.
vv::shape batch_shape(const std::string& name, int& samples) {
  const io::extents dims = golden().info(name).dimensions;
  vv::shape result;
  for (const std::int64_t extent : dims) result.extent[result.rank++] = static_cast<std::int32_t>(extent);
  samples = result[0];
  result[0] = vv::rows;
  return result;
}

template <class Real>
constexpr double tolerance = std::is_same_v<Real, double> ? 1e-11 : 2e-5;

template <class Real>
void compare(const std::string& what, const Real* got, const std::vector<double>& expected) {
  double worst = 0;
  double scale = 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - expected[i]);
    worst = difference <= worst ? worst : difference;  // a NaN stays
    scale = (std::max)(scale, std::abs(expected[i]));
  }
  INFO(what, ": largest difference ", worst);
  CHECK(worst <= tolerance<Real> * scale);
}

/// Adds the nodes of a case: x, labels and target by name if the case has them; returns what is compared with y.
using function = std::function<vv::value(vv::builder&, const std::function<vv::value(const char*)>& given)>;

/// Runs a function and its gradients on the inputs and parameters of a case, and compares everything.
template <class Real, class Kernels>
void check(const std::string& name, const function& build, bool training) {
  vv::builder make(training);
  int samples = 0;
  std::vector<std::string> inputs;
  const auto given = [&](const char* role) {
    const std::string tensor = name + "/" + role;
    inputs.emplace_back(role);
    const vv::shape dims = batch_shape(tensor, samples);
    return golden().info(tensor).type == io::element::i32 ? make.labels(role, dims) : make.input(role, dims);
  };
  const vv::value y = make.computed(build(make, given));
  make.output("y", y);
  const bool weighted = golden().info(name + "/c").dimensions.size() > 0;
  vv::value weights = make.constant(weighted ? 0 : numbers(name + "/c")[0]);
  if (weighted) weights = given("c");
  const vv::value loss = make.computed(vv::ops::sum(y * weights));
  REQUIRE(!make.failed());
  make.result().loss = loss.index();

  vv::sequence<std::int32_t> variables;
  std::vector<std::string> roles;
  for (const vv::port& input : make.result().inputs)
    if (input.name.view() == "x") {
      variables.push_back(input.node);
      roles.emplace_back("x");
    }
  for (const vv::variable& parameter : make.result().parameters) {
    variables.push_back(parameter.node);
    roles.emplace_back(parameter.name.view());
  }
  const vv::sequence<std::int32_t> gradients = vv::reverse_sweep(make, loss.index())(variables);
  for (std::size_t i = 0; i < roles.size(); ++i) {
    REQUIRE(gradients[static_cast<int>(i)] >= 0);
    make.output("d" + roles[i], make.handle(gradients[static_cast<int>(i)]));
  }
  REQUIRE(!make.failed());
  vv::runtime_graph<Real, Kernels> run(vv::with_late_stores(vv::without_dead_code(make.result())), samples);

  const auto fill = [&](const auto& entry) {
    const std::vector<double> values = numbers(name + "/" + std::string(entry.name));
    REQUIRE(static_cast<std::int64_t>(values.size()) == entry.dims.size());
    for (std::size_t i = 0; i < values.size(); ++i) entry.data[i] = static_cast<Real>(values[i]);
  };
  for (int p = 0; p < run.values().parameter_count(); ++p) fill(run.values().parameter(p));
  for (int s = 0; s < run.values().state_count(); ++s) fill(run.values().state(s));
  std::vector<std::vector<Real>> features(inputs.size());
  std::vector<std::vector<std::int32_t>> labels(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string tensor = name + "/" + inputs[i];
    const int position = run.run().input(inputs[i]);
    if (golden().info(tensor).type == io::element::i32) {
      labels[i].resize(golden().info(tensor).bytes / sizeof(std::int32_t));
      golden().copy(tensor, golden().info(tensor).dimensions, labels[i].data());
      run.run().set_input(position, labels[i].data());
    } else {
      for (const double value : numbers(tensor)) features[i].push_back(static_cast<Real>(value));
      run.run().set_input(position, features[i].data());
    }
  }
  run.run()({.samples = samples});

  compare(name + "/y", run.run().output("y").data, numbers(name + "/y"));
  for (const std::string& role : roles)
    compare(name + "/d" + role, run.run().output("d" + role).data, numbers(name + "/d" + role));
  for (int s = 0; s < run.values().state_count(); ++s) {
    const std::string next = name + "/next." + std::string(run.values().state(s).name);
    if (training) compare(next, run.values().state(s).data, numbers(next));
  }
}

/// In double with the reference kernels, in float with the fast ones.
void check(const std::string& name, const function& build, bool training = true) {
  CAPTURE(name);
  check<double, vv::reference_kernels>(name, build, training);
  check<float, vv::cpu_kernels>(name, build, training);
}

template <vv::layer Layer>
void check_layer(const std::string& name, const Layer& layer, bool training = true) {
  check(
      name, [&](vv::builder&, const auto& given) { return layer(given("x")); }, training);
}
template <vv::loss_function Loss>
void check_loss(const std::string& name, const Loss& loss) {
  check(name, [&](vv::builder&, const auto& given) {
    const vv::value x = given("x");
    return loss(x, given("target"));
  });
}

/// Five steps on the mean square error of a linear model.
template <class Real, class Kernels, class Optimiser>
void check_optimiser(const std::string& name, const Optimiser& optimiser) {
  int samples = 0;
  vv::builder make(true);
  const vv::value x = make.input("x", batch_shape("optimiser/x", samples));
  const vv::value y = make.input("y", {vv::rows, 1});
  const vv::value w = make.parameter("w", {6, 1});
  make.result().loss = mean(square(matmul(x, w) - y)).index();
  vv::runtime_graph<Real, Kernels> run(vv::training_graph<Optimiser>(make.take()), samples);

  std::vector<Real> inputs[2];
  for (const double value : numbers("optimiser/x")) inputs[0].push_back(static_cast<Real>(value));
  for (const double value : numbers("optimiser/y")) inputs[1].push_back(static_cast<Real>(value));
  run.run().set_input(run.run().input("x"), inputs[0].data());
  run.run().set_input(run.run().input("y"), inputs[1].data());
  const std::vector<double> start = numbers("optimiser/w"), path = numbers("optimiser/" + name);
  Real* const weights = run.values().find("w").data;
  for (std::size_t i = 0; i < start.size(); ++i) weights[i] = static_cast<Real>(start[i]);
  for (int step = 0; step < 5; ++step) {
    double scalars[Optimiser::settings];
    optimiser.set({step, 1}, scalars);
    for (int s = 0; s < Optimiser::settings; ++s) run.run().settings()[s] = static_cast<Real>(scalars[s]);
    run.run()({.step = static_cast<std::uint32_t>(step), .samples = samples});
    const auto first = path.begin() + static_cast<std::ptrdiff_t>(step * 6);
    compare(name + ", step " + std::to_string(step), weights, std::vector<double>(first, first + 6));
  }
}
template <class Optimiser>
void check_optimiser(const std::string& name, const Optimiser& optimiser) {
  check_optimiser<double, vv::reference_kernels>(name, optimiser);
  check_optimiser<float, vv::cpu_kernels>(name, optimiser);
}

template <vv::schedule Schedule>
void check_schedule(const std::string& name, const Schedule& schedule) {
  const std::vector<double> expected = numbers("schedule/" + name);
  for (std::size_t epoch = 0; epoch < expected.size(); ++epoch) {
    CAPTURE(epoch);
    CHECK(schedule.factor(static_cast<double>(epoch)) == doctest::Approx(expected[epoch]).epsilon(1e-12));
  }
}

}  // namespace

TEST_CASE("golden: dense and convolutional layers") {
  check_layer("dense", vv::dense{3});
  check_layer("dense_positions", vv::dense{3});
  check_layer("conv2d", vv::conv2d{.filters = 6, .stride = 2, .padding = 1});
  check_layer("conv2d_dilated", vv::conv2d{.filters = 6, .padding = 2, .dilation = 2});
  check_layer("conv2d_groups", vv::conv2d{.filters = 6, .groups = 2, .bias = false});
  check_layer("conv2d_one", vv::conv2d{.filters = 6, .kernel = 1});
}

TEST_CASE("golden: normalisation") {
  check_layer("batch_norm", vv::batch_norm{});
  check_layer("batch_norm_prediction", vv::batch_norm{}, false);
  check_layer("batch_norm_rows", vv::batch_norm{});
  check_layer("batch_norm_rows_prediction", vv::batch_norm{}, false);
  check_layer("layer_norm", vv::layer_norm{});
}

TEST_CASE("golden: activations") {
  check_layer("relu", vv::relu{});
  check_layer("gelu", vv::gelu{});
  check_layer("silu", vv::silu{});
  check_layer("sigmoid", vv::sigmoid{});
  check_layer("tanh", vv::tanh{});
  check_layer("leaky_relu", vv::leaky_relu{0.1});
  check_layer("softmax", vv::softmax{});
}

TEST_CASE("golden: pooling") {
  check_layer("max_pool", vv::max_pool{.size = 3, .stride = 2, .padding = 1});
  check_layer("avg_pool", vv::avg_pool{.size = 3, .stride = 2, .padding = 1});
  check_layer("global_avg_pool", vv::global_avg_pool{});
}

TEST_CASE("golden: losses") {
  for (const double smoothing : {0.0, 0.1})
    check(smoothing == 0 ? "cross_entropy" : "cross_entropy_smoothed", [&](vv::builder&, const auto& given) {
      const vv::value x = given("x");
      return vv::ops::cross_entropy(x, given("labels"), smoothing);
    });
  check_loss("mse", vv::mse{});
  check_loss("huber", vv::huber{0.7});
  check_loss("binary_cross_entropy", vv::binary_cross_entropy{});
}

TEST_CASE("golden: embedding and attention") {
  check("embedding",
        [](vv::builder&, const auto& given) { return vv::embedding{.count = 7, .width = 4}(given("labels")); });
  check_layer("attention", vv::multi_head_attention{.heads = 2});
  check_layer("attention_causal", vv::multi_head_attention{.heads = 2, .causal = true});
}

TEST_CASE("golden: optimisers") {
  check_optimiser("sgd", vv::sgd{.rate = 0.1});
  check_optimiser("sgd_decay", vv::sgd{.rate = 0.1, .weight_decay = 0.2});
  check_optimiser("sgd_momentum", vv::sgd_momentum{.rate = 0.1, .momentum = 0.9, .weight_decay = 0.2});
  check_optimiser("nesterov", vv::sgd_momentum{.rate = 0.1, .momentum = 0.9, .weight_decay = 0.2, .nesterov = true});
  check_optimiser("adam", vv::adam{.rate = 0.1, .beta1 = 0.8, .beta2 = 0.95});
  check_optimiser("adamw", vv::adamw{.rate = 0.1, .weight_decay = 0.3});
  check_optimiser("lion", vv::lion{.rate = 0.05, .beta1 = 0.9, .beta2 = 0.98, .weight_decay = 0.3});
}

TEST_CASE("golden: schedules") {
  check_schedule("step_decay", vv::step_decay{.every = 3, .gamma = 0.2});
  check_schedule("cosine", vv::cosine{.epochs = 20, .floor = 0.05});
  // The framework counts steps: the rise of 0.3 * 21 steps ends at step 5.3 of 0 to 20.
  check_schedule("one_cycle", vv::one_cycle{.epochs = 20, .rise = (0.3 * 21 - 1) / 20});
}
