// Where elements lie: what device and host compute alike.
#include <doctest/doctest.h>

#include <initializer_list>
#include <vivace/core/random.hpp>
#include <vivace/kernel/cuda/index.hpp>

namespace {

namespace gpu = vivace::gpu;

bool divides(std::uint32_t number, std::uint32_t by) { return gpu::divider(by).quotient(number) == number / by; }

}  // namespace

TEST_CASE("cuda index: division by multiplication is exact") {
  constexpr std::uint32_t most = 0x7fffffff;
  bool right = true;
  for (std::uint32_t by = 1; by < 3000; ++by)
    for (const std::uint32_t number : {0U, 1U, by - 1, by, by + 1, 17 * by, 17 * by - 1, most / by * by, most / by * by - 1, most})
      right = right && divides(number, by);
  const vivace::random_stream random(1, 2);
  for (std::uint64_t i = 0; i < 300000; ++i) {
    const std::uint32_t by = 1 + (random.bits(2 * i) >> 1) % (most >> (i % 31));
    const std::uint32_t number = random.bits(2 * i + 1) >> 1;
    right = right && divides(number, by) && divides(number / by * by, by) &&
            (number < by || divides(number / by * by - 1, by));
  }
  for (int bit = 0; bit < 31; ++bit)
    for (const std::int64_t near : {-1, 0, 1}) {
      const std::int64_t by = (std::int64_t{1} << bit) + near;
      if (by > 0 && by <= most) right = right && divides(most, static_cast<std::uint32_t>(by));
    }
  CHECK(right);
}

TEST_CASE("cuda index: an element's offset is the sum of its coordinates times strides") {
  gpu::strided_index where;
  CHECK(where.offset(0) == 0);
  where.add_axis(3, 100);
  where.add_axis(1, 999);  // an axis of one element says nothing
  where.add_axis(4, 0);
  where.add_axis(5, 2);
  CHECK(where.rank == 3);
  for (std::uint32_t a = 0; a < 3; ++a)
    for (std::uint32_t b = 0; b < 4; ++b)
      for (std::uint32_t c = 0; c < 5; ++c) CHECK(where.offset((a * 4 + b) * 5 + c) == a * 100 + c * 2);
}
