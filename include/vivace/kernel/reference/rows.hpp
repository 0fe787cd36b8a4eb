#pragma once
#include <algorithm>
#include <cmath>

#include <vivace/kernel/call.hpp>

/// @file
/// Operations on rows: softmax, cross entropy, tables of rows.

namespace vivace::inline VIVACE_TARGET::reference {

/// Columns of a row that a softmax sees.
template <class Real>
std::int64_t visible_columns(const call<Real>& self, std::int64_t row, std::int64_t columns) {
  if (!self.attr->causal) return columns;
  const int rank = self.out.dims.rank;
  return (std::min)(columns, row % self.out.dims[rank - 2] + 1);
}

template <class Real>
void softmax(const call<Real>& self, const step_context&) {
  const std::int64_t columns = self.out.dims[self.out.dims.rank - 1];
  for (std::int64_t row = 0; row < self.out.dims.size() / columns; ++row) {
    const Real* from = self.in[0].data + row * columns;
    Real* to = self.out.data + row * columns;
    const std::int64_t seen = visible_columns(self, row, columns);
    Real largest = from[0];
    for (std::int64_t j = 1; j < seen; ++j) largest = from[j] > largest ? from[j] : largest;
    Real total = 0;
    for (std::int64_t j = 0; j < seen; ++j) total += to[j] = std::exp(from[j] - largest);
    for (std::int64_t j = 0; j < seen; ++j) to[j] /= total;
    for (std::int64_t j = seen; j < columns; ++j) to[j] = 0;
  }
}

template <class Real>
void cross_entropy(const call<Real>& self, const step_context&) {
  const std::int64_t classes = self.in[0].dims[1];
  const auto smoothing = static_cast<Real>(self.attr->scale);
  for (std::int64_t row = 0; row < self.out.dims[0]; ++row) {
    const Real* logits = self.in[0].data + row * classes;
    Real largest = logits[0];
    Real mean = 0;
    for (std::int64_t j = 0; j < classes; ++j) {
      largest = logits[j] > largest ? logits[j] : largest;
      mean += logits[j] / static_cast<Real>(classes);
    }
    Real total = 0;
    for (std::int64_t j = 0; j < classes; ++j) total += std::exp(logits[j] - largest);
    const Real spread = smoothing == 0 ? Real(0) : smoothing * mean;  // not 0 * inf
    const Real target = (1 - smoothing) * logits[self.labels(1)[row]] + spread;
    self.out.data[row] = std::log(total) + largest - target;
  }
}

template <class Real>
void cross_entropy_gradient(const call<Real>& self, const step_context&) {
  const std::int64_t classes = self.in[0].dims[1];
  const auto smoothing = static_cast<Real>(self.attr->scale);
  for (std::int64_t row = 0; row < self.out.dims[0]; ++row) {
    const Real* logits = self.in[0].data + row * classes;
    Real* to = self.out.data + row * classes;
    Real largest = logits[0];
    for (std::int64_t j = 1; j < classes; ++j) largest = logits[j] > largest ? logits[j] : largest;
    Real total = 0;
    for (std::int64_t j = 0; j < classes; ++j) total += to[j] = std::exp(logits[j] - largest);
    const Real scale = self.in[2].data[row];
    for (std::int64_t j = 0; j < classes; ++j) {
      const Real target = (j == self.labels(1)[row] ? 1 - smoothing : Real(0)) + smoothing / static_cast<Real>(classes);
      to[j] = (to[j] / total - target) * scale;
    }
  }
}

template <class Real>
void take_rows(const call<Real>& self, const step_context&) {
  const std::int64_t width = self.out.dims[1];
  for (std::int64_t row = 0; row < self.out.dims[0]; ++row)
    for (std::int64_t j = 0; j < width; ++j)
      self.out.data[row * width + j] = self.in[0].data[self.labels(1)[row] * width + j];
}

template <class Real>
void add_rows(const call<Real>& self, const step_context&) {
  const std::int64_t width = self.out.dims[1];
  for (std::int64_t i = 0; i < self.out.dims.size(); ++i) self.out.data[i] = 0;
  for (std::int64_t row = 0; row < self.in[0].dims[0]; ++row)
    for (std::int64_t j = 0; j < width; ++j)
      self.out.data[self.labels(1)[row] * width + j] += self.in[0].data[row * width + j];
}

}  // namespace vivace::inline VIVACE_TARGET::reference
