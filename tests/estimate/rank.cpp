// Rank statistics: known values, ties, constants, NaN, against slow and plain computations; bootstrap intervals.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/estimate/bootstrap.hpp>
#include <vivace/estimate/rank.hpp>

namespace vv = vivace;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double no_number = std::numeric_limits<double>::quiet_NaN();
using numbers = std::vector<double>;

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& failure) {
    return failure.what();
  }
  return "nothing was thrown";
}

/// Numbers from a seed; `levels` above 0 makes ties.
numbers drawn(std::uint32_t which, int count, int levels = 0) {
  const vv::random_stream random(11, which);
  numbers values;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(count); ++i)
    values.push_back(levels > 0 ? std::floor(levels * random.uniform(i)) : random.uniform(i));
  return values;
}

double plain_kendall(const numbers& x, const numbers& y) {
  double difference = 0, left = 0, right = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const int one = (x[i] > x[j]) - (x[i] < x[j]), other = (y[i] > y[j]) - (y[i] < y[j]);
      difference += one * other;
      left += one != 0;
      right += other != 0;
    }
  return difference / std::sqrt(left * right);  // NaN if one is constant
}

double plain_pearson(const numbers& x, const numbers& y) {
  const double count = static_cast<double>(x.size());
  const double mx = std::accumulate(x.begin(), x.end(), 0.0) / count,
               my = std::accumulate(y.begin(), y.end(), 0.0) / count;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xy / std::sqrt(xx * yy);
}

numbers plain_ranks(const numbers& x) {
  numbers ranks;
  for (const double value : x) {
    double below = 0, equal = 0;
    for (const double other : x) {
      below += other < value;
      equal += other == value;
    }
    ranks.push_back(below + (equal + 1) / 2);
  }
  return ranks;
}

bool close(double one, double other) { return (std::isnan(one) && std::isnan(other)) || std::abs(one - other) < 1e-12; }

// At compile time.
constexpr bool near(double one, double other, double by = 1e-10) { return one - other < by && other - one < by; }
constexpr double one_to_five[] = {1, 2, 3, 4, 5}, with_a_tie[] = {5, 6, 7, 8, 7};
constexpr double tied[] = {1, 2, 2, 3}, one_to_four[] = {1, 2, 3, 4}, all_one[] = {1, 1, 1, 1};
static_assert(near(vv::spearman{}(one_to_five, with_a_tie), 0.8207826817));
static_assert(near(vv::kendall{}(tied, one_to_four), 0.9128709292));
static_assert(near(vv::pearson{}(tied, one_to_four), 0.9486832981));
static_assert(vv::average_ranks(with_a_tie)[2] == 3.5 && vv::average_ranks(with_a_tie)[3] == 5);
static_assert(vv::spearman{}(one_to_four, one_to_four) == 1);
static_assert(vv::kendall{}(all_one, one_to_four) != vv::kendall{}(all_one, one_to_four));  // NaN
static_assert(vv::top_k_regret{}(tied, one_to_four) == 0);
static_assert(vv::bootstrap{.resamples = 3}(vv::kendall{}, one_to_four, one_to_four).value == 1);

template <auto Statistic>
double of(const numbers& x, const numbers& y) {
  return Statistic(x, y);
}

}  // namespace

TEST_CASE("rank: known values") {
  CHECK(vv::spearman{}(one_to_five, with_a_tie) == doctest::Approx(0.8207826817).epsilon(1e-10));
  CHECK(vv::kendall{}(tied, one_to_four) == doctest::Approx(0.9128709292).epsilon(1e-10));
  CHECK(vv::pearson{}(tied, one_to_four) == doctest::Approx(0.9486832981).epsilon(1e-10));
  CHECK(of<vv::within_best<vv::kendall>{.fraction = 0.5}>({2, 1, 4, 3}, {1, 2, 3, 4}) == -1);
  CHECK(vv::spearman{}(std::vector<int>{1, 2, 3}, std::vector<float>{3, 2, 1}) == -1);
}

TEST_CASE("rank: the fast computations are the plain ones, with and without ties") {
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const int count = 2 + static_cast<int>(trial % 37), levels = static_cast<int>(trial % 5) * 2;
    const numbers x = drawn(2 * trial, count, levels), y = drawn(2 * trial + 1, count, trial % 3 == 0 ? 3 : levels);
    CAPTURE(trial);
    CHECK(close(vv::kendall{}(x, y), plain_kendall(x, y)));
    CHECK(close(vv::pearson{}(x, y), plain_pearson(x, y)));
    CHECK(close(vv::spearman{}(x, y), plain_pearson(plain_ranks(x), plain_ranks(y))));
    const auto ranks = vv::average_ranks(x);
    const numbers plain = plain_ranks(x);
    CHECK(std::equal(plain.begin(), plain.end(), ranks.begin(), ranks.end()));
    CHECK(close(vv::kendall{}(y, x), vv::kendall{}(x, y)));
  }
}

