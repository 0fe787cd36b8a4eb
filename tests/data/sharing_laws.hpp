#pragma once
// Laws of vivace::data::joint_sampler: run a model of your own through them, inside a doctest test case.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <vector>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/random_source.hpp>

#include "sharing_statistics.hpp"

namespace laws {

namespace sharing = vivace::data;

/// One round of some sets, many times over: how often jobs get which items, and which jobs get the same.
struct single_rounds {
  std::vector<std::vector<double>> counts;             // of each job and item
  std::array<std::array<double, 8>, 8> together = {};  // of each pair of jobs
  double all_together = 0, distinct = 0;
};

template <class Model>
single_rounds repeat_round(const std::vector<std::vector<std::uint32_t>>& sets, int rounds, std::uint64_t seed) {
  Model model(8);
  sharing::random_source random(seed);
  sharing::job_set jobs = 0;
  single_rounds result;
  for (std::size_t job = 0; job < sets.size(); ++job) {
    model.insert(static_cast<int>(job), sets[job]);
    jobs |= sharing::only(static_cast<int>(job));
    result.counts.emplace_back(8);
  }
  std::vector<sharing::pick> picks;
  for (int round = 0; round < rounds; ++round) {
    model.choose(jobs, random, picks);
    result.distinct += static_cast<double>(picks.size()) / rounds;
    for (const sharing::pick& one : picks) {
      if (one.takers == jobs) result.all_together += 1.0 / rounds;
      sharing::for_each_job(one.takers, [&](int job) {
        ++result.counts[static_cast<std::size_t>(job)][one.item];
        sharing::for_each_job(one.takers, [&](int other) {
          result.together[static_cast<std::size_t>(job)][static_cast<std::size_t>(other)] += 1.0 / rounds;
        });
      });
    }
  }
  return result;
}

/// Whether each job drew uniformly from its own items, and from no others.
inline void check_marginals(const single_rounds& seen, const std::vector<std::vector<std::uint32_t>>& sets) {
  for (std::size_t job = 0; job < sets.size(); ++job) {
    std::vector<double> mine;
    double all = 0, own = 0;
    for (const std::uint32_t item : sets[job]) mine.push_back(seen.counts[job][item]);
    for (const double one : seen.counts[job]) all += one;
    for (const double one : mine) own += one;
    CHECK_MESSAGE(own == all, "job " << job << " got an item that it does not need");
    if (mine.size() > 1) CHECK_MESSAGE(statistics::uneven(mine) < statistics::limit, "job " << job);
  }
}

template <class Model>
void check_joint_sampler() {
  static_assert(sharing::joint_sampler<Model>);
  using sharing::job_set;
  constexpr std::uint32_t universe = 50;
  const auto play = [&](std::uint64_t seed) {
    Model model(universe);
    sharing::random_source random(seed), script(seed, 1);
    std::array<std::set<std::uint32_t>, 7> sets;
    std::vector<sharing::pick> picks;
    std::vector<std::uint64_t> record;
    bool sound = true;
    for (int step = 0; step < 400; ++step) {
      const auto job = static_cast<int>(script.below(sets.size()));
      auto& mine = sets[static_cast<std::size_t>(job)];
      if (mine.empty()) {
        for (std::uint32_t item = 0; item < universe; ++item)
          if (script.chance(static_cast<std::uint64_t>(1 + job), 5)) mine.insert(item);
        mine.insert(static_cast<std::uint32_t>(script.below(universe)));
        model.insert(job, std::vector<std::uint32_t>(mine.begin(), mine.end()));
      } else if (script.chance(1, 20)) {
        model.erase(job);
        mine.clear();
      }
      job_set able = 0;
      for (int other = 0; other < 7; ++other)
        if (!sets[static_cast<std::size_t>(other)].empty() && script.chance(3, 4)) able |= sharing::only(other);
      model.choose(able, random, picks);
      job_set served = 0;
      std::set<std::uint32_t> items;
      for (const sharing::pick& one : picks) {
        sound = sound && one.takers != 0 && (served & one.takers) == 0 && items.insert(one.item).second;
        served |= one.takers;
        model.take(one.item, one.takers);
        sharing::for_each_job(one.takers, [&](int taker) {
          sound = sound && sets[static_cast<std::size_t>(taker)].erase(one.item) == 1;
        });
        record.push_back(one.item);
        record.push_back(one.takers);
      }
      sound = sound && served == able;
      for (std::uint32_t item = 0; item < universe; ++item) {
        job_set needs = 0;
        for (int other = 0; other < 7; ++other)
          if (sets[static_cast<std::size_t>(other)].count(item) != 0) needs |= sharing::only(other);
        sound = sound && model.needs(item) == needs;
      }
      for (int other = 0; other < 7; ++other)
        sound = sound && model.remaining(other) == sets[static_cast<std::size_t>(other)].size();
      if constexpr (requires { model.consistent(); }) sound = sound && model.consistent();
      if (!sound) break;
    }
    CHECK_MESSAGE(sound, "each job gets an item that it needs, and the sets are those of the calls; seed " << seed);
    return record;
  };
  for (std::uint64_t seed = 0; seed < 30; ++seed)
    CHECK_MESSAGE(play(seed) == play(seed), "the same calls, the same draws");
  CHECK(play(1) != play(2));

  const std::vector<std::vector<std::vector<std::uint32_t>>> cases = {
      {{0, 1, 2}, {1, 2, 3, 4}},
      {{0, 1, 2}, {1, 2, 3, 4}, {0, 2, 4, 5, 6}},
      {{0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}},
      {{0, 1}, {0, 2}, {1, 2}},
      {{0}, {0, 1}, {0, 1, 2, 3}},
      {{0, 1, 2, 3}, {4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}},
      {{0, 1, 2, 3, 4, 5, 6, 7}, {3}},
      {{7}, {6}, {5}, {4, 5, 6, 7}}};
  std::uint64_t seed = 100;
  for (const auto& sets : cases) check_marginals(repeat_round<Model>(sets, 20'000, ++seed), sets);
}

}  // namespace laws
