#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/clip.hpp>
#include <vivace/optim/sgd.hpp>

#include "../laws/optimiser_laws.hpp"

namespace {

namespace vv = vivace;

/// Steps of sgd at rate 1 from 0, with and without clipping: the parameters are the negative gradients.
template <class Real>
struct clipped {
  laws::optimisation<Real, vv::sgd, vv::clip_norm> with;
  laws::optimisation<Real, vv::sgd> without;
  clipped(double bound, const std::vector<Real>& first, const std::vector<Real>& second)
      : with(vv::sgd{.rate = 1}, dims(first, second), bound), without(vv::sgd{.rate = 1}, dims(first, second)) {
    const auto step = [&](auto& at_work) {
      at_work.start(0, std::vector<double>(first.size()));
      at_work.start(1, std::vector<double>(second.size()));
      at_work.gradient(0) = first;
      at_work.gradient(1) = second;
      at_work.step();
    };
    step(with);
    step(without);
  }
  static vv::sequence<vv::shape> dims(const std::vector<Real>& first, const std::vector<Real>& second) {
    return laws::shapes({{static_cast<int>(first.size())}, {static_cast<int>(second.size())}});
  }
  bool same() { return with.values(0) == without.values(0) && with.values(1) == without.values(1); }
  double norm() {
    double squares = 0;
    for (int p = 0; p < 2; ++p)
      for (const Real one : with.values(p)) squares += static_cast<double>(one) * static_cast<double>(one);
    return std::sqrt(squares);
  }
};

template <class Real>
void check_norms(double tolerance) {
  // Of norm 5 together: 3 and 4.
  const std::vector<Real> first = {Real(2), Real(-1), Real(2)}, second = {Real(0), Real(-4)};
  for (const double bound : {5.0, 5.5, 100.0, 1e30, std::numeric_limits<double>::infinity()})
    CHECK_MESSAGE(clipped<Real>(bound, first, second).same(), "a norm up to the bound leaves every bit");
  for (const double bound : {4.99, 1.0, 1e-3}) {
    clipped<Real> at_work(bound, first, second);
    CHECK(std::abs(at_work.norm() / bound - 1) <= tolerance);
    for (int p = 0; p < 2; ++p)  // the direction is kept
      for (std::size_t i = 0; i < at_work.with.values(p).size(); ++i)
        CHECK(at_work.with.values(p)[i] / bound == doctest::Approx(at_work.without.values(p)[i] / 5.0));
  }
}

}  // namespace

TEST_CASE("clip_norm: below the bound nothing changes, above it the norm is the bound") {
  check_norms<float>(1e-6);
  check_norms<double>(1e-14);
}

TEST_CASE("clip_norm: no gradient, no change") {
  clipped<float> at_work(1, {0, 0}, {0});
  CHECK(at_work.norm() == 0);
  CHECK(at_work.same());
}

TEST_CASE("clip_norm: many numbers, cut into tasks") {
  std::vector<float> first(70000, 0.01F), second(90001, -0.02F);
  clipped<float> at_work(2, first, second);
  CHECK(std::abs(at_work.norm() / 2 - 1) < 1e-4);
}

TEST_CASE("clip_norm: a gradient that is not finite stays visible") {
  clipped<float> at_work(1, {std::nanf(""), 1}, {1});
  CHECK(std::isnan(at_work.with.values(0)[0]));
  CHECK(std::isnan(at_work.with.values(0)[1]));
  CHECK(std::isnan(at_work.with.values(1)[0]));
  clipped<float> infinite(1, {std::numeric_limits<float>::infinity(), 1}, {1});
  CHECK(std::isnan(infinite.with.values(0)[0]));
}

TEST_CASE("clip_norm: works before any optimiser") {
  laws::optimisation<double, vv::adamw, vv::clip_norm> clipped(vv::adamw{}, laws::shapes({{3}}), 1e-3);
  laws::optimisation<double, vv::adamw> scaled(vv::adamw{}, laws::shapes({{3}}));
  for (int step = 0; step < 5; ++step) {
    clipped.gradient(0) = {1, 2, -2};
    scaled.gradient(0) = {1e-3 / 3, 2e-3 / 3, -2e-3 / 3};
    clipped.step();
    scaled.step();
  }
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(clipped.values(0)[i] == doctest::Approx(scaled.values(0)[i]).epsilon(1e-12));
}
