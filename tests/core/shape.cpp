#include <doctest/doctest.h>

#include <vivace/core/shape.hpp>

namespace vv = vivace;

TEST_CASE("shape: a scalar has one element") {
  constexpr vv::shape scalar;
  static_assert(scalar.rank == 0 && scalar.size() == 1 && scalar.size_at(7) == 1 && !scalar.per_sample());
  static_assert(scalar.at(7) == scalar);
}

TEST_CASE("shape: sizes without a batch") {
  constexpr vv::shape dims{2, 3, 4, 5};
  static_assert(dims.rank == 4 && dims.size() == 120 && dims.size_at(9) == 120 && !dims.per_sample());
  static_assert(dims.at(9) == dims);
  static_assert(dims[0] == 2 && dims[3] == 5);
  static_assert(vv::shape{0, 3}.size() == 0);
}

TEST_CASE("shape: an extent below zero counts samples") {
  constexpr vv::shape dims{vv::rows, 3, 28};
  static_assert(dims.per_sample() && dims.size() == 84);
  static_assert(dims.size_at(0) == 0 && dims.size_at(1) == 84 && dims.size_at(128) == 128 * 84);
  static_assert(dims.at(128) == vv::shape{128, 3, 28});
  static_assert(!dims.at(128).per_sample());

  constexpr vv::shape merged{-128, 65};  // 128 rows a sample
  static_assert(merged.size() == 128 * 65 && merged.size_at(8) == 8 * 128 * 65);
  static_assert(merged.at(8) == vv::shape{1024, 65});

  constexpr vv::shape inner{4, vv::rows};
  static_assert(inner.per_sample() && inner.size_at(5) == 20 && inner.at(5) == vv::shape{4, 5});
}

TEST_CASE("shape: sizes exceed 32 bits without harm") {
  static_assert(vv::shape{1 << 16, 1 << 16}.size() == std::int64_t{1} << 32);
  static_assert(vv::shape{vv::rows, 1 << 20}.size_at(1 << 20) == std::int64_t{1} << 40);
}

TEST_CASE("shape: equality looks at rank and extents") {
  CHECK(vv::shape{2, 3} == vv::shape{2, 3});
  CHECK(vv::shape{2, 3} != vv::shape{3, 2});
  CHECK(vv::shape{2} != vv::shape{2, 1});
  CHECK(vv::shape{1} != vv::shape{});
  vv::shape dims{2, 3};
  dims[1] = vv::rows;
  CHECK(dims == vv::shape{2, vv::rows});
}
