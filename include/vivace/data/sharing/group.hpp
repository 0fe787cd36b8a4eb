#pragma once
/// @file
/// Jobs that share the preparation of one data set: who gets what, and what has to be prepared for it.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/cache.hpp>
#include <vivace/data/sharing/classes.hpp>
#include <vivace/data/sharing/flight.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/rounds.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Settings of share_group.
struct share_options {
  round_options rounds = {};
  cache_options cache = {};
  std::uint64_t sample_bytes = 1;  ///< what one prepared sample takes of the cache
  /// Class-preserving substitution: of a drawn item only its class counts, and a job gets an item of that class that
  /// is at hand, if it needs one. Every epoch is still a uniformly random permutation, but the epochs of a job are no
  /// longer independent of each other, nor of those of other jobs.
  bool substitute = false;
};

/// One item to be delivered to its takers.
template <class Sample>
struct share_order {
  std::uint32_t item = 0;
  std::uint32_t version = 0;  ///< how often the item was prepared before: with it, the seed of its augmentation
  job_set takers = 0;
  bool prepare = false;  ///< whether the receiver of the order has to complete the flight; else somebody does or did
  std::shared_ptr<flight<Sample>> sample;
};

/// Sampler and cache of jobs on subsets of one data set. What is drawn, prepared, kept and evicted is decided here, in
/// the order of rounds, before anything is prepared: it depends on the seed and the calls alone, never on how fast
/// samples get ready. For one thread at a time; the flights are for any.
/// @code
/// share_group<image> group{60'000, {.rounds = {.seed = 1}, .cache = {.capacity = 1 << 28}, .sample_bytes = 784}};
/// const int job = group.open(subset);
/// group.begin_epoch(job);
/// for (const auto& order : group.round(ready))
///   if (order.prepare) order.sample->complete(prepared(order.item, order.version));
/// @endcode
template <class Sample, joint_sampler Model = dependent_cells>
class share_group {
 public:
  using flight_pointer = std::shared_ptr<flight<Sample>>;
  using pin_handle = typename sample_cache<flight_pointer>::pin_handle;

  /// @param items size of the data set: ids are below it
  explicit share_group(std::uint32_t items, const share_options& options = {})
      : rounds_(items, options.rounds),
        cache_(items, options.cache),
        classes_(options.substitute ? items : 0),
        versions_(items),
        options_(options) {}

  /// Adds a job on a subset of the items; see round_sampler::open().
  int open(std::vector<std::uint32_t> items) {
    const int job = rounds_.open(std::move(items));
    if (options_.substitute)
      classes_.split(rounds_.items(job), [&](std::uint32_t item) { cache_.set_kind(item, classes_[item]); });
    return job;
  }
  /// Starts the next epoch of a job; see round_sampler::begin_epoch().
  void begin_epoch(int job) {
    rounds_.begin_epoch(job);
    cache_.want(job, rounds_.items(job));
  }
  /// Removes a job; see round_sampler::close().
  void close(int job) {
    rounds_.close(job);
    cache_.forget(job);
  }

  /// One round for the jobs that want an item; see round_sampler::round(). Valid until the next call, and may be moved
  /// from.
  std::span<share_order<Sample>> round(job_set ready) {
    orders_.clear();
    for (const pick& one : rounds_.round(ready, [&](std::vector<pick>& picks) { substitute(picks); }))
      orders_.push_back(order_of(one));
    return orders_;
  }

  /// Forgets a version that could not be prepared, so that the next job that wants the item has it prepared again.
  void drop(const share_order<Sample>& failed) {
    if (versions_[failed.item] == failed.version + 1) cache_.drop(failed.item);
  }
  /// Keeps the stored version of an item from eviction until unpin(), as its memory is in use.
  pin_handle pin(std::uint32_t item) { return cache_.pin(item); }
  void unpin(pin_handle handle) { cache_.unpin(handle); }

  [[nodiscard]] const round_sampler<Model>& rounds() const { return rounds_; }
  [[nodiscard]] const sample_cache<flight_pointer>& cache() const { return cache_; }
  [[nodiscard]] const share_options& options() const { return options_; }
  /// Samples prepared and delivered so far; those of all jobs.
  [[nodiscard]] std::uint64_t preparations() const { return preparations_; }
  [[nodiscard]] std::uint64_t deliveries() const { return deliveries_; }

 private:
  share_order<Sample> order_of(const pick& one) {
    deliveries_ += static_cast<std::uint64_t>(std::popcount(one.takers));
    if (const flight_pointer* kept = cache_.serve(one.item, one.takers))
      return {one.item, versions_[one.item] - 1, one.takers, false, *kept};
    ++preparations_;
    auto made = std::make_shared<flight<Sample>>();
    const std::uint32_t kind = options_.substitute ? classes_[one.item] : 0;
    const job_set waiting = rounds_.waiting(one.item);
    if (rounds_.options().mode == round_mode::queue)
      cache_.store(one.item, kind, options_.sample_bytes, made, one.takers, waiting,
                   [&](std::uint32_t item, job_set jobs) { return next_use(item, jobs); });
    else
      cache_.store(one.item, kind, options_.sample_bytes, made, one.takers, waiting, no_preference{});
    return {one.item, versions_[one.item]++, one.takers, true, std::move(made)};
  }

  /// Deliveries until the first of some jobs gets an item; those that are not drawn yet come half way through the rest.
  [[nodiscard]] std::uint64_t next_use(std::uint32_t item, job_set jobs) const {
    std::uint64_t first = any_lead;
    for_each_job(jobs, [&](int job) {
      const auto queue = rounds_.queue(job);
      std::size_t place = queue.size();
      if (!contains(rounds_.needs(item), job))
        while (place > 0 && queue[place - 1] != item) --place;
      else
        place += (rounds_.remaining(job) - queue.size() + 1) / 2;
      first = (std::min)(first, std::uint64_t{place});
    });
    return first;
  }

  void substitute(std::vector<pick>& picks) {
    if (!options_.substitute) return;
    job_set jobs = 0;
    for (const pick& one : picks) jobs |= one.takers;
    // Those who need least choose first: the others are more likely to need the same.
    const job_order order(jobs, [&](int job) { return rounds_.remaining(job); });
    chosen_.clear();
    for (int rank = 0; rank < order.count; ++rank) {
      const int job = order[rank];
      std::uint32_t item = 0;
      for (const pick& one : picks)
        if (contains(one.takers, job)) item = one.item;
      add_pick(chosen_, at_hand(item, job), only(job));
    }
    picks.swap(chosen_);
  }

  /// An item of the same class that the job needs and that this round prepares, or the cache has; else the item itself.
  [[nodiscard]] std::uint32_t at_hand(std::uint32_t drawn, int job) const {
    const std::uint32_t kind = classes_[drawn];
    for (const pick& one : chosen_)
      if (classes_[one.item] == kind && contains(rounds_.needs(one.item), job) &&
          (!cache_.holds(one.item) || cache_.may_serve(one.item, job)))
        return one.item;
    const std::uint32_t kept =
        cache_.available(kind, job, [&](std::uint32_t item) { return contains(rounds_.needs(item), job); });
    return kept < cache_.universe() ? kept : drawn;
  }

  round_sampler<Model> rounds_;
  sample_cache<flight_pointer> cache_;
  item_classes classes_;
  std::vector<std::uint32_t> versions_;
  share_options options_;
  std::vector<share_order<Sample>> orders_;
  std::vector<pick> chosen_;
  std::uint64_t preparations_ = 0, deliveries_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::data
