#pragma once
/// @file
/// What every job still needs, grouped by who needs it.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// The sets R_j of items that jobs j still need, over ids [0, universe).
///
/// Each id has the set of jobs that need it: ids with the same set are a cell, of which no other list is kept. Each job
/// has a pool, an ascending list of ids that contains R_j and is compacted when less than half of it is left. A draw
/// tries random places of the pool until one fits. In dependent sampling, items of a kind are asked for with
/// a probability in proportion to their number, so that a draw takes a few tries on average, whatever the kinds.
/// Taking an item costs the same for any number of takers, and no step depends on the number of cells.
///
/// Memory: 8 bytes an id, 4 bytes an id of a job. `Random` is random_source, or what goes through all that it can do.
class remaining_sets {
 public:
  /// @param tries at random, before a draw goes through the whole pool; large pools get more
  explicit remaining_sets(std::uint32_t universe, std::size_t tries = 64) : needs_(universe), tries_(tries) {}

  [[nodiscard]] std::uint32_t universe() const { return static_cast<std::uint32_t>(needs_.size()); }
  /// |R_job|.
  [[nodiscard]] std::uint64_t size(int job) const { return sizes_[static_cast<std::size_t>(job)]; }
  /// Jobs that need an item.
  [[nodiscard]] job_set needs(std::uint32_t item) const { return needs_[item]; }

  /// Sets R_job, which must be empty. @param items ascending, none twice, below universe()
  /// @returns the other jobs that need any of these items
  job_set insert(int job, std::span<const std::uint32_t> items) {
    const auto index = static_cast<std::size_t>(job);
    assert(sizes_[index] == 0);
    pools_[index].assign(items.begin(), items.end());
    sizes_[index] = items.size();
    job_set others = 0;
    for (const std::uint32_t item : items) {
      others |= needs_[item];
      needs_[item] |= only(job);
    }
    return others;
  }

  /// Empties R_job.
  void erase(int job) {
    const auto index = static_cast<std::size_t>(job);
    for (const std::uint32_t item : pools_[index]) needs_[item] &= ~only(job);
    sizes_[index] = 0;
    pools_[index] = {};
  }

  /// Removes an item from the sets of its takers, who must need it.
  void take(std::uint32_t item, job_set takers) {
    const job_set old = needs_[item];
    assert((old & takers) == takers);
    needs_[item] = old & ~takers;
    for_each_job(takers, [&](int job) {
      if (--sizes_[static_cast<std::size_t>(job)] == 0) pools_[static_cast<std::size_t>(job)] = {};
    });
  }

  /// A uniform item of R_job among those that fit a filter; there must be one.
  template <class Random>
  [[nodiscard]] std::uint32_t draw(int job, need_filter filter, Random& random) {
    filter.must |= only(job);
    const std::vector<std::uint32_t>& pool = compacted(job);
    for (std::size_t tries = most_tries(pool); tries > 0; --tries) {
      const std::uint32_t item = pool[random.below(pool.size())];
      if (filter(needs_[item])) return item;
    }
    // Very few fit. To go on like this would be as right, but two passes are sure to end.
    std::uint64_t left = random.below(count(job, filter));
    for (const std::uint32_t item : pool)
      if (filter(needs_[item]) && left-- == 0) return item;
    assert(false);
    return pool.front();
  }

  /// True with probability a / (a + extra), where a is the number of items of R_job that fit a filter, without
  /// counting them: an item drawn from R_job decides again and again until it fits, or the extra ones win.
  template <class Random>
  [[nodiscard]] bool chance(int job, need_filter filter, std::uint64_t extra, Random& random) {
    if (extra == 0) return true;
    filter.must |= only(job);
    const std::vector<std::uint32_t>& pool = compacted(job);
    for (std::size_t tries = most_tries(pool); tries > 0; --tries) {
      const std::uint64_t place = random.below(pool.size() + extra);
      if (place >= pool.size()) return false;
      if (filter(needs_[pool[place]])) return true;
    }
    const std::uint64_t fitting = count(job, filter);
    return random.chance(fitting, fitting + extra);
  }

  /// Number of items of R_job that fit a filter, by one pass over the pool.
  [[nodiscard]] std::uint64_t count(int job, need_filter filter) const {
    filter.must |= only(job);
    std::uint64_t fitting = 0;
    for (const std::uint32_t item : pools_[static_cast<std::size_t>(job)]) fitting += filter(needs_[item]) ? 1 : 0;
    return fitting;
  }

  /// R_job, ascending.
  [[nodiscard]] std::vector<std::uint32_t> items(int job) const {
    std::vector<std::uint32_t> all;
    for (const std::uint32_t item : pools_[static_cast<std::size_t>(job)])
      if (contains(needs_[item], job)) all.push_back(item);
    return all;
  }

 private:
  [[nodiscard]] std::size_t most_tries(const std::vector<std::uint32_t>& pool) const {
    return tries_ + pool.size() / 16;
  }

  std::vector<std::uint32_t>& compacted(int job) {
    std::vector<std::uint32_t>& pool = pools_[static_cast<std::size_t>(job)];
    if (2 * size(job) < pool.size())
      std::erase_if(pool, [&](std::uint32_t item) { return !contains(needs_[item], job); });
    return pool;
  }

  std::vector<job_set> needs_;
  std::size_t tries_;
  std::array<std::vector<std::uint32_t>, max_jobs> pools_;
  std::array<std::uint64_t, max_jobs> sizes_{};
};

}  // namespace vivace::inline VIVACE_TARGET::data
