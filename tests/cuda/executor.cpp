// The executor of a CUDA device, on a machine of host memory: what is copied when, recorded steps, and what trainers see.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <vivace/estimate/tse.hpp>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/search/random_search.hpp>
#include <vivace/search/width_depth.hpp>
#include <vivace/train.hpp>

#include "../graph/random_graph.hpp"
#include "../train/networks.hpp"
#include "fake_runtime.hpp"

namespace {

namespace vv = vivace;

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& found) {
    return found.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct result {
  vv::trace trace;
  vv::evaluation found;
  std::vector<double> variables;
};
/// Trains on 45 samples in batches of 10, so that the last one of an epoch is short, and evaluates in between.
template <class Net, class... Policies>
result trained(const Net& net, const Policies&... policies) {
  const vv::data::dataset data = networks::labelled(45, {12});
  vv::trainer trainer{net, vv::batch<10>, vv::adamw{.rate = 1e-2}, vv::seed{3}, policies...};
  result made;
  made.trace = trainer.fit(data, vv::epochs{5}, vv::validation{data});
  made.found = trainer.evaluate(data);
  for (const auto value : networks::variables_of(trainer)) made.variables.push_back(static_cast<double>(value));
  return made;
}
void check_close(const result& one, const result& other, double tolerance) {
  REQUIRE(one.trace.batches.size() == other.trace.batches.size());
  REQUIRE(one.variables.size() == other.variables.size());
  for (std::size_t i = 0; i < one.trace.batches.size(); ++i)
    CHECK(one.trace.batches[i].loss == doctest::Approx(other.trace.batches[i].loss).epsilon(tolerance));
  for (std::size_t i = 0; i < one.variables.size(); ++i)
    CHECK(one.variables[i] == doctest::Approx(other.variables[i]).epsilon(tolerance));
  CHECK(one.found.loss == doctest::Approx(other.found.loss).epsilon(tolerance));
  CHECK(one.found.accuracy == other.found.accuracy);
}

/// Policy: a set of kernels that replaces one.
struct own_product {
  using family = vv::kernels_family;
  static int& calls() {
    static int count = 0;
    return count;
  }
  struct table : vv::cuda_kernels {
    template <vv::op Kind, class Real>
    static constexpr vv::kernel_function<Real> operation() {
      if constexpr (Kind == vv::op::matmul)
        return [](const vv::call<Real>& self, const vv::step_context& context) {
          ++calls();
          vv::cuda_kernels::operation<Kind, Real>()(self, context);
        };
      else
        return vv::cuda_kernels::operation<Kind, Real>();
    }
  };
  bool operator==(const own_product&) const = default;
};

struct cube {
  static constexpr std::string_view label = "cube";
  template <class Number>
  constexpr Number operator()(Number x) const {
    return x * x * x;
  }
};
struct functor_net {
  static constexpr auto graph =
      vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{4}, vv::map<cube>{}, vv::dense{3});
};

struct wide {
  static constexpr auto graph = vv::classifier(vv::features{4096}, vv::classes{3}, vv::dense{3});
};

/// Callbacks: one that wants the weights behind each batch, one that wants its record alone.
struct keeps {
  const vv::trainer<networks::mlp, vv::batch_size<10>, vv::cuda>* trainer = nullptr;
  std::vector<float> first;
  int batches = 0;
  void on_batch(vv::training_state& state) {
    CHECK(static_cast<int>(state.history().batches.size()) == ++batches);
    if (batches == 1) first = networks::variables_of(*trainer);
  }
};
struct looks {
  static constexpr bool only_looks = true;
  int batches = 0;
  double mean = 0;
  void on_batch(vv::training_state& state) {
    ++batches;
    mean = state.mean_loss;
  }
};

/// What all tests of an executor leave behind.
struct clean_machine {
  clean_machine() { fake::the() = {}; }
  ~clean_machine() {
    CHECK(fake::the().live == 0);
    CHECK(fake::the().spoilt_workspaces == 0);
  }
};

}  // namespace

