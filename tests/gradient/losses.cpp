#include <doctest/doctest.h>

#include <vivace/nn/losses.hpp>

#include "check.hpp"

// Losses as functions on values and as choices of a model. The harness starts at what a loss would be the end of.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using gradient_check::operand;
using vv::rows;
using vv::value;
using values = std::vector<value>;

const operand predictions{{rows, 3}};
const operand numbers{{rows, 3}, fill::plain, -0.9, 1.7};
const operand shares{{rows, 3}, fill::plain, 0.05, 0.95};

}  // namespace

TEST_CASE("gradient: softplus") {
  check(function{
      "softplus", {{{rows, 5}, fill::nonzero, 0.1, 4}}, [](vv::builder&, const values& x) { return softplus(x[0]); }});
}

TEST_CASE("gradient: mean squared error") {
  check(function{"mse", {predictions, numbers}, [](vv::builder&, const values& x) { return vv::mse{}(x[0], x[1]); }});
}

TEST_CASE("gradient: huber loss") {
  // Differences stay away from the joint, where the second derivative jumps.
  const operand far{{rows, 3}, fill::plain, 4.0, 5.0};
  const operand near{{rows, 3}, fill::plain, -0.2, 0.2};
  const auto huber = [](vv::builder&, const values& x) { return vv::huber{.delta = 1.5}(x[0], x[1]); };
  check(function{"huber, beyond delta", {predictions, far}, huber});
  check(function{"huber, within delta", {predictions, near}, huber});
}

TEST_CASE("gradient: binary cross entropy") {
  const operand logits{{rows, 3}, fill::nonzero, 0.2, 3};
  check(function{"binary cross entropy", {logits, shares}, [](vv::builder&, const values& x) {
                   return vv::binary_cross_entropy{}(x[0], x[1]);
                 }});
}

TEST_CASE("gradient: cross entropy over positions") {
  const operand labels{{rows, 2}, fill::labels, 0, 4};
  for (const double smoothing : {0.0, 0.2})
    check(function{"cross entropy", {{{rows, 2, 4}}, labels}, [&](vv::builder&, const values& x) {
                     return vv::cross_entropy{smoothing}(x[0], x[1]);
                   }});
}
