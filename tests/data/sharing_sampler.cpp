// Who draws what together: the laws of all models, the exact figures of the specification, numbers and order.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/tree.hpp>

#include "sharing_laws.hpp"

namespace data = vivace::data;
using sets_of_jobs = std::vector<std::vector<std::uint32_t>>;

namespace {

/// A model written outside of the library: plain sets, every job for itself.
struct plain_sets {
  explicit plain_sets(std::uint32_t universe) : needed(universe) {}
  void insert(int job, std::span<const std::uint32_t> items) {
    for (const std::uint32_t item : items) needed[item] |= data::only(job);
  }
  void erase(int job) {
    for (data::job_set& one : needed) one &= ~data::only(job);
  }
  void choose(data::job_set jobs, data::random_source& random, std::vector<data::pick>& picks) {
    picks.clear();
    data::for_each_job(jobs, [&](int job) {
      std::uint64_t place = random.below(remaining(job));
      for (std::uint32_t item = 0; item < needed.size(); ++item)
        if (data::contains(needed[item], job) && place-- == 0) data::add_pick(picks, item, data::only(job));
    });
  }
  void take(std::uint32_t item, data::job_set takers) { needed[item] &= ~takers; }
  [[nodiscard]] std::uint64_t remaining(int job) const {
    return static_cast<std::uint64_t>(
        std::count_if(needed.begin(), needed.end(), [&](data::job_set one) { return data::contains(one, job); }));
  }
  [[nodiscard]] data::job_set needs(std::uint32_t item) const { return needed[item]; }
  std::vector<data::job_set> needed;
};

struct vector_of_spec {
  sets_of_jobs sets;
  double together[3];  // jobs 12, 13, 23
  double all, distinct;
};

const std::vector<vector_of_spec> vectors = {
    {{{0, 1, 2}, {1, 2, 3, 4}}, {1. / 2, 0, 0}, 1. / 2, 3. / 2},
    {{{0, 1, 2}, {1, 2, 3, 4}, {0, 2, 4, 5, 6}}, {13. / 36, 17. / 60, 31. / 80}, 1. / 5, 1561. / 720},
    {{{0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}}, {1. / 2, 1. / 2, 1}, 1. / 2, 3. / 2},
    {{{0, 1}, {0, 2}, {1, 2}}, {1. / 4, 1. / 4, 1. / 2}, 0, 2},
    {{{0}, {0, 1}, {0, 1, 2, 3}}, {1. / 2, 1. / 4, 5. / 12}, 1. / 4, 25. / 12},
    {{{0, 1, 2, 3}, {4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}, {0, 1. / 8, 1. / 2}, 0, 19. / 8}};

}  // namespace

TEST_CASE("shared sampling: laws of every model") {
  laws::check_joint_sampler<data::dependent_cells>();
  laws::check_joint_sampler<data::dependent_tree>();
  laws::check_joint_sampler<data::pairwise_cells>();
  laws::check_joint_sampler<data::independent_cells>();
  laws::check_joint_sampler<plain_sets>();
}

TEST_CASE_TEMPLATE("shared sampling: chances of meeting, as the specification has them", Model, data::dependent_cells,
                   data::dependent_tree) {
  constexpr int rounds = 100'000;
  std::uint64_t seed = 0;
  for (const vector_of_spec& one : vectors) {
    const auto seen = laws::repeat_round<Model>(one.sets, rounds, ++seed);
    CAPTURE(seed);
    laws::check_marginals(seen, one.sets);
    CHECK(statistics::off(seen.together[0][1], one.together[0], rounds) < 4);
    if (one.sets.size() == 3) {
      CHECK(statistics::off(seen.together[0][2], one.together[1], rounds) < 4);
      CHECK(statistics::off(seen.together[1][2], one.together[2], rounds) < 4);
    }
    CHECK(statistics::off(seen.all_together, one.all, rounds) < 4);
    CHECK(std::abs(seen.distinct - one.distinct) < 4 / std::sqrt(static_cast<double>(rounds)));  // deviation below 1
  }
}

TEST_CASE("shared sampling: pairwise coupling meets in pairs as often as can be") {
  constexpr int rounds = 100'000;
  const auto seen = [&](const sets_of_jobs& sets) {
    const auto result = laws::repeat_round<data::pairwise_cells>(sets, rounds, 11);
    laws::check_marginals(result, sets);
    return result;
  };
  // What dependent sampling cannot do: 19/8 and 25/12 there.
  CHECK(std::abs(seen({{0, 1, 2, 3}, {4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}).distinct - 2) < 0.01);
  CHECK(std::abs(seen({{0}, {0, 1}, {0, 1, 2, 3}}).distinct - 2) < 0.01);
  for (const vector_of_spec& one : vectors) {
    std::vector<double> weights;  // the tree's, by trying all trees of up to three jobs
    const auto weight = [&](std::size_t a, std::size_t b) {
      double common = 0;
      for (const std::uint32_t item : one.sets[a])
        common += static_cast<double>(std::count(one.sets[b].begin(), one.sets[b].end(), item));
      return common / static_cast<double>((std::max)(one.sets[a].size(), one.sets[b].size()));
    };
    double best = weight(0, 1);
    if (one.sets.size() == 3) {
      const double a = weight(0, 1), b = weight(0, 2), c = weight(1, 2);
      best = a + b + c - (std::min)({a, b, c});
    }
    const double bound = static_cast<double>(one.sets.size()) - best;
    CHECK(seen(one.sets).distinct < bound + 4 / std::sqrt(static_cast<double>(rounds)));
  }
}

TEST_CASE("shared sampling: over many seeds, deviations are what chance makes them") {
  // Kolmogorov and Smirnov: p-values of a marginal are uniform.
  std::vector<double> values;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto seen = laws::repeat_round<data::dependent_cells>(vectors[1].sets, 2000, 1000 + seed);
    std::vector<double> last(seen.counts[2]);
    std::erase(last, 0.0);
    const double z = statistics::deviate(statistics::chi_square(last), 4);
    values.push_back(0.5 * std::erfc(z / std::sqrt(2.0)));
  }
  std::sort(values.begin(), values.end());
  double gap = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    gap = (std::max)(gap, std::abs(values[i] - (static_cast<double>(i) + 0.5) / static_cast<double>(values.size())));
  CHECK(gap * std::sqrt(static_cast<double>(values.size())) < 2.2);  // p = 1e-4
}

TEST_CASE("shared sampling: jobs on the same data at the same place stay together, whoever else draws") {
  data::dependent_cells model(1000);
  data::random_source random(3);
  std::vector<std::uint32_t> all(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) all[i] = i;
  for (int job = 0; job < 64; ++job) model.insert(job, all);
  std::vector<data::pick> picks;
  for (int round = 0; round < 1000; ++round) {
    model.choose(~data::job_set{0}, random, picks);
    REQUIRE(picks.size() == 1);
    REQUIRE(picks[0].takers == ~data::job_set{0});
    model.take(picks[0].item, picks[0].takers);
  }
  CHECK(model.remaining(63) == 0);
}

TEST_CASE_TEMPLATE("shared sampling: a job that was overtaken shares as before", Model, data::dependent_cells,
                   data::dependent_tree) {
  Model model(200);
  data::random_source random(4);
  std::vector<std::uint32_t> some, all;
  for (std::uint32_t i = 0; i < 200; ++i) (i < 100 ? some : all).push_back(i);
  all.insert(all.begin(), some.begin(), some.end());
  model.insert(0, some);
  model.insert(1, some);
  model.insert(2, all);
  std::vector<data::pick> picks;
  for (std::uint32_t item = 0; item < 50; ++item) model.take(item, 2);
  // Of the hundred items that jobs 0 and 2 both need, job 1 has had half.
  const auto together = [&](data::job_set jobs) {
    double met = 0;
    for (int i = 0; i < 20'000; ++i) {
      model.choose(jobs, random, picks);
      for (const data::pick& one : picks) met += one.takers == 5 || one.takers == 7 ? 1 : 0;
    }
    return met / 20'000;
  };
  CHECK(statistics::off(together(5), 100. / 200, 20'000) < 4);
}

TEST_CASE("shared sampling: jobs on other data do not come between jobs on the same") {
  data::dependent_cells model(300);
  data::random_source random(3);
  std::vector<std::uint32_t> low, high, bridge = {99, 100};
  for (std::uint32_t i = 0; i < 100; ++i) low.push_back(i);
  for (std::uint32_t i = 100; i < 200; ++i) high.push_back(i);
  for (int job = 0; job < 6; ++job) model.insert(job, job % 2 == 0 ? low : high);
  std::vector<data::pick> picks;
  for (int round = 0; round < 100; ++round) {
    model.choose(63, random, picks);
    REQUIRE(picks.size() == 2);
    for (const data::pick& one : picks) model.take(one.item, one.takers);
  }
  // A job that shares with both joins them, one that has gone no longer does.
  for (int job = 0; job < 2; ++job) model.insert(job, job % 2 == 0 ? low : high);
  model.insert(2, bridge);
  int met = 0;
  for (int round = 0; round < 3000; ++round) {
    model.choose(7, random, picks);
    met += picks.size() == 2 ? 1 : 0;
  }
  CHECK(met > 0);
  laws::check_marginals(laws::repeat_round<data::dependent_cells>({{0, 1, 2}, {5, 6}, {0, 1, 2}, {5, 6, 7}}, 20'000, 1),
                        {{0, 1, 2}, {5, 6}, {0, 1, 2}, {5, 6, 7}});
}

TEST_CASE("shared sampling: a set of which very little is left to draw from takes no longer") {
  // Job 0 needs all; job 1 all but one: what is left to job 0 outside of the common part is one item in 200,000.
  data::dependent_cells model(200'000);
  data::random_source random(5);
  std::vector<std::uint32_t> all(200'000);
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  const data::need_filter apart{0, 3};
  model.insert(0, all);
  all.pop_back();
  model.insert(1, all);
  CHECK(model.sets().count(0, apart) == 1);
  data::remaining_sets sets = model.sets();
  for (int round = 0; round < 20; ++round) CHECK(sets.draw(0, apart, random) == 199'999);
  // One against one, found by counting: half of the time.
  int heads = 0;
  for (int round = 0; round < 400; ++round) heads += sets.chance(0, apart, 1, random) ? 1 : 0;
  CHECK(statistics::off(heads / 400.0, 0.5, 400) < 4);
}

TEST_CASE("shared sampling: random integers are exact") {
  data::random_source random(1);
  std::vector<double> small_counts(6), large_counts(3);
  for (int i = 0; i < 60'000; ++i) {
    ++small_counts[random.below(6)];
    ++large_counts[random.below(std::uint64_t{3} << 60) >> 60];
  }
  CHECK(statistics::uneven(small_counts) < statistics::limit);
  CHECK(statistics::uneven(large_counts) < statistics::limit);
  // A bound where every third number would come twice as often without rejection.
  std::vector<double> thirds(3);
  for (int i = 0; i < 60'000; ++i) ++thirds[random.below(0xC000'0000) % 3];
  CHECK(statistics::uneven(thirds) < statistics::limit);
  CHECK(random.below(1) == 0);
  CHECK(random.chance(3, 3));
  CHECK_FALSE(random.chance(0, 3));
  data::random_source one(9), other(9), different(10);
  bool same = true, differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto value = one.bits();
    same = same && value == other.bits();
    differs = differs || value != different.bits();
  }
  CHECK(same);
  CHECK(differs);
}
