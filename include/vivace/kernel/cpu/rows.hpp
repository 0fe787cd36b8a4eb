#pragma once
#include <algorithm>
#include <cmath>

#include <vivace/core/buffer.hpp>
#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/math.hpp>
#include <vivace/kernel/cpu/stretch.hpp>

/// @file
/// Operations on rows: softmax, cross entropy, tables of rows. Rows run side by side.

namespace vivace::inline VIVACE_TARGET::cpu {

/// A row as vectors: all of them whole but the last.
template <class Real>
class row_view {
 public:
  /// @param readable elements that may be read from `from` on, at least `columns`
  row_view(const Real* from, std::int64_t columns, std::int64_t readable)
      : from_(from), columns_(columns), readable_(readable) {}

  /// The vector at a column, with `fill` behind the row's end.
  [[gnu::always_inline]] kernel::vector<Real> at(std::int64_t column, Real fill) const {
    const std::int64_t rest = columns_ - column;
    if (rest >= kernel::lanes<Real>) return kernel::load(from_ + column);
    const kernel::vector<Real> value = readable_ - column >= kernel::lanes<Real>
                                           ? kernel::load(from_ + column)
                                           : kernel::load(from_ + column, static_cast<int>(rest));
    return first_lanes<Real>(rest) != 0 ? value : kernel::broadcast(fill);
  }
  /// Largest element; NaN or not if one is NaN: the exponentials that follow are NaN then.
  [[nodiscard]] Real largest() const {
    const auto lowest = static_cast<Real>(-HUGE_VAL);
    kernel::vector<Real> best = at(0, lowest);
    for (std::int64_t j = kernel::lanes<Real>; j < columns_; j += kernel::lanes<Real>)
      best = kernel::maximum(at(j, lowest), best);
    Real held[kernel::lanes<Real>];
    kernel::store(held, best);
    for (int half = kernel::lanes<Real> / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) held[lane] = held[lane] < held[lane + half] ? held[lane + half] : held[lane];
    return held[0];
  }
  /// Sum of exp(element - shift), after body(column, lanes, exponentials) for each vector.
  template <class Body>
  Real exponentials(Real shift, Body&& body) const {
    kernel::vector<Real> total{};
    for (std::int64_t j = 0; j < columns_; j += kernel::lanes<Real>) {
      const std::int64_t rest = columns_ - j;
      kernel::vector<Real> value = kernel::exp<Real>(at(j, shift) - shift);
      if (rest < kernel::lanes<Real>) value = first_lanes<Real>(rest) != 0 ? value : kernel::vector<Real>{};
      total += value;
      body(j, rest, value);
    }
    return kernel::sum_of_lanes<Real>(total);
  }

