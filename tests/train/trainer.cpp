// The trainer: policies in any order, data that do not fit, losses that are not finite, and one seed, one result.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/schedule.hpp>
#include <vivace/train/checkpoint.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"
#include "networks.hpp"

namespace vv = vivace;
using networks::labelled;
using networks::variables_of;

namespace {

template <class Call>
std::string message_of(Call&& call) {
  return files::message_of<vv::error>(call);
}

/// True if the text has all the parts; else shows it.
bool says(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    if (!files::contains(text, part)) {
      MESSAGE("'" << part << "' is not in: " << text);
      return false;
    }
  return true;
}

/// More outputs than features: what predicts must not read targets out of features.
struct widening {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 2});
    const vv::value y = make.input("y", {vv::rows, 5000});
    const vv::value w = make.parameter("w", {2, 5000});
    const vv::value prediction = matmul(x, w);
    make.output("prediction", prediction);
    return mean(square(prediction - y));
  });
};

/// Large enough that every executor splits its work.
struct large {
  static constexpr auto graph = vv::classifier(
      vv::image{2, 24, 24}, vv::classes{3}, vv::conv2d{.filters = 8, .padding = 1}, vv::batch_norm{}, vv::relu{},
      vv::max_pool{2}, vv::dropout{.rate = 0.2}, vv::flatten{}, vv::dense{64}, vv::relu{}, vv::dense{3});
};

struct training_result {
  vv::trace trace;
  std::vector<float> variables;
};

template <class Executor>
training_result train_large(const Executor& executor) {
  vv::trainer trainer{large{}, vv::batch<32>, vv::adamw{}, executor, vv::seed{3}};
  training_result result;
  result.trace = trainer.fit(labelled(75, {2, 24, 24}), vv::epochs{2}, vv::validation{labelled(40, {2, 24, 24})});
  result.variables = variables_of(trainer);
  return result;
}

template <class Executor>
bool same_as_serial(const Executor& executor) {
  const training_result expected = train_large(vv::serial{});
  const training_result found = train_large(executor);
  return networks::same(found.trace, expected.trace) && found.variables == expected.variables;
}

}  // namespace

TEST_CASE("trainer: policies come in any order") {
  const auto set = labelled(50);
  vv::trainer one{networks::mlp{},         vv::batch<16>, vv::adamw{.rate = 0.01}, vv::seed{5}, vv::clip_norm{0.5},
                  vv::cosine{.epochs = 3}, vv::serial{}};
  vv::trainer other{networks::mlp{}, vv::serial{}, vv::cosine{.epochs = 3}, vv::clip_norm{0.5}, vv::adamw{.rate = 0.01},
                    vv::seed{5},     vv::batch<16>};
  CHECK(networks::same(one.fit(set, vv::epochs{3}), other.fit(set, vv::epochs{3})));
  CHECK(variables_of(one) == variables_of(other));
  vv::trainer by_default{networks::mlp{}};
  static_assert(decltype(by_default)::batch_limit == 128);
  static_assert(std::is_same_v<decltype(by_default)::real, float>);
  vv::trainer twice{networks::mlp{}, vv::f64{}};
  static_assert(std::is_same_v<decltype(twice)::real, double>);
}

TEST_CASE("trainer: settings of fit come in any order, and the loss falls") {
  const auto set = labelled(200);
  const auto held_out = labelled(100);
  vv::trainer trainer{networks::mlp{}, vv::batch<32>, vv::adam{.rate = 0.01}, vv::seed{5}};
  const vv::trace trace = trainer.fit(set, vv::validation{held_out}, vv::epochs{20});
  REQUIRE(trace.epochs.size() == 20);
  CHECK(trace.batches.size() == 140);
  CHECK(trace.batches.back().size == 200 - 6 * 32);  // the short last batch
  CHECK(trace.epochs.back().train_loss < 0.5 * trace.epochs.front().train_loss);
  CHECK(trace.epochs.back().val_accuracy > 0.9);
  CHECK(trainer.history().size() == 20);
  const vv::evaluation found = trainer.evaluate(held_out);
  CHECK(found.accuracy == trace.epochs.back().val_accuracy);
  CHECK(found.loss == trace.epochs.back().val_loss);
  CHECK(found.samples == 100);
  CHECK(found.classes == 3);
  std::int64_t right = 0, all = 0;
  for (int i = 0; i < 9; ++i) {
    all += found.confusion[static_cast<std::size_t>(i)];
    if (i % 4 == 0) right += found.confusion[static_cast<std::size_t>(i)];
  }
  CHECK(all == 100);
  CHECK(right == std::lround(100 * found.accuracy));
}

