// Random graphs mean the same to a naive interpreter and to the index logic of the device's kernels, run on the host.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>

#include "../graph/interpreter.hpp"
#include "../graph/random_graph.hpp"

namespace {

namespace vv = vivace;
using graph_test::numbers;
using emulated = vv::gpu::kernels_by<vv::gpu::host_launch>;
using backwards = vv::gpu::kernels_by<vv::gpu::host_launch_in_order<true>>;

constexpr std::int32_t batch = 5;

std::string difference(const std::string& what, const double* found, const numbers& wanted) {
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (!(std::abs(found[i] - wanted[i]) <= 1e-9 * (1 + std::abs(wanted[i]))))
      return what + ", element " + std::to_string(i) + ": " + std::to_string(found[i]) + " for " +
             std::to_string(wanted[i]);
  return "";
}

template <class Kernels>
std::string compare(const vv::graph& scheduled, std::uint64_t seed) {
  graph_test::interpreter truth(scheduled);
  vv::runtime_graph<double, Kernels> made(scheduled, batch);
  made.values().initialise(1);
  const graph_test::feed<> given(scheduled, batch, seed);
  given.give_to(made.run());
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, batch, 1, 3}) {
    const vv::step_context context{.seed = 4, .step = step++, .samples = samples};
    truth.step(context, given.inputs, given.settings);
    made.run()(context);
    std::string found;
    const auto see = [&](const std::string& what, const double* values, const numbers& wanted) {
      if (found.empty()) found = difference(what, values, wanted);
    };
    const vv::graph& graph = truth.structure();
    const double loss = made.run().loss();
    see("loss", &loss, truth.result(graph.loss));
    for (int o = 0; o < graph.outputs.size(); ++o)
      see("output", made.run().output(graph.outputs[o].name.view()).data, truth.result(graph.outputs[o].node));
    for (const vv::variable& p : graph.parameters)
      see("parameter", made.values().find(p.name.view()).data, truth.stored(p.node));
    for (const vv::variable& s : graph.states)
      see("state", made.values().find(s.name.view()).data, truth.stored(s.node));
    if (!found.empty()) return "step " + std::to_string(step - 1) + ": " + found;
  }
  return "";
}

void check_graph(std::uint64_t seed, int steps, bool with_products, bool with_loops) {
  INFO("seed ", seed, ", ", steps, " operations");
  const vv::graph made = graph_test::random_graph(seed, steps, with_products, with_loops).take();
  REQUIRE(made.mistake.what == vv::problem::none);
  const vv::graph scheduled = vv::with_late_stores(vv::without_dead_code(vv::canonical(made)));
  const std::string found = seed % 4 == 0 ? compare<backwards>(scheduled, seed) : compare<emulated>(scheduled, seed);
  CHECK_MESSAGE(found.empty(), found);
}

}  // namespace

TEST_CASE("cuda: random graphs without products") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) check_graph(seed, 4 + static_cast<int>(seed % 30), false, false);
}
TEST_CASE("cuda: random graphs with products") {
  for (std::uint64_t seed = 1000; seed < 1100; ++seed) check_graph(seed, 4 + static_cast<int>(seed % 40), true, false);
}
TEST_CASE("cuda: random graphs with loops") {
  for (std::uint64_t seed = 2000; seed < 2100; ++seed)
    check_graph(seed, 4 + static_cast<int>(seed % 30), seed % 2 == 0, true);
}

namespace {

/// Outputs, parameters and states of some steps in single precision.
template <class Kernels>
std::vector<float> results(const vv::graph& from, std::uint64_t seed) {
  vv::runtime_graph<float, Kernels> made(from, batch);
  made.values().initialise(1);
  const graph_test::feed<float> given(from, batch, seed);
  given.give_to(made.run());
  std::vector<float> found;
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, 1, 3}) {
    made.run()({.seed = 4, .step = step++, .samples = samples});
    found.push_back(made.run().loss());
    const auto add = [&](const float* values, std::int64_t count) { found.insert(found.end(), values, values + count); };
    for (const vv::port& output : from.outputs)
      add(made.run().output(output.name.view()).data, from.nodes[output.node].dims.size_at(samples));
    for (const auto* table : {&from.parameters, &from.states})
      for (const vv::variable& one : *table)
        add(made.values().find(one.name.view()).data, from.nodes[one.node].dims.size());
  }
  return found;
}
bool same_bits(const std::vector<float>& one, const std::vector<float>& other) {
  return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0;
}

