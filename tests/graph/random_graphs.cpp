#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cpu/cpu.hpp>

#include "fused_reference.hpp"
#include "interpreter.hpp"
#include "random_graph.hpp"
#include "replay.hpp"

// Random graphs mean the same to a naive interpreter and to every kind of plan.

namespace {

namespace vv = vivace;
using graph_test::numbers;

constexpr std::int32_t batch = 5;

std::string difference(const char* what, const double* found, const numbers& wanted) {
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (!(std::abs(found[i] - wanted[i]) <= 1e-9 * (1 + std::abs(wanted[i]))) &&
        !(std::isnan(found[i]) && std::isnan(wanted[i])))  // a value in bfloat16 may be outside of a function's domain
      return std::string(what) + ", element " + std::to_string(i) + ": " + std::to_string(found[i]) + " for " +
             std::to_string(wanted[i]);
  return "";
}

/// Runs full and short batches through a plan; says what first differs from the interpreter.
template <class Kernels>
std::string compare(const vv::graph& meaning, const vv::graph& scheduled, std::uint64_t seed) {
  graph_test::interpreter truth(meaning);
  vv::runtime_graph<double, Kernels> made(scheduled, batch);
  const vv::graph& planned = made.structure();
  const std::string replayed =
      graph_test::replay::check(planned, Kernels::fused ? vv::fuse(planned) : vv::unfused(planned), made.steps());
  if (!replayed.empty()) return "replay: " + replayed;
  if (made.steps().arena_size > made.steps().unplanned_size) return "the arena is larger than without a plan";
  made.values().initialise(1);
  const graph_test::feed<> given(meaning, batch, seed), given_to_plan(scheduled, batch, seed);
  given_to_plan.give_to(made.run());
  std::uint32_t step = 0;
  for (const std::int32_t samples : {batch, batch, 1, 3, batch}) {
    const vv::step_context context{.seed = 4, .step = step++, .samples = samples};
    truth.step(context, given.inputs, given.settings);
    made.run()(context);
    std::string found;
    const auto see = [&](const char* what, const double* values, const numbers& wanted) {
      if (found.empty()) found = difference(what, values, wanted);
    };
    const vv::graph& graph = truth.structure();
    const double loss = made.run().loss();
    see("loss", &loss, truth.result(graph.loss));
    for (int o = 0; o < graph.outputs.size(); ++o)
      see("output", made.run().output(graph.outputs[o].name.view()).data, truth.result(graph.outputs[o].node));
    for (const vv::variable& p : graph.parameters) see("parameter", made.values().find(p.name.view()).data, truth.stored(p.node));
    for (const vv::variable& s : graph.states) see("state", made.values().find(s.name.view()).data, truth.stored(s.node));
    if (!found.empty()) return "step " + std::to_string(step - 1) + ": " + found;
  }
  return "";
}

void check_graph(std::uint64_t seed, int steps, bool with_products, bool with_loops = false) {
  INFO("seed ", seed, ", ", steps, " operations");
  const vv::graph made = graph_test::random_graph(seed, steps, with_products, with_loops).take();
  REQUIRE(made.mistake.what == vv::problem::none);
  const vv::graph numbered = vv::canonical(made);
  const vv::graph scheduled = vv::with_late_stores(vv::without_dead_code(numbered));
  const std::string plain = compare<vv::reference_kernels>(numbered, scheduled, seed);
  CHECK_MESSAGE(plain.empty(), "one command a node: ", plain);
  const std::string fused = compare<graph_test::fused_reference_kernels>(numbered, scheduled, seed);
  CHECK_MESSAGE(fused.empty(), "fused: ", fused);
  const std::string fast = compare<vv::cpu_kernels>(numbered, scheduled, seed);
  CHECK_MESSAGE(fast.empty(), "fast kernels: ", fast);
  const vv::graph narrow = vv::with_narrow_storage(scheduled);
  const std::string narrow_fused = compare<graph_test::fused_reference_kernels>(narrow, narrow, seed);
  CHECK_MESSAGE(narrow_fused.empty(), "narrow, fused: ", narrow_fused);
  const std::string narrow_fast = compare<vv::cpu_kernels>(narrow, narrow, seed);
  CHECK_MESSAGE(narrow_fast.empty(), "narrow, fast kernels: ", narrow_fast);
  const vv::graph rounded = vv::with_narrow_storage(scheduled, vv::narrowing::rounded_products);
  const std::string rounded_fast = compare<vv::cpu_kernels>(rounded, rounded, seed);
  CHECK_MESSAGE(rounded_fast.empty(), "rounded products, fast kernels: ", rounded_fast);
  const vv::graph multiplied = vv::with_narrow_storage(scheduled, vv::narrowing::products);
  const vv::fusion groups = vv::fuse(multiplied);
  const std::string replayed = graph_test::replay::check(
      multiplied, groups, vv::make_plan(multiplied, groups, batch, &graph_test::fused_reference_kernels::workspace));
  CHECK_MESSAGE(replayed.empty(), "narrow products: ", replayed);
  const std::string rested = graph_test::replay::check(
      multiplied, groups, vv::make_plan(multiplied, groups, batch, &graph_test::fused_reference_kernels::workspace, 8));
  CHECK_MESSAGE(rested.empty(), "memory that rests: ", rested);
}

}  // namespace

TEST_CASE("random graphs without products") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) check_graph(seed, 4 + static_cast<int>(seed % 30), false);
}

TEST_CASE("random graphs with products") {
  for (std::uint64_t seed = 1000; seed < 1300; ++seed) check_graph(seed, 4 + static_cast<int>(seed % 40), true);
}

TEST_CASE("random graphs with loops") {
  for (std::uint64_t seed = 2000; seed < 2600; ++seed) check_graph(seed, 4 + static_cast<int>(seed % 30), seed % 2 == 0, true);
}
