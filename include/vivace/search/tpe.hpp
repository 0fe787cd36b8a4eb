#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <vivace/search/search.hpp>

namespace vivace::inline VIVACE_TARGET::search {

namespace detail {

/// One option of one choice: drawn `candidates` times from the options of the good results, smoothed by one count each;
/// the draw whose share among the good is largest against its share among the others.
inline int option_by_density(const choice& one, int place, std::span<const query_result* const> sorted,
                             std::size_t good, int candidates, const random_stream& random) {
  double good_count[choice::max_options], other_count[choice::max_options];
  for (int i = 0; i < one.options; ++i) good_count[i] = other_count[i] = 1;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    double* const counts = i < good ? good_count : other_count;
    counts[sorted[i]->of[place]] += 1;
  }
  const double total = static_cast<double>(good) + one.options;
  int best = -1;
  for (int draw = 0; draw < candidates; ++draw) {
    double left = random.uniform(static_cast<std::uint64_t>(place * candidates + draw)) * total;
    int option = 0;
    while (option + 1 < one.options && left >= good_count[option]) left -= good_count[option++];
    if (best < 0 || good_count[option] * other_count[best] > good_count[best] * other_count[option]) best = option;
  }
  return best;
}

}  // namespace detail

/// Tree-structured Parzen estimator over categorical choices (Bergstra et al., NeurIPS 2011) with the settings of its
/// usual implementation: after `starts` random queries, the ceil(0.25 * sqrt(n)) best results, at most `most_good`, are
/// the good ones, and each choice takes the best of `candidates` draws by the ratio of its densities.
template <search_space Space>
struct tpe {
  int starts = 20;  ///< initial points count as starts
  int candidates = 24;
  int most_good = 25;
  int in_flight = 4;  ///< candidates at once; 1 is the sequential algorithm

  /// Runs the search: see run().
  /// @throws error if a setting is below 1
  template <class Data, score_of_trace Estimator, class... Settings>
  result operator()(const Data& data, const Estimator& estimator, const budget& limit, Settings&&... settings) const {
    detail::checked_setting("tpe.starts", starts, 1);
    detail::checked_setting("tpe.candidates", candidates, 1);
    detail::checked_setting("tpe.most_good", most_good, 1);
    return run<Space>(*this, data, estimator, limit, settings...);
  }

  [[nodiscard]] query propose(const knowledge& given) const {
    query made{given.number, sample(given.choices, given.random()), given.limit.epochs};
    if (given.number < starts || given.known.empty()) return made;
    const auto sorted = detail::ranked(given.known);
    const auto share = static_cast<int>(std::ceil(0.25 * std::sqrt(static_cast<double>(sorted.size()))));
    const auto good = static_cast<std::size_t>((std::min)(share, most_good));
    for (int i = 0; i < made.of.size(); ++i)
      made.of[i] = static_cast<std::uint8_t>(detail::option_by_density(given.choices[static_cast<std::size_t>(i)], i,
                                                                       sorted, good, candidates, given.random(1)));
    return made;
  }
  [[nodiscard]] int needs(int number, const budget&) const { return detail::known_before(number, in_flight); }
  [[nodiscard]] int queries(const budget& limit) const { return limit.queries; }
  [[nodiscard]] std::string signature() const {
    return "tpe " + std::to_string(starts) + ' ' + std::to_string(candidates) + ' ' + std::to_string(most_good);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
