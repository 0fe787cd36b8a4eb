#pragma once
/// @file
/// Rounds: which jobs draw together, and when; jobs come, go, stall and end their epochs as they like.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/random_source.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Who takes part in a round.
enum class round_mode : std::uint8_t {
  participants,  ///< M: jobs that want an item draw, the others sit out
  queue,         ///< Q: all jobs draw together; items of jobs that want none yet wait in a queue of the job
  lockstep       ///< L: a round takes place only if every job wants an item
};

/// No limit on how far a job may run ahead.
inline constexpr std::uint64_t any_lead = (std::numeric_limits<std::uint64_t>::max)();

/// Settings of round_sampler.
struct round_options {
  std::uint64_t seed = 0;
  round_mode mode = round_mode::participants;
  /// Items that a job may be ahead of the slowest one, counted from where the later of the two began its epoch; a job
  /// that would exceed it sits out. 0 is lockstep.
  std::uint64_t max_lead = any_lead;
};

/// Draws items for jobs on overlapping subsets of one data set: each job gets each of its items once an epoch, in a
/// uniformly random order, and jobs that draw in one round get the same item as often as this allows.
///
/// The same seed and the same calls give the same items. For one thread at a time.
template <joint_sampler Model = dependent_cells>
class round_sampler {
 public:
  /// @param items size of the data set: ids are below it
  explicit round_sampler(std::uint32_t items, const round_options& options = {})
      : model_(checked(items)), random_(options.seed), options_(options), universe_(items) {
    if (options_.mode == round_mode::lockstep) options_.max_lead = 0;
    if (options_.mode == round_mode::queue) queued_.resize(items);
  }

  /// Adds a job on a subset of the items, in any order. It has no epoch yet: begin_epoch() follows.
  /// @returns the job's number, the lowest one that is free
  /// @throws error if the subset is empty, names an item twice or one that does not exist, or max_jobs are open
  int open(std::vector<std::uint32_t> items) {
    if (~open_ == 0)
      throw error("there are too many jobs", "shared sampler", std::to_string(max_jobs) + " jobs are open",
                  "one of them to be closed first");
    if (items.empty()) throw error("a job has no items", "shared sampler", "an empty subset", "at least one item");
    if (!std::is_sorted(items.begin(), items.end())) std::sort(items.begin(), items.end());
    if (const auto twice = std::adjacent_find(items.begin(), items.end()); twice != items.end())
      throw error("a job names an item twice", "shared sampler", "item " + std::to_string(*twice),
                  "a subset without repetitions");
    if (items.back() >= universe_)
      throw error("there is no such item", "shared sampler", "item " + std::to_string(items.back()),
                  "items below " + std::to_string(universe_));
    const int job = std::countr_zero(~open_);
    open_ |= only(job);
    at(job) = {.items = std::move(items), .epochs = 0, .undelivered = 0, .progress = 0, .queue = {}, .head = 0};
    return job;
  }

  /// Starts the next epoch of a job, at once and whatever the others do.
  /// @throws error if there is no such job, or its epoch has items left
  void begin_epoch(int job) {
    require(job);
    if (contains(active_, job))
      throw error("an epoch begins before the last one ended", "job " + std::to_string(job),
                  std::to_string(at(job).undelivered) + " items left", "the rest of the epoch to be drawn first");
    state& mine = at(job);
    std::uint64_t slowest = any_lead;
    for_each_job(active_, [&](int other) { slowest = (std::min)(slowest, at(other).progress); });
    mine.progress = active_ == 0 ? 0 : slowest;
    mine.undelivered = mine.items.size();
    ++mine.epochs;
    model_.insert(job, mine.items);
    active_ |= only(job);
  }

  /// Removes a job, in the middle of an epoch too. @throws error if there is no such job
  void close(int job) {
    require(job);
    if (model_.remaining(job) > 0) model_.erase(job);
    state& mine = at(job);
    for (std::size_t i = mine.head; i < mine.queue.size(); ++i) queued_[mine.queue[i]] &= ~only(job);
    mine = {};
    active_ &= ~only(job);
    open_ &= ~only(job);
  }

  /// One round for jobs that want an item now: each of them gets one, unless it has no epoch, its lead is too large
  /// or, in lockstep, another job does not want one. A job whose epoch ends here leaves active().
  /// @param change change(picks): called on what was drawn, before it is taken; it may replace items by others that
  ///               the same jobs need
  /// @returns different items with disjoint takers, valid until the next call
  template <class Change>
  std::span<const pick> round(job_set ready, Change&& change) {
    ready = admitted(ready & active_);
    picks_.clear();
    if (ready == 0) return {};
    if (options_.mode == round_mode::queue) {
      deliver_queued(ready, change);
    } else {
      model_.choose(ready, random_, picks_);
      change(picks_);
      for (const pick& one : picks_) model_.take(one.item, one.takers);
    }
    for_each_job(ready, [&](int job) {
      ++at(job).progress;
      if (--at(job).undelivered == 0) active_ &= ~only(job);
    });
    return picks_;
  }
  std::span<const pick> round(job_set ready) {
    return round(ready, [](std::vector<pick>&) {});
  }

