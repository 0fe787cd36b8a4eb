#include <doctest/doctest.h>

#include "check.hpp"

// Pools, softmax, cross entropy, tables of rows.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using gradient_check::operand;
using vv::op;
using vv::rows;
using vv::value;
using values = std::vector<value>;

struct pooling {
  vv::shape image;
  int height, width, stride, padding;
};
const pooling pools[] = {{{rows, 2, 4, 4}, 2, 2, 2, 0},   // side by side
                         {{rows, 1, 5, 5}, 3, 3, 2, 1},   // overlapping, with an edge
                         {{rows, 2, 5, 4}, 2, 3, 2, 0},   // with a rest
                         {{rows, 1, 3, 3}, 3, 3, 1, 0},   // one window
                         {{rows, 1, 4, 3}, 2, 1, 1, 0}};  // overlapping

vv::window frame_of(const pooling& from) {
  vv::window frame;
  frame.kernel[0] = static_cast<std::int16_t>(from.height);
  frame.kernel[1] = static_cast<std::int16_t>(from.width);
  for (int d = 0; d < 2; ++d) {
    frame.stride[d] = static_cast<std::int16_t>(from.stride);
    frame.padding[d] = static_cast<std::int16_t>(from.width > from.padding ? from.padding : 0);
  }
  return frame;
}
vv::shape result_of(const pooling& from) {
  const vv::window frame = frame_of(from);
  return {from.image[0], from.image[1], vv::ops::window_places(from.image[2], frame, 0),
          vv::ops::window_places(from.image[3], frame, 1)};
}
value windowed(vv::builder& graph, op kind, value first, value second, const vv::shape& dims, const vv::window& frame) {
  return graph.add(
      {.kind = kind, .dims = dims, .operand = {first.index(), second.index(), -1}, .attr = {.frame = frame}});
}

}  // namespace

TEST_CASE("gradient: max pooling and its derivatives") {
  for (const pooling& p : pools) {
    const operand image{p.image, fill::distinct, -1, 1};
    const vv::window frame = frame_of(p);
    check(function{"max_pool", {image}, [&](vv::builder&, const values& x) { return square(pool(op::max_pool, x[0], frame)); }});
    check(function{"max_pool_gradient", {image, {result_of(p)}}, [&](vv::builder& graph, const values& x) {
      return square(windowed(graph, op::max_pool_gradient, x[0], x[1], p.image, frame));
    }});
    check(function{"max_pool_pick", {image, {p.image}}, [&](vv::builder& graph, const values& x) {
      return square(windowed(graph, op::max_pool_pick, x[0], x[1], result_of(p), frame));
    }});
  }
}

TEST_CASE("gradient: average pooling and its derivative") {
  for (const pooling& p : pools) {
    const vv::window frame = frame_of(p);
    check(function{"avg_pool", {{p.image}}, [&](vv::builder&, const values& x) { return square(pool(op::avg_pool, x[0], frame)); }});
    check(function{"avg_pool_gradient", {{result_of(p)}}, [&](vv::builder& graph, const values& x) {
      return square(windowed(graph, op::avg_pool_gradient, x[0], {}, p.image, frame));
    }});
  }
}

TEST_CASE("gradient: softmax") {
  check(function{"of rows", {{{rows, 5}}}, [](vv::builder&, const values& x) { return softmax(x[0]); }});
  check(function{"of one column", {{{rows, 1}}}, [](vv::builder&, const values& x) { return softmax(x[0]); }});
  check(function{"rank 4", {{{rows, 2, 3, 2}}}, [](vv::builder&, const values& x) { return softmax(x[0]); }});
  check(function{"causal", {{{rows, 4, 4}}}, [](vv::builder&, const values& x) { return softmax(x[0], true); }});
  check(function{"causal, rank 4", {{{rows, 2, 3, 3}}}, [](vv::builder&, const values& x) { return softmax(x[0], true); }});
  check(function{"causal, not square", {{{2, 3, 5}}}, [](vv::builder&, const values& x) { return softmax(x[0], true); }});
}

TEST_CASE("gradient: cross entropy and its derivative") {
  for (const double smoothing : {0.0, 0.1}) {
    const operand labels{{rows}, fill::labels, 0, 5};
    check(function{"cross_entropy", {{{rows, 5}}, labels}, [&](vv::builder&, const values& x) {
      return cross_entropy(x[0], x[1], smoothing);
    }});
    check(function{"mean cross entropy", {{{rows, 5}}, labels}, [&](vv::builder&, const values& x) {
      return mean(cross_entropy(x[0], x[1], smoothing));
    }});
    check(function{"cross entropy of positions", {{{-2, 5}}, {{-2}, fill::labels, 0, 5}}, [&](vv::builder&, const values& x) {
      return cross_entropy(x[0], x[1], smoothing);
    }});
    check(function{"cross_entropy_gradient", {{{rows, 5}}, labels, {{rows}}}, [&](vv::builder& graph, const values& x) {
      return graph.add({.kind = op::cross_entropy_gradient,
                        .dims = x[0].dims(),
                        .operand = {x[0].index(), x[1].index(), x[2].index()},
                        .attr = {.scale = smoothing}});
    }});
  }
}

TEST_CASE("gradient: rows of a table") {
  const operand labels{{-3}, fill::labels, 0, 4};  // three a sample: some come twice
  check(function{"take_rows", {{{4, 2}}, labels}, [](vv::builder&, const values& x) { return square(take_rows(x[0], x[1])); }});
  check(function{"add_rows", {{{-3, 2}}, labels}, [](vv::builder& graph, const values& x) {
    return square(graph.add({.kind = op::add_rows, .dims = {4, 2}, .operand = {x[0].index(), x[1].index(), -1}}));
  }});
}
