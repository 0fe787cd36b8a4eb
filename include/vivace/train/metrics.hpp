#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// How a model does on a data set.
struct evaluation {
  double loss = 0;                                                ///< mean over the samples
  double accuracy = std::numeric_limits<double>::quiet_NaN();     ///< in [0, 1]; NaN without labels
  std::int64_t samples = 0;
  int classes = 0;
  std::vector<std::int64_t> confusion;  ///< [true class, predicted class], counts; empty without labels
};

/// Index of the largest of `count` numbers; the first of equals.
template <class Real>
int largest(const Real* values, int count) {
  int best = 0;
  for (int i = 1; i < count; ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

}  // namespace vivace::inline VIVACE_TARGET
