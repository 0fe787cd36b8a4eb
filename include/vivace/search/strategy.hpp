#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vivace/core/random.hpp>
#include <vivace/search/space.hpp>
#include <vivace/train/trace.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What a search may spend: `queries` candidates, each trained for `epochs` epochs.
struct budget {
  int epochs = 1;
  int queries = 100;

  /// As many queries of `epochs` epochs as cost what `full` trainings of `whole` epochs do: full * floor(whole /
  /// epochs).
  static constexpr budget equal_cost(int full, int whole, int epochs) { return {epochs, full * (whole / epochs)}; }
};

}  // namespace vivace::inline VIVACE_TARGET

namespace vivace::inline VIVACE_TARGET::search {

/// Random streams of searches: parameters and data have streams of their own.
inline constexpr std::uint32_t search_stream = 0x5EA2'0000;

/// A candidate to be trained.
struct query {
  int number = 0;  ///< place in the order of proposals
  architecture of;
  int epochs = 1;
};

/// What a query brought.
struct query_result {
  architecture of;
  int epochs = 0;
  double score = 0;                     ///< lower is better; +infinity for a candidate that failed
  double seconds = 0;                   ///< of training
  std::vector<epoch_record> records{};  ///< of its epochs
};

/// What a strategy may base proposal `number` on.
struct knowledge {
  std::span<const choice> choices;
  std::span<const query_result> known;  ///< in proposal order, from the first
  int number = 0;
  int initial = 0;  ///< of the results, those that were given and not proposed
  std::uint64_t seed = 0;
  budget limit;

  /// Randomness of this proposal alone, in independent parts.
  [[nodiscard]] constexpr random_stream random(std::uint32_t part = 0) const {
    return {seed, search_stream + part, static_cast<std::uint32_t>(number)};
  }
};

/// A search strategy: a function from what is known to the next candidate. It keeps no state, so that a search is a
/// function of its seed, and goes on from a log.
/// - `propose(knowledge)`: the candidate of this number. The same knowledge gives the same candidate.
/// - `needs(number)`: how many results must be known before this proposal, at most `number`; `known` holds as many.
/// - `queries(limit)`: how many candidates a budget allows, at most `limit.queries`.
/// - `signature()`: name and settings as text; logs of another signature are refused.
template <class Type>
concept strategy = requires(const Type& self, const knowledge& given, int number, const budget& limit) {
  { self.propose(given) } -> std::same_as<query>;
  { self.needs(number, limit) } -> std::convertible_to<int>;
  { self.queries(limit) } -> std::convertible_to<int>;
  { self.signature() } -> std::convertible_to<std::string>;
};

/// The result with the lowest score, the first of equals, among those of the most epochs: scores are compared at equal
/// epochs only. -1 if there is none.
inline int best_of(std::span<const query_result> results) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(results.size()); ++i) {
    if (best < 0) {
      best = i;
      continue;
    }
    const query_result& now = results[static_cast<std::size_t>(i)];
    const query_result& old = results[static_cast<std::size_t>(best)];
    if (now.epochs > old.epochs || (now.epochs == old.epochs && now.score < old.score)) best = i;
  }
  return best;
}

/// What a search found.
struct result {
  architecture best;
  double score = 0;
  std::vector<query_result> history{};  ///< all queries in proposal order, initial ones first
  std::int64_t epochs = 0;              ///< trained in all
};

namespace detail {

/// Proposal k is made when all but the last `in_flight` - 1 before it are known, however many threads there are.
constexpr int known_before(int number, int in_flight) {
  return number - in_flight + 1 > 0 ? number - in_flight + 1 : 0;
}

/// Results from the best to the worst; equal scores in proposal order.
inline std::vector<const query_result*> ranked(std::span<const query_result> results) {
  std::vector<const query_result*> sorted;
  for (const query_result& one : results) sorted.push_back(&one);
  std::sort(sorted.begin(), sorted.end(), [](const query_result* one, const query_result* other) {
    return one->score != other->score ? one->score < other->score : one < other;
  });
  return sorted;
}

inline int checked_setting(const char* name, int value, int least) {
  if (value < least)
    throw error("a search cannot have this setting", name, std::to_string(value),
                "at least " + std::to_string(least));
  return value;
}

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::search
