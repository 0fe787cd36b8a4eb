#include <doctest/doctest.h>

#include "check.hpp"

// Operations that move elements, and reductions.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using vv::rows;
using vv::value;
using values = std::vector<value>;

template <class Apply>
void check_one(const char* name, const vv::shape& dims, Apply&& apply, fill how = fill::plain) {
  check(function{name, {{dims, how}}, [&](vv::builder&, const values& x) { return apply(x[0]); }});
}

}  // namespace

TEST_CASE("gradient: reshape") {
  check_one("reshape", {rows, 2, 3}, [](value x) { return square(reshape(x, {rows, 6})); });
  check_one("reshape, merging positions with the batch", {rows, 2, 3}, [](value x) {
    return square(reshape(x, {-2, 3}));
  });
  check_one("reshape alone", {2, 3}, [](value x) { return reshape(x, {3, 1, 2}); });
}

TEST_CASE("gradient: transpose") {
  check_one("matrix", {rows, 3}, [](value x) { return exp(transpose(x)); });
  check_one("rank 3", {rows, 2, 3}, [](value x) { return exp(transpose(x, {2, 0, 1})); });
  check_one("rank 4", {rows, 2, 1, 3}, [](value x) { return exp(transpose(x, {0, 3, 1, 2})); });
  check_one("rank 4, negative axes", {2, 3, 1, 2}, [](value x) { return exp(transpose(x, {-1, 1, 0, 2})); });
}

TEST_CASE("gradient: slice, pad, concatenate") {
  check_one("slice", {rows, 5, 2}, [](value x) { return square(slice(x, 1, 1, 3)); });
  check_one("slices side by side", {rows, 6, 2},
            [](value x) { return square(slice(x, 1, 2, 2)) * slice(x, 1, 0, 2) + square(slice(x, 1, 4, 2)) * 3.0; });
  check_one("neighbours among slices", {rows, 6},
            [](value x) { return square(slice(x, 1, 1, 2)) * slice(x, 1, 3, 2) + square(slice(x, 1, 0, 2)); });
  check_one("slice of the last axis", {3, 5}, [](value x) { return square(slice(x, -1, 4, 1)); });
  check_one("pad", {rows, 2, 3}, [](value x) { return exp(pad(x, 1, 1, 5)); });
  check_one("pad the last axis", {2, 3}, [](value x) { return exp(pad(x, -1, 2, 5)); });
  for (int axis = 0; axis < 2; ++axis)
    check(function{"concatenate",
                   {{{2, 3}}, {{axis == 0 ? 1 : 2, axis == 1 ? 1 : 3}}},
                   [&](vv::builder&, const values& x) { return square(concatenate(x[0], x[1], axis)); }});
  check(function{"concatenate within a sample", {{{rows, 2, 2}}, {{rows, 3, 2}}}, [&](vv::builder&, const values& x) {
                   return square(concatenate(x[0], x[1], -2));
                 }});
  check_one("with itself", {rows, 2}, [](value x) { return square(concatenate(x, x, 1)); });
}

TEST_CASE("gradient: sum and mean") {
  for (const bool mean : {false, true}) {
    check_one("over the batch", {rows, 3}, [&](value x) { return square(vv::ops::sum_to(x, {1, 3}, mean)); });
    check_one("over the batch, axis dropped", {rows, 2, 3}, [&](value x) {
      return square(vv::ops::sum_to(x, {2, 3}, mean));
    });
    check_one("over all", {rows, 2, 2}, [&](value x) { return square(vv::ops::sum_to(x, {}, mean)); });
    check_one("over the middle", {rows, 4, 3}, [&](value x) { return square(vv::ops::sum_to(x, {rows, 1, 3}, mean)); });
    check_one("over two axes", {rows, 2, 2, 3}, [&](value x) {
      return square(vv::ops::sum_to(x, {1, 2, 1, 3}, mean));
    });
    check_one("of a parameter", {4, 3}, [&](value x) { return square(vv::ops::sum_to(x, {4, 1}, mean)); });
  }
  check_one("sum, axes by number", {rows, 2, 3}, [](value x) { return square(sum(x, {0, -1})); });
  check_one("mean, axes by number", {rows, 2, 3}, [](value x) { return square(mean(x, {1})); });
}

TEST_CASE("gradient: max over axes") {
  check_one(
      "over the last axis", {rows, 4}, [](value x) { return square(max(x, {1})); }, fill::distinct);
  check_one(
      "over the batch", {rows, 3}, [](value x) { return square(max(x, {0})); }, fill::distinct);
  check_one(
      "over two axes", {rows, 3, 2, 2},
      [](value x) {
        return square(max(x, {1, -1}));
      },
      fill::distinct);
  check_one(
      "over all", {2, 3},
      [](value x) {
        return square(max(x, {0, 1}));
      },
      fill::distinct);
}

TEST_CASE("equal maxima share the gradient") {
  check(function{"all equal", {{{1, 1}}, {{2, 4}, fill::distinct, -2, -1}}, [](vv::builder&, const values& x) {
                   // Three columns are one variable, so that they stay equal as it moves.
                   const value same = square(broadcast(x[0], {2, 3})) + 1.0;
                   return square(max(concatenate(same, x[1], 1), {1}));
                 }});
}
