#include <doctest/doctest.h>

#include <string>
#include <utility>

#include <vivace/kernel/cpu/elementwise.hpp>
#include <vivace/kernel/reference/elementwise.hpp>

#include "calls.hpp"

namespace {

namespace vv = vivace;
using vv::op;

/// Every kind of special value beside ordinary ones.
template <class Real>
std::vector<Real> mixed(std::int64_t count, unsigned seed) {
  std::vector<Real> result = calls::numbers<Real>(count, seed);
  const Real special[] = {
      calls::nan<Real>, calls::infinity<Real>, -calls::infinity<Real>, Real(0), -Real(0), Real(1), Real(3.5), Real(-7)};
  for (std::size_t i = seed % 3; i < result.size(); i += 3) result[i] = special[(i / 3 + i / 7) % 8];
  return result;
}

template <class Real>
struct stretch {
  std::vector<Real> a, b, c;
  vv::instruction code{};
  std::int64_t first = 0;
  template <class Function>
  std::vector<Real> run(Function&& function, int shift) const {
    const auto count = static_cast<std::int64_t>(a.size());
    calls::memory<Real> x(a), y(b), z(c), to(count);
    const vv::step_context context{.seed = 0x123456789abcdef, .step = 5, .samples = 4};
    // The result may lie over an operand.
    Real* const place = shift == 0 ? to.data() : shift == 1 ? x.data() : shift == 2 ? y.data() : z.data();
    function(place, x.data(), y.data(), z.data(), first, count, code, context);
    CHECK(to.intact());
    CHECK(x.intact());
    return shift == 0 ? to.values() : shift == 1 ? x.values() : shift == 2 ? y.values() : z.values();
  }
};

template <op Kind, class Real>
void compare(double scale, double shift) {
  for (const std::int64_t count : {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 255, 256}) {
    stretch<Real> work{mixed<Real>(count, 1), mixed<Real>(count, 2), mixed<Real>(count, 3)};
    work.code.scale = scale;
    work.code.shift = shift;
    work.code.stream = 3;
    work.first = count * 3 + 1;
    const auto wanted = work.run(vv::reference::elementwise<Kind, Real>, 0);
    INFO(std::string(vv::to_string(Kind)), " scale ", scale, " count ", count);
    for (int place = 0; place < 4; ++place)
      calls::check_close(work.run(vv::cpu::elementwise<Kind, Real>, place), wanted, 8);
  }
}

template <class Real, int... Index>
void compare_all(std::integer_sequence<int, Index...>) {
  const auto one = []<op Kind>() {
    if constexpr (Kind == op::multiply_add)
      compare<Kind, Real>(1, 1), compare<Kind, Real>(-1, 1), compare<Kind, Real>(1, -1);
    else
      compare<Kind, Real>(0.3, -0.7);
  };
  (one.template operator()<static_cast<op>(static_cast<int>(op::affine) + Index)>(), ...);
}

/// The bits of an element do not depend on where in a stretch it lies.
template <op Kind, class Real>
void compare_stretches() {
  constexpr std::int64_t count = 2000;
  const auto a = calls::numbers<Real>(count, 1), b = calls::numbers<Real>(count, 2), c = calls::numbers<Real>(count, 3);
  const vv::instruction code{.scale = Kind == op::power ? 1.5 : 1, .shift = 1};
  std::vector<Real> whole(count), parts(count);
  const auto run = [&](std::int64_t first, std::int64_t size, std::vector<Real>& to) {
    vv::cpu::elementwise<Kind, Real>(to.data() + first, a.data() + first, b.data() + first, c.data() + first, first, size,
                                     code, {});
  };
  run(0, count, whole);
  for (std::int64_t first = 0, size = 1; first < count; first += size, size = size % 37 + 1)
    run(first, (std::min)(size, count - first), parts);
  INFO(std::string(vv::to_string(Kind)));
  CHECK(calls::same_bits(whole, parts));
}
template <class Real, int... Index>
void compare_all_stretches(std::integer_sequence<int, Index...>) {
  (compare_stretches<static_cast<op>(static_cast<int>(op::affine) + Index), Real>(), ...);
}

}  // namespace

TEST_CASE_TEMPLATE("elementwise operations equal the reference, with NaN, infinities and in place", Real, float,
                   double) {
  compare_all<Real>(std::make_integer_sequence<int, static_cast<int>(op::map) - static_cast<int>(op::affine)>{});
  for (const double scale : {-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 0.25})
    compare<op::power, Real>(scale, 0);
  for (const double scale : {1.0, 12.0, -12.0}) compare<op::broadcast, Real>(scale, 0);
}

TEST_CASE_TEMPLATE("the bits of an elementwise operation do not depend on the stretch", Real, float, double) {
  compare_all_stretches<Real>(std::make_integer_sequence<int, static_cast<int>(op::map) - static_cast<int>(op::affine)>{});
}

TEST_CASE_TEMPLATE("a dropout mask is the same whatever its stretches", Real, float, double) {
  constexpr std::int64_t count = 300;
  const vv::step_context context{.seed = 42, .step = 9};
  for (const double rate : {0.0, 0.1, 0.5, 0.99}) {
    vv::instruction code{.kind = op::dropout_mask, .stream = 11, .scale = rate};
    for (const std::int64_t start : {std::int64_t{0}, (std::int64_t{1} << 34) - 17}) {
      std::vector<Real> wanted(count);
      vv::reference::elementwise<op::dropout_mask, Real>(wanted.data(), nullptr, nullptr, nullptr, start, count, code,
                                                         context);
      for (std::int64_t first = 0; first < 40; ++first)
        for (const std::int64_t length : {std::int64_t{1}, std::int64_t{5}, std::int64_t{32}, count - first}) {
          calls::memory<Real> to(length);
          vv::cpu::elementwise<op::dropout_mask, Real>(to.data(), nullptr, nullptr, nullptr, start + first, length,
                                                       code, context);
          CHECK(to.intact());
          CHECK(calls::same_bits(to.values(),
                                 std::vector<Real>(wanted.begin() + first, wanted.begin() + first + length)));
        }
    }
  }
}

TEST_CASE("a user's functor is called with the stretch") {
  static constexpr vv::functor_info info{.name = "twice",
                                         .f32 = {[](const float* from, float* to, std::int64_t count) {
                                                   for (std::int64_t i = 0; i < count; ++i) to[i] = 2 * from[i];
                                                 },
                                                 nullptr, nullptr},
                                         .f64 = {}};
  const float from[3] = {1, 2, 3};
  float to[3];
  vv::cpu::elementwise<op::map, float>(to, from, nullptr, nullptr, 0, 3, {.functor = &info}, {});
  CHECK(to[2] == 6.f);
}
