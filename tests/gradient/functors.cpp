#include <doctest/doctest.h>

#include <string>
#include <vivace/exec/evaluate.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/map.hpp>

#include "check.hpp"

// Users' functors: derivatives by dual numbers or by the functor itself.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using gradient_check::operand;
using vv::rows;
using vv::value;
using values = std::vector<value>;

/// Uses every function that dual numbers have.
struct everything {
  static constexpr std::string_view label = "everything";
  template <class T>
  constexpr T operator()(T x) const {
    using std::abs, std::cos, std::erf, std::exp, std::log, std::pow, std::sin, std::sqrt, std::tanh;
    T sum = exp(x) * sin(x) + log(x * x + T(1)) - cos(x) / sqrt(T(2) + x * x);
    sum += tanh(x) * erf(x);
    sum -= abs(x) * T(0.5);
    sum *= T(pow(x, 3)) + T(2);
    sum /= T(3) + pow(x * x, T(1.5)) + pow(T(2) + x, x);
    return x < T(-10) ? -sum : sum;
  }
};
/// The derivative is given; dual numbers see it alone.
struct given {
  template <class T>
  constexpr T operator()(T x) const {
    using std::tanh;
    return tanh(x);
  }
  template <class T>
  constexpr T derivative(T x) const {
    using std::tanh;
    const T y = tanh(x);
    return T(1) - y * y;
  }
};
struct half_square {
  template <class T>
  constexpr T operator()(T x) const {
    return x > T(0) ? x * x / T(2) : T(0);
  }
};

}  // namespace

TEST_CASE("gradient: functors") {
  const operand off_zero{{rows, 4}, fill::nonzero, 0.2, 1.2};
  check(
      function{"everything", {off_zero}, [](vv::builder&, const values& x) { return vv::ops::map<everything>(x[0]); }});
  check(function{"given", {off_zero}, [](vv::builder&, const values& x) { return vv::map<given>{}(x[0]); }});
  check(
      function{"half_square", {off_zero}, [](vv::builder&, const values& x) { return vv::map<half_square>{}(x[0]); }});
}

TEST_CASE("gradient: a third derivative of a functor is refused by name") {
  vv::builder graph;
  const value x = graph.parameter("x", {3});
  value y = sum(vv::ops::map<everything>(x));
  for (int order = 1; order <= 3; ++order) {
    CHECK_FALSE(graph.failed());
    y = sum(square(gradient(y, x)));
  }
  REQUIRE(graph.failed());
  CHECK(graph.result().mistake.what == vv::problem::no_second_derivative);
  CHECK(graph.result().mistake.kind.view() == "everything");
  try {
    vv::runtime_graph<double, vv::reference_kernels> run(graph.take());
    FAIL("accepted");
  } catch (const vv::error& found) {
    const std::string text = found.what();
    CHECK(text.find("the functor has no further derivative") != std::string::npos);
    CHECK(text.find("everything") != std::string::npos);
  }
}
