#include <doctest/doctest.h>

#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/scan.hpp>

#include "check.hpp"

// Scans and the layers made of them.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::function;
using gradient_check::operand;
using vv::rows;
using vv::value;
using values = std::vector<value>;

}  // namespace

TEST_CASE("gradient: many values along an axis") {
  check(function{"concatenate", {{{rows, 1, 2}}, {{rows, 3, 2}}, {{rows, 2, 2}}}, [](vv::builder&, const values& x) {
                   return square(vv::ops::concatenate({x[0], x[1], x[2]}, 1));
                 }});
  for (const int axis : {1, 2, -1})
    check(function{"separate", {{{rows, 3, 5}}}, [&](vv::builder&, const values& x) {
                     const auto parts = separate(x[0], axis);
                     value product = parts[0];
                     for (int i = 1; i < parts.size(); ++i) product = product * parts[i];
                     return product;
                   }});
}

TEST_CASE("gradient: scan") {
  const auto running = [](value given, value& state) {
    state = tanh(given + state * 0.5);
    return square(state);
  };
  for (const int axis : {0, 1, 2})
    check(function{"of a parameter", {{{3, 2, 4}}}, [&](vv::builder& graph, const values& x) {
                     value state = graph.constant(0.25);
                     return scan(x[0], axis, state, running);
                   }});
  check(function{"over positions", {{{rows, 3, 2}}, {{rows, 2}}}, [&](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, running);
                   return all * reshape(state, {rows, 1, 2});
                 }});
}

TEST_CASE("gradient: recurrent layers") {
  const operand positions{{rows, 3, 2}};
  for (const bool last : {false, true}) {
    check(function{"gru",
                   {positions},
                   [&](vv::builder&, const values& x) {
                     return apply(vv::gru{2, last}, x[0]);
                   }},
          3, 2);
    check(function{"lstm",
                   {positions},
                   [&](vv::builder&, const values& x) {
                     return apply(vv::lstm{2, last}, x[0]);
                   }},
          3, 2);
  }
}
