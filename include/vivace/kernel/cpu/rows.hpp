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
      for (int lane = 0; lane < half; ++lane)
        held[lane] = held[lane] < held[lane + half] ? held[lane + half] : held[lane];
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

/// As many short rows as there are lanes, each row in a lane of its own: the exponentials of their elements less the
/// largest, and what these add up to.
template <class Real>
class short_rows {
 public:
  static constexpr int lanes = kernel::lanes<Real>;
  /// Longest row.
  static constexpr std::int64_t most = 16;

  short_rows(const Real* from, std::int64_t rows_here, std::int64_t columns) : rows_(rows_here), columns_(columns) {
    if (rows_ < lanes) clear_run(value_[0], most * lanes);
    for (std::int64_t row = 0; row < rows_; ++row)
      for (std::int64_t j = 0; j < columns; ++j) value_[j][row] = *from++;
    largest = kernel::load(value_[0]);
    for (std::int64_t j = 1; j < columns; ++j) largest = kernel::maximum(kernel::load(value_[j]), largest);
    total = kernel::vector<Real>{};
    for (std::int64_t j = 0; j < columns; ++j) {
      const kernel::vector<Real> value = kernel::exp<Real>(kernel::load(value_[j]) - largest);
      kernel::store(value_[j], value);
      total += value;
    }
  }
  /// Writes (exponential / total - share) * scale of each row.
  void write(Real share, kernel::vector<Real> scale, Real* to) {
    const kernel::vector<Real> inverse = Real(1) / total;
    for (std::int64_t j = 0; j < columns_; ++j)
      kernel::store(value_[j], (kernel::load(value_[j]) * inverse - share) * scale);
    for (std::int64_t row = 0; row < rows_; ++row)
      for (std::int64_t j = 0; j < columns_; ++j) *to++ = value_[j][row];
  }

  kernel::vector<Real> largest, total;

 private:
  std::int64_t rows_, columns_;
  alignas(64) Real value_[most][lanes];
};

/// Calls body(first row, rows, block) for blocks of short rows.
template <class Real, class Body>
void for_short_rows(const step_context& context, const Real* from, std::int64_t count, std::int64_t columns,
                    Body&& body) {
  constexpr std::int64_t lanes = kernel::lanes<Real>;
  const std::int64_t some = function_grain / columns / lanes * lanes;
  for_stretches(context, count, some, [&](std::int64_t first, std::int64_t rows_here) {
    for (std::int64_t row = first; row < first + rows_here; row += lanes) {
      const std::int64_t together = (std::min)(lanes, first + rows_here - row);
      short_rows<Real> block(from + row * columns, together, columns);
      body(row, together, block);
    }
  });
}

