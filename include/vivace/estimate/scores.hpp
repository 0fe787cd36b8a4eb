#pragma once
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/estimate/estimator.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Scores of candidates at an equal budget: of each trace, the first `budget` losses. A candidate that failed, which
/// means that the score of its losses is +infinity, may have fewer; any other must have them.
/// @param traces range of traces, or of ranges of the losses that the estimator reads
/// @param budget number of epochs; for an estimator that reads batches, of batches
/// @return a score a trace, lower is better
/// @throws error if the budget is below 1, or a trace is shorter, naming it
template <trace_estimator Estimator, class Traces>
[[nodiscard]] constexpr sequence<double> scores(const Estimator& estimator, Traces&& traces, long long budget) {
  if (budget < 1) detail::refuse_setting("scores, budget", std::to_string(budget), "1 or more");
  sequence<double> result;
  for (auto&& trace : traces) {
    auto stream = estimator.stream();
    const long long count = detail::add_losses<Estimator::reads>(stream, trace, budget);
    const double score = stream.value();
    if (count < budget && (count == 0 || score != detail::worst_score))
      throw error("a trace is shorter than the budget", "trace " + std::to_string(result.size()),
                  std::to_string(count) + " losses", std::to_string(budget) + ": scores are compared at equal length");
    result.push_back(score);
  }
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET
