#pragma once
#include <cmath>

#include <vivace/config.hpp>

/// @file
/// Samples of gamma distributions with the derivative by the shape: what the Dirichlet weights of DrNAS need.

namespace vivace::inline VIVACE_TARGET::search {

namespace detail {

/// Stirling's series is exact to rounding from here on; smaller arguments are brought up by the recurrence.
inline constexpr double stirling_start = 12;

/// ln(Gamma(x)) for x > 0; unlike std::lgamma it writes no global.
inline double log_gamma(double x) {
  double product = 1;
  for (; x < stirling_start; x += 1) product *= x;
  const double inverse = 1 / x, square = inverse * inverse;
  const double tail =
      inverse * (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680 - square / 1188))));
  return (x - 0.5) * std::log(x) - x + 0.91893853320467274178 + tail - std::log(product);
}

/// The derivative of log_gamma.
inline double digamma(double x) {
  double sum = 0;
  for (; x < stirling_start; x += 1) sum += 1 / x;
  const double square = 1 / (x * x);
  const double tail =
      square * (1.0 / 12 - square * (1.0 / 120 - square * (1.0 / 252 - square * (1.0 / 240 - square / 132))));
  return std::log(x) - 0.5 / x - tail - sum;
}

}  // namespace detail

/// A sample as its logarithm, and the derivative of that by the distribution's parameter.
struct log_sample {
  double value = 0;
  double slope = 0;
};

/// The logarithm of the u-quantile of the gamma distribution with a shape and scale 1, and its derivative by the shape
/// at fixed u. With uniform u it is a sample and its implicit reparameterisation derivative,
/// dz/dshape = -(dF/dshape) / (dF/dz) (Figurnov, Mohamed and Mnih, NeurIPS 2018).
///
/// With s_n = z^n / ((shape + 1) ... (shape + n)) and S their sum, F = z^shape e^-z S / Gamma(shape + 1), so that
/// d ln F / d ln z = shape / S and d ln z / dshape = -sum s_n (ln z - digamma(shape + 1 + n)) / shape: nothing
/// underflows for small shapes. ln F is concave in ln z and its leading term is no less, so Newton's method rises to
/// the quantile from there.
/// @param shape above 0
/// @param u     in (0, 1)
inline log_sample log_gamma_quantile(double shape, double u) {
  const double log_u = std::log(u), normaliser = detail::log_gamma(shape + 1), start = detail::digamma(shape + 1);
  double log_z = (log_u + normaliser) / shape;
  for (int round = 0;; ++round) {
    const double z = std::exp(log_z);
    double term = 1, sum = 1, psi = start, derivative = log_z - start;
    for (int n = 1; n < 100'000 && (n < z || term > 1e-17 * sum); ++n) {
      term *= z / (shape + n);
      psi += 1 / (shape + n);
      sum += term;
      derivative += term * (log_z - psi);
    }
    const double step = (log_u - (shape * log_z - z - normaliser + std::log(sum))) * sum / shape;
    if (round == 200 || !(std::abs(step) > 1e-14 * (1 + std::abs(log_z)))) return {log_z, -derivative / shape};
    log_z += step;
  }
}

}  // namespace vivace::inline VIVACE_TARGET::search
