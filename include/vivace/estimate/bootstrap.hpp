#pragma once
/// @file
/// How much a statistic would differ on other candidates.
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/estimate/rank.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A statistic with its confidence interval.
struct confidence_interval {
  double value;   ///< of the data as they are
  double low;     ///< NaN if no resample gave a number
  double high;    ///< likewise
  int resamples;  ///< that gave a number, and so made the interval
  bool operator==(const confidence_interval&) const = default;
};

/// Percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): pairs are drawn
/// with replacement, as many as there are, and the interval holds the middle `level` of the resamples' statistics,
/// between order statistics by linear interpolation. Resamples that give NaN are left out. One seed, one result.
/// @throws error if resamples is below 1, level is not in (0, 1), or the ranges differ in length
struct bootstrap {
  int resamples = 1000;
  double level = 0.95;
  unsigned long long seed = 0;

  template <rank_statistic Statistic, number_range Scores, number_range Targets>
  [[nodiscard]] constexpr confidence_interval operator()(const Statistic& statistic, Scores&& scores,
                                                         Targets&& targets) const {
    const detail::numbers left = detail::numbers_of(scores);
    sequence<int> alone;
    for (int i = 0; i < left.size(); ++i) alone.push_back(i);
    return of(statistic, left, detail::numbers_of(targets), alone, alone);
  }
  /// Draws whole groups, as many as there are: pairs of one group (repeated runs of one network) are not independent.
  /// @param groups a number a pair; equal numbers are one group
  template <rank_statistic Statistic, number_range Scores, number_range Targets, number_range Groups>
  [[nodiscard]] constexpr confidence_interval operator()(const Statistic& statistic, Scores&& scores, Targets&& targets,
                                                         Groups&& groups) const {
    const detail::numbers left = detail::numbers_of(scores), key = detail::numbers_of(groups);
    detail::expect_pairs(left, key);
    if (detail::any_nan(key)) detail::refuse_setting("bootstrap, groups", "nan", "a number for each pair");
    const sequence<int> members = detail::order_of(key, key);
    sequence<int> begins;
    for (int i = 0; i < members.size(); ++i)
      if (i == 0 || key[members[i]] != key[members[i - 1]]) begins.push_back(i);
    return of(statistic, left, detail::numbers_of(targets), members, begins);
  }
  bool operator==(const bootstrap&) const = default;

 private:
  /// @param members pairs, group by group  @param begins where in `members` each group begins
  template <class Statistic>
  constexpr confidence_interval of(const Statistic& statistic, const detail::numbers& scores,
                                   const detail::numbers& targets, const sequence<int>& members,
                                   const sequence<int>& begins) const {
    if (resamples < 1) detail::refuse_setting("bootstrap{.resamples}", std::to_string(resamples), "1 or more");
    if (!(level > 0 && level < 1))
      detail::refuse_setting("bootstrap{.level}", std::to_string(level), "between 0 and 1");
    detail::expect_pairs(scores, targets);
    detail::numbers found;
    for (int resample = 0; resample < resamples; ++resample) {
      const random_stream random(seed, static_cast<std::uint32_t>(resample));
      detail::numbers some_scores, some_targets;
      for (int draw = 0; draw < begins.size(); ++draw) {
        const auto group =
            static_cast<int>(random.below(static_cast<std::uint64_t>(draw), static_cast<std::uint64_t>(begins.size())));
        const int end = group + 1 < begins.size() ? begins[group + 1] : members.size();
        for (int i = begins[group]; i < end; ++i) {
          some_scores.push_back(scores[members[i]]);
          some_targets.push_back(targets[members[i]]);
        }
      }
      const double value = statistic(some_scores, some_targets);
      if (!detail::is_nan(value)) found.push_back(value);
    }
    detail::merge_sort(found, [](double one, double other) { return one < other; });
    return {statistic(scores, targets), quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2),
            found.size()};
  }
  static constexpr double quantile(const detail::numbers& sorted, double share) {
    if (sorted.empty()) return detail::undefined;
    const double place = share * (sorted.size() - 1);
    const auto below = static_cast<int>(place);
    const int above = below + 1 < sorted.size() ? below + 1 : below;
    const double part = place - below;
    return part == 0 ? sorted[below] : (1 - part) * sorted[below] + part * sorted[above];
  }
};

}  // namespace vivace::inline VIVACE_TARGET
