#include <doctest/doctest.h>

#include "check.hpp"

// Matrix products and convolutions, and the operations that are their derivatives.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::function;
using vv::rows;
using vv::value;
using values = std::vector<value>;

vv::window frame_of(int kernel_height, int kernel_width, int stride, int padding, int dilation, int groups) {
  vv::window frame;
  frame.kernel[0] = static_cast<std::int16_t>(kernel_height);
  frame.kernel[1] = static_cast<std::int16_t>(kernel_width);
  for (int d = 0; d < 2; ++d) {
    frame.stride[d] = static_cast<std::int16_t>(stride);
    frame.padding[d] = static_cast<std::int16_t>(padding);
    frame.dilation[d] = static_cast<std::int16_t>(dilation);
  }
  frame.groups = groups;
  return frame;
}

struct convolution {
  const char* name;
  vv::shape image, weight;
  int stride = 1, padding = 0, dilation = 1, groups = 1;
};

const convolution convolutions[] = {
    {"plain", {rows, 2, 4, 5}, {3, 2, 3, 2}},
    {"one pixel", {rows, 3, 2, 2}, {2, 3, 1, 1}},
    {"stride and padding, with a rest", {rows, 1, 6, 5}, {2, 1, 3, 3}, 2, 1},
    {"dilation", {rows, 1, 5, 6}, {2, 1, 2, 3}, 1, 0, 2},
    {"dilation, stride, padding", {rows, 2, 6, 5}, {1, 2, 2, 2}, 2, 2, 3},
    {"groups", {rows, 4, 3, 3}, {6, 2, 2, 2}, 1, 1, 1, 2},
    {"one channel a group", {rows, 3, 3, 4}, {3, 1, 3, 3}, 1, 1, 1, 3},
    {"kernel as large as the image", {rows, 2, 3, 3}, {2, 2, 3, 3}},
};

}  // namespace

TEST_CASE("gradient: matrix product, all ways to transpose") {
  for (const bool left : {false, true})
    for (const bool right : {false, true}) {
      const vv::shape a = left ? vv::shape{3, 2} : vv::shape{2, 3};
      const vv::shape b = right ? vv::shape{5, 3} : vv::shape{3, 5};
      check(function{"plain", {{a}, {b}}, [&](vv::builder&, const values& x) { return matmul(x[0], x[1], left, right); }});
      const vv::shape a3{rows, a[0], a[1]};
      const vv::shape b3{rows, b[0], b[1]};
      check(function{"one for each sample", {{a3}, {b3}}, [&](vv::builder&, const values& x) {
        return square(matmul(x[0], x[1], left, right));
      }});
      const vv::shape a4{rows, 2, a[0], a[1]};
      const vv::shape b4{rows, 2, b[0], b[1]};
      check(function{"two for each sample", {{a4}, {b4}}, [&](vv::builder&, const values& x) {
        return matmul(x[0], x[1], left, right);
      }});
    }
}

TEST_CASE("gradient: matrix product with the batch") {
  for (const bool right : {false, true}) {
    const vv::shape weight = right ? vv::shape{4, 3} : vv::shape{3, 4};
    check(function{"batch by weight", {{{rows, 3}}, {weight}}, [&](vv::builder&, const values& x) {
      return tanh(matmul(x[0], x[1], false, right));
    }});
    check(function{"positions by weight", {{{rows, 2, 3}}, {weight}}, [&](vv::builder&, const values& x) {
      return matmul(x[0], x[1], false, right);
    }});
  }
  check(function{"over the batch", {{{rows, 3}}, {{rows, 2}}}, [](vv::builder&, const values& x) {
    return square(matmul(x[0], x[1], true, false));
  }});
  check(function{"with itself", {{{3, 3}}}, [](vv::builder&, const values& x) { return matmul(x[0], x[0], true, false); }});
  check(function{"inner extent 1", {{{rows, 1}}, {{1, 3}}}, [](vv::builder&, const values& x) { return matmul(x[0], x[1]); }});
}

TEST_CASE("gradient: convolution") {
  for (const convolution& c : convolutions)
    check(function{c.name, {{c.image}, {c.weight}}, [&](vv::builder&, const values& x) {
      return convolve(x[0], x[1], frame_of(1, 1, c.stride, c.padding, c.dilation, c.groups));
    }});
}

TEST_CASE("gradient: derivatives of a convolution as functions of their own") {
  for (const convolution& c : convolutions) {
    const vv::window frame = frame_of(c.weight[2], c.weight[3], c.stride, c.padding, c.dilation, c.groups);
    const vv::shape result{rows, c.weight[0], vv::ops::window_places(c.image[2], frame, 0),
                           vv::ops::window_places(c.image[3], frame, 1)};
    check(function{c.name, {{result}, {c.weight}}, [&](vv::builder&, const values& x) {
      return convolve_input_gradient(x[0], x[1], frame, c.image);
    }});
    check(function{c.name, {{c.image}, {result}}, [&](vv::builder&, const values& x) {
      return convolve_weight_gradient(x[0], x[1], frame, c.weight);
    }});
  }
}