TEST_CASE("rank: large inputs") {
  const numbers x = drawn(1, 20'000, 500), y = drawn(2, 20'000, 700);
  numbers mixed;
  for (std::size_t i = 0; i < x.size(); ++i) mixed.push_back(x[i] + y[i]);
  CHECK(close(vv::kendall{}(x, mixed), plain_kendall(x, mixed)));
  numbers rising(300'000);  // quadratic work would not end
  std::iota(rising.begin(), rising.end(), 0.0);
  numbers falling(rising.rbegin(), rising.rend());
  CHECK(vv::kendall{}(rising, rising) == 1);
  CHECK(vv::kendall{}(rising, falling) == -1);
  CHECK(vv::spearman{}(rising, falling) == doctest::Approx(-1).epsilon(1e-15));
}

TEST_CASE("rank: a rising map of either input changes no rank") {
  const numbers x = drawn(5, 50), y = drawn(6, 50);
  numbers mapped;
  for (const double value : x) mapped.push_back(std::exp(3 * value));
  CHECK(vv::spearman{}(mapped, y) == vv::spearman{}(x, y));
  CHECK(vv::kendall{}(mapped, y) == vv::kendall{}(x, y));
  numbers scaled;
  for (const double value : x) scaled.push_back(8 * value);
  CHECK(vv::pearson{}(scaled, y) == vv::pearson{}(x, y));
}

TEST_CASE("rank: perfect orders give exactly 1 and -1") {
  for (int count = 2; count < 60; ++count) {
    const numbers x = drawn(static_cast<std::uint32_t>(count), count);
    numbers negative;
    for (const double value : x) negative.push_back(-value);
    CHECK(vv::spearman{}(x, x) == 1);
    CHECK(vv::spearman{}(x, negative) == -1);
    CHECK(vv::kendall{}(x, x) == 1);
    CHECK(vv::kendall{}(x, negative) == -1);
    CHECK(vv::pearson{}(x, x) == 1);
  }
}

TEST_CASE("rank: constant and short inputs give NaN") {
  const numbers x = drawn(1, 6);
  for (const numbers& constant : {numbers(6, 0.1), numbers(6, 0.0), numbers(6, infinity)}) {
    for (const double value : {vv::spearman{}(x, constant), vv::spearman{}(constant, x), vv::kendall{}(x, constant),
                               vv::kendall{}(constant, x), vv::pearson{}(x, constant), vv::pearson{}(constant, x),
                               vv::kendall{}(constant, constant)})
      CHECK(std::isnan(value));
  }
  for (const numbers& few : {numbers{}, numbers{1}})
    for (const double value : {vv::spearman{}(few, few), vv::kendall{}(few, few), vv::pearson{}(few, few),
                               vv::within_best{.fraction = 1}(few, few)})
      CHECK(std::isnan(value));
  CHECK(vv::average_ranks(numbers{}).empty());
  CHECK(vv::spearman{}(numbers{0.0, -0.0, 1}, numbers{1, 1, 2}) == 1);  // the zeros are equal
}

TEST_CASE("rank: NaN gives NaN, infinities are ranked") {
  numbers x = {1, 2, 3, 4}, y = {2, 1, 3, 4};
  const double spearman = vv::spearman{}(x, y), kendall = vv::kendall{}(x, y);
  x[3] = infinity;  // a candidate that failed: the worst score
  CHECK(vv::spearman{}(x, y) == spearman);
  CHECK(vv::kendall{}(x, y) == kendall);
  CHECK(std::isnan(vv::pearson{}(x, y)));
  y[0] = no_number;
  for (const double value : {vv::spearman{}(x, y), vv::kendall{}(y, x), vv::pearson{}(x, y), vv::top_k_regret{}(x, y),
                             vv::top_k_regret{}(y, x), vv::within_best{.fraction = 1}(x, y)})
    CHECK(std::isnan(value));
  for (const double rank : vv::average_ranks(y)) CHECK(std::isnan(rank));
}

TEST_CASE("rank: huge and tiny numbers do not spoil pearson") {
  const numbers x = drawn(8, 40), y = drawn(9, 40);
  for (const double scale : {0x1p1000, 0x1p-1000, 0x1p300, 0x1p-300, 1e8}) {
    numbers scaled;
    for (const double value : x) scaled.push_back(scale * value);
    CHECK(close(vv::pearson{}(scaled, y), vv::pearson{}(x, y)));
  }
  CHECK(vv::pearson{}(numbers{1e308, -1e308, 0}, numbers{1, -1, 0}) == 1);
}

TEST_CASE("rank: compile time and run time agree") {
  constexpr double x[] = {0.3, 0.1, 0.7, 0.2, 0.9, 0.4, 0.4}, y[] = {1.5, 0.3, 2.5, 0.9, 2.5, 0.1, 7};
  constexpr double spearman = vv::spearman{}(x, y), kendall = vv::kendall{}(x, y), pearson = vv::pearson{}(x, y);
  CHECK(vv::spearman{}(x, y) == doctest::Approx(spearman).epsilon(1e-15));
  CHECK(vv::kendall{}(x, y) == doctest::Approx(kendall).epsilon(1e-15));
  CHECK(vv::pearson{}(x, y) == doctest::Approx(pearson).epsilon(1e-15));
}

TEST_CASE("within_best: the correlation among the best") {
  const numbers scores = {1, 2, 3, 6, 5, 4}, losses = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6};
  CHECK(vv::within_best{.fraction = 0.5}(scores, losses) == 1);
  CHECK(vv::within_best{.fraction = 0.5, .target = vv::better::high}(scores, losses) == -1);
  CHECK(vv::within_best{.fraction = 0.34}(scores, losses) == 1);  // 2.04 of them: three
  CHECK(vv::within_best{.fraction = 1}(scores, losses) == vv::spearman{}(scores, losses));
  CHECK(vv::within_best<vv::kendall>{.fraction = 1}(scores, losses) == vv::kendall{}(scores, losses));
  CHECK(std::isnan(vv::within_best{}(scores, losses)));  // one of them
  // Those as good as the last one are in, wherever they stand.
  const numbers equal = {1, 1, 2, 1, 3, 4}, apart = {1, 2, 5, 3, 4, 6};
  CHECK(std::isnan(vv::within_best{.fraction = 0.2}(apart, equal)));  // three equal targets: constant
  CHECK(vv::within_best{.fraction = 0.6}(apart, equal) == vv::spearman{}(numbers{1, 2, 5, 3}, numbers{1, 1, 2, 1}));
  for (const double fraction : {0.0, -1.0, 1.1, no_number})
    CHECK(message_of([&] {
            (void)vv::within_best{.fraction = fraction}(scores, losses);
          }).find("within_best{.fraction}") != std::string::npos);
}

