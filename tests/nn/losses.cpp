#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/optim/training_graph.hpp>

#include "evaluated.hpp"

namespace {

using namespace nn_test;
using vv::rows;
using vv::value;

/// The loss of numbers, and its gradient with respect to the prediction.
template <class Loss>
evaluated loss_of(const Loss& loss, const numbers& prediction, const numbers& target) {
  vv::builder graph;
  const auto count = static_cast<std::int32_t>(prediction.size());
  const value x = graph.parameter("x", {count});
  const value t = graph.parameter("t", {count});
  const value result = loss(x, t);
  graph.output("gradient", gradient(result, x));
  graph.output("curvature", gradient(sum(gradient(result, x)), x));
  graph.result().loss = result.index();
  evaluated run(vv::canonical(graph.result()));
  run.set("x", prediction);
  run.set("t", target);
  run.run();
  return run;
}

struct linear_model {
  static constexpr auto graph = vv::regressor(vv::features{3}, vv::targets{2}, vv::dense{2});
};
static_assert(vv::model_graph(linear_model::graph, true).mistake.what == vv::problem::none);
struct robust_model {
  static constexpr auto graph = vv::regressor(vv::features{3}, vv::targets{1}, vv::dense{4}, vv::tanh{}, vv::dense{1})
                                    .loss(vv::huber{.delta = 0.5});
};
static_assert(vv::model_graph(robust_model::graph, true).mistake.what == vv::problem::none);

/// Loss before and after some steps of gradient descent on one batch of four samples, from features to a known
/// function.
template <class Definition>
std::pair<double, double> trained(const Definition& definition, const numbers& target) {
  evaluated run(vv::training_graph<vv::sgd>(vv::model_graph(definition, true)), 4);
  run.give("input", some(4 * 3, 5));
  run.give("target", target);
  vv::sgd{.rate = 0.3}.set({}, run.settings());
  run.run();
  const double before = run.loss();
  for (int step = 0; step < 300; ++step) run.run();
  return {before, run.loss()};
}

}  // namespace

TEST_CASE("losses: mean squared error") {
  evaluated run = loss_of(vv::mse{}, {1, 2, -3}, {0, 2, 1});
  CHECK(run.loss() == doctest::Approx(17.0 / 3));
  CHECK(run.read("gradient") == numbers{2 * 1.0 / 3, 0, 2 * -4.0 / 3});
}

TEST_CASE("losses: huber") {
  evaluated run = loss_of(vv::huber{.delta = 2}, {1, 5, -4, 0}, {0, 0, 0, 0});
  CHECK(run.loss() == doctest::Approx((0.5 + 2 * (5 - 1) + 2 * (4 - 1)) / 4));
  CHECK(run.read("gradient") == numbers{0.25, 0.5, -0.5, 0});
  CHECK(run.read("curvature") == numbers{0.25, 0, 0, 0.25});
}

TEST_CASE("losses: binary cross entropy is stable and has exact derivatives at zero") {
  evaluated run = loss_of(vv::binary_cross_entropy{}, {0, 1000, -1000, 1000}, {0.25, 1, 0, 0});
  CHECK(run.loss() == doctest::Approx((std::log(2.0) + 0 + 0 + 1000) / 4));
  const numbers slope = run.read("gradient");
  CHECK(slope[0] == doctest::Approx((0.5 - 0.25) / 4));
  CHECK(slope[1] == 0);
  CHECK(slope[2] == 0);
  CHECK(slope[3] == doctest::Approx(0.25));
  CHECK(run.read("curvature")[0] == doctest::Approx(0.25 / 4));
  for (const double x : {-3.0, -0.1, 0.2, 4.0}) {
    evaluated one = loss_of(vv::binary_cross_entropy{}, {x}, {0.3});
    const double p = 1 / (1 + std::exp(-x));
    CHECK(one.loss() == doctest::Approx(-0.3 * std::log(p) - 0.7 * std::log(1 - p)));
    CHECK(one.read("gradient")[0] == doctest::Approx(p - 0.3));
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(loss_of(vv::binary_cross_entropy{}, {nan}, {1}).loss()));
}

