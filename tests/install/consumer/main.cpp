#include <tbb/parallel_for.h>

#include <cstdio>
#include <vivace/core/random.hpp>
#include <vivace/core/shape.hpp>

int main() {
  const vivace::random_stream stream(1, 2);
  const vivace::shape images{vivace::rows, 1, 28, 28};
  double numbers[28 * 28];
  tbb::parallel_for(std::int64_t{0}, images.size(),
                    [&](std::int64_t i) { numbers[i] = stream.uniform(static_cast<std::uint64_t>(i)); });
  std::printf("%g\n", numbers[0]);
  return numbers[0] < 1 ? 0 : 1;
}