TEST_CASE("cuda executor: the losses, accuracies and weights of a CPU") {
  const clean_machine tidy;
  const result wanted = trained(networks::mlp{}, vv::plain_kernels{}, vv::f64{});
  check_close(trained(networks::mlp{}, vv::cuda{}, vv::f64{}), wanted, 1e-8);
  CHECK(fake::the().captures > 0);
  check_close(trained(networks::mlp{}, vv::cuda{.captures = false}, vv::f64{}), wanted, 1e-8);
  check_close(trained(networks::mlp{}, vv::cuda{}), trained(networks::mlp{}, vv::plain_kernels{}), 1e-3);
}

TEST_CASE("cuda executor: one seed, one result, recorded or not") {
  const clean_machine tidy;
  const result one = trained(networks::mlp{}, vv::cuda{});
  const result other = trained(networks::mlp{}, vv::cuda{});
  const result started_singly = trained(networks::mlp{}, vv::cuda{.captures = false});
  CHECK(networks::same(one.trace, other.trace));
  CHECK(networks::same(one.trace, started_singly.trace));
  CHECK(one.variables == other.variables);
  CHECK(one.variables == started_singly.variables);
}

TEST_CASE("cuda executor: loops, definitions that are values") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(25, {8, 16});
  vv::trainer on_device{networks::recurrent{}, vv::batch<10>, vv::cuda{}, vv::f64{}};
  vv::trainer on_host{networks::recurrent{}, vv::batch<10>, vv::plain_kernels{}, vv::f64{}};
  const vv::trace found = on_device.fit(data, vv::epochs{3}), wanted = on_host.fit(data, vv::epochs{3});
  for (std::size_t i = 0; i < wanted.batches.size(); ++i)
    CHECK(found.batches[i].loss == doctest::Approx(wanted.batches[i].loss).epsilon(1e-9));
  check_close(trained(networks::mlp::graph, vv::cuda{}, vv::f64{}), trained(networks::mlp{}, vv::cuda{}, vv::f64{}), 1e-12);
}

TEST_CASE("cuda executor: a step is recorded once for each batch size and slot, and allocates nothing") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(40, {12});
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  trainer.fit(data, vv::epochs{2});
  CHECK(fake::the().captures == 2);
  const int allocations = fake::the().allocations, launches = fake::the().launches;
  trainer.fit(data, vv::epochs{4});
  CHECK(fake::the().captures == 2);
  CHECK(fake::the().allocations == allocations);
  CHECK(fake::the().launches == launches + 8);
}

TEST_CASE("cuda executor: what need not wait is recorded side by side, and gives the same bits") {
  const clean_machine tidy;
  const auto check = [](const auto& net, const vv::data::dataset& data) {
    const auto variables = [&](const vv::cuda& on, const auto& precision) {
      vv::trainer trainer{net, vv::batch<10>, vv::adamw{.rate = 1e-2}, vv::clip_norm{1.0}, on, precision};
      fake::the().side_by_side = 0;
      trainer.fit(data, vv::epochs{4});
      return networks::variables_of(trainer);
    };
    const auto check_precision = [&](const auto& precision) {
      const auto wanted = variables(vv::cuda{.captures = false}, precision);
      CHECK(variables(vv::cuda{.overlaps = false}, precision) == wanted);
      CHECK(fake::the().side_by_side == 0);
      CHECK(variables(vv::cuda{}, precision) == wanted);
      CHECK(fake::the().side_by_side > 50);
    };
    check_precision(vv::f32{});
    check_precision(vv::bf16{});
  };
  check(networks::mlp::graph, networks::labelled(45, {12}));
  check(networks::recurrent::graph, networks::labelled(45, {8, 16}));
  check(vv::classifier(vv::image{3, 8, 8}, vv::classes{3}, vv::resnet_cifar<8, 4>{.classes = 3}),
        networks::labelled(45, {3, 8, 8}));
}

