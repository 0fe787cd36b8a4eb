#pragma once
/// @file
/// Dependent sampling by the tree of the paper: the other model, to check the first one by.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/random_source.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A set of ids with exact uniform draws: an array of its members and the place of each id in it.
class id_set {
 public:
  [[nodiscard]] std::size_t size() const { return ids_.size(); }
  [[nodiscard]] bool contains(std::uint32_t id) const { return id < places_.size() && places_[id] != nowhere; }
  [[nodiscard]] std::uint32_t operator[](std::size_t place) const { return ids_[place]; }
  [[nodiscard]] const std::vector<std::uint32_t>& ids() const { return ids_; }

  void add(std::uint32_t id) {
    if (contains(id)) return;
    if (id >= places_.size()) places_.resize(id + std::size_t{1}, nowhere);
    places_[id] = static_cast<std::uint32_t>(ids_.size());
    ids_.push_back(id);
  }
  void remove(std::uint32_t id) {
    if (!contains(id)) return;
    const std::uint32_t place = places_[id];
    ids_[place] = ids_.back();
    places_[ids_[place]] = place;
    ids_.pop_back();
    places_[id] = nowhere;
  }
  /// Adds all of another set.
  void unite(id_set&& other) {
    if (other.size() > size()) std::swap(*this, other);
    for (const std::uint32_t id : other.ids_) add(id);
  }
  /// Splits off the members that a test holds for.
  template <class Test>
  [[nodiscard]] id_set split(Test&& test) {
    id_set off;
    for (std::size_t i = 0; i < ids_.size();) {
      const std::uint32_t id = ids_[i];
      if (test(id)) {
        off.add(id);
        remove(id);
      } else {
        ++i;
      }
    }
    return off;
  }

 private:
  static constexpr std::uint32_t nowhere = (std::numeric_limits<std::uint32_t>::max)();
  std::vector<std::uint32_t> ids_, places_;
};

/// One round of dependent sampling (Xie et al., "A Deep Learning Dataloader with Shared Data Preparation", NeurIPS
/// 2022): jobs in ascending order of what they need walk through nested common parts; whoever refuses a part starts
/// the next one. Every item of R_j comes to job j with probability 1 / |R_j|, and jobs meet as often as this allows.
///
/// Parts are T_0, T_1, ...: T_k is in a common set of jobs k, k+1, ... and in no part before.
/// @param left    sizes of the remaining sets, ascending; used up
/// @param part    part(k): |T_k|
/// @param common  common(first, last): a uniform item of T_first + ... + T_last, drawn for job `last`
/// @param own     own(k, count): a uniform item of R_k outside of T_0 ... T_k, of which there are `count`
/// @param give    give(item, first, end): jobs first to end - 1 get the item
template <class Random, class Part, class Common, class Own, class Give>
void walk_dependent(std::span<std::uint64_t> left, Random& random, Part&& part, Common&& common, Own&& own,
                    Give&& give) {
  const int jobs = static_cast<int>(left.size());
  const auto size = [&](int rank) -> std::uint64_t& { return left[static_cast<std::size_t>(rank)]; };
  for (int first = 0, begin = 0; begin < jobs;) {
    std::uint64_t offered = 0;
    for (int k = first; k <= begin; ++k) offered += part(k);
    int end = begin + 1;
    if (offered > 0 && random.chance(offered, size(begin))) {
      while (end < jobs && random.chance(size(end - 1), size(end))) ++end;
      give(common(first, begin, offered), begin, end);
    } else {
      give(own(begin, size(begin) - offered), begin, end);
    }
    for (int k = end; k < jobs; ++k) size(k) -= offered;
    first = begin + 1;
    begin = end;
  }
}

/// Dependent sampling over the tree of the paper: a model of joint_sampler.
///
/// Jobs stand in ascending order of |R|. T_k has items that the jobs of rank k, k + 1, ... all need and that are in no
/// T before; L_k has what else the job of rank k needs. Deletions and changes of order lose common parts that cells
/// would still see, which costs sharing, never correctness.
class dependent_tree {
 public:
  explicit dependent_tree(std::uint32_t universe) : needs_(universe) {}

