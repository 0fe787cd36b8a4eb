#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vivace/graph/differentiate.hpp>
#include <vivace/nn.hpp>

#include "evaluated.hpp"

namespace {

using namespace nn_test;
using vv::rows;
using vv::shape;

template <class Layer>
std::string parameters_of(const Layer& layer, const shape& dims) {
  return parameter_list(layer_graph(layer, dims));
}
template <class Layer>
vv::problem problem_of(const Layer& layer, const shape& dims) {
  return mistake_of(layer, dims).what;
}

}  // namespace

TEST_CASE("layers: dense") {
  CHECK(output_shape(vv::dense{7}, {rows, 3}) == shape{rows, 7});
  CHECK(output_shape(vv::dense{7}, {rows, 5, 3}) == shape{rows, 5, 7});
  CHECK(parameters_of(vv::dense{7}, {rows, 3}) == "0.dense.weight [3, 7]; 0.dense.bias [7]");
  CHECK(parameters_of(vv::dense{.units = 7, .bias = false}, {rows, 3}) == "0.dense.weight [3, 7]");
  CHECK(problem_of(vv::dense{7}, {rows}) == vv::problem::wrong_rank);
  CHECK(problem_of(vv::dense{0}, {rows, 3}) == vv::problem::extent_must_be_positive);
}

TEST_CASE("layers: conv2d") {
  CHECK(output_shape(vv::conv2d{.filters = 6, .kernel = 3}, {rows, 4, 9, 8}) == shape{rows, 6, 7, 6});
  CHECK(output_shape(vv::conv2d{.filters = 6, .kernel = 3, .stride = 2, .padding = 1}, {rows, 4, 9, 8}) ==
        shape{rows, 6, 5, 4});
  CHECK(output_shape(vv::conv2d{.filters = 6, .kernel = 3, .dilation = 2}, {rows, 4, 9, 8}) == shape{rows, 6, 5, 4});
  CHECK(parameters_of(vv::conv2d{.filters = 6, .kernel = 3, .groups = 2}, {rows, 4, 9, 8}) ==
        "0.conv2d.weight [6, 2, 3, 3]; 0.conv2d.bias [6]");
  CHECK(problem_of(vv::conv2d{.filters = 6, .groups = 4}, {rows, 4, 9, 8}) ==
        vv::problem::groups_do_not_divide_channels);
  CHECK(problem_of(vv::conv2d{.filters = 6, .kernel = 10}, {rows, 4, 9, 8}) == vv::problem::window_larger_than_input);
  CHECK(problem_of(vv::conv2d{.filters = 6}, {rows, 4}) == vv::problem::wrong_rank);
  CHECK(problem_of(vv::conv2d{.filters = 6, .stride = 0}, {rows, 4, 9, 8}) == vv::problem::extent_must_be_positive);
}

TEST_CASE("layers: pools and shapes") {
  CHECK(output_shape(vv::max_pool{2}, {rows, 3, 9, 8}) == shape{rows, 3, 4, 4});
  CHECK(output_shape(vv::avg_pool{.size = 3, .stride = 2, .padding = 1}, {rows, 3, 9, 8}) == shape{rows, 3, 5, 4});
  CHECK(output_shape(vv::global_avg_pool{}, {rows, 3, 9, 8}) == shape{rows, 3});
  CHECK(output_shape(vv::flatten{}, {rows, 3, 9, 8}) == shape{rows, 216});
  CHECK(problem_of(vv::max_pool{0}, {rows, 3, 9, 8}) == vv::problem::extent_must_be_positive);
  CHECK(problem_of(vv::avg_pool{10}, {rows, 3, 9, 8}) == vv::problem::window_larger_than_input);
  CHECK(problem_of(vv::global_avg_pool{}, {rows, 3}) == vv::problem::wrong_rank);
}

TEST_CASE("layers: normalisation") {
  CHECK(output_shape(vv::batch_norm{}, {rows, 3, 9, 8}) == shape{rows, 3, 9, 8});
  CHECK(parameters_of(vv::batch_norm{}, {rows, 3, 9, 8}) == "0.batch_norm.scale [3]; 0.batch_norm.shift [3]");
  CHECK(parameters_of(vv::layer_norm{}, {rows, 5, 3}) == "0.layer_norm.scale [3]; 0.layer_norm.shift [3]");
  CHECK(problem_of(vv::batch_norm{}, {rows, 3, 9}) == vv::problem::wrong_rank);
  CHECK(problem_of(vv::layer_norm{}, {rows}) == vv::problem::wrong_rank);
  const vv::graph training = layer_graph(vv::batch_norm{}, {rows, 3});
  const vv::graph predicting = layer_graph(vv::batch_norm{}, {rows, 3}, false, false);
  REQUIRE(training.states.size() == 2);
  CHECK(training.states.size() == predicting.states.size());
  CHECK(training.assignments.size() == 2);
  CHECK(predicting.assignments.empty());
}

TEST_CASE("layers: activations keep the shape and have no parameters") {
  const shape dims{rows, 3, 2};
  const auto check = [&](const auto& layer) {
    CHECK(output_shape(layer, dims) == dims);
    CHECK(parameter_count(layer_graph(layer, dims)) == 0);
  };
  check(vv::relu{});
  check(vv::leaky_relu{});
  check(vv::elu{});
  check(vv::gelu{});
  check(vv::silu{});
  check(vv::sigmoid{});
  check(vv::tanh{});
  check(vv::softmax{});
  check(vv::dropout{});
}

TEST_CASE("layers: elu is its formula, and its gradient is finite") {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const numbers points{-infinity, -800, -2, -1e-3, -0.0, 0, 1e-3, 2, 800, nan};
  for (const double alpha : {1.0, 0.3}) {
    CAPTURE(alpha);
    vv::builder graph;
    const vv::value x = graph.parameter("x", {static_cast<std::int32_t>(points.size())});
    const vv::value y = vv::elu{alpha}(x);
    graph.output("y", y);
    graph.output("gradient", gradient(sum(y), x));
    evaluated run(vv::canonical(graph.result()));
    run.set("x", points);
    run.run();
    const numbers values = run.read("y"), slopes = run.read("gradient");
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      const double at = points[i];
      CAPTURE(at);
      CHECK(values[i] == doctest::Approx(at > 0 ? at : alpha * (std::exp(at) - 1)).epsilon(1e-12));
      CHECK(slopes[i] == doctest::Approx(at > 0 ? 1 : alpha * std::exp(at)).epsilon(1e-12));
    }
    CHECK(std::isnan(values.back()));
  }
}

TEST_CASE("layers: residuals and chains name the layers inside") {
  const vv::graph made = layer_graph(vv::residual{vv::dense{4}, vv::tanh{}, vv::dense{3}}, {rows, 3});
  CHECK(parameter_list(made) == "0.dense.weight [3, 4]; 0.dense.bias [4]; 2.dense.weight [4, 3]; 2.dense.bias [3]");
  REQUIRE(made.layers.size() == 4);
  CHECK(made.layers[3].name.view() == "3.residual");
  CHECK(problem_of(vv::residual{vv::dense{4}}, {rows, 3}) == vv::problem::shapes_do_not_broadcast);
}

TEST_CASE("layers: a user's layer and a user's functor stand beside the library's") {
  struct scaled {
    constexpr vv::value operator()(vv::value input) const { return input * input.owner().parameter("scale", {1}); }
  };
  const vv::graph made = layer_graph(vv::chain{scaled{}, vv::relu{}}, {rows, 3});
  CHECK(parameter_list(made) == "0.layer.scale [1]");
}