/// a = values; over the last axis.
template <class Real>
void softmax(const call<Real>& self, const step_context& context) {
  const shape& dims = self.out.dims;
  const std::int64_t columns = dims[dims.rank - 1];
  const std::int64_t size = dims.size();
  if (columns <= short_rows<Real>::most && !self.attr->causal)
    return for_short_rows(context, self.in[0].data, size / columns, columns,
                          [&](std::int64_t first, std::int64_t, short_rows<Real>& block) {
                            block.write(Real(0), kernel::broadcast(Real(1)), self.out.data + first * columns);
                          });
  for_rows(context, size / columns, columns, function_grain, [&](std::int64_t row) {
    const std::int64_t seen = self.attr->causal ? (std::min)(columns, row % dims[dims.rank - 2] + 1) : columns;
    const row_view<Real> from(self.in[0].data + row * columns, seen, size - row * columns);
    Real* to = self.out.data + row * columns;
    const auto keep = [&](std::int64_t j, std::int64_t rest, kernel::vector<Real> value) {
      store_rest(to + j, rest, value);
    };
    const Real scale = 1 / from.exponentials(from.largest(), keep);
    std::int64_t j = 0;
    for (; j + kernel::lanes<Real> <= seen; j += kernel::lanes<Real>)
      kernel::store(to + j, kernel::load(to + j) * scale);
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
  const auto target = [&](std::int64_t row) {
    const Real* logits = self.in[0].data + row * classes;
    const Real label = (1 - smoothing) * logits[labels[row]];
    if (smoothing == 0) return label;
    return label + smoothing * static_cast<Real>(sum_run(logits, classes) / static_cast<double>(classes));
  };
  if (classes <= short_rows<Real>::most)
    return for_short_rows(context, self.in[0].data, self.out.dims[0], classes,
                          [&](std::int64_t first, std::int64_t count, const short_rows<Real>& block) {
                            Real held[kernel::lanes<Real>];
                            kernel::store(held, kernel::log<Real>(block.total) + block.largest);
                            for (std::int64_t i = 0; i < count; ++i)
                              self.out.data[first + i] = held[i] - target(first + i);
                          });
  for_rows(context, self.out.dims[0], classes, function_grain, [&](std::int64_t row) {
    const row_view<Real> from(self.in[0].data + row * classes, classes, size - row * classes);
    const Real largest = from.largest();
    const Real total = from.exponentials(largest, [](std::int64_t, std::int64_t, kernel::vector<Real>) {});
    self.out.data[row] = std::log(total) + largest - target(row);
  });
}

/// a = logits, b = labels, c = gradient of the losses.
template <class Real>
void cross_entropy_gradient(const call<Real>& self, const step_context& context) {
  const std::int64_t classes = self.in[0].dims[1];
  const std::int64_t size = self.in[0].dims.size();
  const auto smoothing = static_cast<Real>(self.attr->scale);
  const Real share = smoothing / static_cast<Real>(classes);
  const std::int32_t* labels = self.labels(1);
  const Real* scales = self.in[2].data;
  // The label's own share is taken off at the end.
  const auto correct = [&](std::int64_t row) {
    self.out.data[row * classes + labels[row]] -= (1 - smoothing) * scales[row];
  };
  if (classes <= short_rows<Real>::most)
    return for_short_rows(context, self.in[0].data, self.out.dims[0], classes,
                          [&](std::int64_t first, std::int64_t count, short_rows<Real>& block) {
                            const auto scale = count == kernel::lanes<Real>
                                                   ? kernel::load(scales + first)
                                                   : kernel::load(scales + first, static_cast<int>(count));
                            block.write(share, scale, self.out.data + first * classes);
                            for (std::int64_t i = 0; i < count; ++i) correct(first + i);
                          });
  for_rows(context, self.out.dims[0], classes, function_grain, [&](std::int64_t row) {
    const row_view<Real> from(self.in[0].data + row * classes, classes, size - row * classes);
    Real* to = self.out.data + row * classes;
    const auto keep = [&](std::int64_t j, std::int64_t rest, kernel::vector<Real> value) {
      store_rest(to + j, rest, value);
    };
    const Real inverse = 1 / from.exponentials(from.largest(), keep);
    std::int64_t j = 0;
    for (; j + kernel::lanes<Real> <= classes; j += kernel::lanes<Real>)
      kernel::store(to + j, (kernel::load(to + j) * inverse - share) * scales[row]);
    for (; j < classes; ++j) to[j] = (to[j] * inverse - share) * scales[row];
    correct(row);
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

/// a = values [n, width], b = labels [n]: added to the rows they name of a table of zeros. Each task has some columns
/// of all rows, so that every sum is taken in the order of the rows.
template <class Real>
void add_rows(const call<Real>& self, const step_context& context) {
  const std::int64_t width = self.out.dims[1];
  const std::int64_t count = self.in[0].dims[0];
  const std::int64_t work = count + self.out.dims[0];
  const std::int32_t* labels = self.labels(1);
  constexpr std::int64_t line = alignment / sizeof(Real);
  const std::int64_t some =
      (std::max)(4 * line, (copy_grain / (std::max)(std::int64_t{1}, work) + line - 1) / line * line);
  for_stretches(context, width, some, [&](std::int64_t first, std::int64_t columns) {
    for (std::int64_t row = 0; row < self.out.dims[0]; ++row) clear_run(self.out.data + row * width + first, columns);
    for (std::int64_t row = 0; row < count; ++row)
      add_run(self.in[0].data + row * width + first, columns, self.out.data + labels[row] * width + first);
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
