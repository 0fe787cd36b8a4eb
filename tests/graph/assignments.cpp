#include <doctest/doctest.h>

#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/nn/layer.hpp>
#include <vivace/nn/norm.hpp>

#include "fused_reference.hpp"

// New values of parameters and states: everybody reads the old ones until the step is over.

namespace {

namespace vv = vivace;
using vv::builder;
using vv::rows;
using vv::value;
using numbers = std::vector<double>;

vv::initialiser from_two() { return vv::init::constant(2); }

/// Runs a graph and returns a parameter or state after each step.
template <class Kernels>
class stepper {
 public:
  explicit stepper(const builder& from, std::int32_t batch = 1)
      : run_(vv::with_late_stores(vv::without_dead_code(vv::canonical(from.result()))), batch) {
    run_.values().initialise(1);
  }
  void set(const char* name, const numbers& values) {
    std::copy(values.begin(), values.end(), run_.values().find(name).data);
  }
  void input(const char* name, const numbers& values) { run_.run().set_input(run_.run().input(name), values.data()); }
  void step(std::int32_t samples = 1) { run_.run()({.samples = samples}); }
  numbers get(const char* name) {
    const auto found = run_.values().find(name);
    return numbers(found.data, found.data + found.dims.size());
  }
  numbers output(const char* name) {
    const auto found = run_.run().output(name);
    return numbers(found.data, found.data + found.dims.size());
  }

 private:
  vv::runtime_graph<double, Kernels> run_;
};



}  // namespace

TYPE_TO_STRING(vivace::reference_kernels);
TYPE_TO_STRING(graph_test::fused_reference_kernels);
TYPE_TO_STRING(vivace::cpu_kernels);

TEST_CASE_TEMPLATE("two parameters are exchanged", Kernels, vv::reference_kernels, graph_test::fused_reference_kernels,
                   vv::cpu_kernels) {
  builder graph;
  const value a = graph.parameter("a", {3});
  const value b = graph.parameter("b", {3});
  graph.update(a, b);
  graph.update(b, a);
  stepper<Kernels> made(graph);
  made.set("a", {1, 2, 3});
  made.set("b", {4, 5, 6});
  made.step();
  CHECK(made.get("a") == numbers{4, 5, 6});
  CHECK(made.get("b") == numbers{1, 2, 3});
  made.step();
  CHECK(made.get("a") == numbers{1, 2, 3});
}

TEST_CASE_TEMPLATE("three go round, computed, renamed and plain", Kernels, vv::reference_kernels,
                   graph_test::fused_reference_kernels, vv::cpu_kernels) {
  builder graph;
  const value a = graph.parameter("a", {2, 2});
  const value b = graph.state("b", {4});
  const value c = graph.parameter("c", {4});
  graph.update(a, reshape(b, {2, 2}));
  graph.update(b, c * 10.0);
  graph.update(c, reshape(a, {4}));
  stepper<Kernels> made(graph);
  made.set("a", {1, 2, 3, 4});
  made.set("b", {5, 6, 7, 8});
  made.set("c", {9, 10, 11, 12});
  made.step();
  CHECK(made.get("a") == numbers{5, 6, 7, 8});
  CHECK(made.get("b") == numbers{90, 100, 110, 120});
  CHECK(made.get("c") == numbers{1, 2, 3, 4});
}

TEST_CASE_TEMPLATE("a follower takes the old value", Kernels, vv::reference_kernels, graph_test::fused_reference_kernels,
                   vv::cpu_kernels) {
  builder graph;
  const value fast = graph.parameter("fast", {2}, from_two());
  const value slow = graph.state("slow", {2});
  const value last = graph.state("last", {2});
  graph.update(fast, fast * 0.5);
  graph.update(slow, slow + fast);
  graph.update(last, fast);
  graph.output("late", fast + 1.0);
  stepper<Kernels> made(graph);
  made.step();
  CHECK(made.get("fast") == numbers{1, 1});
  CHECK(made.get("slow") == numbers{2, 2});
  CHECK(made.get("last") == numbers{2, 2});
  CHECK(made.output("late") == numbers{3, 3});
  made.step();
  CHECK(made.get("slow") == numbers{3, 3});
  CHECK(made.get("last") == numbers{1, 1});
}

