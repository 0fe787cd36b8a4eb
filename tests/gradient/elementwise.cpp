#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

#include "check.hpp"

// Elementwise operations: gradients and second derivatives, with and without broadcasting.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using vv::rows;
using vv::value;
using values = std::vector<value>;

const gradient_check::operand plain{{rows, 3}};
const gradient_check::operand nonzero{{rows, 3}, fill::nonzero, 0.2, 1.2};
const gradient_check::operand positive{{rows, 3}, fill::plain, 0.4, 1.6};

template <class Apply>
void check_unary(const char* name, const gradient_check::operand& from, Apply&& apply) {
  check(function{name, {from}, [&](vv::builder&, const values& x) { return apply(x[0]); }});
}

}  // namespace

TEST_CASE("gradient: smooth functions of one operand") {
  check_unary("affine", plain, [](value x) { return affine(x, -1.5, 0.25); });
  check_unary("affine, then squared", plain, [](value x) { return square(affine(x, -1.5, 0.25)); });
  check_unary("negate", plain, [](value x) { return exp(-x); });
  check_unary("exp", plain, [](value x) { return exp(x); });
  check_unary("log", positive, [](value x) { return log(x); });
  check_unary("sqrt", positive, [](value x) { return sqrt(x); });
  check_unary("reciprocal", nonzero, [](value x) { return reciprocal(x * 2.0); });
  check_unary("tanh", plain, [](value x) { return tanh(x); });
  check_unary("sigmoid", plain, [](value x) { return sigmoid(x); });
  check_unary("sin", plain, [](value x) { return sin(x); });
  check_unary("cos", plain, [](value x) { return cos(x); });
  check_unary("erf", plain, [](value x) { return erf(x); });
  check_unary("square", plain, [](value x) { return square(x); });
  check_unary("power 2.5", positive, [](value x) { return power(x, 2.5); });
  check_unary("power -1", nonzero, [](value x) { return power(x * 2.0, -1); });
}

TEST_CASE("gradient: power with a small whole exponent at and below zero") {
  for (const double exponent : {0.0, 1.0, 2.0, 3.0}) {
    const gradient_check::operand from{{rows, 2}, fill::plain, -1, -1 + 1e-9};
    const gradient_check::operand zero{{rows, 2}, fill::plain, 0, 0};
    check(function{"power", {from, zero}, [&](vv::builder&, const values& x) {
      return power(x[0], exponent) + power(x[1], exponent);
    }});
  }
}

TEST_CASE("gradient: functions with kinks, away from them") {
  check_unary("relu", nonzero, [](value x) { return square(relu(x)) + relu(x); });
  check_unary("abs", nonzero, [](value x) { return exp(abs(x)); });
  check_unary("step", nonzero, [](value x) { return square(x) * step(x); });
  check_unary("sign", nonzero, [](value x) { return square(x) * sign(x); });
}

TEST_CASE("gradient: two operands, same shape and broadcast") {
  const vv::shape shapes[][2] = {{{rows, 3}, {rows, 3}}, {{rows, 1}, {1, 3}}, {{rows, 2, 3}, {3}}, {{3}, {rows, 2, 3}},
                                 {{2, 1, 3}, {rows, 2, 1, 1}}, {{}, {rows, 2}}, {{rows}, {}}};
  for (const auto& pair : shapes) {
    const gradient_check::operand left{pair[0], fill::nonzero, 0.6, 1.2};
    const gradient_check::operand right{pair[1], fill::nonzero, 0.3, 0.9};
    const auto both = [&](const char* name, auto apply) {
      check(function{name, {left, right}, [&](vv::builder&, const values& x) { return apply(x[0], x[1]); }});
    };
    both("add", [](value a, value b) { return tanh(a + b); });
    both("subtract", [](value a, value b) { return tanh(a - b); });
    both("multiply", [](value a, value b) { return a * b; });
    both("divide", [](value a, value b) { return a / b; });
    both("divide by itself", [](value a, value b) { return (a + b) / square(b); });
    both("greater", [](value a, value b) { return a * b * (a > 2.0 * b); });
    both("select", [](value a, value b) { return where(step(a), square(a), a * b); });
    both("equal", [](value a, value b) { return a * b * equal(step(a), step(b)); });
  }
}

TEST_CASE("gradient: maximum and minimum away from ties") {
  const gradient_check::operand left{{rows, 3}, fill::distinct, -1, 1};
  const gradient_check::operand right{{rows, 3}, fill::distinct, -0.97, 1.2};
  check(function{"maximum", {left, right}, [](vv::builder&, const values& x) { return square(maximum(x[0], x[1])); }});
  check(function{"minimum", {left, right}, [](vv::builder&, const values& x) { return square(minimum(x[0], x[1])); }});
  check(function{"bounds", {left}, [](vv::builder&, const values& x) {
    return exp(minimum(maximum(x[0], -0.34), 0.52));
  }});
}

TEST_CASE("gradient: broadcast, repeated and shared") {
  for (const bool mean : {false, true}) {
    check(function{"broadcast to the batch", {{{3}}, {{rows, 3}}}, [&](vv::builder&, const values& x) {
      return square(broadcast(x[0], {rows, 3}, mean)) * x[1];
    }});
    check(function{"broadcast within a sample", {{{rows, 1, 2}}}, [&](vv::builder&, const values& x) {
      return square(broadcast(x[0], {rows, 3, 2}, mean));
    }});
    check(function{"broadcast a scalar", {{{}}}, [&](vv::builder&, const values& x) {
      return square(broadcast(x[0], {2, 3}, mean));
    }});
  }
}

TEST_CASE("gradient: a dropout mask is a constant") {
  check(function{"dropout_mask", {plain}, [](vv::builder&, const values& x) {
    return square(x[0]) * dropout_mask(x[0], 0.4, 3);
  }});
}

namespace {

// x^3 + x and its derivatives, as a functor's kernels.
void cubic(const double* from, double* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] * from[i] * from[i] + from[i];
}
void cubic_first(const double* from, double* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = 3 * from[i] * from[i] + 1;
}
void cubic_second(const double* from, double* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = 6 * from[i];
}
const vv::functor_info cubic_info{"cubic", {}, {cubic, cubic_first, cubic_second}};

}  // namespace

TEST_CASE("gradient: a user's functor") {
  check_unary("map", plain, [](value x) { return vv::ops::unary(vv::op::map, x, {.functor = &cubic_info}); });
}

TEST_CASE("a third derivative of a functor is a mistake that is told") {
  vv::builder graph;
  const value x = graph.parameter("x", {3});
  value y = vv::ops::unary(vv::op::map, x, {.functor = &cubic_info});
  for (int order = 0; order < 2; ++order) y = gradient(sum(y), x);
  CHECK_FALSE(graph.failed());
  y = gradient(sum(y), x);
  CHECK(graph.result().mistake.what == vv::problem::no_second_derivative);
  CHECK(graph.result().mistake.kind.view() == "cubic");
}
