// Single rounds and whole epochs by going through all that chance can do: probabilities as fractions, not estimates.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/tree.hpp>

namespace data = vivace::data;
using sets_of_jobs = std::vector<std::vector<std::uint32_t>>;

namespace {

/// A fraction in lowest terms.
struct fraction {
  std::int64_t over = 0, under = 1;
  bool operator==(const fraction&) const = default;

  static fraction of(std::int64_t over, std::int64_t under) {
    const std::int64_t common = std::gcd(over, under);
    return {over / common, under / common};
  }
  fraction& operator+=(const fraction& other) {
    const std::int64_t common = std::gcd(under, other.under);
    return *this = of(over * (other.under / common) + other.over * (under / common), under / common * other.under);
  }
  fraction& operator*=(const fraction& other) {
    const fraction one = of(over, other.under), two = of(other.over, under);
    return *this = {one.over * two.over, one.under * two.under};
  }
  [[nodiscard]] std::string text() const { return std::to_string(over) + "/" + std::to_string(under); }
};

/// In place of random_source: each pass makes other decisions, until all have been made. Knows how likely they are.
class all_decisions {
 public:
  std::uint64_t below(std::uint64_t bound) {
    if (bound == 1) return 0;
    const std::uint64_t value = next(bound);
    likely *= {1, static_cast<std::int64_t>(bound)};
    return value;
  }
  bool chance(std::uint64_t part, std::uint64_t whole) {
    if (part >= whole) return true;
    if (part == 0) return false;
    const bool yes = next(2) == 0;
    likely *= fraction::of(static_cast<std::int64_t>(yes ? part : whole - part), static_cast<std::int64_t>(whole));
    return yes;
  }
  /// Goes on to the next pass; false after the last.
  bool advance() {
    while (!made_.empty() && made_.back().value + 1 == made_.back().bound) made_.pop_back();
    if (made_.empty()) return false;
    ++made_.back().value;
    at_ = 0;
    likely = {1, 1};
    return true;
  }
  fraction likely = {1, 1};

