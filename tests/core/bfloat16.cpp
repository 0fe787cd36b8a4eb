#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vivace/core/bfloat16.hpp>

namespace vv = vivace;

namespace {

vv::bfloat16 at(std::uint32_t bits) { return static_cast<vv::bfloat16>(bits); }

}  // namespace

TEST_CASE("bfloat16: every number comes back, every other goes to the nearest") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = vv::to_float(at(bits));
    if (std::isnan(value)) {
      CHECK(std::isnan(vv::to_float(vv::to_bfloat16(value))));
      continue;
    }
    CHECK(vv::to_bfloat16(value) == at(bits));
    if (std::isinf(value) || (bits & 0x7fff) >= 0x7f7f) continue;
    const float next = vv::to_float(at(bits + 1)), middle = value + (next - value) / 2;
    CHECK(vv::to_bfloat16(middle) == at(bits % 2 == 0 ? bits : bits + 1));  // of two, the even one
    CHECK(vv::to_bfloat16(std::nextafter(middle, value)) == at(bits));
    CHECK(vv::to_bfloat16(std::nextafter(middle, next)) == at(bits + 1));
  }
}

TEST_CASE("bfloat16: the ends of the range") {
  constexpr float infinite = std::numeric_limits<float>::infinity();
  CHECK(vv::to_float(vv::to_bfloat16((std::numeric_limits<float>::max)())) == infinite);
  CHECK(vv::to_float(vv::to_bfloat16(-infinite)) == -infinite);
  CHECK(std::signbit(vv::to_float(vv::to_bfloat16(-0.0f))));
  CHECK(std::isnan(vv::to_float(vv::to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  static_assert(vv::to_float(vv::to_bfloat16(1.0f)) == 1.0f);
}