TEST_CASE_TEMPLATE("one value goes to two places, and out", Kernels, vv::reference_kernels,
                   graph_test::fused_reference_kernels, vv::cpu_kernels) {
  builder graph;
  const value a = graph.parameter("a", {2}, from_two());
  const value b = graph.state("b", {2});
  const value next = a + 1.0;
  graph.update(a, next);
  graph.update(b, next);
  graph.output("next", next);
  stepper<Kernels> made(graph);
  made.step();
  CHECK(made.get("a") == numbers{3, 3});
  CHECK(made.get("b") == numbers{3, 3});
  CHECK(made.output("next") == numbers{3, 3});
}

TEST_CASE_TEMPLATE("in place, but not element by element", Kernels, vv::reference_kernels,
                   graph_test::fused_reference_kernels, vv::cpu_kernels) {
  builder graph;
  const value a = graph.parameter("a", {2, 2});
  const value b = graph.parameter("b", {2, 2});
  const value c = graph.state("c", {1, 2});
  graph.update(a, transpose(a));
  graph.update(b, matmul(b, b) + b);
  graph.update(c, c + slice(c, 1, 1, 1));
  stepper<Kernels> made(graph);
  made.set("a", {1, 2, 3, 4});
  made.set("b", {1, 2, 3, 4});
  made.set("c", {1, 2});
  made.step();
  CHECK(made.get("a") == numbers{1, 3, 2, 4});
  CHECK(made.get("b") == numbers{8, 12, 18, 26});
  CHECK(made.get("c") == numbers{3, 4});
}

TEST_CASE_TEMPLATE("results may be plain inputs, parameters and constants", Kernels, vv::reference_kernels,
                   graph_test::fused_reference_kernels, vv::cpu_kernels) {
  builder graph;
  const value x = graph.input("x", {rows, 2});
  const value a = graph.parameter("a", {2}, from_two());
  graph.update(a, a * 3.0);
  graph.output("x", x);
  graph.output("flat", reshape(x, {-2}));
  graph.output("old", a);
  graph.output("number", graph.constant(7));
  stepper<Kernels> made(graph);
  const numbers given{4, 5};
  made.input("x", given);
  made.step();
  CHECK(made.output("x") == given);
  CHECK(made.output("flat") == given);
  CHECK(made.output("old") == numbers{2, 2});
  CHECK(made.output("number") == numbers{7});
  CHECK(made.get("a") == numbers{6, 6});
}

TEST_CASE_TEMPLATE("running statistics", Kernels, vv::reference_kernels, graph_test::fused_reference_kernels,
                   vv::cpu_kernels) {
  builder graph;
  const value x = graph.input("x", {rows, 2});
  graph.output("y", vv::apply(vv::batch_norm{.momentum = 0.75}, x));
  stepper<Kernels> made(graph, 4);
  const numbers given{1, 10, 3, 10, 5, 10, 7, 10};
  made.input("x", given);
  made.step(4);
  CHECK(made.get("0.batch_norm.running_mean") == numbers{0.25 * 4, 0.25 * 10});
  CHECK(made.get("0.batch_norm.running_variance") == numbers{0.75 + 0.25 * 5, 0.75});
  made.step(2);  // the first two samples only
  CHECK(made.get("0.batch_norm.running_mean") == numbers{0.75 + 0.25 * 2, 0.75 * 2.5 + 2.5});
  CHECK(made.get("0.batch_norm.running_variance") == numbers{0.75 * 2 + 0.25 * 1, 0.75 * 0.75});
}