TEST_CASE("top_k_regret: what choosing by score costs") {
  const numbers scores = {3, 1, 2, 4}, losses = {0.1, 0.4, 0.2, 0.3}, accuracies = {0.9, 0.6, 0.8, 0.95};
  CHECK(vv::top_k_regret{}(scores, losses) == doctest::Approx(0.3));
  CHECK(vv::top_k_regret{.k = 2}(scores, losses) == doctest::Approx(0.1));
  CHECK(vv::top_k_regret{.k = 3}(scores, losses) == 0);
  CHECK(vv::top_k_regret{.k = 99}(scores, losses) == 0);
  CHECK(vv::top_k_regret{.k = 2, .target = vv::better::high}(scores, accuracies) == doctest::Approx(0.15));
  CHECK(vv::top_k_regret{}(numbers{1, 1, 1, 2}, losses) == doctest::Approx(0.3));  // no tie flatters
  CHECK(vv::top_k_regret{}(numbers{infinity, infinity, 1, infinity}, losses) == doctest::Approx(0.1));
  CHECK(vv::top_k_regret{}(scores, numbers{infinity, 1, 1, 1}) == 0);
  CHECK(vv::top_k_regret{}(scores, numbers{0.1, infinity, 1, 1}) == infinity);
  CHECK(vv::top_k_regret{}(scores, numbers(4, infinity)) == 0);
  CHECK(std::isnan(vv::top_k_regret{}(numbers{}, numbers{})));
  CHECK(message_of([&] { (void)vv::top_k_regret{.k = 0}(scores, losses); }).find("top_k_regret{.k}") !=
        std::string::npos);
}

TEST_CASE("rank: ranges of different lengths are refused") {
  const numbers two = {1, 2}, three = {1, 2, 3};
  CHECK(message_of([&] { (void)vv::spearman{}(two, three); }) ==
        "vivace: the ranges are not of one length\n  where: rank statistic\n  got:   2 and 3 numbers\n"
        "  needs: pairs of a score and a target");
  const auto refused = [&](auto&& call) { CHECK(message_of(call).find("not of one length") != std::string::npos); };
  refused([&] { (void)vv::kendall{}(two, three); });
  refused([&] { (void)vv::pearson{}(two, three); });
  refused([&] { (void)vv::within_best{}(three, two); });
  refused([&] { (void)vv::top_k_regret{}(three, two); });
  refused([&] { (void)vv::bootstrap{}(vv::pearson{}, two, three); });
  refused([&] { (void)vv::bootstrap{}(vv::pearson{}, two, two, three); });
}

