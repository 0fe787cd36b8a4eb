// Training-speed estimates and what they are compared with: values, forms, failures, settings.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <list>
#include <ranges>
#include <span>
#include <sstream>
#include <string>
#include <vector>
#include <vivace/estimate.hpp>
#include <vivace/train/trace.hpp>

#include "laws.hpp"

namespace vv = vivace;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double losses[] = {4, 3, 2, 1};
constexpr std::array<double, 3> first_three = {4, 3, 2};

constexpr bool near(double one, double other) { return one - other < 1e-12 && other - one < 1e-12; }

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& failure) {
    return failure.what();
  }
  return "nothing was thrown";
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// An estimator is a value that may stand in a template.
template <auto Estimator, class Losses>
constexpr double estimate(const Losses& of) {
  return Estimator(of);
}

// Values at compile time: those of the specification for m = (4, 3, 2, 1) at T = 3.
static_assert(vv::tse{}(first_three) == 9);
static_assert(vv::tse_e{}(first_three) == 2 && vv::tse_e{.epochs = 2}(first_three) == 5);
static_assert(near(vv::tse_ema{.gamma = 0.9}(first_three), 7.94));
static_assert(near(vv::tse_ema_released{}(first_three), 2.11));
static_assert(estimate<vv::tse{}>(losses) == 10 && estimate<vv::tse_e{.epochs = 3}>(losses) == 6);
static_assert(estimate<vv::tse_ema{.gamma = 0.5}>(losses) == 0.5 + 0.75 + 1 + 1);
static_assert(estimate<vv::tse_ema_released{.weight = 0.5}>(losses) == 1.875);
static_assert(estimate<vv::sum_validation_loss{}>(losses) == 10 && estimate<vv::early_stopped{}>(losses) == 1);
static_assert(estimate<vv::tl_mini{}>(losses) == 1);
static_assert(estimate<vv::partial_window{.fraction = 0.5, .batches = 4}>(losses) == 7);
static_assert(vv::tse{} == vv::tse{} && vv::tse_ema{} != vv::tse_ema{.gamma = 0.9});

template <class Estimator>
constexpr double streamed(const Estimator& estimator, int epochs) {
  auto stream = estimator.stream();
  for (int epoch = 0; epoch < epochs; ++epoch) stream.add(losses[epoch]);
  return stream.value();
}
static_assert(streamed(vv::tse{}, 3) == 9);
static_assert(streamed(vv::tse_e{}, 3) == 2 && streamed(vv::tse_e{.epochs = 2}, 3) == 5);
static_assert(near(streamed(vv::tse_ema{.gamma = 0.9}, 3), 7.94));
static_assert(near(streamed(vv::tse_ema_released{}, 3), 2.11));
static_assert(streamed(vv::tse_e{.epochs = 2}, 4) == 3);

}  // namespace

TEST_CASE("estimators obey the laws") {
  laws::check_trace_estimator(vv::tse{});
  for (const int epochs : {1, 2, 5, 100}) laws::check_trace_estimator(vv::tse_e{.epochs = epochs});
  for (const double gamma : {0.0, 0.5, 0.9, 0.999, 1.0}) laws::check_trace_estimator(vv::tse_ema{.gamma = gamma});
  for (const double weight : {0.0, 0.1, 0.9, 1.0}) laws::check_trace_estimator(vv::tse_ema_released{.weight = weight});
  laws::check_trace_estimator(vv::sum_validation_loss{});
  laws::check_trace_estimator(vv::early_stopped{});
  laws::check_trace_estimator(vv::tl_mini{});
  for (const int batches : {1, 3, 4, 20})
    for (const int epochs : {1, 2, 3})
      laws::check_trace_estimator(vv::partial_window{.fraction = 0.7, .batches = batches, .epochs = epochs});
}

