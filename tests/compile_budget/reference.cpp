// What compile times are compared to: a loop on oneTBB.
#include <tbb/parallel_for.h>

void twice(double* numbers, int count) {
  tbb::parallel_for(0, count, [=](int i) { numbers[i] *= 2; });
}
