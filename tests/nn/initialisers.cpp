#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vivace/nn/initialisers.hpp>

#include "evaluated.hpp"

// Statistics of starts at a fixed seed. Bounds are four standard errors: of a mean, deviation / sqrt(n); of a variance,
// variance * sqrt((kurtosis - 1) / n), where the kurtosis is 3 for a normal and 1.8 for a uniform distribution.

namespace {

using namespace nn_test;

numbers started(const vv::initialiser& start, const vv::shape& dims, std::int32_t fan_in = 0,
                std::int32_t fan_out = 0) {
  vv::builder graph;
  const vv::value w = graph.parameter("w", dims, start, fan_in, fan_out);
  graph.output("y", w);
  evaluated run(vv::canonical(graph.result()));
  return run.variable("w");
}

struct moments {
  double mean = 0, variance = 0, largest = 0;
  explicit moments(const numbers& of) {
    const auto count = static_cast<double>(of.size());
    for (const double one : of) mean += one / count;
    for (const double one : of) variance += (one - mean) * (one - mean) / count;
    for (const double one : of) largest = (std::max)(largest, std::abs(one));
  }
};

void check_spread(const numbers& of, double variance, bool uniform) {
  const moments found(of);
  const auto count = static_cast<double>(of.size());
  CHECK(std::abs(found.mean) < 4 * std::sqrt(variance / count));
  CHECK(std::abs(found.variance - variance) < 4 * variance * std::sqrt((uniform ? 0.8 : 2.0) / count));
  const double bound = std::sqrt(3 * variance);  // of a uniform distribution
  if (uniform) {
    CHECK(found.largest <= bound);
    CHECK(found.largest > 0.99 * bound);
  } else {
    CHECK(found.largest > 2 * bound / std::sqrt(3.0));
  }
}

}  // namespace

TEST_CASE("initialisers: constants") {
  CHECK(started(vv::init::zeros, {5}) == numbers(5, 0.0));
  CHECK(started(vv::init::ones, {5}) == numbers(5, 1.0));
  CHECK(started(vv::init::constant(-2.5), {2, 2}) == numbers(4, -2.5));
}

TEST_CASE("initialisers: variances follow the formulas") {
  const vv::shape dims{120, 80};  // fan_in 120, fan_out 80
  check_spread(started(vv::init::xavier(), dims), 2.0 / 200, true);
  check_spread(started(vv::init::xavier(2), dims), 4 * 2.0 / 200, true);
  check_spread(started(vv::init::xavier_normal(), dims), 2.0 / 200, false);
  check_spread(started(vv::init::he(), dims), 2.0 / 120, false);
  check_spread(started(vv::init::he_uniform(), dims), 2.0 / 120, true);
  check_spread(started(vv::init::he(1), dims), 1.0 / 120, false);
  check_spread(started(vv::init::normal(0.02), dims), 0.0004, false);
  check_spread(started(vv::init::uniform(0.3), dims), 0.09 / 3, true);
  // Fans that are given, as a convolution gives them.
  check_spread(started(vv::init::xavier(), {32, 16, 5, 5}, 400, 800), 2.0 / 1200, true);
  check_spread(started(vv::init::he(), {32, 16, 5, 5}, 400, 800), 2.0 / 400, false);
}

TEST_CASE("initialisers: orthogonal matrices are") {
  const auto check = [](std::int32_t row_count, std::int32_t column_count, double gain) {
    const auto m = static_cast<std::size_t>(row_count), n = static_cast<std::size_t>(column_count);
    const numbers w = started(vv::init::orthogonal(gain), {row_count, column_count});
    const bool tall = m > n;
    const std::size_t count = tall ? n : m, length = tall ? m : n;
    double worst = 0;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = 0; j < count; ++j) {
        double product = 0;
        for (std::size_t k = 0; k < length; ++k)
          product += tall ? w[k * n + i] * w[k * n + j] : w[i * n + k] * w[j * n + k];
        worst = (std::max)(worst, std::abs(product - (i == j ? gain * gain : 0)));
      }
    CHECK(worst < 1e-12);
  };
  check(16, 16, 1);
  check(40, 12, 1);
  check(12, 40, 2);
  check(1, 7, 1);
  check(7, 1, 0.5);
}

TEST_CASE("initialisers: a function of the seed and the variable") {
  vv::builder graph;
  const vv::value a = graph.parameter("a", {50}, vv::init::normal(1));
  const vv::value b = graph.parameter("b", {50}, vv::init::normal(1));
  graph.output("y", a + b);
  vv::runtime_graph<double, vv::reference_kernels> run(vv::canonical(graph.result()));
  const auto start = [&](std::uint64_t seed, const char* name) {
    run.values().initialise(seed);
    const auto found = run.values().find(name);
    return numbers(found.data, found.data + 50);
  };
  CHECK(start(1, "a") == start(1, "a"));
  CHECK(start(1, "a") != start(2, "a"));
  CHECK(start(1, "a") != start(1, "b"));
}