 private:
  const Real* from_;
  std::int64_t columns_;
  std::int64_t readable_;
};

/// Writes a row's vector, of which `rest` elements are left.
template <class Real>
[[gnu::always_inline]] inline void store_rest(Real* to, std::int64_t rest, kernel::vector<Real> value) {
  if (rest >= kernel::lanes<Real>)
    kernel::store(to, value);
  else
    kernel::store(to, value, static_cast<int>(rest));
}

/// Calls body(row) for all rows, so many a task that it is worth its while.
template <class Body>
void for_rows(const step_context& context, std::int64_t count, std::int64_t columns, std::int64_t grain, Body&& body) {
  const std::int64_t some = (std::max)(std::int64_t{1}, grain / (std::max)(std::int64_t{1}, columns));
  for_stretches(context, count, some, [&](std::int64_t first, std::int64_t rows_here) {
    for (std::int64_t row = first; row < first + rows_here; ++row) body(row);
  });
}

/// a = values; over the last axis.
template <class Real>
void softmax(const call<Real>& self, const step_context& context) {
  const shape& dims = self.out.dims;
  const std::int64_t columns = dims[dims.rank - 1];
  const std::int64_t size = dims.size();
  for_rows(context, size / columns, columns, function_grain, [&](std::int64_t row) {
    const std::int64_t seen =
        self.attr->causal ? (std::min)(columns, row % dims[dims.rank - 2] + 1) : columns;
    const row_view<Real> from(self.in[0].data + row * columns, seen, size - row * columns);
    Real* to = self.out.data + row * columns;
    const Real total = from.exponentials(from.largest(), [&](std::int64_t j, std::int64_t rest, kernel::vector<Real> value) {
      store_rest(to + j, rest, value);
    });
    const Real scale = 1 / total;
    std::int64_t j = 0;
    for (; j + kernel::lanes<Real> <= seen; j += kernel::lanes<Real>) kernel::store(to + j, kernel::load(to + j) * scale);
    for (; j < seen; ++j) to[j] *= scale;
    clear_run(to + seen, columns - seen);
  });
}

/// a = logits [n, classes], b = labels [n]; the loss of each row.
template <class Real>
void cross_entropy(const call<Real>& self, const step_context& context) {
  const std::int64_t classes = self.in[0].dims[1];
  const std::int64_t size = self.in[0].dims.size();
  const auto smoothing = static_cast<Real>(self.attr->scale);
  const std::int32_t* labels = self.labels(1);
  for_rows(context, self.out.dims[0], classes, function_grain, [&](std::int64_t row) {
    const Real* logits = self.in[0].data + row * classes;
    const row_view<Real> from(logits, classes, size - row * classes);
    const Real largest = from.largest();
    const Real total = from.exponentials(largest, [](std::int64_t, std::int64_t, kernel::vector<Real>) {});
    Real target = (1 - smoothing) * logits[labels[row]];
    if (smoothing != 0) target += smoothing * static_cast<Real>(sum_run(logits, classes) / static_cast<double>(classes));
    self.out.data[row] = std::log(total) + largest - target;
  });
}

/// a = logits, b = labels, c = gradient of the losses.
template <class Real>
void cross_entropy_gradient(const call<Real>& self, const step_context& context) {
  const std::int64_t classes = self.in[0].dims[1];
  const std::int64_t size = self.in[0].dims.size();
  const auto smoothing = static_cast<Real>(self.attr->scale);
  const std::int32_t* labels = self.labels(1);
  for_rows(context, self.out.dims[0], classes, function_grain, [&](std::int64_t row) {
    const row_view<Real> from(self.in[0].data + row * classes, classes, size - row * classes);
    Real* to = self.out.data + row * classes;
    const Real total = from.exponentials(from.largest(), [&](std::int64_t j, std::int64_t rest, kernel::vector<Real> value) {
      store_rest(to + j, rest, value);
    });
    const Real scale = self.in[2].data[row];
    const Real share = smoothing / static_cast<Real>(classes);
    const Real inverse = 1 / total;
    to[labels[row]] -= (1 - smoothing) * total;
    std::int64_t j = 0;
    for (; j + kernel::lanes<Real> <= classes; j += kernel::lanes<Real>)
      kernel::store(to + j, (kernel::load(to + j) * inverse - share) * scale);
    for (; j < classes; ++j) to[j] = (to[j] * inverse - share) * scale;
  });
}

/// a = table [count, width], b = labels [n]: the rows they name.
template <class Real>
void take_rows(const call<Real>& self, const step_context& context) {
  const std::int64_t width = self.out.dims[1];
  const std::int32_t* labels = self.labels(1);
  for_rows(context, self.out.dims[0], width, copy_grain, [&](std::int64_t row) {
    copy_run(self.in[0].data + labels[row] * width, width, self.out.data + row * width);
  });
}

/// a = values [n, width], b = labels [n]: added to the rows they name of a table of zeros. Each task has some columns of
/// all rows, so that every sum is taken in the order of the rows.
template <class Real>
void add_rows(const call<Real>& self, const step_context& context) {
  const std::int64_t width = self.out.dims[1];
  const std::int64_t count = self.in[0].dims[0];
  const std::int64_t work = count + self.out.dims[0];
  const std::int32_t* labels = self.labels(1);
  constexpr std::int64_t line = alignment / sizeof(Real);
  const std::int64_t some =
      (std::max)(2 * line, (copy_grain / (std::max)(std::int64_t{1}, work) + line - 1) / line * line);
  for_stretches(context, width, some, [&](std::int64_t first, std::int64_t columns) {
    for (std::int64_t row = 0; row < self.out.dims[0]; ++row) clear_run(self.out.data + row * width + first, columns);
    for (std::int64_t row = 0; row < count; ++row)
      add_run(self.in[0].data + row * width + first, columns, self.out.data + labels[row] * width + first);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