TEST_CASE("estimators take any range of numbers") {
  CHECK(vv::tse{}(std::vector<double>{1.5, 1, 0.5}) == 3);
  CHECK(vv::tse{}(std::vector<float>{0.5F, 0.25F}) == 0.75);
  CHECK(vv::tse{}(std::list<double>{2}) == 2);
  CHECK(vv::tse{}(std::array<int, 3>{1, 2, 3}) == 6);
  CHECK(vv::tse{}(losses) == 10);
  CHECK(vv::tse{}(std::span(losses).first(2)) == 7);  // the first epochs
  CHECK(vv::tse{}(std::vector<double>{-1, 0.5}) == -0.5);
  CHECK(vv::tse{}(losses | std::views::filter([](double loss) { return loss > 2; })) == 7);
  std::istringstream text("4 3 2 1");  // can be read once
  CHECK(vv::tse_e{2}(std::views::istream<double>(text)) == 3);
}

TEST_CASE("estimators of no losses: a sum is 0, without a loss to name it is the worst") {
  const std::vector<double> none;
  CHECK(vv::tse{}(none) == 0);
  CHECK(vv::tse{}(vv::trace{}) == 0);
  CHECK(vv::tse_e{}(none) == 0);
  CHECK(vv::tse_ema{}(none) == 0);
  CHECK(vv::sum_validation_loss{}(none) == 0);
  CHECK(vv::partial_window{.batches = 2}(none) == 0);
  CHECK(vv::tse_ema_released{}(none) == infinity);
  CHECK(vv::early_stopped{}(none) == infinity);
  CHECK(vv::tl_mini{}(none) == infinity);
}

TEST_CASE("estimators are related as the formulas say") {
  for (std::uint32_t which = 0; which < 20; ++which) {
    const vv::random_stream random(7, which);
    std::vector<double> curve;
    for (std::uint32_t epoch = 0; epoch < 30; ++epoch) {
      curve.push_back(random.uniform(epoch) + 1.0 / (epoch + 1));
      const auto length = static_cast<int>(curve.size());
      CHECK(vv::tse_ema{.gamma = 1}(curve) == vv::tse{}(curve));
      CHECK(vv::tse_ema{.gamma = 0}(curve) == curve.back());
      CHECK(vv::tse_e{}(curve) == curve.back());
      CHECK(vv::tse_e{.epochs = length}(curve) == vv::tse{}(curve));
      CHECK(vv::tse_e{.epochs = length + 5}(curve) == vv::tse{}(curve));
      CHECK(vv::tse_ema_released{.weight = 1}(curve) == curve.back());
      CHECK(vv::tse_ema_released{.weight = 0}(curve) == curve.front());
      CHECK(vv::early_stopped{}(curve) == curve.back());
      CHECK(vv::sum_validation_loss{}(curve) == vv::tse{}(curve));
      double direct = 0;  // from the formula, not by recurrence
      for (int t = 1; t <= length; ++t) direct += std::pow(0.95, length - t) * curve[static_cast<std::size_t>(t - 1)];
      CHECK(vv::tse_ema{.gamma = 0.95}(curve) == doctest::Approx(direct).epsilon(1e-14));
    }
  }
  const std::vector<double> one = {0.75};
  for (const double score : {vv::tse{}(one), vv::tse_e{}(one), vv::tse_e{9}(one), vv::tse_ema{}(one),
                             vv::tse_ema{0.1}(one), vv::tse_ema_released{}(one)})
    CHECK(score == 0.75);
}

TEST_CASE("dividing TSE-EMA by its weights changes no rank") {
  std::vector<double> plain, divided;
  for (std::uint32_t which = 0; which < 40; ++which) {
    const vv::random_stream random(3, which);
    std::vector<double> curve;
    double weights = 0;
    for (std::uint32_t epoch = 0; epoch < 10; ++epoch) {
      curve.push_back(random.uniform(epoch));
      weights = 0.9 * weights + 1;
    }
    plain.push_back(vv::tse_ema{.gamma = 0.9}(curve));
    divided.push_back(plain.back() / weights);
  }
  CHECK(vv::spearman{}(plain, divided) == 1);
}