TEST_CASE("bootstrap: an interval around the value, the same for the same seed") {
  const numbers x = drawn(20, 60);
  numbers y = drawn(21, 60);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] + 0.5 * y[i];
  const auto once = vv::bootstrap{.seed = 3}(vv::spearman{}, x, y);
  CHECK(once == vv::bootstrap{.seed = 3}(vv::spearman{}, x, y));
  CHECK(once.value == vv::spearman{}(x, y));
  CHECK(once.low < once.value);
  CHECK(once.value < once.high);
  CHECK(once.resamples == 1000);
  CHECK(once != vv::bootstrap{.seed = 4}(vv::spearman{}, x, y));
  const auto narrow = vv::bootstrap{.level = 0.5, .seed = 3}(vv::spearman{}, x, y);
  CHECK(narrow.low > once.low);
  CHECK(narrow.high < once.high);
}

TEST_CASE("bootstrap: the interval of a mean is that of its standard error") {
  const auto mean = [](const auto& values, const auto&) {
    double total = 0;
    for (const double value : values) total += value;
    return total / values.size();
  };
  const int count = 400;
  const numbers x = drawn(22, count);
  const auto interval = vv::bootstrap{.resamples = 4000}(
      [&](const vv::sequence<double>& left, const vv::sequence<double>& right) { return mean(left, right); }, x, x);
  double square = 0;
  for (const double value : x) square += (value - interval.value) * (value - interval.value);
  const double error = std::sqrt(square) / count;
  CHECK(interval.low == doctest::Approx(interval.value - 1.96 * error).epsilon(0.01));
  CHECK(interval.high == doctest::Approx(interval.value + 1.96 * error).epsilon(0.01));
}

TEST_CASE("bootstrap: by groups") {
  // Each pair three times over: as groups they are as uncertain as the pairs once, as pairs they look surer.
  const numbers x = drawn(23, 40), noise = drawn(24, 40);
  numbers y, long_x, long_y, group, own;
  for (std::size_t i = 0; i < x.size(); ++i) y.push_back(x[i] + noise[i]);
  for (int copy = 0; copy < 3; ++copy)
    for (std::size_t i = 0; i < x.size(); ++i) {
      long_x.push_back(x[i]);
      long_y.push_back(y[i]);
      group.push_back(static_cast<double>(i) - 7);
    }
  const vv::bootstrap resample{.seed = 5};
  const auto once = resample(vv::pearson{}, x, y), grouped = resample(vv::pearson{}, long_x, long_y, group);
  const auto apart = resample(vv::pearson{}, long_x, long_y);
  CHECK(grouped.low == doctest::Approx(once.low).epsilon(1e-12));
  CHECK(grouped.high == doctest::Approx(once.high).epsilon(1e-12));
  CHECK(apart.high - apart.low < 0.8 * (grouped.high - grouped.low));
  for (std::size_t i = 0; i < x.size(); ++i) own.push_back(static_cast<double>(i));
  CHECK(resample(vv::pearson{}, x, y, own) == once);  // each pair a group
  own[1] = no_number;
  CHECK(message_of([&] { (void)resample(vv::pearson{}, x, y, own); }).find("bootstrap, groups") != std::string::npos);
}

TEST_CASE("bootstrap: resamples without a statistic are left out and counted") {
  const auto interval = vv::bootstrap{.resamples = 200}(vv::spearman{}, numbers{1, 2, 3}, numbers{1, 2, 3});
  CHECK(interval.low == 1);
  CHECK(interval.high == 1);
  CHECK(interval.resamples < 200);  // three times one pair: constant
  CHECK(interval.resamples > 100);
  const auto nothing = vv::bootstrap{}(vv::spearman{}, numbers(5, 1), numbers(5, 1));
  CHECK(std::isnan(nothing.value));
  CHECK(std::isnan(nothing.low));
  CHECK(nothing.resamples == 0);
  CHECK(vv::bootstrap{.resamples = 10}(vv::spearman{}, numbers{}, numbers{}).resamples == 0);
}

TEST_CASE("bootstrap: settings out of range are refused") {
  const numbers x = {1, 2, 3};
  CHECK(message_of([&] { (void)vv::bootstrap{.resamples = 0}(vv::spearman{}, x, x); }).find("bootstrap{.resamples}") !=
        std::string::npos);
  for (const double level : {0.0, 1.0, -1.0, no_number})
    CHECK(message_of([&] { (void)vv::bootstrap{.level = level}(vv::spearman{}, x, x); }).find("bootstrap{.level}") !=
          std::string::npos);
}
