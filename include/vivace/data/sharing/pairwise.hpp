#pragma once
/// @file
/// Pairwise coupling: jobs follow one another along a tree, each pair as closely as two jobs can.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/random_source.hpp>
#include <vivace/data/sharing/remaining.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A model of joint_sampler beyond the paper. Each round joins the drawing jobs by a maximum spanning tree of weights
/// |R_i n R_j| / max(|R_i|, |R_j|), the chance that two jobs get one item; the first job draws uniformly, and each
/// other one keeps its parent's item as often as its own law allows. It yields at most n - (sum of the tree's weights)
/// different items a round: fewer than dependent sampling when sets overlap in pairs but not all at once. Each draw is
/// uniform given the past, as there.
class pairwise_cells {
 public:
  /// @param tries see remaining_sets
  explicit pairwise_cells(std::uint32_t universe, std::size_t tries = 64) : sets_(universe, tries) {}

  void insert(int job, std::span<const std::uint32_t> items) {
    count(job, items);
    sets_.insert(job, items);
  }
  void erase(int job) {
    sets_.erase(job);
    for (int other = 0; other < max_jobs; ++other) common(job, other) = common(other, job) = 0;
  }
  [[nodiscard]] std::uint64_t remaining(int job) const { return sets_.size(job); }
  [[nodiscard]] job_set needs(std::uint32_t item) const { return sets_.needs(item); }
  [[nodiscard]] const remaining_sets& sets() const { return sets_; }
  /// |R_i n R_j| of two different jobs.
  [[nodiscard]] std::uint64_t in_common(int one, int other) const {
    return common_[static_cast<std::size_t>(one * max_jobs + other)];
  }

  template <class Random>
  void choose(job_set jobs, Random& random, std::vector<pick>& picks) {
    picks.clear();
    const job_order order(jobs, [&](int job) { return sets_.size(job); });
    if (order.count == 0) return;
    std::array<std::uint32_t, max_jobs> drawn;
    std::array<branch, max_jobs> best{};  // of each job that is not in the tree yet
    const int root = order[order.count - 1];
    drawn[static_cast<std::size_t>(root)] = sets_.draw(root, {}, random);
    add_pick(picks, drawn[static_cast<std::size_t>(root)], only(root));
    int added = root;
    for (job_set outside = jobs & ~only(root); outside != 0; outside &= ~only(added)) {  // Prim's algorithm
      int next = -1;
      for (int rank = order.count; rank-- > 0;) {
        const int job = order[rank];
        if (!contains(outside, job)) continue;
        branch& mine = best[static_cast<std::size_t>(job)];
        const branch to{added, in_common(job, added), (std::max)(sets_.size(job), sets_.size(added))};
        if (mine.parent < 0 || mine < to) mine = to;
        if (next < 0 || best[static_cast<std::size_t>(next)] < mine) next = job;
      }
      const int parent = best[static_cast<std::size_t>(next)].parent;
      const std::uint32_t item = follow(next, parent, drawn[static_cast<std::size_t>(parent)], random);
      drawn[static_cast<std::size_t>(next)] = item;
      add_pick(picks, item, only(next));
      added = next;
    }
  }

  void take(std::uint32_t item, job_set takers) {
    const job_set old = sets_.needs(item);
    for_each_job(takers, [&](int taker) { add(taker, old, ~std::uint64_t{0}); });
    // A pair of takers was counted off twice on each side, but has lost one item.
    for_each_job(takers, [&](int taker) {
      for_each_job(takers, [&](int other) { common(taker, other) += taker != other ? 1 : 0; });
    });
    sets_.take(item, takers);
  }

 private:
  struct branch {
    int parent = -1;
    std::uint64_t common = 0, size = 1;
    bool operator<(const branch& other) const { return common * other.size < other.common * size; }
  };

  std::uint64_t& common(int one, int other) { return common_[static_cast<std::size_t>(one * max_jobs + other)]; }

  void add(int job, job_set needs, std::uint64_t count) {
    for_each_job(needs & ~only(job), [&](int other) {
      common(job, other) += count;
      common(other, job) += count;
    });
  }

  /// Counts what a new job has in common with others. Sets of needs repeat soon, so they are gathered first.
  void count(int job, std::span<const std::uint32_t> items) {
    struct batch {
      job_set needs = 0;
      std::uint64_t count = 0;
    };
    std::vector<batch> gathered(1024);
    for (const std::uint32_t item : items) {
      const job_set needs = sets_.needs(item);
      batch& one = gathered[(needs * 0x9E37'79B9'7F4A'7C15) >> 54];
      if (one.needs != needs) {
        add(job, one.needs, one.count);
        one = {needs, 0};
      }
      ++one.count;
    }
    for (const batch& one : gathered) add(job, one.needs, one.count);
  }

  /// An item for a job, uniform on its set, as often as possible the item that its parent drew uniformly.
  template <class Random>
  std::uint32_t follow(int job, int parent, std::uint32_t item, Random& random) {
    const std::uint64_t mine = sets_.size(job), theirs = sets_.size(parent), both = in_common(job, parent);
    const bool needed = contains(sets_.needs(item), job);
    const std::uint64_t apart = mine - both;
    if (theirs < mine) {
      if (needed && random.chance(theirs, mine)) return item;
      return sets_.draw(job, {0, only(job) | only(parent)}, random);
    }
    if (needed) return item;
    // Common items came with probability 1 / theirs; the rest of their share is due here.
    const std::uint64_t of_apart = apart * theirs, of_both = both * (theirs - mine);
    if (random.below(of_apart + of_both) < of_apart) return sets_.draw(job, {0, only(job) | only(parent)}, random);
    return sets_.draw(job, {only(parent), 0}, random);
  }

  remaining_sets sets_;
  std::vector<std::uint64_t> common_ = std::vector<std::uint64_t>(static_cast<std::size_t>(max_jobs) * max_jobs);
};

}  // namespace vivace::inline VIVACE_TARGET::data
