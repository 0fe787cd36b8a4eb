#include <doctest/doctest.h>

#include <vivace/kernel/cpu/elementwise.hpp>
#include <vivace/kernel/cpu/reductions.hpp>
#include <vivace/kernel/reference/reductions.hpp>

#include "calls.hpp"

namespace {

namespace vv = vivace;

struct reduced {
  vv::shape from, to;
};

/// Each kind of pattern, small and odd or large enough to be split.
const reduced cases[] = {{{1}, {}},
                         {{7}, {}},
                         {{300001}, {}},
                         {{3, 5}, {3, 5}},
                         {{5, 7}, {7}},
                         {{5, 7}, {1, 7}},
                         {{1000, 10}, {10}},
                         {{4001, 512}, {1, 512}},
                         {{90001, 10}, {10}},
                         {{40001, 100}, {100}},
                         {{700, 1500}, {1500}},
                         {{3, 100000}, {100000}},
                         {{9, 13}, {9, 1}},
                         {{1000, 10}, {1000, 1}},
                         {{2000, 129}, {2000, 1}},
                         {{3, 200003}, {3, 1}},
                         {{4, 3, 5, 6}, {1, 3, 1, 1}},
                         {{65, 16, 28, 28}, {1, 16, 1, 1}},
                         {{1, 16, 28, 28}, {1, 16, 1, 1}},
                         {{4, 3, 5, 6}, {3, 1, 1}},
                         {{6, 40, 33}, {6, 1, 33}},
                         {{3, 5000, 33}, {3, 1, 33}},
                         {{6, 7, 8, 9}, {6, 1, 8, 1}},
                         {{6, 7, 8, 9}, {1, 7, 1, 9}},
                         {{60, 7, 80, 9}, {1, 7, 1, 9}},
                         {{60, 7, 80, 9}, {9}}};

template <class Real>
calls::owned_call<Real> call_of(const reduced& sizes, bool mean) {
  calls::owned_call<Real> work{.out = sizes.to, .in = {sizes.from}, .attr = {.mean = mean}};
  work.workspace = vv::cpu::sum_workspace(sizes.from, sizes.to);
  work.fill();
  return work;
}

/// Sums in double.
template <class Real>
void exact_sum(const vv::call<Real>& self, const vv::step_context&) {
  std::vector<double> total(static_cast<std::size_t>(self.out.dims.size()));
  vv::reference::for_each_reduced(self.in[0].dims, self.out.dims, [&](std::int64_t from, std::int64_t to) {
    total[static_cast<std::size_t>(to)] += static_cast<double>(self.in[0].data[from]);
  });
  const double summands = self.attr->mean ? static_cast<double>(self.in[0].dims.size() / self.out.dims.size()) : 1;
  for (std::size_t i = 0; i < total.size(); ++i) self.out.data[i] = static_cast<Real>(total[i] / summands);
}

/// Sums (operand * 2 - 1) made by a program, which also stores it.
template <class Real>
void check_fed(const reduced& sizes) {
  calls::owned_call<Real> work = call_of<Real>(sizes, false);
  std::vector<Real> made = work.operands[0];
  for (Real& value : made) value = value * 2 - 1;
  const vv::instruction code{.kind = vv::op::affine, .from = {-1}, .scale = 2, .shift = -1};
  const vv::bound_instruction<Real> bound{vv::cpu::elementwise<vv::op::affine, Real>, &code};
  vv::bound_load<Real> load{.data = work.operands[0].data(), .full = true};
  std::vector<Real> stored(made.size()), first;
  const vv::bound_store<Real> store{stored.data(), 0, true};
  for (const int threads : {1, 2, 8}) {
    calls::memory<Real> result(sizes.to.size()), scratch(work.workspace);
    vv::call<Real> self;
    self.attr = &work.attr;
    self.out = {result.data(), sizes.to};
    self.in[0].dims = sizes.from;
    self.workspace = scratch.data();
    self.body = {.load = &load,
                 .code = &bound,
                 .store = &store,
                 .loads = 1,
                 .instructions = 1,
                 .stores = 1,
                 .registers = 1,
                 .fed_register = 0,
                 .size = sizes.from.size()};
    vv::threads::executor pool(vv::threads{.count = threads});
    vv::cpu::sum<Real>(self, {.lanes = pool.lanes()});
    CHECK(result.intact());
    CHECK(scratch.intact());
    if (threads == 1) first = result.values();
    CHECK(calls::same_bits(first, result.values()));
    calls::check_close(stored, made, 1);
  }
  work.operands[0] = made;
  const auto size = static_cast<double>(sizes.from.size() / sizes.to.size());
  calls::check_close(first, work.run(exact_sum<Real>), 4 + size / 2);
}

}  // namespace

