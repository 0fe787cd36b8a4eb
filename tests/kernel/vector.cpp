#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vivace/kernel/cpu/vector.hpp>

namespace vk = vivace::kernel;

TEST_CASE_TEMPLATE("loads and stores touch what they say, at any address", T, float, double) {
  constexpr int lanes = vk::lanes<T>;
  T from[2 * lanes + 1], to[2 * lanes + 1];
  for (int at = 0; at < 2 * lanes + 1; ++at) from[at] = static_cast<T>(at);
  for (int shift = 0; shift <= lanes; ++shift) {
    vk::store(to, vk::load(from + shift));
    for (int lane = 0; lane < lanes; ++lane) CHECK(to[lane] == static_cast<T>(shift + lane));
  }
  for (int count = 0; count <= lanes; ++count) {
    for (T& value : to) value = T(-1);
    vk::store(to + 1, vk::load(from + 1, count));
    for (int lane = 0; lane < lanes; ++lane) CHECK(to[1 + lane] == (lane < count ? static_cast<T>(1 + lane) : T(0)));
    for (T& value : to) value = T(-1);
    vk::store(to + 1, vk::load(from + 1), count);
    CHECK(to[0] == T(-1));
    for (int lane = 0; lane < lanes; ++lane) CHECK(to[1 + lane] == (lane < count ? static_cast<T>(1 + lane) : T(-1)));
  }
}

TEST_CASE_TEMPLATE("lanes compare, pick and add", T, float, double) {
  T values[vk::lanes<T>];
  for (int lane = 0; lane < vk::lanes<T>; ++lane) values[lane] = static_cast<T>(lane - 1);
  const auto x = vk::load(values), zero = vk::broadcast(T(0));
  const auto high = vk::maximum(x, zero), low = vk::minimum(x, zero), sum = x * x + zero;
  T total = 0;
  for (int lane = 0; lane < vk::lanes<T>; ++lane) {
    CHECK(high[lane] == std::fmax(values[lane], T(0)));
    CHECK(low[lane] == std::fmin(values[lane], T(0)));
    CHECK(sum[lane] == values[lane] * values[lane]);
    total += values[lane];
  }
  CHECK(vk::sum_of_lanes<T>(x) == total);
  CHECK(std::signbit(vk::broadcast(T(-0.0))[0]));
  const auto nan = vk::broadcast(std::numeric_limits<T>::quiet_NaN());
  CHECK(vk::maximum(nan, zero)[0] == T(0));
  CHECK(std::isnan(vk::maximum(zero, nan)[0]));
}
