// Intrinsics are whole behind our header, whichever way oneTBB's were read.
#include <doctest/doctest.h>

#include <vivace/exec/tbb_headers.hpp>
// (kept behind it)
#include <immintrin.h>
#include <tbb/parallel_reduce.h>

#if defined(__AVX2__)
TEST_CASE("intrinsics can be included behind tbb") {
  const __m256i sum = _mm256_add_epi32(_mm256_set1_epi32(2), _mm256_set1_epi32(3));
  CHECK(_mm256_extract_epi32(sum, 5) == 5);
}
#endif
TEST_CASE("other headers of tbb can be included behind it") {
  const int sum = tbb::parallel_reduce(
      tbb::blocked_range<int>(0, 100), 0,
      [](const tbb::blocked_range<int>& range, int start) {
        for (int i = range.begin(); i < range.end(); ++i) start += i;
        return start;
      },
      [](int left, int right) { return left + right; });
  CHECK(sum == 4950);
}