TEST_CASE("trainer: evaluation does not depend on how samples fall into batches") {
  const auto set = labelled(50);
  vv::trainer one{networks::mlp{}, vv::batch<50>, vv::seed{5}, vv::f64{}};
  vv::trainer other{networks::mlp{}, vv::batch<7>, vv::seed{5}, vv::f64{}};
  CHECK(one.evaluate(set).loss == doctest::Approx(other.evaluate(set).loss).epsilon(1e-12));
  CHECK(one.evaluate(set).confusion == other.evaluate(set).confusion);
  std::vector<double> inputs(12 * 5, 0.25);
  inputs[12] = 1;
  const auto all = one.predict(inputs.data(), 5);
  CHECK(all.dims == vv::shape{5, 3});
  for (int i = 0; i < 5; ++i) {
    const auto single = other.predict(inputs.data() + i * 12, 1);
    for (int c = 0; c < 3; ++c) CHECK(single.data[c] == doctest::Approx(all.data[i * 3 + c]).epsilon(1e-12));
  }
}

TEST_CASE("trainer: free-form models take features and targets") {
  vv::trainer trainer{networks::regression{}, vv::batch<20>, vv::adam{.rate = 0.05}, vv::seed{5}};
  const auto set = networks::with_targets(100);
  trainer.fit(set, vv::epochs{60});
  CHECK(trainer.evaluate(set).loss < 1e-3);
  CHECK(std::isnan(trainer.evaluate(set).accuracy));
  const auto w = trainer.values().find("w");
  CHECK(w.data[0] == doctest::Approx(1).epsilon(0.05));
  CHECK(std::abs(w.data[5]) < 0.05F);
  CHECK(says(message_of([&] { static_cast<void>(trainer.values().find("v")); }), {"no such parameter", "v"}));

  vv::trainer wide{widening{}, vv::batch<4>, vv::seed{5}};
  const float x[] = {1, 2};
  CHECK(wide.predict(x, 1).dims == vv::shape{1, 5000});
}

TEST_CASE("trainer: columns by name; those that no input takes are skipped, and predict takes features alone") {
  const std::vector<float> x = networks::features(60, 12), unused(60 * 4, 1e9F);
  std::vector<float> y;
  for (std::size_t i = 0; i < 60; ++i) y.push_back(x[12 * i] + x[12 * i + 1]);
  vv::trainer by_name{networks::regression{}, vv::batch<20>, vv::adam{.rate = 0.05}, vv::seed{5}};
  vv::trainer by_place{networks::regression{}, vv::batch<20>, vv::adam{.rate = 0.05}, vv::seed{5}};
  const vv::data::columns columns{{"unused", unused, 4}, {"y", y, 1}, {"x", x, 12}};
  const vv::trace trace = by_name.fit(columns, vv::epochs{3});
  CHECK(networks::same(trace, by_place.fit(vv::data::dataset::borrow(x, {12}, y), vv::epochs{3})));
  CHECK(variables_of(by_name) == variables_of(by_place));
  const float expected = by_place.predict(x.data(), 3).data[2];
  CHECK(by_name.predict(x.data(), 3).data[2] == expected);
}

