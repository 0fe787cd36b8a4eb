#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <vivace/kernel/cpu/math.hpp>

namespace vk = vivace::kernel;

namespace {

/// Distance from the exact value in units of the float's last place.
double ulps(float got, double exact) {
  if (std::isnan(exact)) return std::isnan(got) ? 0 : 1e9;
  const float rounded = static_cast<float>(exact);
  if (std::isinf(got) || std::isinf(rounded))
    return got == rounded ? 0 : std::isinf(got) && std::fabs(exact) > 3.4028e38 ? 0.5 : 1e9;
  const float size = std::fabs(rounded);
  const double unit = double{std::nextafterf(size, std::numeric_limits<float>::infinity())} - double{size};
  return std::fabs(double{got} - exact) / (std::isinf(unit) ? 2.03e31 : unit);
}

/// The worst error over every 1009th float of the whole range, and every 61st of the middle.
template <class Fast, class Exact>
double sweep(Fast&& fast, Exact&& exact, float* where) {
  double worst = 0;
  const auto look = [&](std::uint32_t word, std::uint32_t step) {
    float in[vk::lanes<float>], out[vk::lanes<float>];
    for (int lane = 0; lane < vk::lanes<float>; ++lane, word += step) in[lane] = vk::bits<float>(word);
    vk::store(out, fast(vk::load(in)));
    for (int lane = 0; lane < vk::lanes<float>; ++lane) {
      const double off = ulps(out[lane], exact(double{in[lane]}));
      if (!(off <= worst)) worst = off, *where = in[lane];
    }
  };
  const auto width = static_cast<std::uint64_t>(vk::lanes<float>);
  for (std::uint64_t word = 0; word < 0x100000000u; word += 1009 * width) look(static_cast<std::uint32_t>(word), 1009);
  for (std::uint64_t word = 0x3a000000; word < 0x43000000u; word += 61 * width)
    for (std::uint32_t sign : {0u, 0x80000000u}) look(static_cast<std::uint32_t>(word) | sign, 61);
  return worst;
}

template <class Fast>
float at(Fast&& fast, float x) {
  return fast(vk::broadcast(x))[vk::lanes<float> - 1];
}

}  // namespace

TEST_CASE("vectorised functions stay within a few units in the last place everywhere") {
  float where = 0;
  const auto check = [&](const char* name, auto&& fast, auto&& exact, double bound) {
    const double worst = sweep(fast, exact, &where);
    INFO(std::string(name), ": ", worst, " ulp at ", where);
    CHECK(worst <= bound);
  };
  check(
      "exp", [](vk::vector<float> x) { return vk::exp<float>(x); }, [](double x) { return std::exp(x); }, 2);
  check(
      "log", [](vk::vector<float> x) { return vk::log<float>(x); }, [](double x) { return std::log(x); }, 2);
  check(
      "tanh", [](vk::vector<float> x) { return vk::tanh<float>(x); }, [](double x) { return std::tanh(x); }, 3);
  check(
      "sigmoid", [](vk::vector<float> x) { return vk::sigmoid<float>(x); },
      [](double x) { return 1 / (1 + std::exp(-x)); }, 3);
  check(
      "erf", [](vk::vector<float> x) { return vk::erf<float>(x); }, [](double x) { return std::erf(x); }, 3);
  check(
      "sin", [](vk::vector<float> x) { return vk::sin<float>(x); }, [](double x) { return std::sin(x); }, 3);
  check(
      "cos", [](vk::vector<float> x) { return vk::cos<float>(x); }, [](double x) { return std::cos(x); }, 3);
}

TEST_CASE("vectorised functions at their edges") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto exp = [](vk::vector<float> x) { return vk::exp<float>(x); };
  const auto log = [](vk::vector<float> x) { return vk::log<float>(x); };
  const auto tanh = [](vk::vector<float> x) { return vk::tanh<float>(x); };
  const auto sigmoid = [](vk::vector<float> x) { return vk::sigmoid<float>(x); };
  const auto erf = [](vk::vector<float> x) { return vk::erf<float>(x); };
  const auto sin = [](vk::vector<float> x) { return vk::sin<float>(x); };
  const auto cos = [](vk::vector<float> x) { return vk::cos<float>(x); };
  CHECK(at(exp, 0.f) == 1.f);
  CHECK(at(exp, infinity) == infinity);
  CHECK(at(exp, -infinity) == 0.f);
  CHECK(at(exp, 1000.f) == infinity);
  CHECK(at(exp, -1000.f) == 0.f);
  CHECK(at(log, 0.f) == -infinity);
  CHECK(at(log, 1.f) == 0.f);
  CHECK(at(log, infinity) == infinity);
  CHECK(std::isnan(at(log, -1.f)));
  CHECK(at(tanh, infinity) == 1.f);
  CHECK(at(tanh, -infinity) == -1.f);
  CHECK(std::signbit(at(tanh, -0.f)));
  CHECK(at(sigmoid, infinity) == 1.f);
  CHECK(at(sigmoid, -infinity) == 0.f);
  CHECK(at(sigmoid, 0.f) == 0.5f);
  CHECK(at(erf, infinity) == 1.f);
  CHECK(at(erf, -infinity) == -1.f);
  CHECK(std::signbit(at(sin, -0.f)));
  CHECK(at(cos, 0.f) == 1.f);
  CHECK(std::isnan(at(sin, infinity)));
  CHECK(std::isnan(at(cos, infinity)));
  for (float got :
       {at(exp, nan), at(log, nan), at(tanh, nan), at(sigmoid, nan), at(erf, nan), at(sin, nan), at(cos, nan)})
    CHECK(std::isnan(got));
}

TEST_CASE("double lanes are the standard library's") {
  double in[vk::lanes<double>], out[vk::lanes<double>];
  for (int lane = 0; lane < vk::lanes<double>; ++lane) in[lane] = 0.3 + lane;
  const auto same = [&](vk::vector<double> got, auto&& exact) {
    vk::store(out, got);
    for (int lane = 0; lane < vk::lanes<double>; ++lane)
      CHECK(out[lane] == doctest::Approx(exact(in[lane])).epsilon(1e-15));
  };
  const auto x = vk::load(in);
  same(vk::exp<double>(x), [](double v) { return std::exp(v); });
  same(vk::log<double>(x), [](double v) { return std::log(v); });
  same(vk::tanh<double>(x), [](double v) { return std::tanh(v); });
  same(vk::sigmoid<double>(x), [](double v) { return 1 / (1 + std::exp(-v)); });
  same(vk::erf<double>(x), [](double v) { return std::erf(v); });
  same(vk::sin<double>(x), [](double v) { return std::sin(v); });
  same(vk::cos<double>(x), [](double v) { return std::cos(v); });
}
