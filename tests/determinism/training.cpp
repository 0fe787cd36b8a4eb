// One seed, one result: the same bits for any executor and any number of threads.
#include <doctest/doctest.h>

#include <tbb/global_control.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/exec/serial.hpp>
#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/clip.hpp>
#include <vivace/train/trainer.hpp>

namespace {

namespace vv = vivace;

/// Large enough that convolutions, products, sums, programs and pooling all fall into several tasks.
struct convolutional {
  static constexpr auto graph = vv::classifier(
      vv::image{3, 20, 20}, vv::classes{5}, vv::conv2d{.filters = 16, .padding = 1}, vv::batch_norm{}, vv::relu{},
      vv::max_pool{2}, vv::conv2d{.filters = 12, .padding = 1}, vv::batch_norm{}, vv::relu{}, vv::flatten{},
      vv::dropout{.rate = 0.3}, vv::dense{120}, vv::relu{}, vv::dropout{.rate = 0.5}, vv::dense{5});
};
constexpr int batch = 48;

template <class Real>
struct samples {
  std::vector<Real> features;
  std::vector<std::int32_t> labels;
  explicit samples(std::uint32_t step) {
    const vv::random_stream random(77, 1, step);
    for (std::uint64_t i = 0; i < batch * 3 * 20 * 20; ++i)
      features.push_back(static_cast<Real>(2 * random.uniform(i) - 1));
    for (std::uint64_t i = 0; i < batch; ++i)
      labels.push_back(static_cast<std::int32_t>(random.below((1U << 24) + i, 5)));
  }
};

/// All that a training leaves behind, as bytes: losses of its steps, parameters, states, and a prediction.
template <class Precision, class Executor, class Net = convolutional>
std::string trained(const Executor& executor, std::uint64_t seed = 3, int steps = 4, const Net& of = {}) {
  using real = typename Precision::real;
  vv::trainer net{of, vv::batch<batch>, vv::adamw{}, vv::clip_norm{.norm = 0.5},
                  vv::seed{seed},  Precision{},      executor};
  std::string bytes;
  const auto add = [&](const real* from, std::int64_t count) {
    bytes.append(reinterpret_cast<const char*>(from), static_cast<std::size_t>(count) * sizeof(real));
  };
  for (int step = 0; step < steps; ++step) {
    const samples<real> given(static_cast<std::uint32_t>(step));
    const int size = step == 2 ? batch - 11 : batch;  // a short batch in between
    const real loss = net.step({.features = given.features.data(), .labels = given.labels.data(), .size = size});
    add(&loss, 1);
  }
  const auto& values = net.values();
  for (int p = 0; p < values.parameter_count(); ++p) add(values.parameter(p).data, values.parameter(p).dims.size());
  for (int s = 0; s < values.state_count(); ++s) add(values.state(s).data, values.state(s).dims.size());
  const samples<real> given(100);
  const auto prediction = net.predict(given.features.data(), batch);
  add(prediction.data, prediction.dims.size());
  return bytes;
}

/// Counts the regions that fall into several tasks.
struct counting {
  using family = vv::executor_family;
  std::int64_t* regions = nullptr;
  std::int64_t* tasks = nullptr;
  bool operator==(const counting&) const = default;
  struct executor {
    std::int64_t *regions, *tasks;
    explicit executor(const counting& from) : regions(from.regions), tasks(from.tasks) {}
    vv::parallel lanes() {
      return {this,
              [](void* self, std::int64_t count, vv::parallel::task call, void* body) {
                ++*static_cast<executor*>(self)->regions;
                *static_cast<executor*>(self)->tasks += count;
                while (count > 0) call(body, --count);  // backwards: no order is promised
              },
              2};
    }
  };
};

const std::string& reference_f32() {
  static const std::string bytes = trained<vv::f32>(vv::serial{});
  return bytes;
}
const std::string& reference_f64() {
  static const std::string bytes = trained<vv::f64>(vv::serial{});
  return bytes;
}

const std::string& reference_bf16() {
  static const std::string bytes = trained<vv::bf16>(vv::serial{});
  return bytes;
}

template <class Executor>
void check_bits(const Executor& executor) {
  CHECK(trained<vv::f32>(executor) == reference_f32());
  CHECK(trained<vv::bf16>(executor) == reference_bf16());
  CHECK(trained<vv::f64>(executor) == reference_f64());
}

}  // namespace

TEST_CASE("determinism: the kernels really fall into tasks, and their order does not matter") {
  std::int64_t regions = 0, tasks = 0;
  check_bits(counting{&regions, &tasks});
  CHECK(regions >= 2 * 4 * 10);  // ten or more in each step
  CHECK(tasks >= 3 * regions);
  MESSAGE("regions: " << regions << ", tasks: " << tasks);
}

TEST_CASE("determinism: threads give the bits of one thread") {
  for (const int count : {1, 2, 3, 8}) check_bits(vv::threads{count});
}

TEST_CASE("determinism: tbb gives the bits of one thread") {
  const ::tbb::global_control more(::tbb::global_control::max_allowed_parallelism, 8);
  for (const int count : {1, 2, 8}) check_bits(vv::tbb{count});
}

TEST_CASE("determinism: a network planned at run time gives the bits of the compiled one") {
  CHECK(trained<vv::f32>(vv::serial{}, 3, 4, convolutional::graph) == reference_f32());
  CHECK(trained<vv::f64>(vv::serial{}, 3, 4, convolutional::graph) == reference_f64());
  CHECK(trained<vv::bf16>(vv::serial{}, 3, 4, convolutional::graph) == reference_bf16());
  CHECK(reference_bf16() != reference_f32());
}

TEST_CASE("determinism: the same seed twice, another seed") {
  CHECK(trained<vv::f32>(vv::serial{}) == reference_f32());
  CHECK(trained<vv::f32>(vv::serial{}, 4) != reference_f32());
  CHECK(trained<vv::f32>(vv::threads{2}, 4) == trained<vv::f32>(vv::serial{}, 4));
  CHECK(trained<vv::f32>(vv::serial{}, 3 + (std::uint64_t{1} << 40)) != reference_f32());
}

TEST_CASE("determinism: two trainers side by side do not disturb each other") {
  std::string one, other;
  const std::string wanted_other = trained<vv::f32>(vv::serial{}, 9);
  for (int again = 0; again < 3; ++again) {
    std::thread first([&] { one = trained<vv::f32>(vv::threads{2}); });
    std::thread second([&] { other = trained<vv::f32>(vv::serial{}, 9); });
    first.join();
    second.join();
    CHECK(one == reference_f32());
    CHECK(other == wanted_other);
  }
}

TEST_CASE("determinism: two trainers side by side on tbb do not disturb each other") {
  std::string one, other;
  const std::string wanted_other = trained<vv::f32>(vv::serial{}, 9);
  for (int again = 0; again < 3; ++again) {
    std::thread first([&] { one = trained<vv::f32>(vv::tbb{2}); });
    std::thread second([&] { other = trained<vv::f32>(vv::tbb{2}, 9); });
    first.join();
    second.join();
    CHECK(one == reference_f32());
    CHECK(other == wanted_other);
  }
}
