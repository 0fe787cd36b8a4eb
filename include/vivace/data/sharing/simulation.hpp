#pragma once
/// @file
/// Jobs on a virtual clock: how often samples are prepared, without preparing any.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/group.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A job of a simulation. Time is in items of a job of speed 1.
struct simulated_job {
  std::vector<std::uint32_t> items;
  double speed = 1;               ///< items in a unit of time, rounded to a millionth
  double start = 0;               ///< when it opens
  int epochs = 1;                 ///< one follows on the other
  double stall_at = 0;            ///< when it stops to draw, counted from its start ...
  double stall_for = 0;           ///< ... and for how long
  std::uint64_t leave_after = 0;  ///< items after which it closes in the middle of things; 0: it stays to its end
};

/// What became of a job.
struct simulated_outcome {
  std::uint64_t items = 0;      ///< of an epoch
  std::uint64_t delivered = 0;  ///< items it got
  std::uint64_t prepared = 0;   ///< of these, those that it was the first to get
  double start = 0, end = 0;    ///< in items of a job of speed 1
};

/// Figures of a simulation.
struct simulation_result {
  std::uint64_t union_items = 0, deliveries = 0, preparations = 0;
  std::vector<simulated_outcome> jobs;

  /// Preparations an item that any job has in its subset.
  [[nodiscard]] double preparations_per_item() const {
    return union_items == 0 ? 0 : static_cast<double>(preparations) / static_cast<double>(union_items);
  }
  /// Deliveries that needed no preparation of their own.
  [[nodiscard]] double hit_rate() const {
    return deliveries == 0 ? 0 : 1 - static_cast<double>(preparations) / static_cast<double>(deliveries);
  }
};

/// How the subsets of simulated jobs overlap.
enum class overlap_kind : std::uint8_t {
  core,   ///< a part of each job's items is common to all jobs, the rest is its own
  random  ///< each job draws a part of one common set
};

/// Subsets for jobs, and how many items there are in all.
struct overlapping_subsets {
  std::vector<std::vector<std::uint32_t>> jobs;
  std::uint32_t universe = 0;
};

/// Makes subsets for simulated jobs.
/// @param items    items of a job (core), or of the common set (random)
/// @param fraction how much of that is common (core), or drawn by each job (random): rounded to an item
/// @throws error   if a job would have no items, the fraction is not from 0 to 1, or there are too many items
inline overlapping_subsets make_overlap(int jobs, std::uint32_t items, double fraction, overlap_kind kind,
                                        std::uint64_t seed) {
  if (!(fraction >= 0 && fraction <= 1))
    throw error("the overlap is out of range", "simulation", std::to_string(fraction), "a number from 0 to 1");
  const auto part = static_cast<std::uint32_t>(std::llround(fraction * items));
  const std::uint64_t all =
      kind == overlap_kind::random ? items : part + static_cast<std::uint64_t>(jobs) * (items - part);
  if (all > max_items)
    throw error("there are too many items", "simulation", std::to_string(all) + " items of all jobs together",
                "at most " + std::to_string(max_items));
  if (items == 0 || (kind == overlap_kind::random && part == 0))
    throw error("a job has no items", "simulation",
                std::to_string(items) + " items and an overlap of " + std::to_string(fraction),
                "at least one item a job");
  overlapping_subsets made{{}, static_cast<std::uint32_t>(all)};
  std::vector<std::uint32_t> order(kind == overlap_kind::random ? items : 0);
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  for (int job = 0; job < jobs; ++job) {
    std::vector<std::uint32_t>& mine = made.jobs.emplace_back();
    if (kind == overlap_kind::random) {
      shuffle(order, {seed, split_stream, static_cast<std::uint32_t>(job)});
      mine.assign(order.begin(), order.begin() + part);
      std::sort(mine.begin(), mine.end());
      continue;
    }
    mine.reserve(items);
    for (std::uint32_t i = 0; i < part; ++i) mine.push_back(i);
    const std::uint32_t first = part + static_cast<std::uint32_t>(job) * (items - part);
    for (std::uint32_t i = 0; i < items - part; ++i) mine.push_back(first + i);
  }
  return made;
}

namespace detail {

/// What a simulation prepares.
struct no_sample {};

/// A job on the clock of a simulation, whose tick is an item of the fastest job.
struct clocked_job {
  std::uint64_t start = 0, speed = 1, fastest = 1;  // speeds in millionths
  std::uint64_t stall_at = 0, stall_for = 0;
  int id = -1;