TEST_CASE("cuda executor: a step waits for a chain of commands, not for all") {
  const auto longest_chain = [](const vv::graph& graph, std::int32_t batch, std::int32_t rest, int commands) {
    const vv::plan plan = vv::make_plan(graph, vv::fuse(graph), batch, &vv::cuda_kernels::workspace, rest);
    CHECK(plan.commands.size() == commands);
    const vv::command_waits waits(plan);
    std::vector<int> depth;
    for (std::int32_t c = 0; c < plan.commands.size(); ++c) {
      int before = 0;
      for (const std::int32_t other : waits.of(c)) {
        CHECK(other < c);
        before = std::max(before, depth[static_cast<std::size_t>(other)]);
      }
      depth.push_back(before + 1);
    }
    return *std::max_element(depth.begin(), depth.end());
  };
  constexpr std::int32_t rest = vv::cuda_kernels::memory_rest;
  const vv::graph mlp = vv::training_graph<vv::adam>(
      vv::model_graph(vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<512, 256, 10>{}), true));
  CHECK(longest_chain(mlp, 128, 0, 18) == 13);
  CHECK(longest_chain(mlp, 128, rest, 18) == 8);
  const vv::graph gpt = vv::training_graph<vv::adam>(vv::model_graph(vv::language_model(vv::gpt{}), true));
  CHECK(longest_chain(gpt, 8, 0, 299) == 229);
  CHECK(longest_chain(gpt, 8, rest, 299) == 179);
}

TEST_CASE("cuda executor: many commands that need not wait share few workspaces") {
  const clean_machine tidy;
  constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 4});
  const std::string names = "abcdefghijkl";
  for (std::size_t p = 0; p < names.size(); ++p)
    make.output(names.substr(p, 1), vv::ops::matmul(x, make.parameter(names.substr(p, 1) + "w", {4, 3})));
  make.result().loss = mean(x).index();
  const vv::graph graph = make.take();
  const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, 2);
  vv::gpu::cuda_device<double> device(0, true, false, true, true);
  vv::variables<double> values(graph, plan);
  vv::instance<double> run(graph, plan, kernels, values, &device);
  const std::vector<double> input{1, 2, 3, 4, 5, 6, 7, 8};
  run.set_input(0, input.data());
  for (int step = 0; step < 40; ++step) run({.samples = 2});
  CHECK(run.loss() == 4.5);
  CHECK(fake::the().library_calls >= 12);
  CHECK(fake::the().side_by_side > 12);
}

TEST_CASE("cuda executor: random graphs, recorded side by side") {
  const clean_machine tidy;
  constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    INFO("seed ", seed);
    const vv::graph made = graph_test::random_graph(seed, 4 + static_cast<int>(seed % 30), seed % 2 == 0, seed % 3 == 0).take();
    const vv::graph scheduled = vv::with_late_stores(vv::without_dead_code(vv::canonical(made)));
    const vv::plan plan = vv::make_plan<vv::cuda_kernels>(scheduled, 5);
    const auto results = [&](bool overlaps) {
      vv::gpu::cuda_device<double> device(0, true, false, true, overlaps);
      vv::variables<double> values(scheduled, plan);
      vv::instance<double> run(scheduled, plan, kernels, values, &device);
      values.initialise(1);
      const vv::random_stream random(seed, 2);
      std::uint64_t index = 0;
      const std::vector<std::int32_t> labels{0, 1, 2, 0, 1};
      std::vector<std::vector<double>> data(static_cast<std::size_t>(scheduled.inputs.size()));
      for (int i = 0; i < scheduled.inputs.size(); ++i) {
        const vv::node& node = scheduled.nodes[scheduled.inputs[i].node];
        auto& own = data[static_cast<std::size_t>(i)];
        for (std::int64_t e = 0; e < node.dims.size_at(5); ++e) own.push_back(2 * random.uniform(index++) - 1);
        run.set_input(i, node.kind == vv::op::labels ? static_cast<const void*>(labels.data()) : own.data());
      }
      run.settings()[0] = 0.75;
      std::vector<double> found;
      for (std::uint32_t step = 0; step < 6; ++step) {  // from the third on recorded
        run({.seed = 4, .step = step, .samples = 5});
        found.push_back(run.loss());
      }
      for (const auto* table : {&scheduled.parameters, &scheduled.states})
        for (const vv::variable& one : *table) {
          const auto value = values.find(one.name.view());
          found.insert(found.end(), value.data, value.data + value.dims.size());
        }
      return found;
    };
    const std::vector<double> wanted = results(false), found = results(true);
    REQUIRE(found.size() == wanted.size());
    CHECK(std::memcmp(found.data(), wanted.data(), found.size() * sizeof(double)) == 0);
  }
}

