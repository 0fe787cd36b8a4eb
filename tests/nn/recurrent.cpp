#include <doctest/doctest.h>

#include <cmath>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/train/compiled.hpp>

#include "evaluated.hpp"

namespace {

using namespace nn_test;
using vv::rows;
using vv::value;

/// An image as rows of pixels.
struct pixel_rows {
  int height = 28, width = 28;
  [[nodiscard]] constexpr vv::shape dims() const { return {rows, height, width}; }
};
template <auto Layer>
struct row_by_row {
  static constexpr auto graph = vv::classifier(pixel_rows{}, vv::classes{10}, Layer, vv::dense{10});
};

constexpr std::size_t positions = 4, features = 3, width = 2;
double squash(double x) { return 1 / (1 + std::exp(-x)); }

/// x W + h U, by columns, with the biases.
struct sums {
  numbers input_weight, input_bias, hidden_weight, hidden_bias;
  std::size_t columns;
  sums(evaluated& run, const std::string& layer)
      : input_weight(run.variable(layer + ".input_weight")),
        input_bias(run.variable(layer + ".input_bias")),
        hidden_weight(run.variable(layer + ".hidden_weight")),
        hidden_bias(run.variable(layer + ".hidden_bias")),
        columns(input_bias.size()) {}
  [[nodiscard]] double of_input(const double* x, std::size_t column) const {
    double total = input_bias[column];
    for (std::size_t f = 0; f < features; ++f) total += x[f] * input_weight[f * columns + column];
    return total;
  }
  [[nodiscard]] double of_hidden(const numbers& h, std::size_t column) const {
    double total = hidden_bias[column];
    for (std::size_t f = 0; f < width; ++f) total += h[f] * hidden_weight[f * columns + column];
    return total;
  }
};

numbers plain_gru(evaluated& run, const double* x) {
  const sums of(run, "0.gru");
  numbers h(width, 0.0), all;
  for (std::size_t p = 0; p < positions; ++p) {
    numbers next(width);
    for (std::size_t j = 0; j < width; ++j) {
      const double* given = x + p * features;
      const double r = squash(of.of_input(given, j) + of.of_hidden(h, j));
      const double z = squash(of.of_input(given, width + j) + of.of_hidden(h, width + j));
      const double n = std::tanh(of.of_input(given, 2 * width + j) + r * of.of_hidden(h, 2 * width + j));
      next[j] = (1 - z) * n + z * h[j];
    }
    h = next;
    all.insert(all.end(), h.begin(), h.end());
  }
  return all;
}

numbers plain_lstm(evaluated& run, const double* x) {
  const sums of(run, "0.lstm");
  numbers h(width, 0.0), c(width, 0.0), all;
  for (std::size_t p = 0; p < positions; ++p) {
    numbers next(width);
    for (std::size_t j = 0; j < width; ++j) {
      const auto sum = [&](std::size_t gate) {
        return of.of_input(x + p * features, gate * width + j) + of.of_hidden(h, gate * width + j);
      };
      c[j] = squash(sum(1)) * c[j] + squash(sum(0)) * std::tanh(sum(3));
      next[j] = squash(sum(2)) * std::tanh(c[j]);
    }
    h = next;
    all.insert(all.end(), h.begin(), h.end());
  }
  return all;
}

template <class Layer, class Plain>
void check_against(Layer layer, const Plain& plain) {
  for (const bool last : {false, true}) {
    layer.last = last;
    evaluated run(layer_graph(layer, {rows, positions, features}), 2);
    std::uint32_t stream = 10;
    for (const vv::variable& one : run.structure().parameters)
      run.set(one.name.view(), some(run.variable(one.name.view()).size(), stream++));
    const numbers x = some(2 * positions * features, 1);
    run.give("x", x);
    run.run();
    const numbers y = run.read("y");
    for (std::size_t s = 0; s < 2; ++s) {
      const numbers all = plain(run, &x[s * positions * features]);
      const std::size_t skipped = last ? (positions - 1) * width : 0;
      REQUIRE(y.size() == 2 * (all.size() - skipped));
      for (std::size_t i = skipped; i < all.size(); ++i)
        CHECK(y[s * (all.size() - skipped) + i - skipped] == doctest::Approx(all[i]).epsilon(1e-12));
    }
  }
}

template <auto Layer>
void check_rows_of_images() {
  using net = row_by_row<Layer>;
  using code = vv::compiled<net, 32, vv::adam, vv::no_clipping, vv::reference_kernels, float>;
  const vv::graph made = vv::training_graph<vv::adam>(vv::model_graph(net::graph, true));
  CHECK(made.nodes.size() == code::training.nodes.size);
  CHECK(vv::make_plan(made, vv::unfused(made), 32, &vv::no_workspace).arena_size == code::training_plan.arena_size);
}

}  // namespace

TEST_CASE("recurrent: layers give what the plain formulas give") {
  check_against(vv::gru{.width = 2}, plain_gru);
  check_against(vv::lstm{.width = 2}, plain_lstm);
}

TEST_CASE("recurrent: shapes, names and counts") {
  CHECK(output_shape(vv::gru{.width = 5}, {rows, 7, 3}) == vv::shape{rows, 7, 5});
  CHECK(output_shape(vv::gru{.width = 5, .last = true}, {rows, 7, 3}) == vv::shape{rows, 5});
  CHECK(output_shape(vv::lstm{.width = 5}, {rows, 7, 3}) == vv::shape{rows, 7, 5});
  CHECK(output_shape(vv::lstm{.width = 5, .last = true}, {rows, 1, 3}) == vv::shape{rows, 5});
  CHECK(parameter_list(layer_graph(vv::gru{.width = 2}, {rows, 7, 3})) ==
        "0.gru.input_weight [3, 6]; 0.gru.input_bias [6]; 0.gru.hidden_weight [2, 6]; 0.gru.hidden_bias [6]");
  // torch.nn.GRU(28, 32) and torch.nn.LSTM(28, 32): gates * h * (f + h + 2).
  CHECK(parameter_count(layer_graph(vv::gru{.width = 32}, {rows, 28, 28})) == 3 * 32 * (28 + 32 + 2));
  CHECK(parameter_count(layer_graph(vv::lstm{.width = 32}, {rows, 28, 28})) == 4 * 32 * (28 + 32 + 2));
  CHECK(mistake_of(vv::gru{.width = 2}, {rows, 3}).what == vv::problem::wrong_rank);
  CHECK(mistake_of(vv::lstm{.width = 0}, {rows, 3, 3}).what == vv::problem::extent_must_be_positive);
}

TEST_CASE("recurrent: images row by row are planned at compile time") {
  check_rows_of_images<vv::gru{.width = 32, .last = true}>();
  check_rows_of_images<vv::lstm{.width = 32, .last = true}>();
}

TEST_CASE("recurrent: a network learns which position held the larger number") {
  const auto model = vv::classifier(pixel_rows{.height = 3, .width = 1}, vv::classes{3},
                                    vv::lstm{.width = 8, .last = true}, vv::dense{3});
  evaluated run(vv::training_graph<vv::adam>(vv::model_graph(model, true)), 6);
  run.give("input", numbers{1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2});
  run.give("label", std::vector<std::int32_t>{0, 1, 2, 0, 1, 2});
  vv::adam optimiser;
  optimiser.rate = 2e-2;
  for (int step = 0; step < 200; ++step) {
    optimiser.set({.step = step}, run.settings());
    run.run(static_cast<std::uint32_t>(step));
  }
  CHECK(run.loss() < 0.05);
}
