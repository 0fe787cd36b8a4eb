#include <doctest/doctest.h>

#include <vivace/nn/activations.hpp>
#include <vivace/nn/map.hpp>
#include <vivace/nn/recompute.hpp>
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

struct cubed {
  template <class Number>
  constexpr Number operator()(Number x) const {
    return x * x * x;
  }
};

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

TEST_CASE("gradient: scan with several states and values from outside") {
  struct memory {
    value left, right, fixed;
  };
  check(function{"several", {{{rows, 3, 2}}, {{2, 2}}, {{2}}, {{rows, 2}}}, [](vv::builder& graph, const values& x) {
    memory state{x[3], graph.constant(0.5), x[2]};
    const value all = scan(x[0], 1, state, [&](value part, memory& carried) {
      const value mixed = matmul(carried.left, x[1]);
      const value left = carried.right;  // the two exchange places
      carried.right = tanh(mixed + part * carried.fixed);
      carried.left = left + x[2];
      return carried.right * part;
    });
    return sum(all, {1}) + state.left * state.right * state.fixed;
  }});
}

TEST_CASE("gradient: scan, what turns need and what they do not") {
  const operand places{{rows, 3, 2}};
  check(function{"one turn", {{{rows, 1, 2}}, {{rows, 2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, [](value part, value& carried) {
                     carried = square(carried) * part;
                     return carried;
                   });
                   return all * reshape(state, {rows, 1, 2});
                 }});
  check(function{"an unchanged state", {places, {{rows, 2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all =
                       scan(x[0], 1, state, [](value part, value& carried) { return square(carried) * part; });
                   return sum(all, {1}) * state;
                 }});
  check(function{"the old state", {places, {{rows, 2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, [](value part, value& carried) {
                     const value old = carried;
                     carried = carried * part;
                     return old;
                   });
                   return sum(all, {1});
                 }});
  check(function{"the last state alone", {places, {{rows, 2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   scan(x[0], 1, state, [](value part, value& carried) { return carried = sin(carried + part); });
                   return state;
                 }});
  check(function{"no part", {places, {{2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   scan(x[0], 1, state, [](value, value& carried) { return carried = sin(carried) + 0.5; });
                   return state;
                 }});
  check(function{"a sum", {places}, [](vv::builder& graph, const values& x) {  // carries nothing that matters back
                   value state = graph.constant(0);
                   scan(x[0], 1, state, [](value part, value& carried) { return carried = carried + part; });
                   return square(state);
                 }});
  check(function{"a value from outside as the result", {places, {{2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, [&](value, value& carried) {
                     carried = x[1] * 2.0;
                     return square(x[1]);
                   });
                   return sum(all, {1}) * state;
                 }});
  check(function{"no state", {places, {{2, 3}}}, [](vv::builder&, const values& x) {
                   value state;
                   return scan(x[0], 1, state, [&](value part, value&) { return tanh(matmul(part, x[1])); });
                 }});
}

TEST_CASE("gradient: scan of values with four axes") {
  check(function{"images", {{{rows, 2, 1, 3}}, {{rows, 2, 2, 3}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   scan(x[0], 1, state, [](value part, value& carried) {
                     const value wide = reshape(part, {rows, 1, 1, 3});
                     carried = tanh(carried * wide);
                     return part;
                   });
                   return state;
                 }});
}

TEST_CASE("gradient: scan in a scan") {
  check(function{"nested", {{{rows, 3, 2}}, {{rows, 2}}, {{2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, [&](value part, value& carried) {
                     value inner = carried * x[2];
                     const value steps = scan(part, 1, inner, [&](value one, value& total) {
                       total = tanh(total + reshape(one, {rows, 1}) * part + x[2] * carried);
                       return sum(total * part, {1});
                     });
                     carried = inner + steps;
                     return steps;
                   });
                   return sum(all, {1}) * state;
                 }},
        3, 2);
  check(function{"nested, over the same sequence", {{{3, 2}}, {{2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   scan(x[0], 0, state, [&](value part, value& carried) {
                     value inner = carried;
                     scan(x[0], 0, inner, [&](value one, value& total) { return total = sin(total + one * part); });
                     return carried = inner;
                   });
                   return state;
                 }});
}

TEST_CASE("gradient: in the body of a scan") {
  check(function{"of a turn", {{{rows, 3, 2}}, {{rows, 2}}, {{2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   const value all = scan(x[0], 1, state, [&](value part, value& carried) {
                     const value energy = sum(sin(carried * part) + square(carried * x[2]));
                     carried = carried - gradient(energy, carried) * 0.25;
                     return carried * gradient(energy, x[2]);
                   });
                   return sum(all, {1}) * state;
                 }},
        3, 2);
}

TEST_CASE("gradient: a functor without a further derivative in a scan is a mistake, not a crash") {
  vv::builder graph;
  const value x = graph.input("x", {rows, 3, 2});
  value state = graph.constant(1);
  value y = sum(scan(x, 1, state, [](value part, value& carried) {
    return carried = vv::apply(vv::map<cubed>{}, part) * carried;
  }));
  for (int order = 0; order < 4; ++order) y = sum(gradient(y, x));
  CHECK(graph.result().mistake.what == vv::problem::no_second_derivative);
}

TEST_CASE("gradient: scan with dropout, and computed again") {
  const operand places{{rows, 3, 2}};
  check(function{"dropout", {places, {{rows, 2}}}, [](vv::builder&, const values& x) {
                   value state = x[1];
                   return scan(x[0], 1, state, [](value part, value& carried) {
                     return carried = apply(vv::dropout{0.4}, sin(carried + part));
                   });
                 }});
  check(function{"computed again", {places}, [](vv::builder&, const values& x) {
                   return apply(vv::recompute{vv::gru{2}}, x[0]);
                 }},
        3, 2);
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
