#pragma once
// What statistics the tests of shared sampling need: deviations as standard normal numbers, 3.72 being p = 1e-4.
#include <cmath>
#include <cstddef>
#include <vector>

namespace statistics {

inline constexpr double limit = 3.72;  // one-sided p = 1e-4

/// A chi-square value as a normal deviate (Wilson and Hilferty): large is bad.
inline double deviate(double value, double freedom) {
  const double spread = 2 / (9 * freedom);
  return (std::cbrt(value / freedom) - (1 - spread)) / std::sqrt(spread);
}

/// Chi-square value of counts that should be equal.
inline double chi_square(const std::vector<double>& counts) {
  double total = 0, value = 0;
  for (const double one : counts) total += one;
  const double expected = total / static_cast<double>(counts.size());
  for (const double one : counts) value += (one - expected) * (one - expected) / expected;
  return value;
}

/// Deviate of counts that should be equal.
inline double uneven(const std::vector<double>& counts) {
  return deviate(chi_square(counts), static_cast<double>(counts.size() - 1));
}

/// Deviate of a share among so many trials.
inline double off(double share, double expected, double trials) {
  if (expected == 0 || expected == 1) return std::abs(share - expected) < 1e-9 ? 0 : 1e9;
  return std::abs(share - expected) / std::sqrt(expected * (1 - expected) / trials);
}

inline double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto count = static_cast<double>(a.size());
  double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / count;
    mean_b += b[i] / count;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace statistics
