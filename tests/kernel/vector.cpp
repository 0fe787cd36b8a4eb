#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vivace/kernel/cpu/vector.hpp>

namespace vk = vivace::kernel;

TEST_CASE_TEMPLATE("loads and stores touch what they say, at any address", Real, float, double) {
  constexpr int lanes = vk::lanes<Real>;
  Real from[2 * lanes + 1], to[2 * lanes + 1];
  for (int at = 0; at < 2 * lanes + 1; ++at) from[at] = static_cast<Real>(at);
  for (int shift = 0; shift <= lanes; ++shift) {
    vk::store(to, vk::load(from + shift));
    for (int lane = 0; lane < lanes; ++lane) CHECK(to[lane] == static_cast<Real>(shift + lane));
  }
  for (int count = 0; count <= lanes; ++count) {
    for (Real& value : to) value = Real(-1);
    vk::store(to + 1, vk::load(from + 1, count));
    for (int lane = 0; lane < lanes; ++lane)
      CHECK(to[1 + lane] == (lane < count ? static_cast<Real>(1 + lane) : Real(0)));
    for (Real& value : to) value = Real(-1);
    vk::store(to + 1, vk::load(from + 1), count);
    CHECK(to[0] == Real(-1));
    for (int lane = 0; lane < lanes; ++lane)
      CHECK(to[1 + lane] == (lane < count ? static_cast<Real>(1 + lane) : Real(-1)));
  }
}

TEST_CASE_TEMPLATE("lanes compare, pick and add", Real, float, double) {
  Real values[vk::lanes<Real>];
  for (int lane = 0; lane < vk::lanes<Real>; ++lane) values[lane] = static_cast<Real>(lane - 1);
  const auto x = vk::load(values), zero = vk::broadcast(Real(0));
  const auto high = vk::maximum(x, zero), low = vk::minimum(x, zero), sum = x * x + zero;
  Real total = 0;
  for (int lane = 0; lane < vk::lanes<Real>; ++lane) {
    CHECK(high[lane] == std::fmax(values[lane], Real(0)));
    CHECK(low[lane] == std::fmin(values[lane], Real(0)));
    CHECK(sum[lane] == values[lane] * values[lane]);
    total += values[lane];
  }
  CHECK(vk::sum_of_lanes<Real>(x) == total);
  CHECK(std::signbit(vk::broadcast(Real(-0.0))[0]));
  const auto nan = vk::broadcast(std::numeric_limits<Real>::quiet_NaN());
  CHECK(vk::maximum(nan, zero)[0] == Real(0));
  CHECK(std::isnan(vk::maximum(zero, nan)[0]));
}