/// Solves what is of bfloat16 as a library does, the result of a convolution rounded.
struct with_narrow_library : vv::gpu::host_launch {
  static int& convolutions() {
    static int count = 0;
    return count;
  }
  template <class Real>
  static bool solved_by_library(const vv::gpu::product_problem<Real>&, const vv::step_context&) {
    return false;
  }
  template <class Real>
  static bool solved_by_library(vv::gpu::convolution_problem<Real> problem, const vv::step_context& context) {
    if (!problem.narrow || problem.bias != nullptr) return false;
    ++convolutions();
    const vv::shape& dims = problem.kind == vv::op::conv2d                  ? problem.result
                            : problem.kind == vv::op::conv2d_input_gradient ? problem.image
                                                                            : problem.weight;
    std::vector<Real> made(static_cast<std::size_t>(dims.size()));
    auto* const to = reinterpret_cast<vv::bfloat16*>(problem.c);
    problem.c = made.data();
    if (problem.kind == vv::op::conv2d)
      vv::gpu::convolve_plainly<with_narrow_library, vv::op::conv2d>(problem, dims, context);
    else if (problem.kind == vv::op::conv2d_input_gradient)
      vv::gpu::convolve_plainly<with_narrow_library, vv::op::conv2d_input_gradient>(problem, dims, context);
    else
      vv::gpu::convolve_plainly<with_narrow_library, vv::op::conv2d_weight_gradient>(problem, dims, context);
    for (std::size_t i = 0; i < made.size(); ++i) to[i] = vv::to_bfloat16(static_cast<float>(made[i]));
    return true;
  }
};

}  // namespace

TEST_CASE("cuda: products of bfloat16 give the bits of products whose operands were rounded") {
  int narrow_products = 0, changed = 0;
  for (std::uint64_t seed = 3000; seed < 3150; ++seed) {
    INFO("seed ", seed);
    const vv::graph made = graph_test::random_graph(seed, 4 + static_cast<int>(seed % 40), true, seed % 3 == 0).take();
    const vv::graph scheduled = vv::with_late_stores(vv::without_dead_code(vv::canonical(made)));
    const vv::graph narrow = vv::with_narrow_storage(scheduled, vv::narrowing::products);
    const std::vector<float> found = results<emulated>(narrow, seed);
    CHECK(same_bits(found, results<emulated>(vv::with_narrow_storage(scheduled, vv::narrowing::rounded_products), seed)));
    CHECK(same_bits(found, results<backwards>(narrow, seed)));
    changed += same_bits(found, results<emulated>(scheduled, seed)) ? 0 : 1;
    for (const vv::node& node : narrow.nodes)
      if (vv::takes_epilogue(node.kind)) narrow_products += narrow.nodes[node.operand[0]].kind == vv::op::narrow ? 1 : 0;
  }
  CHECK(narrow_products > 100);
  CHECK(changed > 20);
}

TEST_CASE("cuda: what a library makes of convolutions of bfloat16 is widened") {
  with_narrow_library::convolutions() = 0;
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 3, 6, 6});
  const vv::value w = make.parameter("w", {4, 3, 3, 3}), b = make.parameter("b", {4, 1, 1});
  vv::window frame;
  frame.kernel[0] = frame.kernel[1] = 3;
  const vv::value first = vv::ops::convolve(x, w, frame);
  make.output("alone", first);
  make.output("with a program", relu(vv::ops::convolve(2 * x, w, frame) + b));
  make.result().loss = mean(first).index();
  const vv::graph from = vv::with_narrow_storage(vv::canonical(make.take()), vv::narrowing::products);
  const std::vector<float> found = results<vv::gpu::kernels_by<with_narrow_library>>(from, 1);
  const std::vector<float> wanted = results<emulated>(from, 1);
  CHECK(with_narrow_library::convolutions() == 2 * 3);
  REQUIRE(found.size() == wanted.size());
  int rounded = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(std::abs(found[i] - wanted[i]) <= 0x1p-8F * (1 + std::abs(wanted[i])));
    rounded += found[i] != wanted[i] ? 1 : 0;
  }
  CHECK(rounded > 100);
}

TEST_CASE("cuda: values in bfloat16") {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 37});
  const vv::value kept = relu(x);
  make.result().loss = mean(kept).index();
  make.output("twice", 2 * kept);
  const vv::graph from = vv::with_narrow_storage(vv::canonical(make.take()));
  std::vector<float> numbers;
  const vv::random_stream random(3, 1);
  for (std::uint64_t i = 0; i < 37 * batch; ++i) numbers.push_back(static_cast<float>(2 * random.uniform(i) - 1));
  vv::runtime_graph<float, emulated> made(from, batch);
  made.run().set_input(0, numbers.data());
  for (const std::int32_t samples : {batch, 1, 3}) {
    made.run()({.samples = samples});
    const float* const twice = made.run().output("twice").data;
    bool same = true, rounded = false;
    for (std::size_t i = 0; i < 37 * static_cast<std::size_t>(samples); ++i) {
      const float positive = numbers[i] > 0 ? numbers[i] : 0, wanted = 2 * vv::to_float(vv::to_bfloat16(positive));
      same = same && twice[i] == wanted;
      rounded = rounded || wanted != 2 * positive;
    }
    CHECK(same);
    CHECK(rounded);
  }
  vv::runtime_graph<double, emulated> refused(from, batch);
  const std::vector<double> wide(37 * batch);
  refused.run().set_input(0, wide.data());
  CHECK_THROWS_WITH(refused.run()({.samples = batch}), doctest::Contains("double precision"));
}
