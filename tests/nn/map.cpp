#include <doctest/doctest.h>

#include <cmath>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/nn/map.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/train/compiled.hpp>

#include "evaluated.hpp"

namespace {

using namespace nn_test;
using vv::dual;

struct softsign {
  static constexpr std::string_view label = "softsign";
  template <class T>
  constexpr T operator()(T x) const {
    using std::abs;
    return x / (T(1) + abs(x));
  }
};
struct nameless {
  template <class T>
  constexpr T operator()(T x) const {
    return x * x * x;
  }
};
/// Its derivative is wrong on purpose, to see that it is used.
struct own_derivative {
  template <class T>
  constexpr T operator()(T x) const {
    return x;
  }
  template <class T>
  constexpr T derivative(T x) const {
    return T(7) * x;
  }
};
static_assert(vv::elementwise_functor<softsign>);
static_assert(vv::map<softsign>::label == "softsign" && vv::map<nameless>::label == "map");
static_assert(vv::layer<vv::map<softsign>>);
// Where the functor is constexpr, so are its derivatives.
static_assert(vv::derivative_of<0, nameless>(2.0) == 8 && vv::derivative_of<1, nameless>(2.0) == 12 &&
              vv::derivative_of<2, nameless>(2.0) == 12);
static_assert(vv::derivative_of<1, own_derivative>(2.0) == 14 && vv::derivative_of<2, own_derivative>(2.0) == 7);

struct net {
  static constexpr auto graph =
      vv::regressor(vv::features{3}, vv::targets{1}, vv::dense{4}, vv::map<softsign>{}, vv::dense{1});
};

/// f, f' and f'' of one function by nested dual numbers, against what they should be.
template <class Function>
void check_dual(const Function& function, double x, double value, double first, double second) {
  using once = dual<double>;
  const auto result = function(dual<once>(once(x, 1), once(1)));
  CHECK(result.value.value == doctest::Approx(value));
  CHECK(result.slope.value == doctest::Approx(first));
  CHECK(result.value.slope == doctest::Approx(first));
  CHECK(result.slope.slope == doctest::Approx(second));
}

}  // namespace

TEST_CASE("map: dual numbers know the derivatives of functions") {
  using std::abs, std::cos, std::erf, std::exp, std::log, std::pow, std::sin, std::sqrt, std::tanh;
  const double x = 0.7;
  const double t = tanh(x);
  const double bell = 2 / sqrt(std::acos(-1.0)) * exp(-x * x);
  // clang-format off
  check_dual([](auto a) { return exp(a); }, x, exp(x), exp(x), exp(x));
  check_dual([](auto a) { return log(a); }, x, log(x), 1 / x, -1 / (x * x));
  check_dual([](auto a) { return sqrt(a); }, x, sqrt(x), 0.5 / sqrt(x), -0.25 / (x * sqrt(x)));
  check_dual([](auto a) { return tanh(a); }, x, t, 1 - t * t, -2 * t * (1 - t * t));
  check_dual([](auto a) { return sin(a); }, x, sin(x), cos(x), -sin(x));
  check_dual([](auto a) { return cos(a); }, x, cos(x), -sin(x), -cos(x));
  check_dual([](auto a) { return erf(a); }, x, erf(x), bell, -2 * x * bell);
  check_dual([](auto a) { return abs(a); }, -x, x, -1, 0);
  check_dual([](auto a) { return pow(a, 3); }, -x, -x * x * x, 3 * x * x, -6 * x);
  check_dual([](auto a) { return pow(a, 2); }, 0, 0, 0, 2);
  check_dual([](auto a) { return pow(a, 1); }, 0, 0, 1, 0);
  check_dual([](auto a) { return pow(a, 0); }, 0, 1, 0, 0);
  check_dual([](auto a) { return pow(2, a); }, x, pow(2, x), log(2) * pow(2, x), log(2) * log(2) * pow(2, x));
  check_dual([](auto a) { return 1 / a + a / 2 - 3 * a; }, x, 1 / x - 2.5 * x, -1 / (x * x) - 2.5, 2 / (x * x * x));
  check_dual([](auto a) { return -a * +a; }, x, -x * x, -2 * x, -2);
  // clang-format on
  CHECK(dual<double>(2, 1) == dual<double>(2));
  CHECK(dual<double>(2, 1) != 3);
  CHECK((dual<float>(1.0F, 5.0F) < 2 && 2 > dual<float>(1) && dual<float>(2) <= 2 && dual<float>(2) >= 2));
}

TEST_CASE("map: the kernels of a functor in both precisions") {
  const vv::functor_info& info = vv::info_of<softsign>;
  CHECK(info.name == "softsign");
  const double x[3] = {-2, 0.5, 3};
  const float narrow[3] = {-2, 0.5F, 3};
  const auto expected = [](int order, double a) {
    const double s = 1 + std::abs(a);
    return order == 0 ? a / s : order == 1 ? 1 / (s * s) : (a > 0 ? -2 : 2) / (s * s * s);
  };
  for (int order = 0; order < vv::functor_orders; ++order) {
    double y[3];
    float z[3];
    info.f64[order](x, y, 3);
    info.f32[order](narrow, z, 3);
    for (int i = 0; i < 3; ++i) {
      CHECK(y[i] == doctest::Approx(expected(order, x[i])).epsilon(1e-14));
      CHECK(z[i] == doctest::Approx(expected(order, x[i])).epsilon(1e-6));
    }
  }
}

TEST_CASE("map: the same graph at compile time and at run time") {
  using code = vv::compiled<net, 4, vv::sgd, vv::no_clipping, vv::reference_kernels, float>;
  static_assert(code::needs.operations.contains(vv::op::map));
  const vv::graph made = vv::training_graph<vv::sgd>(vv::model_graph(net::graph, true));
  const auto frozen = vv::graph_view(code::training);
  REQUIRE(made.nodes.size() == frozen.nodes.size());
  int maps = 0;
  for (int i = 0; i < made.nodes.size(); ++i) {
    CHECK(made.nodes[i].attr == frozen.nodes[i].attr);
    if (made.nodes[i].kind == vv::op::map) ++maps;
  }
  CHECK(maps == 2);  // the value, and the derivative in the backward pass
}
