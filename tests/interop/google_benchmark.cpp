// Benchmarks of operations, layers and steps: they run, know their work, and count shares of measured limits.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include <vivace/exec/threads.hpp>
#include <vivace/interop/google_benchmark.hpp>
#include <vivace/nn/blocks.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/losses.hpp>

namespace vv = vivace;

namespace {

struct tag {
  static constexpr auto graph = vv::regressor(vv::features{4}, vv::targets{1}, vv::mlp<8, 1>{});
};
struct product {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 16});
    const vv::value w = make.parameter("w", {16, 8});
    return matmul(x, w);
  });
};

/// Keeps the results instead of printing them.
struct keeper : benchmark::BenchmarkReporter {
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& all) override {
    for (const Run& one : all) runs.emplace(one.benchmark_name(), one);
  }
  std::map<std::string, Run> runs;
};

std::map<std::string, benchmark::BenchmarkReporter::Run> results() {
  keeper kept;
  benchmark::RunSpecifiedBenchmarks(&kept);
  benchmark::ClearRegisteredBenchmarks();
  return kept.runs;
}

/// Options as main() gets them.
struct command_line {
  std::string program = "test", time = "--benchmark_min_time=0.001";
  char* arguments[3] = {program.data(), time.data(), nullptr};
  int count = 2;
};

}  // namespace

TEST_CASE("step_cost: each node once, at the whole batch") {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 16});
  const vv::value w = make.parameter("w", {16, 8});
  make.output("y", matmul(x, w));
  const vv::cost found = vv::interop::step_cost(make.result(), 32);
  CHECK(found.flops == 2 * 32 * 16 * 8);
  CHECK(found.bytes == 4 * (32 * 16 + 16 * 8 + 32 * 8));

  // An update is done once a step, not once a sample.
  const vv::graph step = vv::training_graph<vv::sgd>(vv::model_graph(tag::graph, true));
  const std::int64_t at_1 = vv::interop::step_cost(step, 1).flops, at_2 = vv::interop::step_cost(step, 2).flops,
                     at_3 = vv::interop::step_cost(step, 3).flops;
  CHECK(at_3 - at_2 == at_2 - at_1);
  CHECK(at_1 - (at_2 - at_1) >= 3 * (4 * 8 + 8 + 8 + 1));
}

TEST_CASE("measured limits: above zero, and no more on one thread than the instruction set can do at 10 GHz") {
  const double flops = vv::interop::measured_flops();
  CHECK(flops > 1e8);
  CHECK(flops < 10e9 * 4 * vv::kernel::lanes<float>);
  CHECK(vv::interop::measured_flops<double>() > 1e8);
  CHECK(vv::interop::measured_bandwidth({}, 1 << 16, 0.002) > 1e8);
  CHECK(vv::interop::measured_bandwidth({}, 0, 0.001) > 1e8);
  vv::threads::executor two(vv::threads{2});
  CHECK(vv::interop::measured_flops(two.lanes()) > 1e8);
  CHECK(vv::interop::measured_bandwidth(two.lanes(), 1 << 16, 0.002) > 1e8);
}

TEST_CASE("benchmarks: operations, layers and steps of tags and of values") {
  command_line with;
  vv::interop::benchmarks all(with.count, with.arguments);
  CHECK(with.count == 1);
  all.operation("tag", product{}, vv::batch<32>);
  all.operation("value", product::graph, vv::batch<32>);
  all.operation("double", product::graph, vv::batch<32>, vv::f64{});
  all.pass("pass", product{}, vv::batch<32>);
  all.pass("labels", vv::define([](vv::builder& make) {
             return vv::embedding{5, 3}(make.labels("tokens", {vv::rows, 4}));
           }),
           vv::batch<2>);
  all.layer("dense", vv::features{16}, vv::dense{8}, vv::batch<32>);
  all.step("step", tag{}, vv::batch<8>, vv::sgd{.rate = 1e-3});
  all.step("threads", tag::graph, vv::batch<8>, vv::threads{2});
  const auto found = results();
  CHECK(found.size() == 9);
  for (const auto& [name, run] : found) {
    CAPTURE(name);
    CHECK_FALSE(run.error_occurred);
    for (const char* counter : {"FLOP/s", "bytes/s", "peak%", "bandwidth%"}) {
      REQUIRE(run.counters.count(counter) == 1);
      if (name != "labels" || counter[0] == 'b') CHECK(run.counters.at(counter).value > 0);
    }
    CHECK(run.counters.at("peak%").value < 200);
  }
  CHECK(found.count("dense/forward") == 1);
  CHECK(found.count("dense/pass") == 1);
  CHECK(found.count("threads/real_time") == 1);  // one thread's time would leave out the others'
}

TEST_CASE("benchmarks: an option that nobody knows is reported") {
  std::string program = "test", unknown = "--no_such_option";
  char* arguments[] = {program.data(), unknown.data(), nullptr};
  int count = 2;
  vv::interop::benchmarks all(count, arguments);
  CHECK(all.run() == 1);
}

TEST_CASE("pass: forward and gradients of every parameter and input") {
  const vv::graph both = vv::interop::detail::pass_graph(product::graph);
  REQUIRE(both.outputs.size() == 3);  // result, and gradients of w and x
  CHECK(both.nodes[both.outputs[1].node].dims == vv::shape{16, 8});
  CHECK(both.nodes[both.outputs[2].node].dims == vv::shape{vv::rows, 16});
  const vv::graph wrong = vv::interop::detail::pass_graph([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 16});
    return matmul(x, make.parameter("w", {15, 8}));
  });
  CHECK(wrong.mistake.what == vv::problem::inner_extents_differ);
}