  /// Whether an item is due at a tick.
  [[nodiscard]] bool due(std::uint64_t tick) const {
    std::uint64_t age = tick - start;
    if (stall_for > 0 && age >= stall_at) {
      if (age < stall_at + stall_for) return false;
      age -= stall_for;
    }
    __extension__ using wide = unsigned __int128;
    const auto items = [&](std::uint64_t time) { return static_cast<wide>(time) * speed / fastest; };
    return items(age + 1) > items(age);
  }
};

inline std::vector<clocked_job> on_clock(const std::vector<simulated_job>& jobs, double& ticks) {
  const auto check = [](double value, double least, double most, const char* what, std::size_t job) {
    if (!(value >= least && value <= most))
      throw error(std::string("the ") + what + " of a job is out of range", "job " + std::to_string(job),
                  std::to_string(value), "a number from " + std::to_string(least) + " to " + std::to_string(most));
  };
  double fastest = 0;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    check(jobs[j].speed, 1e-3, 1e3, "speed", j);
    check(jobs[j].start, 0, 1e10, "start", j);
    check(jobs[j].stall_at, 0, 1e10, "stall", j);
    check(jobs[j].stall_for, 0, 1e10, "stall", j);
    check(jobs[j].epochs, 1, 1e6, "number of epochs", j);
    fastest = (std::max)(fastest, jobs[j].speed);
  }
  ticks = fastest;
  std::vector<clocked_job> made;
  const auto whole = [](double value) { return static_cast<std::uint64_t>(std::llround(value)); };
  for (const simulated_job& one : jobs)
    made.push_back({whole(one.start * fastest), whole(one.speed * 1e6), whole(fastest * 1e6),
                    whole(one.stall_at * fastest), whole(one.stall_for * fastest), -1});
  return made;
}

}  // namespace detail

/// Runs jobs to their ends. Jobs that are due at the same tick form one round; a job that was due and got nothing (it
/// ran too far ahead, or waits for the others in lockstep) asks again at every tick.
/// @param see see(tick, job, order): called for every item that a job gets; jobs are counted as in `jobs`
/// @throws error if settings of a job are out of range
template <joint_sampler Model = dependent_cells, class Observer>
simulation_result simulate(std::uint32_t universe, const std::vector<simulated_job>& jobs, const share_options& options,
                           Observer&& see) {
  double ticks = 1;
  std::vector<detail::clocked_job> clocks = detail::on_clock(jobs, ticks);
  share_group<detail::no_sample, Model> group(universe, options);
  simulation_result result;
  result.jobs.resize(jobs.size());
  std::vector<bool> in_union(universe);
  std::vector<std::size_t> waiting(jobs.size()), running;
  std::array<std::size_t, max_jobs> number{};
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    waiting[j] = j;
    result.jobs[j].items = jobs[j].items.size();
  }
  std::sort(waiting.begin(), waiting.end(), [&](std::size_t a, std::size_t b) {
    return clocks[a].start != clocks[b].start ? clocks[a].start < clocks[b].start : a < b;
  });
  std::reverse(waiting.begin(), waiting.end());
  job_set owed = 0;  // due, but got nothing yet
  for (std::uint64_t tick = 0; !waiting.empty() || !running.empty(); ++tick) {
    if (running.empty()) tick = (std::max)(tick, clocks[waiting.back()].start);
    for (; !waiting.empty() && clocks[waiting.back()].start <= tick; waiting.pop_back()) {
      const std::size_t j = waiting.back();
      const int id = clocks[j].id = group.open(jobs[j].items);
      group.begin_epoch(id);
      number[static_cast<std::size_t>(id)] = j;
      running.push_back(j);
      result.jobs[j].start = static_cast<double>(tick) / ticks;
      for (const std::uint32_t item : group.rounds().items(id)) {
        result.union_items += in_union[item] ? 0 : 1;
        in_union[item] = true;
      }
    }
    for (const std::size_t j : running) owed |= clocks[j].due(tick) ? only(clocks[j].id) : 0;
    for (const auto& order : group.round(owed)) {
      owed &= ~order.takers;
      for_each_job(order.takers, [&](int id) {
        const std::size_t job = number[static_cast<std::size_t>(id)];
        ++result.jobs[job].delivered;
        see(tick, job, order);
      });
      if (order.prepare) ++result.jobs[number[static_cast<std::size_t>(std::countr_zero(order.takers))]].prepared;
    }
    std::erase_if(running, [&](std::size_t j) {
      const int id = clocks[j].id;
      const bool ended = !contains(group.rounds().active(), id);
      const bool leaves = jobs[j].leave_after > 0 && result.jobs[j].delivered >= jobs[j].leave_after;
      if (ended && !leaves && group.rounds().epochs(id) < jobs[j].epochs) {
        group.begin_epoch(id);
        return false;
      }
      if (!ended && !leaves) return false;
      result.jobs[j].end = static_cast<double>(tick + 1) / ticks;
      group.close(id);
      owed &= ~only(id);
      return true;
    });
  }
  result.deliveries = group.deliveries();
  result.preparations = group.preparations();
  return result;
}

template <joint_sampler Model = dependent_cells>
simulation_result simulate(std::uint32_t universe, const std::vector<simulated_job>& jobs,
                           const share_options& options) {
  return simulate<Model>(universe, jobs, options, [](std::uint64_t, std::size_t, const auto&) {});
}

}  // namespace vivace::inline VIVACE_TARGET::data