TEST_CASE_TEMPLATE("sums and means equal the reference", Real, float, double) {
  for (const reduced& sizes : cases)
    for (const bool mean : {false, true}) {
      const auto summands = static_cast<double>(sizes.from.size() / sizes.to.size());
      INFO(sizes.from[0], " x ", sizes.from[1], " x ", sizes.from[2], " x ", sizes.from[3], " to ", sizes.to.size());
      calls::compare<Real>(call_of<Real>(sizes, mean), vv::cpu::sum<Real>, exact_sum<Real>, 4 + summands / 2);
    }
}

TEST_CASE_TEMPLATE("sums of what a program makes equal sums of it stored", Real, float, double) {
  for (const reduced& sizes : cases) {
    INFO(sizes.from[0], " x ", sizes.from[1], " x ", sizes.from[2], " x ", sizes.from[3], " to ", sizes.to.size());
    check_fed<Real>(sizes);
  }
}

TEST_CASE("long sums of floats are accurate") {
  for (const reduced& sizes : {reduced{{4000000}, {}}, reduced{{400000, 10}, {10}}, reduced{{1000, 4000}, {1000, 1}},
                               reduced{{500, 4, 50, 40}, {1, 4, 1, 1}}}) {
    calls::owned_call<float> work = call_of<float>(sizes, true);
    for (float& value : work.operands[0]) value = value * 0.5f + 0.75f;
    const auto got = work.run(vv::cpu::sum<float>), wanted = work.run(exact_sum<float>);
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::fmax(worst, std::fabs(static_cast<double>(got[i] / wanted[i]) - 1));
    CHECK(worst < 8 * static_cast<double>(std::numeric_limits<float>::epsilon()));
  }
}

TEST_CASE("NaN and infinity pass through sums") {
  calls::owned_call<float> work = call_of<float>({{40, 7}, {7}}, false);
  work.operands[0][3] = calls::nan<float>;
  work.operands[0][39 * 7 + 6] = calls::infinity<float>;
  const auto got = work.run(vv::cpu::sum<float>);
  CHECK(std::isnan(got[3]));
  CHECK(got[6] == calls::infinity<float>);
  CHECK(std::isfinite(got[0]));
}

TEST_CASE("the scratch memory of a largest batch is enough for every smaller one") {
  using vv::shape;
  const auto at = [](const shape& dims, std::int32_t samples) { return dims.at(samples); };
  const shape pairs[][2] = {{{-1, 16, 28, 28}, {1, 16, 1, 1}},
                            {{-1, 200000}, {-1, 1}},
                            {{-1, 10}, {10}},
                            {{5, -1, 70000}, {1, -1, 1}},
                            {{70000, -1}, {-1}},
                            {{-1, 300, 200, 9}, {-1, 1, 200, 1}},
                            {{3, -1, 400, 500}, {3, -1, 1, 500}},
                            {{6, -1, 700, 80}, {6, 1, 700, 1}},
                            {{-128, 512}, {1, 512}},
                            {{-1, 100000}, {}},
                            {{30, -1, 40, 50}, {1, -1, 1, 50}}};
  for (const auto& [from, to] : pairs) {
    std::int64_t before = 0;
    for (std::int32_t samples = 1; samples < 300; ++samples) {
      const std::int64_t now = vv::cpu::sum_workspace(at(from, samples), at(to, samples));
      CHECK(now >= before);
      before = now;
    }
  }
}

TEST_CASE_TEMPLATE("maxima equal the reference", Real, float, double) {
  for (const reduced& sizes : cases) {
    calls::owned_call<Real> work = call_of<Real>(sizes, false);
    for (std::size_t i = 0; i < work.operands[0].size(); i += 7) work.operands[0][i] = -calls::infinity<Real>;
    calls::compare<Real>(work, vv::cpu::max<Real>, vv::reference::max<Real>, 0);
  }
}

TEST_CASE_TEMPLATE("a maximum over NaN is NaN, wherever it stands", Real, float, double) {
  for (const reduced& sizes : {reduced{{3, 50}, {3, 1}}, reduced{{3, 50}, {50}}, reduced{{150}, {}}})
    for (std::size_t place = 0; place < 50; ++place) {
      calls::owned_call<Real> work = call_of<Real>(sizes, false);
      work.operands[0][place] = calls::nan<Real>;
      const auto got = work.run(vv::cpu::max<Real>);
      int count = 0;
      for (const Real value : got) count += std::isnan(value);
      CHECK(count == 1);
    }
}
