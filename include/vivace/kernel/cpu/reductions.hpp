#pragma once
#include <algorithm>
#include <bit>
#include <cmath>

#include <vivace/kernel/call.hpp>
#include <vivace/kernel/cpu/stretch.hpp>
#include <vivace/kernel/program.hpp>

/// @file
/// Sums and maxima over some axes. The operand is seen as a pattern of merged axes that are in turn kept and reduced.

namespace vivace::inline VIVACE_TARGET::cpu {

/// A reduction taken apart: `outer` problems side by side (its outermost axes, if they are kept), each of which turns
/// `size` elements into `results`.
struct reduction {
  pattern whole{};    ///< of the operand; reduced axes are `repeated`
  pattern problem{};  ///< of one problem: its first axis is reduced
  std::int64_t outer = 1;
  std::int64_t size = 1;
  std::int64_t results = 1;
};

constexpr reduction reduction_of(const shape& from, const shape& to) {
  reduction result{.whole = spread_pattern(to, from)};  // no copy: it would wait for the stores that made it
  pattern& whole = result.whole;
  if (whole.rank == 0) {  // one element
    whole.rank = 1;
    whole.extent[0] = 1;
  }
  const int skipped = whole.repeated[0] ? 0 : 1;
  if (skipped == 1) result.outer = whole.extent[0];
  for (int d = skipped; d < whole.rank; ++d) {
    result.problem.extent[d - skipped] = whole.extent[d];
    result.problem.repeated[d - skipped] = whole.repeated[d];
    ++result.problem.rank;
    result.size *= whole.extent[d];
    if (!whole.repeated[d]) result.results *= whole.extent[d];
  }
  return result;
}

/// Most tasks of one problem, each with partial results of its own.
inline constexpr std::int64_t sum_parts = 16;
/// Elements of a part at least.
inline constexpr std::int64_t sum_grain = 32768;

/// Parts that one problem falls into: few enough that adding them costs little.
constexpr std::int64_t parts_of(const reduction& work) {
  if (work.size < 2 * sum_grain) return 1;  // no divisions for small sums
  const std::int64_t parts = (std::min)(work.size / sum_grain, work.size / work.results / 8);
  return (std::max)(std::int64_t{1}, (std::min)(parts, sum_parts));
}

/// Elements of scratch memory for a sum. A problem of a smaller batch never has more parts or results.
constexpr std::int64_t sum_workspace(const shape& from, const shape& to) {
  const reduction work = reduction_of(from, to);
  const std::int64_t parts = parts_of(work);
  return parts == 1 ? 0 : parts * work.results;
}

/// Adds a stream of elements to the results of one problem.
template <class Real>
class sum_stream {
 public:
  /// @param first where in the problem the stream starts
  /// @param to results, which are added to
  sum_stream(const pattern& how, std::int64_t first, Real* to) : how_(how), walk_(how, first), to_(to) {
    if (how.rank != 2 || how.repeated[1] || how.extent[1] > most_columns) return;
    // Columns: summed into rows of whole vectors, and so many of these that they do not wait for each other.
    const std::int64_t columns = how.extent[1], width = kernel::lanes<Real>;
    // Their least common multiple: the number of lanes is a power of two.
    const std::int64_t together = columns * width >> std::countr_zero(static_cast<std::uint64_t>(columns | width));
    period_ = together > most_columns ? columns : (std::max)(most_columns / 8 / together, std::int64_t{1}) * together;
    at_ = first < columns ? first : first % columns;
    clear_run(wide_, period_);
  }

  void add(const Real* values, std::int64_t count) {
    if (period_ > 0) {
      add_columns(values, count);
    } else if (how_.repeated[how_.rank - 1]) {
      walk_(count, [&](std::int64_t place, std::int64_t run, bool ends) {
        pending_ += sum_run(values, run);
        place_ = place;
        values += run;
        if (ends) flush();
      });
    } else {
      walk_(count, [&](std::int64_t place, std::int64_t run, bool) {
        add_run(values, run, to_ + place);
        values += run;
      });
    }
  }
  /// To be called at the end of the stream.
  void finish() {
    if (period_ > 0)
      fold();
    else if (how_.repeated[how_.rank - 1])
      flush();
  }

 private:
  static constexpr std::int64_t most_columns = 1024;

  void add_columns(const Real* values, std::int64_t count) {
    while (count > 0) {
      const std::int64_t run = (std::min)(count, period_ - at_);
      add_run(values, run, wide_ + at_);
      values += run;
      count -= run;
      at_ += run;
      if (at_ < period_) return;
      at_ = 0;
      if (++rounds_ == 64) {  // short chains of additions, for accuracy
        fold();
        clear_run(wide_, period_);
        rounds_ = 0;
      }
    }
  }
  void fold() {
    for (std::int64_t row = 0; row < period_; row += how_.extent[1]) add_run(wide_ + row, how_.extent[1], to_);
  }
  void flush() {
    if (place_ >= 0) to_[place_] += static_cast<Real>(pending_);
    pending_ = 0;
    place_ = -1;
  }