TEST_CASE("cuda executor: a step that cannot be recorded leaves no trace") {
  const std::vector<float> features = networks::features(10, 8 * 16);
  const std::vector<std::int32_t> labels(10, 1);
  const vv::data::batch_view<float> batch{.features = features.data(), .labels = labels.data(), .size = 10};
  const auto losses = [&](bool refuses, int kernels) {
    const clean_machine tidy;
    vv::trainer trainer{networks::recurrent{}, vv::batch<10>, vv::cuda{}};
    std::vector<float> found;
    for (int step = 0; step < 5; ++step) {
      if (step == 2) {  // the first that is recorded
        fake::the().refuses_graphs = refuses;
        fake::the().kernels_in_capture = kernels;
      }
      if (fake::the().refuses_graphs || fake::the().kernels_in_capture >= 0)
        CHECK(message_of([&] { trainer.step(batch); }).starts_with("vivace: a"));
      fake::the().refuses_graphs = false;
      fake::the().kernels_in_capture = -1;
      CHECK(fake::the().last == cudaSuccess);  // nothing is left for others to find
      found.push_back(trainer.step(batch));
    }
    return found;
  };
  const std::vector<float> wanted = losses(false, -1);
  CHECK(losses(true, -1) == wanted);
  for (const int kernels : {0, 5, 11, 23}) CHECK(losses(false, kernels) == wanted);
}

TEST_CASE("cuda executor: a step that was started behind one that diverged does not count") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(40, {12});
  const auto steps_of = [&](const auto&... policies) {
    vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::sgd{.rate = 1e30}, policies...};
    CHECK_THROWS_AS(trainer.fit(data, vv::epochs{3}), vv::divergence_error);
    CHECK(trainer.history().batches.size() < 10);
    return trainer.engine().progress().step;
  };
  CHECK(steps_of(vv::cuda{}) == steps_of(vv::plain_kernels{}));
}

TEST_CASE("cuda executor: steps may be queued one behind the other") {
  const clean_machine tidy;
  for (const bool early_copies : {false, true}) {
    fake::the().early_copies = early_copies;
    vv::builder make;
    const vv::value x = make.input("x", {vv::rows, 4}), rate = make.setting("rate");
    const vv::value kept = make.state("kept", {4});
    make.update(kept, kept * 0.5 + mean(x, {0}) * rate);
    make.result().loss = mean(x).index();
    const vv::graph graph = make.take();
    const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, 3);
    constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
    vv::gpu::cuda_device<double> device(0, true, false, true, true);
    vv::variables<double> values(graph, plan);
    vv::instance<double> run(graph, plan, kernels, values, &device);
    std::vector<double> input(12);
    run.set_input(0, input.data());
    double wanted = 0;
    for (int step = 0; step < 12; ++step) {
      const int samples = step % 4 == 3 ? 2 : 3;
      for (double& each : input) each = step + 1;
      run.settings()[0] = 10 - step;
      wanted = wanted * 0.5 + (step + 1) * (10 - step);
      run({.samples = samples});  // and nobody asks for the loss
    }
    CHECK(run.loss() == 12);
    CHECK(run.earlier_loss() == 11);
    CHECK(values.find("kept").data[0] == wanted);
    CHECK(values.find("kept").data[3] == wanted);
  }
}