TEST_CASE("losses: cross entropy over positions is the mean over all of them") {
  const numbers logits = some(2 * 3 * 4, 1);
  const std::vector<std::int32_t> labels{0, 3, 1, 2, 2, 0};
  for (const bool training : {true, false}) {
    vv::builder graph(training);
    const value x = graph.input("x", {rows, 3, 4});
    const value t = graph.labels("t", {rows, 3});
    graph.result().loss = vv::cross_entropy{.smoothing = 0.2}(x, t).index();
    evaluated run(vv::canonical(graph.result()), 2);
    run.give("x", logits);
    run.give("t", labels);
    run.run();
    const double smoothing = training ? 0.2 : 0;  // predictions are not smoothed
    double total = 0;
    for (std::size_t row = 0; row < 6; ++row) {
      double sum = 0;
      for (std::size_t j = 0; j < 4; ++j) sum += std::exp(logits[row * 4 + j]);
      for (std::size_t j = 0; j < 4; ++j) {
        const double share = (static_cast<int>(j) == labels[row] ? 1 - smoothing : 0) + smoothing / 4;
        total -= share * (logits[row * 4 + j] - std::log(sum));
      }
    }
    CHECK(run.loss() == doctest::Approx(total / 6));
  }
}

TEST_CASE("losses: shapes that differ are mistakes, not broadcasts") {
  const auto mistake = [](const auto& loss) {
    vv::builder graph;
    const value x = graph.input("x", {rows, 1});
    const value t = graph.input("t", {rows});
    (void)loss(x, t);
    return graph.result().mistake;
  };
  CHECK(mistake(vv::mse{}).what == vv::problem::sizes_differ);
  CHECK(mistake(vv::mse{}).kind.view() == "mse");
  CHECK(mistake(vv::huber{}).what == vv::problem::sizes_differ);
  CHECK(mistake(vv::huber{.delta = 0}).what == vv::problem::extent_must_be_positive);
  CHECK(mistake(vv::binary_cross_entropy{}).what == vv::problem::sizes_differ);
  constexpr auto wrong = vv::regressor(vv::features{3}, vv::targets{2}, vv::dense{4});
  const vv::diagnosis found = vv::model_graph(wrong, true).mistake;
  CHECK(found.what == vv::problem::sizes_differ);
  CHECK(found.kind.view() == "regressor");
  CHECK(found.got == vv::shape{rows, 4});
  CHECK(found.needs == vv::shape{rows, 2});
}

TEST_CASE("losses: a regressor's ends") {
  const vv::graph model = vv::model_graph(linear_model::graph, false);
  REQUIRE(model.inputs.size() == 2);
  CHECK(model.inputs[0].name.view() == "input");
  CHECK(model.inputs[1].name.view() == "target");
  REQUIRE(model.outputs.size() == 1);
  CHECK(model.outputs[0].name.view() == "prediction");
  CHECK(parameter_list(model) == "0.dense.weight [3, 2]; 0.dense.bias [2]");
}

TEST_CASE("losses: models of every loss learn at run time") {
  const auto model = [](const auto& loss) {
    return vv::regressor(vv::features{3}, vv::targets{1}, vv::dense{8}, vv::tanh{}, vv::dense{1}).loss(loss);
  };
  const numbers shares{0, 1, 1, 0};
  for (const auto& [before, after] :
       {trained(model(vv::mse{}), shares), trained(model(vv::huber{.delta = 0.3}), shares),
        trained(model(vv::binary_cross_entropy{}), shares)}) {
    CHECK(before > 0.05);
    CHECK(after < 0.2 * before);
  }
  const auto free_form = vv::define([](vv::builder& graph) {
    const value x = graph.input("input", {rows, 3});
    const value y = graph.input("target", {rows, 1});
    const value weight = graph.parameter("weight", {3, 1});
    const value penalty = 1e-4 * sum(square(weight));
    return huber(matmul(x, weight), y, 1.0) + penalty;
  });
  numbers target(4);
  const numbers x = some(4 * 3, 5);
  for (std::size_t i = 0; i < 4; ++i) target[i] = x[3 * i] - 0.5 * x[3 * i + 2];
  const auto [before, after] = trained(free_form, target);
  CHECK(after < 0.05 * before);
}