  const pattern& how_;
  run_walker walk_;
  Real* to_;
  double pending_ = 0;  // of the run that is under way, and its result
  std::int64_t place_ = -1;
  std::int64_t period_ = 0;
  std::int64_t at_ = 0;
  int rounds_ = 0;
  alignas(64) Real wide_[most_columns];
};

/// Adds elements [first, first + count) to `to`, reading the operand or making it.
/// @param how the pattern that they belong to, which begins at element `origin`
template <class Real>
void sum_stretch(const call<Real>& self, const step_context& context, const pattern& how, std::int64_t origin,
                 std::int64_t first, std::int64_t count, Real* to) {
  sum_stream<Real> stream(how, first - origin, to);
  if (self.body.exists()) {
    const auto sink = [&](std::int64_t, std::int64_t some, const Real* values) { stream.add(values, some); };
    program_runner<Real>(self.body, context)(first, count, nullptr, sink);
  } else {
    stream.add(self.in[0].data + first, count);
  }
  stream.finish();
}

/// Sums one problem in parts, whose partial results are added in order.
template <class Real>
void sum_in_parts(const call<Real>& self, const step_context& context, const reduction& work, std::int64_t index) {
  const std::int64_t parts = parts_of(work);
  const std::int64_t row = (std::max)(work.size / work.problem.extent[0], std::int64_t{kernel::lanes<Real>});
  const std::int64_t even = (work.size + parts - 1) / parts;
  const std::int64_t span = row < even ? (even + row - 1) / row * row : even;
  const std::int64_t origin = index * work.size;
  for_stretches(context, work.size, span, [&](std::int64_t first, std::int64_t count) {
    Real* partial = self.workspace + first / span * work.results;
    clear_run(partial, work.results);
    sum_stretch(self, context, work.problem, origin, origin + first, count, partial);
  });
  for_stretches(context, work.results, copy_grain, [&](std::int64_t first, std::int64_t count) {
    Real* to = self.out.data + index * work.results + first;
    copy_run(self.workspace + first, count, to);
    for (std::int64_t part = span; part < work.size; part += span)
      add_run(self.workspace + part / span * work.results + first, count, to);
  });
}

/// Calls body(first problem, problems) for stretches of whole problems.
template <class Body>
void for_problems(const step_context& context, const reduction& work, Body&& body) {
  if (work.outer == 1) return body(0, 1);  // without divisions, which small sums would notice
  for_stretches(context, work.outer, (std::max)(std::int64_t{1}, sum_grain / work.size), body);
}

/// Sum over the axes that the result lacks, of the operand or of what the command's program makes; with `mean`,
/// divided by the number of summands. Needs sum_workspace elements.
template <class Real>
void sum(const call<Real>& self, const step_context& context) {
  const reduction work = reduction_of(self.in[0].dims, self.out.dims);
  if (work.outer < sum_parts && parts_of(work) > 1) {
    for (std::int64_t index = 0; index < work.outer; ++index) sum_in_parts(self, context, work, index);
  } else {
    for_problems(context, work, [&](std::int64_t first, std::int64_t count) {
      clear_run(self.out.data + first * work.results, count * work.results);
      sum_stretch(self, context, work.whole, 0, first * work.size, count * work.size, self.out.data);
    });
  }
  if (!self.attr->mean) return;
  const auto summands = static_cast<Real>(work.size / work.results);
  const std::int64_t results = work.outer * work.results;
  for (std::int64_t i = 0; i < results; ++i) self.out.data[i] /= summands;
}

/// Maximum over the axes that the result lacks; NaN where one of the elements is.
template <class Real>
void(max)(const call<Real>& self, const step_context& context) {
  const reduction work = reduction_of(self.in[0].dims, self.out.dims);
  for_problems(context, work, [&](std::int64_t first, std::int64_t count) {
    Real* const out = self.out.data;
    std::fill_n(out + first * work.results, count * work.results, static_cast<Real>(-HUGE_VAL));
    const Real* from = self.in[0].data + first * work.size;
    run_walker walk(work.whole, first * work.size);
    walk(count * work.size, [&](std::int64_t place, std::int64_t run, bool) {
      if (work.whole.repeated[work.whole.rank - 1])
        out[place] = larger_or_nan_of(out[place], max_run(from, run));
      else
        for (std::int64_t i = 0; i < run; ++i) out[place + i] = larger_or_nan_of(out[place + i], from[i]);
      from += run;
    });
  });
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