TEST_CASE("cuda executor: large batches in pinned memory are copied from where they lie") {
  const clean_machine tidy;
  for (const bool early_copies : {false, true}) {
    const auto losses = [&](bool pins) {
      fake::the() = {};
      fake::the().early_copies = early_copies;
      std::vector<float> features(10 * 4096);
      const std::vector<std::int32_t> labels(10, 1);
      std::optional<vv::gpu::pinned_range> pinned;
      if (pins) {
        pinned.emplace(std::as_bytes(std::span(features)));
        CHECK_THROWS_WITH(vv::gpu::pinned_range{std::as_bytes(std::span(features))}, doctest::Contains("not pinned yet"));
        CHECK(vv::gpu::pinned_range::contains(features.data(), 40960 * sizeof(float)));
        CHECK(!vv::gpu::pinned_range::contains(features.data(), 40961 * sizeof(float)));
      }
      vv::trainer trainer{wide::graph, vv::batch<10>, vv::cuda{}};
      std::vector<float> found;
      for (int step = 0; step < 8; ++step) {
        for (std::size_t i = 0; i < features.size(); ++i)
          features[i] = static_cast<float>((i + 7 * static_cast<std::size_t>(step)) % 13) / 13;
        const int size = step % 4 == 3 ? 3 : 10;  // 3 samples are less than what is worth a copy of its own
        found.push_back(trainer.step({.features = features.data(), .labels = labels.data(), .size = size}));
      }
      CHECK(fake::the().copies_from_pinned == (pins ? 6 : 0));
      return found;
    };
    CHECK(losses(true) == losses(false));
  }
  // What is not waited for may be changed all the same.
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 20000});
  const vv::value kept = make.state("kept", {});
  make.update(kept, kept * 0.5 + mean(x));
  make.result().loss = mean(x).index();
  const vv::graph graph = make.take();
  const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, 2);
  constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
  vv::gpu::cuda_device<double> device(0, true, false, true, true);
  vv::variables<double> values(graph, plan);
  vv::instance<double> run(graph, plan, kernels, values, &device);
  std::vector<double> input(40000);
  const vv::gpu::pinned_range pinned(std::as_bytes(std::span(input)));
  run.set_input(0, input.data());
  double wanted = 0;
  for (int step = 0; step < 6; ++step) {
    std::fill(input.begin(), input.end(), step + 1.0);
    wanted = wanted * 0.5 + step + 1;
    run({.samples = 2});
  }
  std::fill(input.begin(), input.end(), 100.0);
  CHECK(values.find("kept").data[0] == doctest::Approx(wanted));
}

TEST_CASE("cuda executor: batches of a loader are pinned while a trainer trains") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(25, {4096});
  const auto variables = [&](bool refuses) {
    fake::the() = {};
    fake::the().refuses_pins = refuses;
    vv::trainer trainer{wide::graph, vv::batch<10>, vv::cuda{}};
    trainer.fit(data, vv::epochs{3});
    CHECK(fake::the().pinned.empty());
    CHECK(fake::the().last == cudaSuccess);
    CHECK((fake::the().pins > 0) == !refuses);
    CHECK((fake::the().copies_from_pinned > 0) == !refuses);
    return networks::variables_of(trainer);
  };
  CHECK(variables(false) == variables(true));
}

TEST_CASE("cuda executor: a search trains several candidates on a device at once") {
  const clean_machine tidy;
  using space = vv::search::mlp_space<vv::features{12}, vv::classes{3}>;
  const vv::data::dataset data = networks::labelled(40, {12});
  const auto found = [&](int in_flight, const auto& executor) {
    return vv::search::random_search<space>{.in_flight = in_flight}(
        data, vv::tse{}, vv::budget{.epochs = 3, .queries = 8}, vv::batch<10>, vv::sgd{.rate = 0.1}, vv::seed{2}, executor);
  };
  const auto wanted = found(4, vv::serial{});
  CHECK(fake::the().launches == 0);
  for (const int in_flight : {1, 4}) {
    const auto on_device = found(in_flight, vv::cuda{});
    CHECK(fake::the().launches > 8 * 5);
    CHECK(on_device.best == wanted.best);
    REQUIRE(on_device.history.size() == wanted.history.size());
    for (std::size_t i = 0; i < wanted.history.size(); ++i) {
      CHECK(on_device.history[i].of == wanted.history[i].of);
      CHECK(on_device.history[i].score == doctest::Approx(wanted.history[i].score).epsilon(1e-4));
    }
    fake::the().launches = 0;
  }
}

