#pragma once
/// @file
/// How well scores rank candidates: correlations with the final quality, and what the best by score are worth.
///
/// All statistics are functors over two ranges of numbers of one length. What they have in common:
///   - a constant input, or fewer than two pairs, gives NaN, not 0: nothing is ranked there;
///   - a NaN in the input gives NaN; leave such rows out before. Infinities are ranked like numbers, as the best or
///     worst (failed candidates score +infinity); pearson, which needs their size, gives NaN;
///   - ranges of different lengths throw.
/// Where both scores and targets are better when lower, a positive value is a good estimator's. If a higher target is
/// better (an accuracy), negate the result, or one of the inputs.
#include <cmath>
#include <concepts>
#include <string>
#include <type_traits>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/estimate/estimator.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Which values of a target are the good ones: those of a loss are low, those of an accuracy high.
enum class better { low, high };

/// A functor from two ranges of numbers to one number; NaN says that it is not defined for them.
template <class Statistic>
concept rank_statistic = std::copy_constructible<Statistic> &&
    requires(const Statistic& statistic, const sequence<double>& values) {
  { statistic(values, values) } -> std::same_as<double>;
};

namespace detail {

using numbers = sequence<double>;

template <class Range>
constexpr numbers numbers_of(Range&& values) {
  numbers result;
  for (const auto& value : values) result.push_back(static_cast<double>(value));
  return result;
}

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

constexpr bool is_nan(double value) {
  return (std::bit_cast<std::uint64_t>(value) & 0x7FFF'FFFF'FFFF'FFFF) > 0x7FF0'0000'0000'0000;
}
constexpr bool any_nan(const numbers& values) {
  for (const double value : values)
    if (is_nan(value)) return true;
  return false;
}

constexpr void expect_pairs(const numbers& left, const numbers& right) {
  if (left.size() != right.size())
    throw error("the ranges are not of one length", "rank statistic",
                std::to_string(left.size()) + " and " + std::to_string(right.size()) + " numbers",
                "pairs of a score and a target");
}
/// False where no correlation is defined.
constexpr bool can_correlate(const numbers& left, const numbers& right) {
  expect_pairs(left, right);
  return left.size() >= 2 && !any_nan(left) && !any_nan(right);
}

/// Sorts by merging, stable. Own, for it runs in constant evaluation, counts exchanges, and gives one order everywhere.
/// @return the number of pairs that stood in the wrong order
template <class Element, class Before>
constexpr long long merge_sort(sequence<Element>& elements, Before before) {
  long long exchanges = 0;
  sequence<Element> merged = elements;
  const long long size = elements.size();
  for (long long width = 1; width < size; width *= 2) {
    for (long long start = 0; start < size; start += 2 * width) {
      const auto middle = static_cast<int>(start + width < size ? start + width : size);
      const auto end = static_cast<int>(start + 2 * width < size ? start + 2 * width : size);
      auto left = static_cast<int>(start);
      int right = middle;
      for (int to = left; to < end; ++to) {
        if (left < middle && (right == end || !before(elements[right], elements[left]))) {
          merged[to] = elements[left++];
        } else {
          exchanges += middle - left;
          merged[to] = elements[right++];
        }
      }
    }
    elements = merged;
  }
  return exchanges;
}

/// Positions in an order: the values of the first, then of the second, rise; ties keep their places.
constexpr sequence<int> order_of(const numbers& first, const numbers& second) {
  sequence<int> order;
  order.reserve(first.size());
  for (int i = 0; i < first.size(); ++i) order.push_back(i);
  merge_sort(order, [&](int left, int right) {
    return first[left] != first[right] ? first[left] < first[right] : second[left] < second[right];
  });
  return order;
}

/// Pairs among equal neighbours of a sorted list.
template <class Same>
constexpr long long tied_pairs(int size, Same same) {
  long long pairs = 0, run = 1;
  for (int i = 1; i <= size; ++i) {
    if (i < size && same(i - 1, i)) {
      ++run;
    } else {
      pairs += run * (run - 1) / 2;
      run = 1;
    }
  }
  return pairs;
}

constexpr double square_root(double value) {
  if (!std::is_constant_evaluated()) return std::sqrt(value);
  double root = value > 1 ? value : 1;
  while (true) {  // Newton's steps fall until they stand
    const double next = (root + value / root) / 2;
    if (next >= root) return root;
    root = next;
  }
}

constexpr double within_one(double correlation) { return correlation > 1 ? 1 : correlation < -1 ? -1 : correlation; }

/// Multiplies by a power of two, so that squares neither overflow nor vanish; then takes the mean away.
/// False if the values are constant or infinite.
constexpr bool centre(numbers& values) {
  double largest = 0;
  bool constant = true;
  for (const double value : values) {
    if (!is_finite(value)) return false;
    largest = (value < 0 ? -value : value) > largest ? (value < 0 ? -value : value) : largest;
    constant = constant && value == values[0];
  }
  if (constant) return false;
  double scale = 1;
  for (; largest * scale > 0x1p100; scale *= 0x1p-100) continue;
  for (; largest * scale < 0x1p-100; scale *= 0x1p100) continue;
  double mean = 0;
  for (double& value : values) {
    value *= scale;
    mean += value;
  }
  mean /= values.size();
  for (double& value : values) value -= mean;
  return true;
}

constexpr double correlation_of(numbers left, numbers right) {
  if (!can_correlate(left, right) || !centre(left) || !centre(right)) return undefined;
  double both = 0, left_square = 0, right_square = 0;
  for (int i = 0; i < left.size(); ++i) {
    both += left[i] * right[i];
    left_square += left[i] * left[i];
    right_square += right[i] * right[i];
  }
  return within_one(both / square_root(left_square * right_square));
}

constexpr numbers ranks_of(const numbers& values) {
  numbers ranks(values.size());
  if (any_nan(values)) {
    for (double& rank : ranks) rank = undefined;
    return ranks;
  }
  const sequence<int> order = order_of(values, values);
  for (int start = 0, end = 0; start < order.size(); start = end) {
    while (end < order.size() && values[order[end]] == values[order[start]]) ++end;
    for (int i = start; i < end; ++i) ranks[order[i]] = (start + 1 + end) / 2.0;  // the mean of start + 1, ..., end
  }
  return ranks;
}

/// Knight's algorithm ("A computer method for calculating Kendall's tau with ungrouped data", JASA 1966).
constexpr double kendall_of(const numbers& left, const numbers& right) {
  if (!can_correlate(left, right)) return undefined;
  sequence<int> order = order_of(left, right);
  const auto same = [&](const numbers& values) {
    return [&](int i, int j) { return values[order[i]] == values[order[j]]; };
  };
  const int size = order.size();
  const long long all = static_cast<long long>(size) * (size - 1) / 2;
  const long long left_ties = tied_pairs(size, same(left));
  const long long both_ties = tied_pairs(size, [&](int i, int j) { return same(left)(i, j) && same(right)(i, j); });
  const long long discordant = merge_sort(order, [&](int i, int j) { return right[i] < right[j]; });
  const long long right_ties = tied_pairs(size, same(right));
  if (left_ties == all || right_ties == all) return undefined;
  const long long difference = all - left_ties - right_ties + both_ties - 2 * discordant;
  const auto root = [](long long pairs) { return square_root(static_cast<double>(pairs)); };
  if (left_ties == right_ties) return static_cast<double>(difference) / static_cast<double>(all - left_ties);
  return within_one(static_cast<double>(difference) / root(all - left_ties) / root(all - right_ties));
}

/// Where the best targets stand: as many as fraction * size rounded up, and all that are as good as the last of them.
constexpr sequence<int> best_of(const numbers& targets, double fraction, better wanted) {
  const sequence<int> order = order_of(targets, targets);
  const int size = order.size();
  const double share = fraction * size;
  int count = static_cast<int>(share);
  if (count < share - 1e-9) ++count;
  const auto at = [&](int i) { return wanted == better::low ? order[i] : order[size - 1 - i]; };
  while (count > 0 && count < size && targets[at(count)] == targets[at(count - 1)]) ++count;
  sequence<int> best;
  for (int i = 0; i < count; ++i) best.push_back(at(i));
  return best;
}

/// The k best scores; among equal ones the worst targets, so that no tie flatters.
constexpr double regret_of(const numbers& scores, numbers targets, int k, better wanted) {
  expect_pairs(scores, targets);
  if (scores.empty() || any_nan(scores) || any_nan(targets)) return undefined;
  for (double& target : targets) target = wanted == better::low ? -target : target;  // higher is better now
  const sequence<int> order = order_of(scores, targets);
  double best = targets[0], chosen = targets[order[0]];
  for (const double target : targets) best = target > best ? target : best;
  for (int i = 0; i < k && i < order.size(); ++i) chosen = targets[order[i]] > chosen ? targets[order[i]] : chosen;
  return best == chosen ? 0 : best - chosen;
}

}  // namespace detail

/// Ranks from 1, the lowest value first; equal values share the mean of their ranks. All NaN if a value is.
template <number_range Values>
[[nodiscard]] constexpr sequence<double> average_ranks(Values&& values) {
  return detail::ranks_of(detail::numbers_of(values));
}

/// Pearson's correlation: how near the pairs are to a line.
struct pearson {
  template <number_range Scores, number_range Targets>
  [[nodiscard]] constexpr double operator()(Scores&& scores, Targets&& targets) const {
    return detail::correlation_of(detail::numbers_of(scores), detail::numbers_of(targets));
  }
  bool operator==(const pearson&) const = default;
};

/// Spearman's rho: the correlation of the average ranks.
struct spearman {
  template <number_range Scores, number_range Targets>
  [[nodiscard]] constexpr double operator()(Scores&& scores, Targets&& targets) const {
    return detail::correlation_of(average_ranks(scores), average_ranks(targets));
  }
  bool operator==(const spearman&) const = default;
};

/// Kendall's tau-b: pairs in the same order less pairs in the opposite order, corrected for ties; O(n log n).
struct kendall {
  template <number_range Scores, number_range Targets>
  [[nodiscard]] constexpr double operator()(Scores&& scores, Targets&& targets) const {
    return detail::kendall_of(detail::numbers_of(scores), detail::numbers_of(targets));
  }
  bool operator==(const kendall&) const = default;
};

/// A statistic among the best candidates by target: fraction * n of them, rounded up, and those as good as the last.
/// @throws error if fraction is not in (0, 1]
template <rank_statistic Statistic = spearman>
struct within_best {
  double fraction = 0.01;
  better target = better::low;
  Statistic statistic{};

