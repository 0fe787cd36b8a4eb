#pragma once
/// @file
/// How several jobs draw together: the concept, and what its models share.
#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <span>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/random_source.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A way of drawing for several jobs at once from their remaining sets R_j, subsets of [0, universe).
///
/// - Model(universe): all sets are empty.
/// - insert(job, items): sets R_job, which is empty; items are ascending, none twice, below universe; there is one.
/// - erase(job): empties R_job.
/// - choose(jobs, random, picks): writes one round to `picks` and takes nothing: every job of `jobs`, none of which
///   has an empty set, is a taker of exactly one pick, whose item is uniform on its R_j given all that happened before;
///   items of picks differ. Its draws depend on the history of calls and on `random` alone.
/// - take(item, takers): removes an item from the sets of jobs that need it. A round takes all its picks (or others).
/// - remaining(job): |R_job|. needs(item): the jobs j with the item in R_j.
///
/// Jobs are numbers in [0, max_jobs). The law suite tests/data/sharing_laws.hpp checks a model against this text.
template <class Model>
concept joint_sampler = std::constructible_from<Model, std::uint32_t> &&
    requires(Model& model, const Model& fixed, int job, job_set jobs, std::uint32_t item,
             std::span<const std::uint32_t> items, random_source& random, std::vector<pick>& picks) {
  model.insert(job, items);
  model.erase(job);
  model.choose(jobs, random, picks);
  model.take(item, jobs);
  { fixed.remaining(job) } -> std::convertible_to<std::uint64_t>;
  { fixed.needs(item) } -> std::convertible_to<job_set>;
};

/// Gives an item to jobs; items that are picked twice become one pick.
inline void add_pick(std::vector<pick>& picks, std::uint32_t item, job_set takers) {
  for (pick& one : picks)
    if (one.item == item) {
      one.takers |= takers;
      return;
    }
  picks.push_back({item, takers});
}

/// Jobs in ascending order of a size, ties by number.
struct job_order {
  std::array<std::uint8_t, max_jobs> jobs{};
  int count = 0;

  template <class Size>
  job_order(job_set members, Size&& size) {
    std::array<std::uint64_t, max_jobs> keys;
    for_each_job(members, [&](int job) {
      const std::uint64_t key = size(job);
      int at = count++;
      for (; at > 0 && keys[static_cast<std::size_t>(at - 1)] > key; --at) {
        keys[static_cast<std::size_t>(at)] = keys[static_cast<std::size_t>(at - 1)];
        jobs[static_cast<std::size_t>(at)] = jobs[static_cast<std::size_t>(at - 1)];
      }
      keys[static_cast<std::size_t>(at)] = key;
      jobs[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(job);
    });
  }
  [[nodiscard]] int operator[](int rank) const { return jobs[static_cast<std::size_t>(rank)]; }
  bool operator==(const job_order& other) const {
    return count == other.count && std::equal(jobs.begin(), jobs.begin() + count, other.jobs.begin());
  }
};

}  // namespace vivace::inline VIVACE_TARGET::data
