#pragma once
/// @file
/// Dependent sampling with exact intersections: the default way of drawing for jobs that share data.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/remaining.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Dependent sampling (Xie et al., "A Deep Learning Dataloader with Shared Data Preparation", NeurIPS 2022) with the
/// exact intersections of whichever jobs draw: a model of joint_sampler.
///
/// Jobs that draw stand in ascending order of |R|. The first one draws from its set; if all the others need the item
/// too, they follow, one after another, each with probability |R of the last| / |R of the next|, up to the first that
/// refuses. That one starts anew with those after it, and what all of them need, which they were offered, is left out
/// of their sets from then on. Every item of R_j comes to job j with probability 1 / |R_j|; all jobs get the same item
/// as often as this allows. The paper decides first whether a job draws from the common part, then draws; drawing
/// first is the same law and needs no sizes of intersections. Jobs on disjoint data draw apart, as one would otherwise
/// stand in the way of others that share.
class dependent_cells {
 public:
  /// @param tries see remaining_sets
  explicit dependent_cells(std::uint32_t universe, std::size_t tries = 64) : sets_(universe, tries) {}

  void insert(int job, std::span<const std::uint32_t> items) {
    const job_set others = sets_.insert(job, items);
    for (int other = 0; other < max_jobs; ++other)
      related(other) = contains(others, other) ? related(other) | only(job) : related(other) & ~only(job);
    related(job) = others | only(job);
  }
  void erase(int job) { sets_.erase(job); }
  [[nodiscard]] std::uint64_t remaining(int job) const { return sets_.size(job); }
  [[nodiscard]] job_set needs(std::uint32_t item) const { return sets_.needs(item); }
  [[nodiscard]] const remaining_sets& sets() const { return sets_; }

  template <class Random>
  void choose(job_set jobs, Random& random, std::vector<pick>& picks) {
    picks.clear();
    while (jobs != 0) {
      job_set together = jobs & -jobs;
      for (job_set added = together; added != 0;) {
        job_set reached = 0;
        for_each_job(added, [&](int job) { reached |= related(job) & jobs; });
        added = reached & ~together;
        together |= reached;
      }
      choose_together(together, random, picks);
      jobs &= ~together;
    }
  }

  void take(std::uint32_t item, job_set takers) { sets_.take(item, takers); }

 private:
  job_set& related(int job) { return related_[static_cast<std::size_t>(job)]; }

  template <class Random>
  void choose_together(job_set jobs, Random& random, std::vector<pick>& picks) {
    const job_order order(jobs, [&](int job) { return sets_.size(job); });
    job_set group = jobs;  // those who have no item yet
    job_set offered = 0;   // what all of these need is out; 0: nothing is
    for (int rank = 0; rank < order.count;) {
      const int leader = order[rank++];
      const std::uint32_t item = sets_.draw(leader, {0, offered}, random);
      job_set takers = only(leader);
      if ((sets_.needs(item) & group) == group)
        for (; rank < order.count && follows(order[rank - 1], order[rank], offered, random); ++rank)
          takers |= only(order[rank]);
      add_pick(picks, item, takers);
      offered = group;
      group &= ~takers;
    }
  }

  /// True with probability (what is left to `last`) / (what is left to `next`): the sets less what was offered. Both
  /// contain all of that, so the sizes differ by as much as those of the whole sets.
  template <class Random>
  bool follows(int last, int next, job_set offered, Random& random) {
    if (offered == 0) return random.chance(sets_.size(last), sets_.size(next));
    return sets_.chance(last, {0, offered}, sets_.size(next) - sets_.size(last), random);
  }

  remaining_sets sets_;
  std::array<job_set, max_jobs> related_{};  // jobs that had items in common when the later one came
};

/// Every job draws for itself: what jobs do without shared loading. A model of joint_sampler, for comparison.
class independent_cells {
 public:
  explicit independent_cells(std::uint32_t universe) : sets_(universe) {}

  void insert(int job, std::span<const std::uint32_t> items) { sets_.insert(job, items); }
  void erase(int job) { sets_.erase(job); }
  [[nodiscard]] std::uint64_t remaining(int job) const { return sets_.size(job); }
  [[nodiscard]] job_set needs(std::uint32_t item) const { return sets_.needs(item); }
  template <class Random>
  void choose(job_set jobs, Random& random, std::vector<pick>& picks) {
    picks.clear();
    for_each_job(jobs, [&](int job) { add_pick(picks, sets_.draw(job, {}, random), only(job)); });
  }
  void take(std::uint32_t item, job_set takers) { sets_.take(item, takers); }

 private:
  remaining_sets sets_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