  template <number_range Scores, number_range Targets>
  [[nodiscard]] constexpr double operator()(Scores&& scores, Targets&& targets) const {
    if (!(fraction > 0 && fraction <= 1))
      detail::refuse_setting("within_best{.fraction}", std::to_string(fraction), "above 0, to 1");
    const detail::numbers left = detail::numbers_of(scores), right = detail::numbers_of(targets);
    if (!detail::can_correlate(left, right)) return detail::undefined;
    detail::numbers best_scores, best_targets;
    for (const int index : detail::best_of(right, fraction, target)) {
      best_scores.push_back(left[index]);
      best_targets.push_back(right[index]);
    }
    return statistic(best_scores, best_targets);
  }
  bool operator==(const within_best&) const = default;
};

/// What choosing by score costs: how much worse the best target among the k lowest scores is than the best of all, 0 or
/// more. Where scores are equal, the worst targets among them count as chosen. NaN for no pairs.
/// @throws error if k is below 1
struct top_k_regret {
  int k = 1;
  better target = better::low;

  template <number_range Scores, number_range Targets>
  [[nodiscard]] constexpr double operator()(Scores&& scores, Targets&& targets) const {
    if (k < 1) detail::refuse_setting("top_k_regret{.k}", std::to_string(k), "1 or more");
    return detail::regret_of(detail::numbers_of(scores), detail::numbers_of(targets), k, target);
  }
  bool operator==(const top_k_regret&) const = default;
};

}  // namespace vivace::inline VIVACE_TARGET