TEST_CASE("trainer: data that do not fit are refused") {
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  CHECK(says(message_of([&] { trainer.fit(labelled(20, {11})); }),
             {"does not fit the network", "input input", "11 numbers a sample", "12 numbers a sample"}));
  CHECK(says(message_of([&] { trainer.evaluate(labelled(20, {13})); }), {"does not fit the network", "13 numbers"}));
  CHECK(says(message_of([&] { trainer.fit(networks::with_targets(20)); }), {"needs labels", "without labels"}));
  CHECK(says(message_of([&] { trainer.fit(labelled(20).take(0)); }), {"data set is empty"}));
  CHECK(says(message_of([&] { trainer.evaluate(labelled(20).take(0)); }), {"data set is empty"}));
  const auto many = vv::data::dataset::own(networks::features(4, 12), {12}, std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(says(message_of([&] { trainer.fit(many); }), {"more classes than the network", "4 classes", "at most 3"}));
  CHECK(says(message_of([&] { trainer.evaluate(many); }), {"more classes than the network"}));
  vv::trainer regression{networks::regression{}, vv::batch<16>, vv::seed{5}};
  CHECK(says(message_of([&] { regression.fit(labelled(20)); }), {"does not fit", "input y", "0 numbers a sample"}));

  const std::vector<float> x = networks::features(20, 12);
  const std::int32_t labels[20]{};
  CHECK(says(message_of([&] { trainer.predict(x.data(), 17); }), {"does not fit the plan", "17 samples", "1 to 16"}));
  CHECK(says(message_of([&] { trainer.predict(x.data(), 0); }), {"does not fit the plan", "0 samples"}));
  CHECK(says(message_of([&] { trainer.predict(nullptr, 3); }), {"lacks", "input input"}));
  CHECK(says(message_of([&] { trainer.step({.features = x.data(), .labels = labels, .size = 20}); }), {"20 samples"}));
  CHECK(says(message_of([&] { trainer.step({.features = x.data(), .size = 3}); }), {"lacks", "input label"}));
  CHECK(std::isfinite(trainer.step({.features = x.data(), .labels = labels, .size = 16})));
}

TEST_CASE("trainer: a loss that is not finite ends the training; the last checkpoint stays") {
  const files::temporary_folder folder;
  const std::string path = folder / "net.safetensors";
  auto values = networks::features(48, 12);
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  std::vector<std::int32_t> labels(48, 1);
  trainer.fit(vv::data::dataset::own(values, {12}, labels, 3), vv::epochs{1}, vv::checkpoint{path});
  const std::string before = files::read(path);
  values[12 * 20 + 5] = std::numeric_limits<float>::quiet_NaN();
  const std::string text = message_of(
      [&] { trainer.fit(vv::data::dataset::own(values, {12}, labels, 3), vv::epochs{3}, vv::checkpoint{path}); });
  CHECK(says(text, {"loss is not finite", "epoch 1, batch ", "nan", "clip_norm"}));
  CHECK(!before.empty());
  CHECK(files::read(path) == before);
  vv::trainer again{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  vv::resume(again, path);
  CHECK(again.history().size() == 1);
}

TEST_CASE("trainer: bf16 stores what the forward pass leaves, and changes nothing in front of the loss") {
  const auto set = labelled(16, 12);
  vv::trainer whole{networks::mlp{}, vv::batch<16>, vv::sgd{.rate = 1.0}, vv::seed{5}};
  vv::trainer half{networks::mlp{}, vv::batch<16>, vv::sgd{.rate = 1.0}, vv::bf16{}, vv::seed{5}};
  const std::vector<float> before = variables_of(whole);
  CHECK(variables_of(half) == before);
  const double loss = whole.fit(set).batches.front().loss;  // of the one batch, before the update
  CHECK(half.fit(set).batches.front().loss == loss);
  // Updates at a rate of 1 are gradients: within the roundings of a few values to 8 bits, and not the same.
  const std::vector<float> wanted = variables_of(whole), found = variables_of(half);
  double length = 0, error = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    length += std::pow(double{wanted[i]} - double{before[i]}, 2);
    error += std::pow(double{wanted[i]} - double{found[i]}, 2);
  }
  CHECK(error > 0);
  CHECK(std::sqrt(error) < 0x1p-7 * std::sqrt(length));
}

TEST_CASE("trainer: one seed, one result; another seed, another") {
  const training_result one = train_large(vv::serial{});
  const training_result again = train_large(vv::serial{});
  CHECK(networks::same(one.trace, again.trace));
  CHECK(one.variables == again.variables);
  const auto set = labelled(40);
  vv::trainer first{networks::mlp{}, vv::batch<16>, vv::seed{1}};
  vv::trainer second{networks::mlp{}, vv::batch<16>, vv::seed{2}};
  CHECK_FALSE(networks::same(first.fit(set), second.fit(set)));
}

TEST_CASE("trainer: the same bits on 1, 2 and 8 threads of our own") {
  CHECK(same_as_serial(vv::threads{1}));
  CHECK(same_as_serial(vv::threads{2}));
  CHECK(same_as_serial(vv::threads{8}));
}

TEST_CASE("trainer: the same bits on 1, 2 and 8 threads of tbb") {
  CHECK(same_as_serial(vv::tbb{.threads = 1}));
  CHECK(same_as_serial(vv::tbb{.threads = 2}));
  CHECK(same_as_serial(vv::tbb{.threads = 8}));
}
