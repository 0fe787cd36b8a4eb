// Two instruction sets in one program: each file keeps its own copy of the library, and both give the same numbers.
#include <cstdio>

// Declared here by the names that config.hpp gives each copy.
namespace vivace {
namespace baseline {
double sum_of_random_numbers(int count);
}
namespace avx2 {
double sum_of_random_numbers(int count);
}
}  // namespace vivace

int main() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 77;
  const double baseline = vivace::baseline::sum_of_random_numbers(1000);
  const double avx2 = vivace::avx2::sum_of_random_numbers(1000);
  std::printf("x86-64 %.17g, x86-64-v3 %.17g\n", baseline, avx2);
  return baseline == avx2 && baseline > 400 && baseline < 600 ? 0 : 1;
}
