// Compiled once for each instruction set. Uses the library so that its functions are emitted here.
#include <all_headers.hpp>

namespace vivace::inline VIVACE_TARGET {

double sum_of_random_numbers(int count) {
  const buffer storage(static_cast<std::size_t>(count) * sizeof(double));
  double* numbers = storage.as<double>();
  const random_stream stream(1, 2);
  parallel{}(count, [&](std::int64_t index) { numbers[index] = stream.uniform(static_cast<std::uint64_t>(index)); });
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += numbers[i];
  return sum;
}

}  // namespace vivace::inline VIVACE_TARGET