  void insert(int job, std::span<const std::uint32_t> items) {
    id_set rest;
    for (const std::uint32_t item : items) {
      rest.add(item);
      needs_[item] |= only(job);
    }
    std::size_t rank = 0;
    while (rank < levels_.size() && remaining(levels_[rank].job) <= items.size()) ++rank;
    for (std::size_t i = 0; i < rank; ++i) {  // what the new job lacks is not common to rank i and all after it
      id_set lost = levels_[i].common.split([&](std::uint32_t id) { return !rest.contains(id); });
      for (const std::uint32_t id : levels_[i].common.ids()) rest.remove(id);
      for (const std::uint32_t id : lost.ids()) levels_[i].own.add(id);
      if (i + 1 < levels_.size()) levels_[i + 1].common.unite(std::move(lost));
    }
    level made{job, {}, {}};
    if (rank < levels_.size()) {
      made.common = levels_[rank].common.split([&](std::uint32_t id) { return rest.contains(id); });
      made.own = rest.split([&](std::uint32_t id) { return !made.common.contains(id); });
    } else {
      made.common = std::move(rest);
    }
    sizes_[static_cast<std::size_t>(job)] = items.size();
    levels_.insert(levels_.begin() + static_cast<std::ptrdiff_t>(rank), std::move(made));
  }

  void erase(int job) {
    const std::size_t rank = rank_of(job);
    if (rank == levels_.size()) return;
    for (const level& one : levels_)
      for (const std::uint32_t id : one.common.ids()) needs_[id] &= ~only(job);
    for (const std::uint32_t id : levels_[rank].own.ids()) needs_[id] &= ~only(job);
    id_set common = std::move(levels_[rank].common);
    const bool last = rank + 1 == levels_.size();
    levels_.erase(levels_.begin() + static_cast<std::ptrdiff_t>(rank));
    if (!last) levels_[rank].common.unite(std::move(common));
    // The new last job needs all of its own part alone, which is common to the jobs from it on.
    if (last && rank > 0) levels_[rank - 1].common.unite(std::exchange(levels_[rank - 1].own, {}));
    sizes_[static_cast<std::size_t>(job)] = 0;
  }

  [[nodiscard]] std::uint64_t remaining(int job) const { return sizes_[static_cast<std::size_t>(job)]; }
  [[nodiscard]] job_set needs(std::uint32_t item) const { return needs_[item]; }

  template <class Random>
  void choose(job_set jobs, Random& random, std::vector<pick>& picks) {
    picks.clear();
    sort();
    std::array<std::size_t, max_jobs> ranks;
    std::array<std::uint64_t, max_jobs> left;
    std::size_t count = 0;
    for (std::size_t rank = 0; rank < levels_.size(); ++rank)
      if (data::contains(jobs, levels_[rank].job)) {
        left[count] = remaining(levels_[rank].job);
        ranks[count++] = rank;
      }
    // A part of the participants is all of the parts from the last participant before on.
    const auto begin = [&](int k) { return k == 0 ? 0 : ranks[static_cast<std::size_t>(k - 1)] + 1; };
    const auto end = [&](int k) { return ranks[static_cast<std::size_t>(k)] + 1; };
    walk_dependent(
        std::span(left).first(count), random,
        [&](int k) {
          std::uint64_t part = 0;
          for (std::size_t rank = begin(k); rank < end(k); ++rank) part += levels_[rank].common.size();
          return part;
        },
        [&](int first, int, std::uint64_t offered) {
          std::uint64_t place = random.below(offered);
          std::size_t rank = begin(first);
          for (; place >= levels_[rank].common.size(); ++rank) place -= levels_[rank].common.size();
          return levels_[rank].common[place];
        },
        [&](int k, std::uint64_t) {
          const id_set& own = levels_[ranks[static_cast<std::size_t>(k)]].own;
          return own[random.below(own.size())];
        },
        [&](std::uint32_t item, int from, int to) {
          job_set takers = 0;
          for (int k = from; k < to; ++k) takers |= only(levels_[ranks[static_cast<std::size_t>(k)]].job);
          add_pick(picks, item, takers);
        });
  }

