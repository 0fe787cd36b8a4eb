#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/nn/initialisers.hpp>

namespace {

namespace vv = vivace;
using rule = vv::initialiser::rule;

template <class Real = double>
std::vector<Real> started(const vv::shape& dims, const vv::variable& entry, std::uint64_t seed = 1) {
  std::vector<Real> values(static_cast<std::size_t>(dims.size()) + 1, Real(-77));
  vv::initialise(values.data(), dims, entry, vv::random_stream(seed, vv::parameter_stream));
  CHECK(values.back() == Real(-77));
  values.pop_back();
  return values;
}

struct moments {
  double mean = 0, deviation = 0, largest = 0, kurtosis = 0;
};
moments moments_of(const std::vector<double>& values) {
  moments found;
  const auto count = static_cast<double>(values.size());
  for (const double one : values) found.mean += one / count;
  double fourth = 0;
  for (const double one : values) {
    const double off = one - found.mean;
    found.deviation += off * off / count;
    fourth += off * off * off * off / count;
    found.largest = (std::max)(found.largest, std::abs(one));
  }
  found.kurtosis = fourth / (found.deviation * found.deviation);
  found.deviation = std::sqrt(found.deviation);
  return found;
}

vv::graph two_parameters() {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 20});
  const vv::value first = make.parameter("first", {20, 20});
  const vv::value second = make.parameter("second", {20, 20});
  const vv::value kept = make.state("kept", {3}, vv::init::constant(4));
  const vv::value hidden = matmul(x, first);
  const vv::value result = matmul(hidden, second);
  make.result().loss = (mean(result) + mean(kept)).index();
  return make.take();
}

}  // namespace

// 400 * 300 values: the mean is within 6 / sqrt(120000) = 0.017 deviations, the deviation within 0.015 of itself.
TEST_CASE("initialise: every rule has the distribution of its formula") {
  struct expected {
    rule kind;
    double gain, deviation;
    bool uniform;
  };
  constexpr double fan_in = 50, fan_out = 70;
  for (const expected& wanted :
       {expected{rule::xavier_uniform, 1.5, 1.5 * std::sqrt(2 / (fan_in + fan_out)), true},
        expected{rule::xavier_normal, 1.5, 1.5 * std::sqrt(2 / (fan_in + fan_out)), false},
        expected{rule::he_uniform, std::sqrt(2.0), std::sqrt(2 / fan_in), true},
        expected{rule::he_normal, std::sqrt(2.0), std::sqrt(2 / fan_in), false},
        expected{rule::uniform, 3, 3 / std::sqrt(3.0), true}, expected{rule::normal, 3, 3, false}}) {
    const moments found = moments_of(started({400, 300}, {"w", 0, 50, 70, {wanted.kind, wanted.gain}}));
    CAPTURE(static_cast<int>(wanted.kind));
    CHECK(std::abs(found.mean) < 0.017 * wanted.deviation);
    CHECK(std::abs(found.deviation / wanted.deviation - 1) < 0.015);
    CHECK(std::abs(found.kurtosis - (wanted.uniform ? 1.8 : 3)) < 0.1);
    if (wanted.uniform) CHECK(found.largest <= wanted.deviation * std::sqrt(3.0));
    if (!wanted.uniform) CHECK(found.largest < 6.5 * wanted.deviation);
  }
}

TEST_CASE("initialise: constants") {
  for (const double one : started({7}, {"b", 0, 1, 1, vv::init::constant(2.5)})) CHECK(one == 2.5);
  for (const double one : started({}, {"b", 0, 1, 1, vv::init::ones})) CHECK(one == 1);
  CHECK(started({}, {"b", 0, 1, 1, vv::init::normal(1)}).size() == 1);
}

TEST_CASE("initialise: orthogonal rows or columns") {
  for (const vv::shape& dims : {vv::shape{20, 30}, vv::shape{30, 20}, vv::shape{16, 16}, vv::shape{8, 3, 3, 3},
                                vv::shape{1, 9}, vv::shape{9, 1}}) {
    const std::vector<double> values = started(dims, {"w", 0, 1, 1, vv::init::orthogonal(2)});
    const std::int64_t height = dims[0], width = dims.size() / height;
    const bool tall = height > width;
    const auto at = [&](std::int64_t vector, std::int64_t i) {
      return values[static_cast<std::size_t>(tall ? i * width + vector : vector * width + i)];
    };
    double worst = 0;
    for (std::int64_t one = 0; one < (std::min)(height, width); ++one)
      for (std::int64_t other = 0; other <= one; ++other) {
        double product = 0;
        for (std::int64_t i = 0; i < (std::max)(height, width); ++i) product += at(one, i) * at(other, i);
        worst = (std::max)(worst, std::abs(product - (one == other ? 4 : 0)));
      }
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("initialise: float is double rounded") {
  for (const rule kind : {rule::he_normal, rule::xavier_uniform, rule::orthogonal}) {
    const auto wide = started<double>({13, 5}, {"w", 0, 13, 5, {kind, 1}});
    const auto narrow = started<float>({13, 5}, {"w", 0, 13, 5, {kind, 1}});
    for (std::size_t i = 0; i < wide.size(); ++i) CHECK(narrow[i] == static_cast<float>(wide[i]));
  }
}

TEST_CASE("initialise: a function of seed and place alone") {
  vv::runtime_graph<float, vv::cpu_kernels> made(two_parameters()), again(two_parameters(), 9);
  const auto values_of = [](vv::runtime_graph<float, vv::cpu_kernels>& from, const char* name) {
    const auto entry = from.values().find(name);
    return std::vector<float>(entry.data, entry.data + entry.dims.size());
  };
  made.values().initialise(5);
  again.values().initialise(6);
  CHECK(values_of(made, "first") != values_of(again, "first"));
  CHECK(values_of(made, "first") != values_of(made, "second"));
  again.values().initialise(5);
  CHECK(values_of(made, "first") == values_of(again, "first"));
  CHECK(values_of(made, "second") == values_of(again, "second"));
  CHECK(values_of(made, "kept") == std::vector<float>{4, 4, 4});
}
