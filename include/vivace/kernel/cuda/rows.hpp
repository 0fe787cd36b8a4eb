#pragma once
#include <cmath>

#include <vivace/kernel/cuda/each.hpp>

/// @file
/// Operations on rows: softmax, cross entropy, tables of rows. The threads of a warp share a row; they meet twice, and
/// each adds up what all of them found, in the same order.

namespace vivace::inline VIVACE_TARGET::gpu {

/// What a row kernel of ours does: in the first phase the threads find the largest number, in the second they add up
/// exponentials, in the third they write.
template <class Task, class Real>
struct row_work {
  static constexpr int lanes = 32;          ///< threads of a row
  static constexpr int rows_of_block = 4;
  static constexpr int threads = lanes * rows_of_block;
  struct state {
    Real largest = 0;
  };
  Task task;
  std::uint32_t rows = 0;

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 3; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const { return sizeof(Real) * 3 * threads; }
  VIVACE_HOST_DEVICE void operator()(int phase, position at, state& own, std::byte* shared) const {
    const std::uint32_t lane = at.thread % lanes;
    const std::uint32_t row = at.block * rows_of_block + at.thread / lanes;
    if (row >= rows) return;
    Real* const largest = reinterpret_cast<Real*>(shared) + (at.thread - lane);
    Real* const total = largest + threads;
    Real* const extra = total + threads;
    const std::uint32_t seen = task.visible(row);
    const Real* const from = task.from + row * task.columns;
    if (phase == 0) {
      Real best = from[lane < seen ? lane : 0];
      Real sum = 0;
      for (std::uint32_t j = lane; j < seen; j += lanes) {
        best = from[j] > best || from[j] != from[j] ? from[j] : best;
        if (task.wants_mean()) sum += from[j];
      }
      largest[lane] = best;
      extra[lane] = sum;
    } else if (phase == 1) {
      Real best = largest[0];
      for (int l = 1; l < lanes; ++l) best = largest[l] > best || largest[l] != largest[l] ? largest[l] : best;
      Real sum = 0;
      for (std::uint32_t j = lane; j < seen; j += lanes) sum += std::exp(from[j] - best);
      own.largest = best;
      total[lane] = sum;
    } else {
      Real sum = 0, mean = 0;
      for (int l = 0; l < lanes; ++l) {
        sum += total[l];
        if (task.wants_mean()) mean += extra[l];
      }
      task.write(row, lane, lanes, own.largest, sum, mean / static_cast<Real>(task.columns));
    }
  }
};
template <class Launch, class Real, class Task>
void for_each_row(const Task& task, std::int64_t rows, const step_context& context) {
  using work = row_work<Task, Real>;
  if (rows * task.columns >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda",
                std::to_string(rows * task.columns) + " elements", "fewer than 2^31: a smaller batch");
  Launch::run(work{task, static_cast<std::uint32_t>(rows)}, blocks_of(rows, work::rows_of_block), context);
}

template <class Real>
struct softmax_task {
  const Real* from;
  Real* to;
  std::uint32_t columns;
  std::uint32_t cycle;  ///< causal: rows of a matrix; otherwise 0
  [[nodiscard]] VIVACE_HOST_DEVICE bool wants_mean() const { return false; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t visible(std::uint32_t row) const {
    if (cycle == 0) return columns;
    const std::uint32_t seen = row % cycle + 1;
    return seen < columns ? seen : columns;
  }
  VIVACE_HOST_DEVICE void write(std::uint32_t row, std::uint32_t lane, std::uint32_t lanes, Real largest, Real total,
                                Real) const {
    const std::uint32_t seen = visible(row);
    for (std::uint32_t j = lane; j < columns; j += lanes)
      to[row * columns + j] = j < seen ? std::exp(from[row * columns + j] - largest) / total : Real(0);
  }
};
template <class Launch, class Real>
void softmax(const call<Real>& self, const step_context& context) {
  const shape& dims = self.out.dims;
  const std::int64_t columns = dims[dims.rank - 1];
  const auto cycle = static_cast<std::uint32_t>(self.attr->causal ? dims[dims.rank - 2] : 0);
  for_each_row<Launch, Real>(
      softmax_task<Real>{self.in[0].data, self.out.data, static_cast<std::uint32_t>(columns), cycle},
      dims.size() / columns, context);
}

template <class Real>
struct cross_entropy_task {
  const Real* from;
  const std::int32_t* labels;
  Real* to;
  std::uint32_t columns;
  Real smoothing;
  [[nodiscard]] VIVACE_HOST_DEVICE bool wants_mean() const { return smoothing != 0; }  // not 0 * inf
  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t visible(std::uint32_t) const { return columns; }
  VIVACE_HOST_DEVICE void write(std::uint32_t row, std::uint32_t lane, std::uint32_t, Real largest, Real total,
                                Real mean) const {
    if (lane > 0) return;
    const Real spread = smoothing == 0 ? Real(0) : smoothing * mean;
    const Real target = (1 - smoothing) * from[row * columns + static_cast<std::uint32_t>(labels[row])] + spread;
    to[row] = std::log(total) + largest - target;
  }
};
template <class Launch, class Real>
void cross_entropy(const call<Real>& self, const step_context& context) {
  for_each_row<Launch, Real>(
      cross_entropy_task<Real>{self.in[0].data, self.labels(1), self.out.data,
                               static_cast<std::uint32_t>(self.in[0].dims[1]), static_cast<Real>(self.attr->scale)},
      self.out.dims[0], context);
}

template <class Real>
struct cross_entropy_gradient_task {
  const Real* from;
  const std::int32_t* labels;
  const Real* gradient;
  Real* to;
  std::uint32_t columns;
  Real smoothing;
  [[nodiscard]] VIVACE_HOST_DEVICE bool wants_mean() const { return false; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::uint32_t visible(std::uint32_t) const { return columns; }
  VIVACE_HOST_DEVICE void write(std::uint32_t row, std::uint32_t lane, std::uint32_t lanes, Real largest, Real total,
                                Real) const {
    const auto label = static_cast<std::uint32_t>(labels[row]);
    for (std::uint32_t j = lane; j < columns; j += lanes) {
      const Real target = (j == label ? 1 - smoothing : Real(0)) + smoothing / static_cast<Real>(columns);
      to[row * columns + j] = (std::exp(from[row * columns + j] - largest) / total - target) * gradient[row];
    }
  }
};
template <class Launch, class Real>
void cross_entropy_gradient(const call<Real>& self, const step_context& context) {
  for_each_row<Launch, Real>(
      cross_entropy_gradient_task<Real>{self.in[0].data, self.labels(1), self.in[2].data, self.out.data,
                                        static_cast<std::uint32_t>(self.in[0].dims[1]),
                                        static_cast<Real>(self.attr->scale)},
      self.out.dims[0], context);
}

template <class Real>
struct take_row {
  const Real* table;
  const std::int32_t* labels;
  Real* to;
  divider columns;
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const std::uint32_t row = columns.quotient(index);
    to[index] = table[static_cast<std::uint32_t>(labels[row]) * columns.divisor + index - row * columns.divisor];
  }
};
template <class Launch, class Real>
void take_rows(const call<Real>& self, const step_context& context) {
  for_each<Launch>(take_row<Real>{self.in[0].data, self.labels(1), self.out.data,
                                  divider(static_cast<std::uint32_t>(self.out.dims[1]))},
                   self.out.dims.size(), context);
}

/// A block adds up one row of the table, over the rows that name it, in their order: first the threads find those among
/// some thousand, then each adds its columns of what was found.
template <class Real>
struct add_rows_work {
  static constexpr int threads = 128;
  static constexpr std::uint32_t word = 32, stretch = threads * word;  ///< rows that a thread looks at, and a block
  using state = nothing;
  const Real* values;
  const std::int32_t* labels;
  Real* to;
  std::uint32_t columns;
  std::uint32_t rows;

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 2 * static_cast<int>(blocks_of(rows, stretch)); }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const { return sizeof(std::uint32_t) * threads; }
  VIVACE_HOST_DEVICE void operator()(int phase, position at, state&, std::byte* shared) const {
    auto* const found = reinterpret_cast<std::uint32_t*>(shared);  // a bit a row
    const std::uint32_t first = static_cast<std::uint32_t>(phase / 2) * stretch;
    if (phase % 2 == 0) {
      const std::uint32_t begin = first + at.thread * word;
      const std::uint32_t end = begin + word < rows ? begin + word : rows;
      std::uint32_t bits = 0;
      for (std::uint32_t row = begin; row < end; ++row)
        if (static_cast<std::uint32_t>(labels[row]) == at.block) bits |= 1U << (row - begin);
      found[at.thread] = bits;
      return;
    }
    for (std::uint32_t column = at.thread; column < columns; column += threads) {
      Real* const own = to + std::size_t{at.block} * columns + column;
      Real total = phase == 1 ? Real(0) : *own;
      for (std::uint32_t w = 0; w < threads; ++w) {
        std::uint32_t row = first + w * word;
        for (std::uint32_t bits = found[w]; bits != 0; bits >>= 1, ++row)
          if ((bits & 1) != 0) total += values[std::size_t{row} * columns + column];
      }
      *own = total;
    }
  }
};
template <class Launch, class Real>
void add_rows(const call<Real>& self, const step_context& context) {
  if (self.in[0].dims.size() >= most_elements || self.out.dims.size() >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda",
                std::to_string(self.in[0].dims.size()) + " and " + std::to_string(self.out.dims.size()) + " elements",
                "fewer than 2^31: a smaller batch");
  Launch::run(add_rows_work<Real>{self.in[0].data, self.labels(1), self.out.data,
                                  static_cast<std::uint32_t>(self.out.dims[1]),
                                  static_cast<std::uint32_t>(self.in[0].dims[0])},
              self.out.dims[0], context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
