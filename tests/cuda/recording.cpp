// Recorded steps, on a machine of host memory: what is recorded when, and what waits for what.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/train.hpp>

#include "../graph/random_graph.hpp"
#include "../train/networks.hpp"
#include "fake_runtime.hpp"

namespace {

namespace vv = vivace;
using fake::clean_machine;

}  // namespace

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
    const vv::command_waits waits = vv::waits_of(plan);
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
    const vv::graph made =
        graph_test::random_graph(seed, 4 + static_cast<int>(seed % 30), seed % 2 == 0, seed % 3 == 0).take();
    const vv::graph scheduled = vv::with_late_stores(vv::without_dead_code(vv::canonical(made)));
    const vv::plan plan = vv::make_plan<vv::cuda_kernels>(scheduled, 5);
    const auto results = [&](bool overlaps) {
      vv::gpu::cuda_device<double> device(0, true, false, true, overlaps);
      vv::variables<double> values(scheduled, plan);
      vv::instance<double> run(scheduled, plan, kernels, values, &device);
      values.initialise(1);
      const graph_test::feed<> given(scheduled, 5, seed);
      given.give_to(run);
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
        CHECK_THROWS_WITH(trainer.step(batch), doctest::Contains("vivace: a"));
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
