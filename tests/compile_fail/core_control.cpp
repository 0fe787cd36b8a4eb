// compiles
#include <vivace/core/sequence.hpp>
#include <vivace/core/shape.hpp>

constexpr vivace::shape images{vivace::rows, 1, 28, 28};
static_assert(images.size() == 28 * 28);

int main() {
  const vivace::sequence<int> numbers(3, 7);
  return numbers[0] - 7;
}