TEST_CASE("estimators take the series that they read from a trace") {
  vv::trace history;
  history.epochs.push_back({.epoch = 0, .train_loss = 2, .val_loss = 100});
  history.epochs.push_back({.epoch = 1, .train_loss = 0.5, .val_loss = 50});
  history.batches.push_back({.epoch = 0, .batch = 0, .size = 3, .loss = 7});
  history.batches.push_back({.epoch = 0, .batch = 1, .size = 1, .loss = 5});
  CHECK(vv::tse{}(history) == 2.5);
  CHECK(vv::tse_e{}(history) == 0.5);
  CHECK(vv::sum_validation_loss{}(history) == 150);
  CHECK(vv::early_stopped{}(history) == 50);
  CHECK(vv::tl_mini{}(history) == 5);
  CHECK(vv::partial_window{.fraction = 0.5, .batches = 2}(history) == 7);
  CHECK(vv::overfit_guard{.limit = 2}(history) == 2.5);
  CHECK(vv::overfit_guard{.limit = 1}(history) == 50);
  history.epochs.push_back({.epoch = 2, .train_loss = 0.25});  // without validation
  CHECK(vv::tse{}(history) == 2.75);
  CHECK(vv::early_stopped{}(history) == infinity);
}

TEST_CASE("a sum that leaves the range of double is the worst") {
  constexpr double most = std::numeric_limits<double>::max();
  CHECK(vv::tse{}(std::vector<double>{most, most}) == infinity);
  CHECK(vv::tse{}(std::vector<double>{-most, -most}) == infinity);
  CHECK(vv::tse_ema{}(std::vector<double>{-most, -most, -most}) == infinity);
}

TEST_CASE("partial_window: the first batches of the last epochs") {
  const std::vector<double> ten = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};  // two epochs of five
  const auto of = [&](double fraction, int epochs) {
    return vv::partial_window{.fraction = fraction, .batches = 5, .epochs = epochs}(ten);
  };
  CHECK(of(1, 2) == 1023);
  CHECK(of(1, 1) == 992);
  CHECK(of(0.4, 1) == 96);
  CHECK(of(0.4, 2) == 99);
  CHECK(of(0.59, 1) == 96);  // rounded down
  CHECK(of(0.01, 2) == 33);  // but a batch at least
  CHECK(of(0.4, 9) == 99);
  CHECK(vv::partial_window{.fraction = 0.29, .batches = 100}(std::vector<double>(100, 1)) == 29);  // not 28
  CHECK(vv::partial_window{.fraction = 1, .batches = 4}(ten) == 768);  // an epoch is under way
}

TEST_CASE("settings out of range are refused with name, value and range") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> some = {1, 2};
  CHECK(message_of([&] { (void)vv::tse_e{.epochs = 0}(some); }) ==
        "vivace: a setting is out of its range\n  where: tse_e{.epochs}\n  got:   0\n  needs: 1 or more");
  CHECK(contains(message_of([] { (void)vv::tse_e{.epochs = -1}.stream(); }), "got:   -1"));
  for (const double gamma : {-0.1, 1.5, nan, infinity})
    CHECK(contains(message_of([&] { (void)vv::tse_ema{.gamma = gamma}(some); }), "tse_ema{.gamma}"));
  for (const double weight : {-0.1, 1.5, nan})
    CHECK(
        contains(message_of([&] { (void)vv::tse_ema_released{.weight = weight}(some); }), "tse_ema_released{.weight}"));
  for (const double fraction : {0.0, 1.5, nan})
    CHECK(contains(message_of([&] { (void)vv::partial_window{.fraction = fraction, .batches = 2}(some); }),
                   "partial_window{.fraction}"));
  CHECK(contains(message_of([&] { (void)vv::partial_window{}(some); }), "needs: the number of batches of an epoch"));
  CHECK(contains(message_of([&] { (void)vv::partial_window{.batches = 2, .epochs = 0}(some); }),
                 "partial_window{.epochs}"));
}

// --- Means of epochs ----------------------------------------------------------------------------------------------