  void take(std::uint32_t item, job_set takers) {
    assert((needs_[item] & takers) == takers);
    for (level& one : levels_) one.own.remove(item);
    for (level& one : levels_) one.common.remove(item);
    for_each_job(takers, [&](int job) { --sizes_[static_cast<std::size_t>(job)]; });
    needs_[item] &= ~takers;
    put(item);
    job_set done = 0;
    for_each_job(takers, [&](int job) { done |= remaining(job) == 0 ? only(job) : 0; });
    for_each_job(done, [&](int job) { erase(job); });
  }

  /// Whether parts and own rests are disjoint and make up the remaining sets, and parts are common; for tests.
  [[nodiscard]] bool consistent() const {
    std::vector<job_set> seen(needs_.size());
    job_set before = 0, all = 0;
    for (const level& one : levels_) all |= only(one.job);
    for (std::size_t rank = 0; rank < levels_.size(); ++rank) {
      for (const std::uint32_t id : levels_[rank].common.ids()) {
        if ((seen[id] & all & ~before) != 0) return false;
        seen[id] |= all & ~before;
      }
      for (const std::uint32_t id : levels_[rank].own.ids()) {
        if (data::contains(seen[id], levels_[rank].job)) return false;
        seen[id] |= only(levels_[rank].job);
      }
      before |= only(levels_[rank].job);
    }
    if (!levels_.empty() && levels_.back().own.size() != 0) return false;
    return seen == needs_;
  }

 private:
  struct level {
    int job = 0;
    id_set common, own;  // T and L
  };

  [[nodiscard]] std::size_t rank_of(int job) const {
    std::size_t rank = 0;
    while (rank < levels_.size() && levels_[rank].job != job) ++rank;
    return rank;
  }

  /// Places an item that is nowhere: in T of the longest suffix of jobs that need it, and in L of the others.
  void put(std::uint32_t item) {
    const job_set holders = needs_[item];
    std::size_t rank = levels_.size();
    while (rank > 0 && data::contains(holders, levels_[rank - 1].job)) --rank;
    if (rank < levels_.size()) levels_[rank].common.add(item);
    for (std::size_t other = 0; other < rank; ++other)
      if (data::contains(holders, levels_[other].job)) levels_[other].own.add(item);
  }

  /// Restores the ascending order: neighbours change places as long as one is larger than the next.
  void sort() {
    for (std::size_t done = 1; done < levels_.size(); ++done)
      for (std::size_t k = done; k > 0 && remaining(levels_[k - 1].job) > remaining(levels_[k].job); --k) swap(k - 1);
  }

  /// Exchanges ranks k and k + 1. What the job of rank k shares with all after rank k + 1 was in its L.
  void swap(std::size_t k) {
    level &first = levels_[k], &second = levels_[k + 1];
    const bool last = k + 2 == levels_.size();
    id_set common = first.own.split(
        [&](std::uint32_t id) { return last || second.common.contains(id) || levels_[k + 2].common.contains(id); });
    id_set old = std::exchange(second.common, {});
    // The smaller job, now before: T_k stays; all that was common to it and the rest becomes its own.
    for (const std::uint32_t id : old.ids()) second.own.add(id);
    if (!last) {
      levels_[k + 2].common.unite(std::move(old));
      for (const std::uint32_t id : common.ids()) levels_[k + 2].common.remove(id);
    }
    std::swap(first.common, second.common);  // T_k goes with the rank, not with the job
    std::swap(first, second);
    second.common = std::move(common);
    assert(first.job != second.job);
  }

  std::vector<job_set> needs_;
  std::vector<level> levels_;  // by rank
  std::array<std::uint64_t, max_jobs> sizes_{};
};

}  // namespace vivace::inline VIVACE_TARGET::data
