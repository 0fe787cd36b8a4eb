// The executor of a CUDA device, on a machine of host memory: what trainers and searches see of it.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>
#include <vivace/estimate/tse.hpp>
#include <vivace/exec/cuda.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/search/random_search.hpp>
#include <vivace/search/width_depth.hpp>
#include <vivace/train.hpp>

#include "../train/networks.hpp"
#include "fake_runtime.hpp"

namespace {

namespace vv = vivace;
using fake::clean_machine;

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& found) {
    return found.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct result {
  vv::trace trace;
  vv::evaluation found;
  std::vector<double> variables;
};
/// Trains on 45 samples in batches of 10, so that the last one of an epoch is short, and evaluates in between.
template <class Net, class... Policies>
result trained(const Net& net, const Policies&... policies) {
  const vv::data::dataset data = networks::labelled(45, {12});
  vv::trainer trainer{net, vv::batch<10>, vv::adamw{.rate = 1e-2}, vv::seed{3}, policies...};
  result made;
  made.trace = trainer.fit(data, vv::epochs{5}, vv::validation{data});
  made.found = trainer.evaluate(data);
  for (const auto value : networks::variables_of(trainer)) made.variables.push_back(static_cast<double>(value));
  return made;
}
void check_close(const result& one, const result& other, double tolerance) {
  REQUIRE(one.trace.batches.size() == other.trace.batches.size());
  REQUIRE(one.variables.size() == other.variables.size());
  for (std::size_t i = 0; i < one.trace.batches.size(); ++i)
    CHECK(one.trace.batches[i].loss == doctest::Approx(other.trace.batches[i].loss).epsilon(tolerance));
  for (std::size_t i = 0; i < one.variables.size(); ++i)
    CHECK(one.variables[i] == doctest::Approx(other.variables[i]).epsilon(tolerance));
  CHECK(one.found.loss == doctest::Approx(other.found.loss).epsilon(tolerance));
  CHECK(one.found.accuracy == other.found.accuracy);
}

struct cube {
  static constexpr std::string_view label = "cube";
  template <class Number>
  constexpr Number operator()(Number x) const {
    return x * x * x;
  }
};
struct functor_net {
  static constexpr auto graph =
      vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{4}, vv::map<cube>{}, vv::dense{3});
};

/// Callbacks: one that wants the weights behind each batch, one that wants its record alone.
struct keeps {
  const vv::trainer<networks::mlp, vv::batch_size<10>, vv::cuda>* trainer = nullptr;
  std::vector<float> first;
  int batches = 0;
  void on_batch(vv::training_state& state) {
    CHECK(static_cast<int>(state.history().batches.size()) == ++batches);
    if (batches == 1) first = networks::variables_of(*trainer);
  }
};
struct looks {
  static constexpr bool only_looks = true;
  int batches = 0;
  double mean = 0;
  void on_batch(vv::training_state& state) {
    ++batches;
    mean = state.mean_loss;
  }
};

}  // namespace

TEST_CASE("cuda executor: the losses, accuracies and weights of a CPU") {
  const clean_machine tidy;
  const result wanted = trained(networks::mlp{}, vv::plain_kernels{}, vv::f64{});
  check_close(trained(networks::mlp{}, vv::cuda{}, vv::f64{}), wanted, 1e-8);
  CHECK(fake::the().captures > 0);
  check_close(trained(networks::mlp{}, vv::cuda{.captures = false}, vv::f64{}), wanted, 1e-8);
  check_close(trained(networks::mlp{}, vv::cuda{}), trained(networks::mlp{}, vv::plain_kernels{}), 1e-3);
}

TEST_CASE("cuda executor: one seed, one result, recorded or not") {
  const clean_machine tidy;
  const result one = trained(networks::mlp{}, vv::cuda{});
  const result other = trained(networks::mlp{}, vv::cuda{});
  const result started_singly = trained(networks::mlp{}, vv::cuda{.captures = false});
  CHECK(networks::same(one.trace, other.trace));
  CHECK(networks::same(one.trace, started_singly.trace));
  CHECK(one.variables == other.variables);
  CHECK(one.variables == started_singly.variables);
}

TEST_CASE("cuda executor: loops, definitions that are values") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(25, {8, 16});
  vv::trainer on_device{networks::recurrent{}, vv::batch<10>, vv::cuda{}, vv::f64{}};
  vv::trainer on_host{networks::recurrent{}, vv::batch<10>, vv::plain_kernels{}, vv::f64{}};
  const vv::trace found = on_device.fit(data, vv::epochs{3}), wanted = on_host.fit(data, vv::epochs{3});
  for (std::size_t i = 0; i < wanted.batches.size(); ++i)
    CHECK(found.batches[i].loss == doctest::Approx(wanted.batches[i].loss).epsilon(1e-9));
  check_close(trained(networks::mlp::graph, vv::cuda{}, vv::f64{}), trained(networks::mlp{}, vv::cuda{}, vv::f64{}), 1e-12);
}

TEST_CASE("cuda executor: a step that was started behind one that diverged does not count") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(40, {12});
  const auto steps_of = [&](const auto&... policies) {
    vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::sgd{.rate = 1e30}, policies...};
    CHECK_THROWS_AS(trainer.fit(data, vv::epochs{3}), vv::divergence_error);
    CHECK(trainer.history().batches.size() < 10);
    return trainer.engine().progress().step;
  };
  CHECK(steps_of(vv::cuda{}) == steps_of(vv::plain_kernels{}));
}