namespace {

struct record {
  int epoch, size;
  float loss;
};
constexpr record records[] = {{4, 2, 1}, {4, 2, 3}, {4, 1, 12}, {5, 2, 2}};
static_assert(vv::epoch_means(records).size() == 2);
static_assert(vv::epoch_means(records)[0] == 4 && vv::epoch_means(records)[1] == 2);
static_assert(vv::tse{}(vv::epoch_means(records)) == 6);

}  // namespace

TEST_CASE("epoch_mean: batches count by their samples") {
  vv::epoch_mean mean;
  CHECK(mean.value() == infinity);
  mean.add(1, 100);
  mean.add(2, 50);  // a short last batch
  CHECK(mean.value() == doctest::Approx(200.0 / 150));
  vv::epoch_mean equal;
  equal.add(1);
  equal.add(2);
  CHECK(equal.value() == 1.5);
  equal.add(std::numeric_limits<double>::quiet_NaN());
  CHECK(equal.value() == infinity);
  CHECK(message_of([&] { equal.add(1, 0); }) ==
        "vivace: a setting is out of its range\n  where: epoch_mean::add\n  got:   0.000000 samples\n  needs: more than 0");
}

TEST_CASE("epoch_means: from the batches of a trace") {
  vv::trace history;
  CHECK(vv::epoch_means(history.batches).empty());
  history.batches = {{.epoch = 0, .batch = 0, .size = 3, .loss = 1},
                     {.epoch = 0, .batch = 1, .size = 1, .loss = 5},
                     {.epoch = 1, .batch = 0, .size = 3, .loss = 0.5}};
  const auto means = vv::epoch_means(history.batches);
  REQUIRE(means.size() == 2);
  CHECK(means[0] == 2);
  CHECK(means[1] == 0.5);
  history.batches[2].epoch = 2;
  CHECK(message_of([&] { (void)vv::epoch_means(history.batches); }) ==
        "vivace: the batches are not in the order of epochs\n  where: batch record 2\n  got:   epoch 2 after epoch 0\n"
        "  needs: epochs that count up by one, from 0");
  history.batches[2].epoch = -1;
  CHECK(contains(message_of([&] { (void)vv::epoch_means(history.batches); }), "epoch -1 after epoch 0"));
}

// --- Overfitting --------------------------------------------------------------------------------------------------

namespace {

constexpr double fits[2][4] = {{1, 0.5, 0.09, 0.05}, {2, 1, 0.5, 0.01}};
static_assert(vv::overfit_limit(fits) == 2);  // 0.9 * 3
static_assert(vv::overfit_limit(fits, 0.1, 1) == 3 && vv::overfit_limit(fits, 0.6, 1) == 2);
static_assert(vv::overfit_limit(fits, 0.001) == std::numeric_limits<int>::max());
static_assert(vv::overfit_guard{.limit = 3}(losses, first_three.size() == 3 ? fits[0] : fits[1]) == 0.05);
static_assert(vv::overfit_guard{.estimator = vv::tse_e{2}, .limit = 4}(losses, fits[0]) == 3);
template <auto Guard>
constexpr int limit_of = Guard.limit;
static_assert(limit_of<vv::overfit_guard{.limit = 7}> == 7);

}  // namespace

TEST_CASE("overfit_limit: nine tenths of the first epoch at which any candidate overfits") {
  std::vector<std::vector<double>> traces(3, std::vector<double>(20, 1));
  CHECK(vv::overfit_limit(traces) == std::numeric_limits<int>::max());
  traces[1][19] = 0.05;
  CHECK(vv::overfit_limit(traces) == 18);
  traces[2][9] = 0.099;
  traces[0][0] = std::numeric_limits<double>::quiet_NaN();  // failed, which is not overfitting
  CHECK(vv::overfit_limit(traces) == 9);
  CHECK(vv::overfit_limit(traces, 0.1, 0.7) == 7);
  traces[0][0] = 0.1;  // not below
  CHECK(vv::overfit_limit(traces) == 9);
  CHECK(vv::overfit_limit(std::vector<vv::trace>{}) == std::numeric_limits<int>::max());
  CHECK(contains(message_of([&] { (void)vv::overfit_limit(traces, 0.1, 0); }), "overfit_limit, share"));
  CHECK(contains(message_of([&] { (void)vv::overfit_limit(traces, 0.1, 1.1); }), "above 0, to 1"));
}