TEST_CASE("cuda executor: callbacks that act on batches find the weights of their batch") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(35, {12});
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  keeps act{.trainer = &trainer, .first = {}};
  trainer.fit(data, vv::epochs{1}, act);
  vv::trainer other{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  looks look;
  const vv::trace trace = other.fit(data, vv::epochs{1}, look);
  CHECK(act.batches == 4);
  CHECK(look.batches == 4);
  CHECK(look.mean == trace.epochs[0].train_loss);
  CHECK(networks::same(trace, trainer.history()));
  vv::trainer once{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  vv::data::loader<float> batches(data, 10, 0, {});
  batches.start_epoch(0);
  once.step(*batches.next());
  CHECK(networks::variables_of(once) == act.first);
}

TEST_CASE("cuda executor: parameters are read and written on the host") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(10, {12});
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  const std::vector<float> start = networks::variables_of(trainer);
  trainer.fit(data, vv::epochs{1});
  const std::vector<float> later = networks::variables_of(trainer);
  CHECK(start != later);
  // What is written is what the next step starts from.
  auto weight = trainer.values().parameter(0);
  for (std::int64_t i = 0; i < weight.dims.size(); ++i) weight.data[i] = 0;
  const float* prediction = trainer.predict(networks::features(10, 12).data(), 10).data;
  for (int i = 3; i < 30; ++i) CHECK(prediction[i] == prediction[i % 3]);
  const double before = trainer.evaluate(data).loss;
  trainer.fit(data, vv::epochs{4}, vv::best_weights{});
  CHECK(trainer.evaluate(data).loss < before);
}

TEST_CASE("cuda executor: a set of kernels of one's own") {
  const clean_machine tidy;
  const result wanted = trained(networks::mlp{}, vv::cuda{});
  const result found = trained(networks::mlp{}, vv::cuda{}, own_product{});
  CHECK(own_product::calls() > 0);
  CHECK(found.variables == wanted.variables);
}

TEST_CASE("cuda executor: a checkpoint goes from a device to the host and back") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(30, {12});
  const std::string path = "cuda_checkpoint.safetensors";
  vv::trainer whole{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  whole.fit(data, vv::epochs{4});
  vv::trainer first{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  first.fit(data, vv::epochs{2});
  vv::save(first, path);
  vv::trainer second{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  vv::resume(second, path);
  second.fit(data, vv::epochs{4});
  CHECK(networks::variables_of(second) == networks::variables_of(whole));
  vv::trainer on_host{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::plain_kernels{}, vv::f64{}};
  vv::resume(on_host, path);
  CHECK(on_host.evaluate(data).loss == doctest::Approx(first.evaluate(data).loss));
  std::remove(path.c_str());
}

TEST_CASE("cuda executor: what is missing or wrong is said") {
  const clean_machine tidy;
  const auto make = [](int device) { vv::trainer{networks::mlp{}, vv::cuda{.device = device}}; };
  CHECK(vv::cuda_available());
  const std::string number = message_of([&] { make(3); });
  CHECK(contains(number, "there is no such CUDA device"));
  CHECK(contains(number, "where: cuda{.device = 3}"));
  CHECK(contains(number, "needs: 0 to 0"));
  fake::the().answer = cudaErrorInsufficientDriver;
  CHECK(!vv::cuda_available());
  const std::string driver = message_of([&] { make(0); });
  CHECK(contains(driver, "vivace: there is no CUDA device"));
  CHECK(contains(driver, "got:   CUDA driver version is insufficient"));
  CHECK(contains(driver, "tbb{} in place of cuda{}"));
  fake::the().answer = cudaSuccess;
  fake::the().devices = 0;
  CHECK(contains(message_of([&] { make(0); }), "there is no CUDA device"));
  fake::the().devices = 1;
  CHECK(contains(message_of([] { const vv::gpu::device_memory too_much(std::size_t{1} << 40); }), "no room for"));
  CHECK(fake::the().last == cudaSuccess);  // answered failures are not found by others
  const std::vector<float> features(120);
  const std::vector<std::int32_t> labels(10);
  vv::trainer with_functor{functor_net{}, vv::batch<10>, vv::cuda{}};
  const std::string functor = message_of(
      [&] { with_functor.step({.features = features.data(), .labels = labels.data(), .size = 10}); });
  CHECK(contains(functor, "a user's functor runs on the host alone"));
  CHECK(contains(functor, "got:   cube"));
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  CHECK(contains(message_of([&] { trainer.step({.size = 3}); }), "the batch lacks what the network takes"));
}