TEST_CASE("cuda executor: a search trains several candidates on a device at once") {
  const clean_machine tidy;
  using space = vv::search::mlp_space<vv::features{12}, vv::classes{3}>;
  const vv::data::dataset data = networks::labelled(40, {12});
  const auto found = [&](int in_flight, const auto& executor) {
    return vv::search::random_search<space>{.in_flight = in_flight}(
        data, vv::tse{}, vv::budget{.epochs = 3, .queries = 8}, vv::batch<10>, vv::sgd{.rate = 0.1}, vv::seed{2}, executor);
  };
  const auto wanted = found(4, vv::serial{});
  CHECK(fake::the().launches == 0);
  for (const int in_flight : {1, 4}) {
    const auto on_device = found(in_flight, vv::cuda{});
    CHECK(fake::the().launches > 8 * 5);
    CHECK(on_device.best == wanted.best);
    REQUIRE(on_device.history.size() == wanted.history.size());
    for (std::size_t i = 0; i < wanted.history.size(); ++i) {
      CHECK(on_device.history[i].of == wanted.history[i].of);
      CHECK(on_device.history[i].score == doctest::Approx(wanted.history[i].score).epsilon(1e-4));
    }
    fake::the().launches = 0;
  }
}

TEST_CASE("cuda executor: callbacks that act on batches find the weights of their batch") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(35, {12});
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  keeps act{.trainer = &trainer, .first = {}};
  trainer.fit(data, vv::epochs{1}, act);
  vv::trainer other{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  looks look;
  const vv::trace trace = other.fit(data, vv::epochs{1}, look);
  CHECK(act.batches == 4);
  CHECK(look.batches == 4);
  CHECK(look.mean == trace.epochs[0].train_loss);
  CHECK(networks::same(trace, trainer.history()));
  vv::trainer once{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  vv::data::loader<float> batches(data, 10, 0, {});
  batches.start_epoch(0);
  once.step(*batches.next());
  CHECK(networks::variables_of(once) == act.first);
}

TEST_CASE("cuda executor: parameters are read and written on the host") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(10, {12});
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  const std::vector<float> start = networks::variables_of(trainer);
  trainer.fit(data, vv::epochs{1});
  const std::vector<float> later = networks::variables_of(trainer);
  CHECK(start != later);
  // What is written is what the next step starts from.
  auto weight = trainer.values().parameter(0);
  for (std::int64_t i = 0; i < weight.dims.size(); ++i) weight.data[i] = 0;
  const float* prediction = trainer.predict(networks::features(10, 12).data(), 10).data;
  for (int i = 3; i < 30; ++i) CHECK(prediction[i] == prediction[i % 3]);
  const double before = trainer.evaluate(data).loss;
  trainer.fit(data, vv::epochs{4}, vv::best_weights{});
  CHECK(trainer.evaluate(data).loss < before);
}

TEST_CASE("cuda executor: a checkpoint goes from a device to the host and back") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(30, {12});
  const std::string path = "cuda_checkpoint.safetensors";
  vv::trainer whole{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  whole.fit(data, vv::epochs{4});
  vv::trainer first{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  first.fit(data, vv::epochs{2});
  vv::save(first, path);
  vv::trainer second{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::cuda{}, vv::f64{}};
  vv::resume(second, path);
  second.fit(data, vv::epochs{4});
  CHECK(networks::variables_of(second) == networks::variables_of(whole));
  vv::trainer on_host{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::plain_kernels{}, vv::f64{}};
  vv::resume(on_host, path);
  CHECK(on_host.evaluate(data).loss == doctest::Approx(first.evaluate(data).loss));
  std::remove(path.c_str());
}

TEST_CASE("cuda executor: what is missing or wrong is said") {
  const clean_machine tidy;
  const auto make = [](int device) { vv::trainer{networks::mlp{}, vv::cuda{.device = device}}; };
  CHECK(vv::cuda_available());
  const std::string number = message_of([&] { make(3); });
  CHECK(contains(number, "there is no such CUDA device"));
  CHECK(contains(number, "where: cuda{.device = 3}"));
  CHECK(contains(number, "needs: 0 to 0"));
  fake::the().answer = cudaErrorInsufficientDriver;
  CHECK(!vv::cuda_available());
  const std::string driver = message_of([&] { make(0); });
  CHECK(contains(driver, "vivace: there is no CUDA device"));
  CHECK(contains(driver, "got:   CUDA driver version is insufficient"));
  CHECK(contains(driver, "tbb{} in place of cuda{}"));
  fake::the().answer = cudaSuccess;
  fake::the().devices = 0;
  CHECK(contains(message_of([&] { make(0); }), "there is no CUDA device"));
  fake::the().devices = 1;
  CHECK(contains(message_of([] { const vv::gpu::device_memory too_much(std::size_t{1} << 40); }), "no room for"));
  CHECK(fake::the().last == cudaSuccess);  // answered failures are not found by others
  const std::vector<float> features(120);
  const std::vector<std::int32_t> labels(10);
  vv::trainer with_functor{functor_net{}, vv::batch<10>, vv::cuda{}};
  const std::string functor = message_of(
      [&] { with_functor.step({.features = features.data(), .labels = labels.data(), .size = 10}); });
  CHECK(contains(functor, "a user's functor runs on the host alone"));
  CHECK(contains(functor, "got:   cube"));
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::cuda{}};
  CHECK(contains(message_of([&] { trainer.step({.size = 3}); }), "the batch lacks what the network takes"));
}
