#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

namespace detail {

/// Eigenvalues of a symmetric matrix [size, size], by cyclic Jacobi rotations.
inline std::vector<double> symmetric_eigenvalues(std::vector<double> matrix, int size) {
  const auto at = [&](int row, int column) -> double& {
    return matrix[static_cast<std::size_t>(row) * static_cast<std::size_t>(size) + static_cast<std::size_t>(column)];
  };
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0, diagonal = 0;
    for (int i = 0; i < size; ++i) {
      diagonal += at(i, i) * at(i, i);
      for (int j = 0; j < i; ++j) off += at(i, j) * at(i, j);
    }
    if (off <= 1e-30 * diagonal) break;
    for (int p = 0; p < size; ++p)
      for (int q = p + 1; q < size; ++q) {
        if (at(p, q) == 0) continue;
        const double theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (int k = 0; k < size; ++k) {
          const double left = at(k, p), right = at(k, q);
          at(k, p) = c * left - s * right;
          at(k, q) = s * left + c * right;
        }
        for (int k = 0; k < size; ++k) {
          const double upper = at(p, k), lower = at(q, k);
          at(p, k) = c * upper - s * lower;
          at(q, k) = s * upper + c * lower;
        }
      }
  }
  std::vector<double> values;
  for (int i = 0; i < size; ++i) values.push_back(at(i, i));
  std::sort(values.begin(), values.end());
  return values;
}

/// Correlations between the rows of [count, width], a constant row being correlated with nothing but itself.
inline std::vector<double> row_correlations(std::vector<double> table, int count, std::int64_t width) {
  for (int i = 0; i < count; ++i) {
    double* const row = table.data() + i * width;
    double mean = 0, square = 0;
    for (std::int64_t k = 0; k < width; ++k) mean += row[k] / static_cast<double>(width);
    for (std::int64_t k = 0; k < width; ++k) {
      row[k] -= mean;
      square += row[k] * row[k];
    }
    const double length = std::sqrt(square);
    for (std::int64_t k = 0; k < width; ++k) row[k] = length > 0 ? row[k] / length : 0;
  }
  std::vector<double> result(static_cast<std::size_t>(count) * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < count; ++j) {
      const double* const left = table.data() + i * width;
      const double* const right = table.data() + j * width;
      double product = i == j ? 1 : 0;
      for (std::int64_t k = 0; k < width && i != j; ++k) product += left[k] * right[k];
      result[static_cast<std::size_t>(i * count + j)] = product;
    }
  return result;
}

}  // namespace detail

/// JacCov (Mellor et al., 2020, first version): J has one row a sample, the gradient by the input of the sum of the
/// outputs "prediction"; e are the eigenvalues of the correlation matrix of its rows; the score is
/// -sum [ln(e + k) + 1 / (e + k)], k = 1e-5.
struct jac_cov {
  /// @param of    a definition with an output "prediction"
  /// @param batch its features; labels are not needed
  /// @throws error if the definition has a mistake or no such output
  template <definition Definition, class Real>
  double operator()(const Definition& of, const data::batch_view<Real>& batch, const seed& start = {}) const {
    if (batch.size < 2)
      throw error("a score needs a batch", "jac_cov", std::to_string(batch.size) + " samples", "at least two");
    detail::scored_model model(of, true);
    const value input = model.input();
    const std::int64_t width = input.dims().size();
    sequence<value> by;
    by.push_back(input);
    const value total = sum(model.output("prediction"));
    const value rows_of_gradients = model.gradients(total, by)[0];
    if (!rows_of_gradients.exists()) return -(std::numeric_limits<double>::infinity)();
    model.make().result().outputs.clear();
    model.make().output("jacobian", ops::affine(rows_of_gradients, 1, 0));
    detail::scored_run<Real> run(model.finish(total), batch.size, start.value);
    run.set(batch);
    run();
    const auto* numbers = run.instance_of().output("jacobian").data;
    std::vector<double> table(numbers, numbers + batch.size * width);
    constexpr double k = 1e-5;
    double score = 0;
    std::vector<double> correlations = detail::row_correlations(std::move(table), batch.size, width);
    for (const double e : detail::symmetric_eigenvalues(std::move(correlations), batch.size)) {
      const double shifted = (std::max)(e, 0.0) + k;  // rounding may take it below zero
      score -= std::log(shifted) + 1 / shifted;
    }
    return score;
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
