// LcSVR: features of curves, what the regression learns, and what it refuses.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/estimate/curve_regression.hpp>
#include <vivace/io/csv.hpp>

namespace vv = vivace;

namespace {

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

constexpr double squares[] = {1, 4, 9, 16}, known[] = {100, 0.5};
constexpr bool features_are_right() {
  const auto features = vv::curve_features(squares, known);
  const double expected[] = {100, 0.5, 1, 4, 9, 16, 3, 5, 7, 2, 2, 7.5};
  for (int i = 0; i < 12; ++i)
    if (features[i] != expected[i]) return false;
  const double deviation = features[12];  // square root of (42.25 + 12.25 + 2.25 + 72.25) / 4
  return features.size() == 13 && deviation > 5.678908 && deviation < 5.678909;
}
static_assert(features_are_right());
static_assert(vv::curve_features(known).size() == 2 + 1 + 0 + 2);

/// Accuracies of networks: a level, reached at a speed.
struct population {
  std::vector<std::vector<double>> curves;
  std::vector<double> final;
};
population drawn(std::uint32_t seed, int count) {
  population all;
  for (int i = 0; i < count; ++i) {
    const vv::random_stream random(seed, static_cast<std::uint32_t>(i));
    const double level = 0.5 + 0.4 * random.uniform(0), speed = 0.1 + 0.4 * random.uniform(1);
    auto& curve = all.curves.emplace_back();
    for (int epoch = 1; epoch <= 10; ++epoch)
      curve.push_back(level * (1 - std::exp(-speed * epoch)) +
                      0.01 * random.uniform(1 + static_cast<std::uint64_t>(epoch)));
    all.final.push_back(level);
  }
  return all;
}
std::vector<vv::sequence<double>> features_of(const population& all) {
  std::vector<vv::sequence<double>> rows;
  for (const auto& curve : all.curves) rows.push_back(vv::curve_features(curve));
  return rows;
}

}  // namespace

TEST_CASE("curve_regression: extrapolates curves") {
  const population training = drawn(1, 120), test = drawn(2, 80);
  const vv::curve_regression regression{.settings = 100};
  const auto fitted = regression.fit(features_of(training), training.final);
  std::vector<double> predicted, last;
  for (const auto& curve : test.curves) {
    predicted.push_back(fitted.predict(vv::curve_features(curve)));
    last.push_back(curve.back());
  }
  const double rank = vv::spearman{}(predicted, test.final);
  CHECK(fitted.chosen().r_squared > 0.8);
  CHECK(rank > 0.9);
  CHECK(rank > vv::spearman{}(last, test.final));  // the curve says more than its end
  CHECK(fitted.chosen().cost >= regression.lowest);
  CHECK(fitted.chosen().cost <= regression.highest);
  CHECK(fitted.chosen().gamma >= regression.lowest);
  CHECK(fitted.chosen().gamma <= regression.highest);
  CHECK(fitted.chosen().nu > 0);
  CHECK(fitted.chosen().nu < 1);
}

TEST_CASE("curve_regression: one seed, one result; a model can be moved") {
  const population training = drawn(3, 30), test = drawn(4, 5);
  const auto rows = features_of(training);
  const vv::curve_regression regression{.settings = 20, .seed = 5};
  auto first = regression.fit(rows, training.final);
  auto second = regression.fit(rows, training.final);
  const auto other = vv::curve_regression{.settings = 20, .seed = 6}.fit(rows, training.final);
  CHECK(first.chosen().cost == second.chosen().cost);
  CHECK(first.chosen().cost != other.chosen().cost);
  for (const auto& curve : test.curves)
    CHECK(first.predict(vv::curve_features(curve)) == second.predict(vv::curve_features(curve)));
  const double before = first.predict(rows[0]), elsewhere = other.predict(rows[0]);
  auto moved = std::move(first);
  CHECK(moved.predict(rows[0]) == before);
  moved = vv::curve_regression{.settings = 20, .seed = 6}.fit(rows, training.final);
  CHECK(moved.predict(rows[0]) == elsewhere);
}

