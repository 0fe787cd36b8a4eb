#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include <vivace/search/search.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Successive halving (Jamieson and Talwalkar, AISTATS 2016): random architectures at first, trained for the epochs of
/// the budget; then, rung by rung, the best 1/`eta` of the last rung for `eta` times as many epochs, until one is left.
/// The first rung is as large as the queries of all rungs allow. Scores are compared within a rung only. Each rung
/// trains anew, so that a log is all a search needs to go on.
template <search_space Space>
struct successive_halving {
  int eta = 3;
  int in_flight = 4;  ///< candidates at once

  /// Runs the search: see run().
  /// @throws error if eta is below 2, or no rung fits the budget
  template <class Data, score_of_trace Estimator, class... Settings>
  result operator()(const Data& data, const Estimator& estimator, const budget& limit, Settings&&... settings) const {
    detail::checked_setting("successive_halving.eta", eta, 2);
    detail::checked_setting("budget.queries", limit.queries, 1);
    return run<Space>(*this, data, estimator, limit, settings...);
  }

  [[nodiscard]] query propose(const knowledge& given) const {
    const rung at = rung_of(given.number - given.initial, given.limit);
    const std::int64_t epochs = std::int64_t{given.limit.epochs} * at.factor;
    if (epochs > (std::numeric_limits<int>::max)())
      throw error("a search cannot have this setting", "budget.epochs",
                  std::to_string(epochs) +
                      " epochs in "
                      "the last rung",
                  "fewer");
    if (at.previous == 0) return {given.number, sample(given.choices, given.random()), given.limit.epochs};
    const auto last = given.known.subspan(static_cast<std::size_t>(given.initial + at.first - at.previous),
                                          static_cast<std::size_t>(at.previous));
    return {given.number, detail::ranked(last)[static_cast<std::size_t>(given.number - given.initial - at.first)]->of,
            static_cast<int>(epochs)};
  }
  /// All results of the rungs before.
  [[nodiscard]] int needs(int number, const budget& limit) const { return rung_of(number, limit).first; }
  [[nodiscard]] int queries(const budget& limit) const { return static_cast<int>(rungs(first_rung(limit))); }
  [[nodiscard]] std::string signature() const { return "successive_halving " + std::to_string(eta); }

 private:
  struct rung {
    int first = 0;     ///< number of its first query
    int previous = 0;  ///< size of the rung before
    std::int64_t factor = 1;
  };
  /// Queries of all rungs, the first being of this size.
  [[nodiscard]] std::int64_t rungs(int size) const {
    std::int64_t total = 0;
    for (; size > 0; size /= eta) total += size;
    return total;
  }
  [[nodiscard]] int first_rung(const budget& limit) const {
    int fits = 0;
    for (int step = limit.queries; step > 0; step /= 2)  // halves steps, so that large budgets cost no time
      while (step <= limit.queries - fits && rungs(fits + step) <= limit.queries) fits += step;
    return fits;
  }
  [[nodiscard]] rung rung_of(int number, const budget& limit) const {
    rung at;
    int size = first_rung(limit);
    while (number >= at.first + size) {
      at = {at.first + size, size, at.factor * eta};
      size /= eta;
    }
    return at;
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
