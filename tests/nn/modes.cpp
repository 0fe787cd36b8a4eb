#include <doctest/doctest.h>

#include <cmath>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/norm.hpp>

#include "evaluated.hpp"

// Training against prediction: dropout and batch normalisation.

namespace {

using namespace nn_test;
using vv::rows;

numbers dropped(double rate, std::uint32_t step, bool training = true) {
  evaluated run(layer_graph(vv::dropout{rate}, {rows, 1000}, false, training), 40);
  run.give("x", numbers(40'000, 1.0));
  run.run(step);
  return run.read("y");
}

}  // namespace

TEST_CASE("dropout: statistics of training") {
  for (const double rate : {0.1, 0.5, 0.9}) {
    const numbers y = dropped(rate, 0);
    double zeros = 0, total = 0, pairs = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK_UNARY(y[i] == 0 || y[i] == doctest::Approx(1 / (1 - rate)));
      zeros += y[i] == 0 ? 1 : 0;
      total += y[i];
      if (i > 0 && y[i] == 0 && y[i - 1] == 0) ++pairs;
    }
    const auto count = static_cast<double>(y.size());
    const double deviation = std::sqrt(rate * (1 - rate) / count);
    CHECK(std::abs(zeros / count - rate) < 4 * deviation);
    CHECK(std::abs(total / count - 1) < 4 * deviation / (1 - rate));
    CHECK(std::abs(pairs / count - rate * rate) < 8 * deviation);  // neighbours are independent
  }
}

TEST_CASE("dropout: the same step gives the same mask, another step another") {
  CHECK(dropped(0.5, 7) == dropped(0.5, 7));
  CHECK(dropped(0.5, 7) != dropped(0.5, 8));
}

TEST_CASE("dropout: two layers have masks of their own") {
  vv::builder graph;
  const vv::value x = graph.input("x", {rows, 100});
  graph.output("a", apply(vv::dropout{0.5}, x));
  graph.output("b", apply(vv::dropout{0.5}, x));
  evaluated run(vv::canonical(graph.result()));
  run.give("x", numbers(100, 1.0));
  run.run();
  CHECK(run.read("a") != run.read("b"));
}

TEST_CASE("dropout: prediction and a rate of zero change nothing") {
  CHECK(dropped(0.5, 0, false) == numbers(40'000, 1.0));
  CHECK(dropped(0, 0) == numbers(40'000, 1.0));
}

TEST_CASE("batch_norm: training normalises by the batch and tracks its moments") {
  evaluated run(layer_graph(vv::batch_norm{.momentum = 0.75, .epsilon = 0}, {rows, 2}), 4);
  const numbers x{1, 10, 3, 10, 5, 30, 7, 30};
  run.give("x", x);
  run.run();
  const numbers y = run.read("y");
  const double mean[] = {4, 20}, variance[] = {5, 100};
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(y[i] == doctest::Approx((x[i] - mean[i % 2]) / std::sqrt(variance[i % 2])));
  const numbers running_mean = run.variable("0.batch_norm.running_mean");
  const numbers running_variance = run.variable("0.batch_norm.running_variance");
  for (std::size_t c = 0; c < 2; ++c) {
    CHECK(running_mean[c] == doctest::Approx(0.25 * mean[c]));
    CHECK(running_variance[c] == doctest::Approx(0.75 + 0.25 * variance[c]));
  }
}

TEST_CASE("batch_norm: prediction uses the running moments and leaves them alone") {
  evaluated run(layer_graph(vv::batch_norm{.epsilon = 0}, {rows, 2}, false, false), 3);
  run.set("0.batch_norm.running_mean", {1, 2});
  run.set("0.batch_norm.running_variance", {4, 9});
  run.set("0.batch_norm.scale", {3, 1});
  run.set("0.batch_norm.shift", {0, -1});
  run.give("x", numbers{5, 5, 1, 2, -1, 8});
  run.run();
  const numbers expected{6, 0, 0, -1, -3, 1};
  const numbers y = run.read("y");
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(expected[i]));
  CHECK(run.variable("0.batch_norm.running_mean") == numbers{1, 2});
  CHECK(run.variable("0.batch_norm.running_variance") == numbers{4, 9});
}
