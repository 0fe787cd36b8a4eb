// How batches come to a device, on a machine of host memory: queued, and from pinned memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../train/networks.hpp"
#include "fake_runtime.hpp"

namespace {

namespace vv = vivace;
using fake::clean_machine;

struct wide {
  static constexpr auto graph = vv::classifier(vv::features{4096}, vv::classes{3}, vv::dense{3});
};

}  // namespace

TEST_CASE("cuda executor: steps may be queued one behind the other") {
  const clean_machine tidy;
  for (const bool early_copies : {false, true}) {
    fake::the().early_copies = early_copies;
    vv::builder make;
    const vv::value x = make.input("x", {vv::rows, 4}), rate = make.setting("rate");
    const vv::value kept = make.state("kept", {4});
    make.update(kept, kept * 0.5 + mean(x, {0}) * rate);
    make.result().loss = mean(x).index();
    const vv::graph graph = make.take();
    const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, 3);
    constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
    vv::gpu::cuda_device<double> device(0, true, false, true, true);
    vv::variables<double> values(graph, plan);
    vv::instance<double> run(graph, plan, kernels, values, &device);
    std::vector<double> input(12);
    run.set_input(0, input.data());
    double wanted = 0;
    for (int step = 0; step < 12; ++step) {
      const int samples = step % 4 == 3 ? 2 : 3;
      for (double& each : input) each = step + 1;
      run.settings()[0] = 10 - step;
      wanted = wanted * 0.5 + (step + 1) * (10 - step);
      run({.samples = samples});  // and nobody asks for the loss
    }
    CHECK(run.loss() == 12);
    CHECK(run.earlier_loss() == 11);
    CHECK(values.find("kept").data[0] == wanted);
    CHECK(values.find("kept").data[3] == wanted);
  }
}

TEST_CASE("cuda executor: large batches in pinned memory are copied from where they lie") {
  const clean_machine tidy;
  for (const bool early_copies : {false, true}) {
    const auto losses = [&](bool pins) {
      fake::the() = {};
      fake::the().early_copies = early_copies;
      std::vector<float> features(10 * 4096);
      const std::vector<std::int32_t> labels(10, 1);
      std::optional<vv::gpu::pinned_range> pinned;
      if (pins) {
        pinned.emplace(std::as_bytes(std::span(features)));
        CHECK_THROWS_WITH(vv::gpu::pinned_range{std::as_bytes(std::span(features))},
                          doctest::Contains("not pinned yet"));
        CHECK(vv::gpu::pinned_range::contains(features.data(), 40960 * sizeof(float)));
        CHECK(!vv::gpu::pinned_range::contains(features.data(), 40961 * sizeof(float)));
      }
      vv::trainer trainer{wide::graph, vv::batch<10>, vv::cuda{}};
      std::vector<float> found;
      for (int step = 0; step < 8; ++step) {
        for (std::size_t i = 0; i < features.size(); ++i)
          features[i] = static_cast<float>((i + 7 * static_cast<std::size_t>(step)) % 13) / 13;
        const int size = step % 4 == 3 ? 3 : 10;  // 3 samples are less than what is worth a copy of its own
        found.push_back(trainer.step({.features = features.data(), .labels = labels.data(), .size = size}));
      }
      CHECK(fake::the().copies_from_pinned == (pins ? 6 : 0));
      return found;
    };
    CHECK(losses(true) == losses(false));
  }
  // What is not waited for may be changed all the same.
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 20000});
  const vv::value kept = make.state("kept", {});
  make.update(kept, kept * 0.5 + mean(x));
  make.result().loss = mean(x).index();
  const vv::graph graph = make.take();
  const vv::plan plan = vv::make_plan<vv::cuda_kernels>(graph, 2);
  constexpr auto kernels = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
  vv::gpu::cuda_device<double> device(0, true, false, true, true);
  vv::variables<double> values(graph, plan);
  vv::instance<double> run(graph, plan, kernels, values, &device);
  std::vector<double> input(40000);
  const vv::gpu::pinned_range pinned(std::as_bytes(std::span(input)));
  run.set_input(0, input.data());
  double wanted = 0;
  for (int step = 0; step < 6; ++step) {
    std::fill(input.begin(), input.end(), step + 1.0);
    wanted = wanted * 0.5 + step + 1;
    run({.samples = 2});
  }
  std::fill(input.begin(), input.end(), 100.0);
  CHECK(values.find("kept").data[0] == doctest::Approx(wanted));
}

TEST_CASE("cuda executor: batches of a loader are pinned while a trainer trains") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(25, {4096});
  const auto variables = [&](bool refuses) {
    fake::the() = {};
    fake::the().refuses_pins = refuses;
    vv::trainer trainer{wide::graph, vv::batch<10>, vv::cuda{}};
    trainer.fit(data, vv::epochs{3});
    CHECK(fake::the().pinned.empty());
    CHECK(fake::the().last == cudaSuccess);
    CHECK((fake::the().pins > 0) == !refuses);
    CHECK((fake::the().copies_from_pinned > 0) == !refuses);
    return networks::variables_of(trainer);
  };
  CHECK(variables(false) == variables(true));
}
