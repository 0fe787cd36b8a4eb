#pragma once
#include <string>

#include <vivace/search/search.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Random search: independent uniform architectures; repetitions are allowed.
template <search_space Space>
struct random_search {
  int in_flight = 4;  ///< candidates at once

  /// Runs the search: see run().
  template <class Data, score_of_trace Estimator, class... Settings>
  result operator()(const Data& data, const Estimator& estimator, const budget& limit, Settings&&... settings) const {
    return run<Space>(*this, data, estimator, limit, settings...);
  }

  [[nodiscard]] query propose(const knowledge& given) const {
    return {given.number, sample(given.choices, given.random()), given.limit.epochs};
  }
  [[nodiscard]] int needs(int number, const budget&) const { return detail::known_before(number, in_flight); }
  [[nodiscard]] int queries(const budget& limit) const { return limit.queries; }
  [[nodiscard]] std::string signature() const { return "random"; }
};

}  // namespace vivace::inline VIVACE_TARGET::search
