#include <doctest/doctest.h>

#include <initializer_list>

#include <vivace/kernel/cpu/movement.hpp>
#include <vivace/kernel/reference/movement.hpp>

#include "calls.hpp"

namespace {

namespace vv = vivace;

template <class Real>
void compare_transpose(const vv::shape& from, std::initializer_list<int> axes) {
  calls::owned_call<Real> work{.out = from, .in = {from}};
  int d = 0;
  for (const int axis : axes) {
    work.attr.axes[d] = static_cast<std::int8_t>(axis);
    work.out[d++] = from[axis];
  }
  work.fill();
  calls::compare<Real>(work, vv::cpu::transpose<Real>, vv::reference::transpose<Real>, 0);
}

}  // namespace

TEST_CASE_TEMPLATE("transposes equal the reference in every order", Real, float, double) {
  for (const vv::shape from :
       {vv::shape{1, 1}, vv::shape{5, 7}, vv::shape{33, 100}, vv::shape{1, 9}, vv::shape{600, 257}}) {
    compare_transpose<Real>(from, {1, 0});
    compare_transpose<Real>(from, {0, 1});
  }
  for (const vv::shape from :
       {vv::shape{2, 3, 4, 5}, vv::shape{4, 33, 4, 32}, vv::shape{3, 1, 17, 1}, vv::shape{2, 64, 8, 100}})
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b)
        for (int c = 0; c < 4; ++c) {
          const int d = 6 - a - b - c;
          if (a == b || a == c || b == c) continue;
          compare_transpose<Real>(from, {a, b, c, d});
        }
  compare_transpose<Real>({5, 6, 7}, {2, 0, 1});
}

TEST_CASE_TEMPLATE("slices, pads and concatenations equal the reference along every axis", Real, float, double) {
  for (const vv::shape dims :
       {vv::shape{7, 1, 1, 1}, vv::shape{3, 5, 4, 6}, vv::shape{9, 40, 5, 60}, vv::shape{6, 300, 2, 90}})
    for (std::int8_t axis = 0; axis < 4; ++axis) {
      vv::shape part = dims;
      for (const std::int32_t first : {0, 1, 3})
        for (const std::int32_t count : {1, 2, dims[axis] - first}) {
          if (first + count > dims[axis] || count < 1) continue;
          part[axis] = count;
          calls::owned_call<Real> slice{.out = part, .in = {dims}, .attr = {.axes = {axis}, .first = first}};
          slice.fill();
          calls::compare<Real>(slice, vv::cpu::slice<Real>, vv::reference::slice<Real>, 0);
          calls::owned_call<Real> pad{.out = dims, .in = {part}, .attr = {.axes = {axis}, .first = first}};
          pad.fill();
          calls::compare<Real>(pad, vv::cpu::pad<Real>, vv::reference::pad<Real>, 0);
          vv::shape both = dims;
          both[axis] += count;
          calls::owned_call<Real> join{.out = both, .in = {dims, part}, .attr = {.axes = {axis}}};
          join.fill();
          calls::compare<Real>(join, vv::cpu::concatenate<Real>, vv::reference::concatenate<Real>, 0);
        }
    }
}