  /// Jobs that are open; those of them that are in an epoch.
  [[nodiscard]] job_set open_jobs() const { return open_; }
  [[nodiscard]] job_set active() const { return active_; }
  /// Items that a job still gets in its epoch.
  [[nodiscard]] std::uint64_t remaining(int job) const { return at(job).undelivered; }
  /// Epochs that a job has begun.
  [[nodiscard]] int epochs(int job) const { return at(job).epochs; }
  /// The subset of a job, ascending.
  [[nodiscard]] std::span<const std::uint32_t> items(int job) const { return at(job).items; }
  /// Jobs that an item is still drawn for.
  [[nodiscard]] job_set needs(std::uint32_t item) const { return model_.needs(item); }
  /// Jobs that still get an item: it is to be drawn for them, or waits in their queues.
  [[nodiscard]] job_set waiting(std::uint32_t item) const {
    return model_.needs(item) | (queued_.empty() ? 0 : queued_[item]);
  }
  /// Items that lie in the queue of a job, first the next one; empty unless the mode is queue.
  [[nodiscard]] std::span<const std::uint32_t> queue(int job) const {
    return std::span(at(job).queue).subspan(at(job).head);
  }
  [[nodiscard]] std::uint32_t universe() const { return universe_; }
  [[nodiscard]] const round_options& options() const { return options_; }
  [[nodiscard]] const Model& model() const { return model_; }

 private:
  struct state {
    std::vector<std::uint32_t> items;
    int epochs = 0;
    std::uint64_t undelivered = 0;
    std::uint64_t progress = 0;  // items delivered, from the slowest job's when it joined
    std::vector<std::uint32_t> queue;
    std::size_t head = 0;
  };

  static std::uint32_t checked(std::uint32_t items) {
    if (items > max_items)
      throw error("the data set is too large", "shared sampler", std::to_string(items) + " items",
                  "at most " + std::to_string(max_items));
    return items;
  }
  void require(int job) const {
    if (job < 0 || job >= max_jobs || !contains(open_, job))
      throw error("there is no such job", "shared sampler", "job " + std::to_string(job), "a job that is open");
  }
  state& at(int job) { return jobs_[static_cast<std::size_t>(job)]; }
  const state& at(int job) const { return jobs_[static_cast<std::size_t>(job)]; }

  /// Those who may draw without running too far ahead of the others, as these stand after the round.
  [[nodiscard]] job_set admitted(job_set ready) const {
    if (options_.max_lead == any_lead) return ready;
    for (job_set before = 0; before != ready;) {
      before = ready;
      std::uint64_t slowest = any_lead;
      for_each_job(active_,
                   [&](int job) { slowest = (std::min)(slowest, at(job).progress + (contains(ready, job) ? 1 : 0)); });
      for_each_job(before, [&](int job) {
        if (at(job).progress + 1 - slowest > options_.max_lead) ready &= ~only(job);
      });
    }
    return ready;
  }

  template <class Change>
  void deliver_queued(job_set ready, Change&& change) {
    job_set empty = 0, drawing = 0;
    for_each_job(ready, [&](int job) { empty |= queue(job).empty() ? only(job) : 0; });
    if (empty != 0) {
      for_each_job(active_, [&](int job) { drawing |= model_.remaining(job) > 0 ? only(job) : 0; });
      model_.choose(drawing, random_, drawn_);
      change(drawn_);
      for (const pick& one : drawn_) {
        model_.take(one.item, one.takers);
        queued_[one.item] |= one.takers;
        for_each_job(one.takers, [&](int job) { at(job).queue.push_back(one.item); });
      }
    }
    for_each_job(ready, [&](int job) {
      state& mine = at(job);
      const std::uint32_t item = mine.queue[mine.head++];
      queued_[item] &= ~only(job);
      add_pick(picks_, item, only(job));
      if (2 * mine.head > mine.queue.size()) {
        mine.queue.erase(mine.queue.begin(), mine.queue.begin() + static_cast<std::ptrdiff_t>(mine.head));
        mine.head = 0;
      }
    });
  }

  Model model_;
  random_source random_;
  round_options options_;
  std::uint32_t universe_;
  job_set open_ = 0, active_ = 0;
  std::array<state, max_jobs> jobs_;
  std::vector<job_set> queued_;
  std::vector<pick> picks_, drawn_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