 private:
  struct decision {
    std::uint64_t value = 0, bound = 1;
  };
  std::uint64_t next(std::uint64_t bound) {
    if (at_ == made_.size()) made_.push_back({0, bound});
    return made_[at_++].value;
  }
  std::vector<decision> made_;
  std::size_t at_ = 0;
};

struct law {
  std::array<std::array<fraction, 8>, 3> of_item{};  // of each job
  fraction together[3], all, distinct, certain;      // together: jobs 12, 13, 23
};

template <class Model>
law law_of(const Model& start, std::size_t jobs) {
  law found;
  all_decisions chance;
  std::vector<data::pick> picks;
  do {
    Model model = start;
    model.choose((data::job_set{1} << jobs) - 1, chance, picks);
    const fraction likely = chance.likely;
    found.certain += likely;
    for (const data::pick& one : picks) {
      found.distinct += likely;
      data::for_each_job(one.takers,
                         [&](int job) { found.of_item[static_cast<std::size_t>(job)][one.item] += likely; });
      if (static_cast<std::size_t>(std::popcount(one.takers)) == jobs) found.all += likely;
      const data::job_set pairs[] = {3, 5, 6};
      for (std::size_t pair = 0; pair < 3; ++pair)
        if ((one.takers & pairs[pair]) == pairs[pair]) found.together[pair] += likely;
    }
  } while (chance.advance());
  return found;
}

template <class Model, class... Tries>
Model filled(const sets_of_jobs& sets, Tries... tries) {
  Model model(8, tries...);
  for (std::size_t job = 0; job < sets.size(); ++job) model.insert(static_cast<int>(job), sets[job]);
  return model;
}

void check_marginals(const law& found, const sets_of_jobs& sets) {
  CHECK(found.certain == fraction::of(1, 1));
  for (std::size_t job = 0; job < sets.size(); ++job)
    for (std::uint32_t item = 0; item < 8; ++item) {
      const bool mine = std::count(sets[job].begin(), sets[job].end(), item) > 0;
      const fraction should = mine ? fraction{1, static_cast<std::int64_t>(sets[job].size())} : fraction{};
      CHECK_MESSAGE(found.of_item[job][item] == should,
                    "job " << job << ", item " << item << ": " << found.of_item[job][item].text());
    }
}

struct vector_of_spec {
  sets_of_jobs sets;
  fraction together[3], all, distinct;
};

const std::vector<vector_of_spec> vectors = {
    {{{0, 1, 2}, {1, 2, 3, 4}}, {{1, 2}, {}, {}}, {1, 2}, {3, 2}},
    {{{0, 1, 2}, {1, 2, 3, 4}, {0, 2, 4, 5, 6}}, {{13, 36}, {17, 60}, {31, 80}}, {1, 5}, {1561, 720}},
    {{{0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}}, {{1, 2}, {1, 2}, {1, 1}}, {1, 2}, {3, 2}},
    {{{0, 1}, {0, 2}, {1, 2}}, {{1, 4}, {1, 4}, {1, 2}}, {}, {2, 1}},
    {{{0}, {0, 1}, {0, 1, 2, 3}}, {{1, 2}, {1, 4}, {5, 12}}, {1, 4}, {25, 12}},
    {{{0, 1, 2, 3}, {4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}, {{}, {1, 8}, {1, 2}}, {}, {19, 8}}};

void check_vector(const law& found, const vector_of_spec& one) {
  check_marginals(found, one.sets);
  for (std::size_t pair = 0; pair < (one.sets.size() == 3 ? 3 : 1); ++pair)
    CHECK_MESSAGE(found.together[pair] == one.together[pair], "pair " << pair << ": " << found.together[pair].text());
  CHECK_MESSAGE(found.all == one.all, found.all.text());
  CHECK_MESSAGE(found.distinct == one.distinct, found.distinct.text());
}

/// The probability of every order of an epoch of job 0, while the others draw as the schedule says.
template <class Model>
std::map<std::vector<std::uint32_t>, fraction> orders_of(const Model& start,
                                                         const std::vector<data::job_set>& schedule) {
  std::map<std::vector<std::uint32_t>, fraction> found;
  all_decisions chance;
  std::vector<data::pick> picks;
  do {
    Model model = start;
    std::vector<std::uint32_t> order;
    for (const data::job_set ready : schedule) {
      data::job_set able = 0;
      data::for_each_job(ready, [&](int job) { able |= model.remaining(job) > 0 ? data::only(job) : 0; });
      if (able == 0) continue;
      model.choose(able, chance, picks);
      for (const data::pick& one : picks) {
        model.take(one.item, one.takers);
        if (data::contains(one.takers, 0)) order.push_back(one.item);
      }
    }
    found[order] += chance.likely;
  } while (chance.advance());
  return found;
}

}  // namespace

TEST_CASE("shared sampling, exactly: the figures of the specification") {
  for (const vector_of_spec& one : vectors) {
    CAPTURE(&one - vectors.data());
    check_vector(law_of(filled<data::dependent_tree>(one.sets), one.sets.size()), one);
    // Without tries at random, and with some, so that both ways through a draw are gone.
    for (const std::size_t tries : {std::size_t{0}, std::size_t{1}, std::size_t{2}})
      check_vector(law_of(filled<data::dependent_cells>(one.sets, tries), one.sets.size()), one);
  }
}

TEST_CASE("shared sampling, exactly: pairwise coupling is uniform for each job, and reaches the optimum") {
  for (const vector_of_spec& one : vectors)
    for (const std::size_t tries : {std::size_t{0}, std::size_t{1}}) {
      const law found = law_of(filled<data::pairwise_cells>(one.sets, tries), one.sets.size());
      check_marginals(found, one.sets);
      CHECK_MESSAGE(found.distinct.over * one.distinct.under <= one.distinct.over * found.distinct.under,
                    found.distinct.text());  // never more items than the plain algorithm
    }
  for (const std::size_t at : {std::size_t{4}, std::size_t{5}})
    CHECK(law_of(filled<data::pairwise_cells>(vectors[at].sets, std::size_t{0}), 3).distinct == fraction::of(2, 1));
}

TEST_CASE("shared sampling, exactly: every order of an epoch is equally likely, whoever else draws") {
  const std::vector<std::vector<data::job_set>> schedules = {
      {3, 3, 3, 3}, {1, 3, 1, 2}, {2, 1, 3, 1}, {3, 2, 1, 1}, {2, 2, 1, 1, 1}};
  const std::vector<sets_of_jobs> overlaps = {{{0, 1, 2}, {0, 1, 2}}, {{0, 1, 2}, {1, 2, 3}}, {{0, 1, 2}, {2, 3}}};
  const auto check = [&](const auto& model, const std::vector<data::job_set>& schedule) {
    const auto found = orders_of(model, schedule);
    CHECK(found.size() == 6);
    const fraction equal{1, 6};
    for (const auto& [order, likely] : found) CHECK_MESSAGE(likely == equal, likely.text());
  };
  for (const auto& sets : overlaps)
    for (const auto& schedule : schedules) {
      check(filled<data::dependent_tree>(sets), schedule);
      check(filled<data::dependent_cells>(sets, std::size_t{0}), schedule);
      check(filled<data::pairwise_cells>(sets, std::size_t{0}), schedule);
    }
}