TEST_CASE("overfit_guard: training losses up to the limit, validation losses beyond") {
  const std::vector<double> training = {3, 2, 1, 0.05}, validation = {4, 3.5, 3, 2.5};
  const vv::overfit_guard guard{.limit = 3};
  auto stream = guard.stream();
  for (std::size_t epochs = 1; epochs <= 4; ++epochs) {
    stream.add(training[epochs - 1], validation[epochs - 1]);
    const std::span<const double> left(training.data(), epochs), right(validation.data(), epochs);
    CHECK(guard(left, right) == stream.value());
    CHECK(stream.value() == (epochs <= 3 ? vv::tse{}(left) : right.back()));
  }
  CHECK(vv::overfit_guard{}(training, validation) == doctest::Approx(6.05));  // no limit
  for (const double bad : {infinity, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(guard(std::vector<double>{1, bad}, std::vector<double>{1, 1}) == infinity);
    CHECK(guard(std::vector<double>{1, 1}, std::vector<double>{bad, 1}) == infinity);
  }
}

TEST_CASE("overfit_guard: series of different lengths are refused") {
  const std::vector<double> two = {1, 2}, three = {1, 2, 3};
  CHECK(message_of([&] { (void)vv::overfit_guard{}(three, two); }) ==
        "vivace: the series are not of one length\n  where: overfit_guard\n"
        "  got:   more training than validation losses, of which there are 2\n"
        "  needs: a training and a validation loss for each epoch");
  CHECK(contains(message_of([&] { (void)vv::overfit_guard{}(two, three); }), "more validation than training losses"));
}

// --- Scores at a budget -------------------------------------------------------------------------------------------

namespace {

constexpr double curves[3][3] = {{3, 2, 1}, {1, 1, 1}, {2, 2, 2}};
static_assert(vv::scores(vv::tse{}, curves, 2)[0] == 5 && vv::scores(vv::tse_e{}, curves, 3)[2] == 2);

}  // namespace

TEST_CASE("scores: candidates at an equal budget") {
  std::vector<std::vector<double>> traces = {{3, 2, 1}, {1, 1}, {2, 2, 2, 2}};
  const auto two = vv::scores(vv::tse{}, traces, 2);
  REQUIRE(two.size() == 3);
  CHECK(two[0] == 5);
  CHECK(two[1] == 2);
  CHECK(two[2] == 4);
  CHECK(message_of([&] { (void)vv::scores(vv::tse{}, traces, 3); }) ==
        "vivace: a trace is shorter than the budget\n  where: trace 1\n  got:   2 losses\n"
        "  needs: 3: scores are compared at equal length");
  traces[1].back() = infinity;  // the candidate failed: it need not go on
  CHECK(vv::scores(vv::tse{}, traces, 3)[1] == infinity);
  traces[1].clear();
  CHECK(contains(message_of([&] { (void)vv::scores(vv::early_stopped{}, traces, 1); }), "got:   0 losses"));
  CHECK(contains(message_of([&] { (void)vv::scores(vv::tse{}, traces, 0); }), "scores, budget"));
  CHECK(vv::scores(vv::tse{}, std::vector<vv::trace>{}, 1).empty());
}

TEST_CASE("scores: of traces") {
  std::vector<vv::trace> trainings(2);
  for (int i = 0; i < 2; ++i)
    for (int epoch = 0; epoch < 3; ++epoch)
      trainings[static_cast<std::size_t>(i)].epochs.push_back(
          {.epoch = epoch, .train_loss = i + 1.0, .val_loss = 10.0 * epoch + i});
  CHECK(vv::scores(vv::tse{}, trainings, 3)[1] == 6);
  CHECK(vv::scores(vv::early_stopped{}, trainings, 2)[1] == 11);
  CHECK(contains(message_of([&] { (void)vv::scores(vv::tl_mini{}, trainings, 1); }), "trace 0"));
}
