#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>
#include <vivace/core/buffer.hpp>

namespace vv = vivace;

TEST_CASE("buffer: aligned and zeroed at every size") {
  std::vector<vv::buffer> kept;
  for (const std::size_t bytes : {1UL, 3UL, 63UL, 64UL, 65UL, 1000UL, 100000UL, 3UL << 20}) {
    kept.emplace_back(bytes);
    const vv::buffer& made = kept.back();
    CHECK(made.bytes() == bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(made.data()) % vv::alignment == 0);
    bool zero = true;
    for (std::size_t i = 0; i < bytes; ++i) zero = zero && made.as<unsigned char>()[i] == 0;
    CHECK(zero);
    made.as<unsigned char>()[bytes - 1] = 1;
  }
}

TEST_CASE("buffer: nothing is a buffer too") {
  const vv::buffer none, empty(0);
  CHECK(none.data() == nullptr);
  CHECK(empty.data() == nullptr);
  CHECK(empty.bytes() == 0);
}

TEST_CASE("buffer: moves its memory") {
  vv::buffer first(64);
  void* const memory = first.data();
  vv::buffer second = std::move(first);
  CHECK(second.data() == memory);
  CHECK(first.data() == nullptr);
  CHECK(first.bytes() == 0);
  vv::buffer third(128);
  third = std::move(second);
  CHECK(third.data() == memory);
  CHECK(third.bytes() == 64);
  vv::buffer& same = third;
  third = std::move(same);
  CHECK(third.data() == memory);
}
