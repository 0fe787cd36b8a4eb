#pragma once
#include <algorithm>
#include <string>

#include <vivace/search/search.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Regularised evolution (Real et al., AAAI 2019): the population is the newest `population` results, the initial
/// points and then random architectures at first. A query draws `draws` members with replacement and mutates one choice
/// of the best of them. Every query counts, the random ones too; initial points do not.
template <search_space Space>
struct regularised_evolution {
  int population = 100;
  int draws = 10;
  int in_flight = 4;  ///< candidates at once; 1 is the sequential algorithm

  /// Runs the search: see run().
  /// @throws error if a setting is below 1
  template <class Data, score_of_trace Estimator, class... Settings>
  result operator()(const Data& data, const Estimator& estimator, const budget& limit, Settings&&... settings) const {
    detail::checked_setting("regularised_evolution.population", population, 1);
    detail::checked_setting("regularised_evolution.draws", draws, 1);
    return run<Space>(*this, data, estimator, limit, settings...);
  }

  [[nodiscard]] query propose(const knowledge& given) const {
    // While in flight, the population may not be full yet; it never lacks a member.
    if (given.number < population || given.known.empty())
      return {given.number, sample(given.choices, given.random()), given.limit.epochs};
    const std::size_t size = (std::min)(given.known.size(), static_cast<std::size_t>(population));
    const auto members = given.known.last(size);
    const random_stream random = given.random(1);
    const query_result* parent = nullptr;
    for (int i = 0; i < draws; ++i) {
      const query_result& drawn = members[random.below(static_cast<std::uint64_t>(i), size)];
      if (parent == nullptr || drawn.score < parent->score) parent = &drawn;
    }
    return {given.number, mutated(given.choices, parent->of, given.random(2)), given.limit.epochs};
  }
  [[nodiscard]] int needs(int number, const budget&) const { return detail::known_before(number, in_flight); }
  [[nodiscard]] int queries(const budget& limit) const { return limit.queries; }
  [[nodiscard]] std::string signature() const {
    return "regularised_evolution " + std::to_string(population) + ' ' + std::to_string(draws);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
