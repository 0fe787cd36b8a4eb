#pragma once
// Laws of the concept vivace::layer: run a layer of your own through them, inside a doctest test case.
//
//   laws::check_layer(my_layer{3}, {vivace::rows, 8, 8}, {.samples_are_apart = true});
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/differentiate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/layer.hpp>

namespace laws {

struct layer_options {
  bool training = true;
  bool samples_are_apart = true;  ///< a sample's result depends on that sample alone; false for batch_norm in training
  bool random = false;            ///< results depend on a sample's place in the batch, as a dropout mask does
  bool smooth = true;             ///< false: derivatives are not compared with differences (a kink may lie between)
};

namespace detail {

using numbers = std::vector<double>;

inline numbers random_numbers(std::int64_t count, std::uint32_t stream) {
  const vivace::random_stream random(77, stream);
  numbers result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  return result;
}

inline double distance(const numbers& one, const numbers& other) {
  if (one.size() != other.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    const double error = std::abs(one[i] - other[i]) / (std::max)({1.0, std::abs(one[i]), std::abs(other[i])});
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/// y = layer(x), s = <v, y>, and the gradients of s: all of a layer that the laws speak of.
template <class Layer>
vivace::graph layer_graph(const Layer& layer, const vivace::shape& input, bool training) {
  vivace::builder graph(training);
  const vivace::value x = graph.input("x", input);
  const vivace::value y = vivace::apply(layer, x);
  if (graph.failed()) return graph.take();
  const vivace::value v = graph.input("v", y.dims());
  const vivace::value product = y * v;
  const vivace::value s = sum(product);
  graph.output("y", y);
  graph.output("s", s);
  graph.output("dx", gradient(s, x));
  const int parameters = graph.result().parameters.size();
  for (int p = 0; p < parameters; ++p)
    graph.output("d" + std::to_string(p), gradient(s, graph.handle(graph.result().parameters[p].node)));
  graph.result().layers.clear();
  return vivace::with_late_stores(vivace::canonical(graph.result()));
}

struct outcome {
  numbers y;
  std::vector<numbers> gradients;  ///< of the input, then of each parameter
  double s = 0;
};

/// Runs a layer from given start values.
template <class Kernels>
outcome run(const vivace::graph& from, int batch, int samples, const numbers& x, const numbers& v, double move = 0) {
  vivace::runtime_graph<double, Kernels> made(from, batch);
  made.values().initialise(5);
  // Biases and the like start at zero, where much is equal: start elsewhere. `move` goes along a direction of all.
  for (int p = 0; p < made.values().parameter_count(); ++p) {
    const auto entry = made.values().parameter(p);
    const numbers start = random_numbers(entry.dims.size(), 100 + static_cast<std::uint32_t>(p));
    const numbers direction = random_numbers(entry.dims.size(), 200 + static_cast<std::uint32_t>(p));
    for (std::size_t i = 0; i < start.size(); ++i) entry.data[i] += 0.3 * start[i] + move * direction[i];
  }
  numbers moved = x;
  const numbers direction = random_numbers(static_cast<std::int64_t>(x.size()), 199);
  for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += move * direction[i];
  made.run().set_input(made.run().input("x"), moved.data());
  made.run().set_input(made.run().input("v"), v.data());
  made.run()({.seed = 3, .step = 2, .samples = samples});
  const auto read = [&](const std::string& name) {
    const auto found = made.run().output(name);
    return numbers(found.data, found.data + found.dims.size_at(samples));
  };
  outcome result{read("y"), {read("dx")}, read("s")[0]};
  for (int p = 0; p < made.values().parameter_count(); ++p) result.gradients.push_back(read("d" + std::to_string(p)));
  return result;
}

}  // namespace detail

/// Runs a layer through the laws.
/// @param input extents of its input, the first of them vivace::rows
template <vivace::layer Layer>
void check_layer(const Layer& layer, const vivace::shape& input, const layer_options& options = {}) {
  using namespace detail;
  using reference = vivace::reference_kernels;
  const vivace::graph graph = layer_graph(layer, input, options.training);
  REQUIRE_MESSAGE(graph.mistake.what == vivace::problem::none, vivace::to_string(graph.mistake.what));
  const vivace::graph again = layer_graph(layer, input, options.training);
  CHECK_MESSAGE(again.nodes.size() == graph.nodes.size(), "a layer makes the same graph each time");

  vivace::shape result;
  for (const vivace::port& port : graph.outputs)
    if (port.name.view() == "y") result = graph.nodes[port.node].dims;
  REQUIRE_MESSAGE(result.rank >= 1, "a layer gives something for each sample");
  REQUIRE_MESSAGE(result[0] < 0, "a layer gives something for each sample");

  constexpr int samples = 3;
  const numbers x = random_numbers(input.size_at(samples), 1);
  const numbers v = random_numbers(result.size_at(samples), 2);
  const outcome base = run<reference>(graph, samples, samples, x, v);
  CHECK_MESSAGE(static_cast<std::int64_t>(base.y.size()) == result.size_at(samples), "its result has the shape it says");
  for (const double element : base.y) REQUIRE_MESSAGE(std::isfinite(element), "its result is finite");
  CHECK_MESSAGE(run<reference>(graph, samples, samples, x, v).y == base.y, "it repeats itself");
  CHECK_MESSAGE(distance(run<reference>(graph, 5, samples, x, v).y, base.y) == 0, "the plan's batch makes no difference");
  const outcome fast = run<vivace::cpu_kernels>(graph, samples, samples, x, v);
  CHECK_MESSAGE(distance(fast.y, base.y) <= 1e-10, "fast kernels agree with the reference");
  for (std::size_t g = 0; g < base.gradients.size(); ++g)
    CHECK_MESSAGE(distance(fast.gradients[g], base.gradients[g]) <= 1e-10, "fast kernels agree on gradient ", g);

  // Samples change places, and one goes alone.
  const auto rotated = [](const numbers& from) {
    numbers to = from;
    std::rotate(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(from.size() / samples), to.end());
    return to;
  };
  if (!options.random) {
    const outcome turned = run<reference>(graph, samples, samples, rotated(x), rotated(v));
    CHECK_MESSAGE(distance(turned.y, rotated(base.y)) <= 1e-12, "results follow their samples");
    CHECK_MESSAGE(distance(turned.gradients[0], rotated(base.gradients[0])) <= 1e-10, "gradients follow their samples");
    for (std::size_t g = 1; g < base.gradients.size(); ++g)
      CHECK_MESSAGE(distance(turned.gradients[g], base.gradients[g]) <= 1e-10, "the order of samples is no matter");
  }
  if (options.samples_are_apart && !options.random) {
    const numbers first_x(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / samples));
    const numbers first_v(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / samples));
    const numbers first_y(base.y.begin(), base.y.begin() + static_cast<std::ptrdiff_t>(base.y.size() / samples));
    CHECK_MESSAGE(distance(run<reference>(graph, samples, 1, first_x, first_v).y, first_y) <= 1e-12,
                  "a sample alone gives what it gives in a batch");
  }

  // The gradient is linear in what comes from above.
  const numbers other = random_numbers(result.size_at(samples), 3);
  numbers mixed;
  for (std::size_t i = 0; i < v.size(); ++i) mixed.push_back(2 * v[i] - 3 * other[i]);
  const outcome second = run<reference>(graph, samples, samples, x, other);
  const outcome together = run<reference>(graph, samples, samples, x, mixed);
  for (std::size_t g = 0; g < base.gradients.size(); ++g) {
    numbers expected;
    for (std::size_t i = 0; i < base.gradients[g].size(); ++i)
      expected.push_back(2 * base.gradients[g][i] - 3 * second.gradients[g][i]);
    CHECK_MESSAGE(distance(together.gradients[g], expected) <= 1e-9, "gradient ", g, " is linear in dy");
  }

  if (!options.smooth) return;
  // The gradient is the slope along a direction: central differences, extrapolated.
  double slope[2];
  for (int level = 0; level < 2; ++level) {
    const double h = 1e-3 / (1 << level);
    slope[level] = (run<reference>(graph, samples, samples, x, v, h).s - run<reference>(graph, samples, samples, x, v, -h).s) / (2 * h);
  }
  double promised = 0;
  for (std::size_t g = 0; g < base.gradients.size(); ++g) {
    const numbers direction = random_numbers(static_cast<std::int64_t>(base.gradients[g].size()), 199 + static_cast<std::uint32_t>(g));
    for (std::size_t i = 0; i < direction.size(); ++i) promised += direction[i] * base.gradients[g][i];
  }
  CHECK_MESSAGE(distance({promised}, {slope[1] + (slope[1] - slope[0]) / 3}) <= 1e-6, "the gradient is the slope");
}

}  // namespace laws
