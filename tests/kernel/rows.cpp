#include <doctest/doctest.h>

#include <vivace/kernel/cpu/rows.hpp>
#include <vivace/kernel/reference/rows.hpp>

#include "calls.hpp"

namespace vv = vivace;

TEST_CASE_TEMPLATE("softmax equals the reference", Real, float, double) {
  for (const bool causal : {false, true})
    for (const vv::shape dims : {vv::shape{1, 1}, vv::shape{5, 3}, vv::shape{128, 10}, vv::shape{3, 4, 17, 17},
                                 vv::shape{7, 16}, vv::shape{9, 33}, vv::shape{2, 300}, vv::shape{600, 129}}) {
      calls::owned_call<Real> work{.out = dims, .in = {dims}, .attr = {.causal = causal}};
      work.fill();
      for (Real& value : work.operands[0]) value *= 20;
      calls::compare<Real>(work, vv::cpu::softmax<Real>, vv::reference::softmax<Real>, 40);
    }
}

TEST_CASE_TEMPLATE("softmax of special values equals the reference", Real, float, double) {
  for (const std::int32_t columns : {5, 16, 40}) {
    calls::owned_call<Real> work{.out = {6, columns}, .in = {{6, columns}}};
    work.fill();
    Real* row = work.operands[0].data();
    row[3] = calls::nan<Real>;
    row[columns] = calls::nan<Real>;
    row[2 * columns + 1] = calls::infinity<Real>;
    row[3 * columns + 2] = -calls::infinity<Real>;
    for (int j = 0; j < columns; ++j) row[4 * columns + j] = -calls::infinity<Real>;
    for (int j = 0; j < columns; ++j) row[5 * columns + j] = static_cast<Real>(j == 4 ? 1e30 : -1e30);
    calls::compare<Real>(work, vv::cpu::softmax<Real>, vv::reference::softmax<Real>, 8);
  }
}

TEST_CASE_TEMPLATE("cross entropy and its gradient equal the reference", Real, float, double) {
  for (const double smoothing : {0.0, 0.1})
    for (const vv::shape dims :
         {vv::shape{1, 2}, vv::shape{128, 10}, vv::shape{33, 17}, vv::shape{5, 1000}, vv::shape{9000, 10}}) {
      calls::owned_call<Real> work{.out = {dims[0]}, .in = {dims, {dims[0]}}, .attr = {.scale = smoothing}};
      work.labels = calls::labels(dims[0], dims[1]);
      work.fill();
      for (Real& value : work.operands[0]) value *= 10;
      calls::compare<Real>(work, vv::cpu::cross_entropy<Real>, vv::reference::cross_entropy<Real>, 40);
      work.out = dims;
      work.in.push_back({dims[0]});
      work.operands.push_back(calls::numbers<Real>(dims[0], 5));
      calls::compare<Real>(work, vv::cpu::cross_entropy_gradient<Real>, vv::reference::cross_entropy_gradient<Real>, 8);
    }
}

TEST_CASE_TEMPLATE("cross entropy of NaN is NaN, and a class ruled out costs nothing", Real, float, double) {
  calls::owned_call<Real> work{.out = {3}, .in = {{3, 4}, {3}}, .attr = {.scale = 0}};
  work.labels = {0, 1, 2};
  work.fill();
  work.operands[0][1] = calls::nan<Real>;
  work.operands[0][4] = -calls::infinity<Real>;
  const std::vector<Real> got = work.run(vv::cpu::cross_entropy<Real>);
  CHECK(std::isnan(got[0]));
  CHECK(std::isfinite(got[1]));
  CHECK(std::isfinite(got[2]));
}

TEST_CASE_TEMPLATE("rows are taken from a table and added to one", Real, float, double) {
  for (const std::int32_t width : {1, 5, 16, 100, 512})
    for (const std::int32_t count : {1, 40, 3000}) {
      calls::owned_call<Real> take{.out = {count, width}, .in = {{65, width}, {count}}};
      take.labels = calls::labels(count, 65);
      take.fill();
      calls::compare<Real>(take, vv::cpu::take_rows<Real>, vv::reference::take_rows<Real>, 0);
      calls::owned_call<Real> add{.out = {65, width}, .in = {{count, width}, {count}}};
      add.labels = take.labels;
      add.fill();
      calls::compare<Real>(add, vv::cpu::add_rows<Real>, vv::reference::add_rows<Real>, 0);
    }
}
