// What only the trainer can refuse: settings out of range, and labels of a batch that the caller made.
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

namespace vv = vivace;

namespace {

struct net {
  static constexpr auto graph = vv::classifier(vv::features{2}, vv::classes{3}, vv::dense{3});
};

template <class Call>
std::string message(Call&& call) {
  try {
    call();
  } catch (const vv::error& failure) {
    return failure.what();
  }
  return "";
}

struct line {
  static constexpr auto graph = vv::regressor(vv::features{1}, vv::targets{1}, vv::dense{1});
};

}  // namespace

TEST_CASE("a label that is no class stops the step and touches nothing") {
  vv::trainer trainer{net{}, vv::batch<2>};
  const std::vector<float> before(trainer.values().find("0.dense.weight").data,
                                  trainer.values().find("0.dense.weight").data + 6);
  const float features[4] = {1, 2, 3, 4};
  for (const std::int32_t wrong : {-1, 3, 1 << 30}) {
    const std::int32_t labels[2] = {0, wrong};
    const std::string text = message([&] { trainer.step({.features = features, .labels = labels, .size = 2}); });
    CHECK(text.find("a label is out of range") != std::string::npos);
    CHECK(text.find("label 1 of a batch") != std::string::npos);
    CHECK(text.find("0 to 2") != std::string::npos);
  }
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(trainer.values().find("0.dense.weight").data[i] == before[i]);
}

TEST_CASE("a norm to clip to is above zero") {
  for (const double norm : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(message([&] { vv::trainer trainer{net{}, vv::clip_norm{norm}}; }).find("a norm above 0") !=
          std::string::npos);
}

TEST_CASE("a rate is a number from zero on") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double rate : {-0.1, infinity, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(message([&] { vv::trainer trainer{net{}, vv::adam{.rate = rate}}; }).find("at this rate") != std::string::npos);
    CHECK(message([&] { vv::trainer trainer{net{}, vv::sgd{.rate = rate}}; }).find("at this rate") != std::string::npos);
  }
  CHECK(message([&] { vv::trainer trainer{net{}, vv::sgd{.rate = 0}}; }).empty());
}

TEST_CASE("a validation loss that is not finite ends the training") {
  const std::vector<float> x{1, 2}, good{1, 2}, bad{1, std::numeric_limits<float>::quiet_NaN()};
  vv::trainer trainer{line{}, vv::batch<2>, vv::sgd{.rate = 0.01}};
  const auto set = vv::data::dataset::borrow(x, {1}, good);
  const std::string text = message([&] {
    trainer.fit(set, vv::epochs{4}, vv::validation{vv::data::dataset::borrow(x, {1}, bad)},
                vv::early_stop{.patience = 2});
  });
  CHECK(text.find("the validation loss is not finite") != std::string::npos);
  CHECK(text.find("epoch 0") != std::string::npos);
}

TEST_CASE("an input of a gradient function has the function's type") {
  vv::gradient_function<net, vv::batch_size<2>, vv::f64> f;
  const float features[4] = {1, 2, 3, 4};
  const std::int32_t labels[2] = {0, 1};
  std::vector<double> parameters(vv::parameters<net>), gradient(parameters.size());
  const std::string text = message(
      [&] { f({{"input", features}, {"label", labels}}, 2, parameters.data(), gradient.data()); });
  CHECK(text.find("an input is of another type") != std::string::npos);
  CHECK(text.find("got:   float") != std::string::npos);
  CHECK(text.find("needs: double") != std::string::npos);
}