TEST_CASE("curve_regression: constant targets are predicted") {
  const population training = drawn(7, 12);
  const auto fitted = vv::curve_regression{.settings = 3}.fit(features_of(training), std::vector<double>(12, 0.25));
  CHECK(fitted.predict(vv::curve_features(training.curves[0])) == doctest::Approx(0.25));
  CHECK(fitted.chosen().r_squared <= 1);
}

TEST_CASE("curve_regression: learning curves of recurrent networks") {
  const auto table = vv::io::csv_table::read(VIVACE_TESTS_DIR "/data/nasbench_nlp_wt2_dev.csv");
  const auto status = table.text("status");
  const auto target = table.numbers("final_test_loss");
  std::vector<std::vector<double>> curves(table.rows());
  for (const char* column : {"val_01", "val_02", "val_03", "val_04", "val_05"}) {
    const auto losses = table.numbers(column);
    for (std::size_t row = 0; row < curves.size(); ++row) curves[row].push_back(losses[row]);
  }
  std::vector<vv::sequence<double>> rows;
  std::vector<double> known_targets, predicted, actual, last;
  std::vector<std::size_t> held_out;
  for (std::size_t row = 0; row < curves.size(); ++row) {
    if (status[row] != "ok") continue;
    if (row % 2 == 0) {
      rows.push_back(vv::curve_features(curves[row]));
      known_targets.push_back(target[row]);
    } else {
      held_out.push_back(row);
    }
  }
  const auto fitted = vv::curve_regression{.settings = 100}.fit(rows, known_targets);
  for (const std::size_t row : held_out) {
    predicted.push_back(fitted.predict(vv::curve_features(curves[row])));
    actual.push_back(target[row]);
    last.push_back(curves[row].back());
  }
  CHECK(vv::spearman{}(predicted, actual) > 0.7);
  MESSAGE("Spearman after 5 epochs: regression ", vv::spearman{}(predicted, actual), ", validation loss ",
          vv::spearman{}(last, actual));
}

TEST_CASE("curve_regression: what does not fit is refused") {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> rows(6, std::vector<double>{1, 2});
  std::vector<double> targets = {1, 2, 3, 4, 5, 6};
  const auto refusal = [&](const vv::curve_regression& regression) {
    return message_of([&] { (void)regression.fit(rows, targets); });
  };
  const vv::curve_regression quick{.settings = 2};
  CHECK(refusal(quick) == "nothing was thrown");
  CHECK(contains(refusal({.settings = 0}), "curve_regression{.settings}"));
  CHECK(contains(refusal({.folds = 1}), "curve_regression{.folds}"));
  for (const auto& [lowest, highest] : {std::pair{0.0, 1.0}, {2.0, 1.0}, {1.0, infinity}})
    CHECK(contains(refusal({.lowest = lowest, .highest = highest}), "curve_regression{.lowest, .highest}"));
  CHECK(refusal({.settings = 2, .folds = 4}) ==
        "vivace: there are too few rows\n  where: curve_regression\n  got:   6\n  needs: 4 folds of two rows or more");

  rows[3].push_back(3);
  CHECK(refusal(quick) ==
        "vivace: the rows are not of one length\n  where: curve_regression, row 3\n  got:   3 features\n"
        "  needs: 2, as in row 0");
  rows[3] = {1, infinity};
  CHECK(refusal(quick) ==
        "vivace: a feature is not finite\n  where: curve_regression, row 3, feature 1\n  got:   inf\n"
        "  needs: finite numbers; leave networks that failed out");
  rows[3] = {1, 2};
  targets[5] = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(refusal(quick), "a target is not finite\n  where: curve_regression, row 5"));
  targets.pop_back();
  CHECK(contains(refusal(quick), "got:   5 targets\n  needs: 6, one a row"));

  targets.push_back(6);
  const auto fitted = quick.fit(rows, targets);
  CHECK(message_of([&] { (void)fitted.predict(std::vector<double>{1}); }) ==
        "vivace: the features do not fit the regression\n  where: fitted_curve_regression::predict\n  got:   1 features\n"
        "  needs: 2, as in the fit");
  CHECK(contains(message_of([&] { (void)fitted.predict(std::vector<double>{infinity, 1}); }), "feature 0"));
}
