#pragma once
/// @file
/// Keeps prepared samples as long as some job still needs them and there is room.
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sharing/jobs.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Which sample goes when room is needed.
enum class eviction : std::uint8_t {
  reference_count,  ///< the one that the fewest jobs still need; the newcomer competes too
  lru,              ///< the one that was not used for longest
  fifo,             ///< the oldest
  fixed             ///< none: what came first stays
};

/// Settings of sample_cache.
struct cache_options {
  std::uint64_t capacity = 0;  ///< bytes
  eviction policy = eviction::reference_count;
  /// Whether a job may get the same version of an item in several epochs: only if preparation is not random.
  bool repeat = false;
  /// Picks for which a version that was not stored can still be joined, because it is only being prepared then. It
  /// holds up to so many samples beside the capacity.
  std::uint32_t window = 0;
};

/// For sample_cache::store(): nothing is known about when an item is wanted.
struct no_preference {
  std::uint64_t operator()(std::uint32_t, job_set) const { return 0; }
};

/// Prepared versions of items, at most one an item. `Payload` is a handle (a shared pointer), copied but never opened.
///
/// A version is served to each job once. It counts the jobs that still wait for the item and have not had this version:
/// the reference count. A count of zero frees no room by itself, as a job that starts later may want the item.
/// Every operation on one item takes constant time on average. For one thread at a time.
template <class Payload>
class sample_cache {
 public:
  /// Names a version, to unpin it; stale ones are harmless.
  struct pin_handle {
    std::uint32_t entry = none, stamp = 0;
  };

  /// @param universe ids of items are below it
  sample_cache(std::uint32_t universe, const cache_options& options)
      : options_(options), index_(universe), ring_(options.window) {}

  /// The version of an item if it may be served to all of these jobs; it is then counted as served.
  [[nodiscard]] const Payload* serve(std::uint32_t item, job_set takers) {
    const std::int32_t place = index_[item];
    if (place < 0) {
      recent& one = ring_[static_cast<std::size_t>(-place - 1)];
      if (!options_.repeat && (one.served & takers) != 0) return nullptr;
      one.served |= takers;
      return &one.payload;
    }
    if (place == 0) return nullptr;
    const auto at = static_cast<std::uint32_t>(place - 1);
    entry& one = entries_[at];
    if (!options_.repeat && (one.served & takers) != 0) return nullptr;
    one.served |= takers;
    set_wanted(at, one.wanted & ~takers);
    if (options_.policy == eviction::lru && one.pins == 0) {
      order_.remove(*this, at);
      order_.push(*this, at);
    }
    return &one.payload;
  }

  /// Whether the stored version may be served to a job.
  [[nodiscard]] bool may_serve(std::uint32_t item, int job) const {
    const std::int32_t place = index_[item];
    if (place == 0) return false;
    const job_set served = place < 0 ? ring_[static_cast<std::size_t>(-place - 1)].served
                                     : entries_[static_cast<std::size_t>(place - 1)].served;
    return options_.repeat || !contains(served, job);
  }

  /// Offers a new version, which replaces an older one.
  /// @param kind     class of the item, for available()
  /// @param bytes    what it takes of the capacity
  /// @param takers   jobs that get it at once
  /// @param waiting  jobs that still wait for the item, takers excluded
  /// @param next_use next_use(item, jobs): when one of the jobs will want the item, larger is later; breaks ties
  /// @returns whether it is stored
  template <class NextUse>
  bool store(std::uint32_t item, std::uint32_t kind, std::uint64_t bytes, Payload payload, job_set takers,
             job_set waiting, NextUse&& next_use) {
    drop(item);
    if (!make_room(item, bytes, waiting, next_use)) {
      if (!ring_.empty()) remember(item, std::move(payload), takers);
      return false;
    }
    std::uint32_t at = static_cast<std::uint32_t>(entries_.size());
    if (free_.empty()) {
      entries_.emplace_back();
    } else {
      at = free_.back();
      free_.pop_back();
    }
    entry& one = entries_[at];
    one.payload = std::move(payload);
    one.served = takers;
    one.wanted = waiting;
    one.bytes = bytes;
    one.item = item;
    one.kind = kind;
    one.pins = 0;
    bytes_ += bytes;
    ++stored_;
    index_[item] = static_cast<std::int32_t>(at + 1);
    join_group(at);
    order_.push(*this, at);
    return true;
  }
  bool store(std::uint32_t item, std::uint64_t bytes, Payload payload, job_set takers, job_set waiting) {
    return store(item, 0, bytes, std::move(payload), takers, waiting, no_preference{});
  }

  /// Forgets the version of an item, if there is one: it could not be prepared, or is out of date.
  void drop(std::uint32_t item) {
    const std::int32_t place = index_[item];
    if (place > 0) remove(static_cast<std::uint32_t>(place - 1));
    if (place < 0) {
      ring_[static_cast<std::size_t>(-place - 1)] = {};
      index_[item] = 0;
    }
  }

  /// A job begins an epoch: it waits for these items from now on.
  void want(int job, std::span<const std::uint32_t> items) {
    for (const std::uint32_t item : items)
      if (const std::int32_t place = index_[item]; place > 0) {
        const entry& one = entries_[static_cast<std::size_t>(place - 1)];
        if (options_.repeat || !contains(one.served, job))
          set_wanted(static_cast<std::uint32_t>(place - 1), one.wanted | only(job));
      }
  }
  /// A job is gone, and its number may come back as another job.
  void forget(int job) {
    for (std::uint32_t at = 0; at < entries_.size(); ++at) {
      if (entries_[at].item == none) continue;
      entries_[at].served &= ~only(job);
      set_wanted(at, entries_[at].wanted & ~only(job));
    }
    for (recent& one : ring_) one.served &= ~only(job);
  }
  /// Items of a kind have got another one: kinds are split when a job opens.
  void set_kind(std::uint32_t item, std::uint32_t kind) {
    const std::int32_t place = index_[item];
    if (place <= 0) return;
    const auto at = static_cast<std::uint32_t>(place - 1);
    leave_group(at);
    entries_[at].kind = kind;
    join_group(at);
  }

  /// Keeps the version of an item from eviction until it is unpinned: it is being prepared or delivered.
  pin_handle pin(std::uint32_t item) {
    const std::int32_t place = index_[item];
    if (place <= 0) return {};
    const auto at = static_cast<std::uint32_t>(place - 1);
    entry& one = entries_[at];
    if (one.pins == 0) {
      leave_group(at);
      order_.remove(*this, at);
      one.pins = 1;
      join_group(at);
    } else {
      ++one.pins;
    }
    return {at, one.stamp};
  }
  void unpin(pin_handle handle) {
    if (handle.entry == none || entries_[handle.entry].stamp != handle.stamp) return;
    entry& one = entries_[handle.entry];
    if (one.pins != 1) {
      --one.pins;
      return;
    }
    leave_group(handle.entry);
    one.pins = 0;
    join_group(handle.entry);
    order_.push(*this, handle.entry);
  }

  /// A stored item of a kind that a job waits for and may be served, one that the fewest others wait for.
  /// @param usable usable(item): a further condition; it is tried on a few candidates
  /// @returns universe if there is none
  template <class Usable>
  [[nodiscard]] std::uint32_t available(std::uint32_t kind, int job, Usable&& usable) const {
    std::uint32_t best = universe();
    int fewest = max_jobs + 1;
    if (kind >= kinds_.size()) return best;
    for (const std::uint32_t index : kinds_[kind]) {
      const group& one = groups_[index];
      if (!contains(one.wanted, job) || std::popcount(one.wanted) >= fewest) continue;
      int tries = 4;
      for (std::uint32_t at = one.idle != none ? one.idle : one.pinned; at != none && tries-- > 0;
           at = entries_[at].next)
        if (usable(entries_[at].item)) {
          best = entries_[at].item;
          fewest = std::popcount(one.wanted);
          break;
        }
    }
    return best;
  }

  /// The jobs that the stored version of an item is kept for; 0 if there is none.
  [[nodiscard]] job_set wanted(std::uint32_t item) const {
    return index_[item] > 0 ? entries_[static_cast<std::size_t>(index_[item] - 1)].wanted : 0;
  }
  /// Whether a version of an item is stored.
  [[nodiscard]] bool holds(std::uint32_t item) const { return index_[item] > 0; }
  [[nodiscard]] std::uint32_t universe() const { return static_cast<std::uint32_t>(index_.size()); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] const cache_options& options() const { return options_; }

 private:
  static constexpr std::uint32_t none = 0xFFFF'FFFF;

  struct entry {
    Payload payload{};
    job_set served = 0, wanted = 0;
    std::uint64_t bytes = 0;
    std::uint32_t item = none, kind = 0, pins = 0, stamp = 0;
    std::uint32_t group = none, previous = none, next = none;  // in the group
    std::uint32_t older = none, newer = none;                  // in the order
  };
  /// Versions of one kind that the same jobs wait for: newest first, those that may go apart from pinned ones.
  struct group {
    job_set wanted = 0;
    std::uint32_t kind = 0, idle = none, pinned = none;
    std::uint32_t at_level = none, at_kind = none;  // places in levels_ (if any is idle) and kinds_
  };
  struct group_key {
    job_set wanted = 0;
    std::uint32_t kind = 0;
    bool operator==(const group_key&) const = default;
  };
  struct group_hash {
    std::size_t operator()(const group_key& key) const {
      return static_cast<std::size_t>(((key.wanted ^ (std::uint64_t{key.kind} << 40)) * 0x9E37'79B9'7F4A'7C15) >> 13);
    }
  };
  struct recent {
    Payload payload{};
    job_set served = 0;
    std::uint32_t item = none;
  };
  /// Versions that may go, from oldest to newest: for lru and fifo.
  struct age_order {
    std::uint32_t oldest = none, newest = none;

    void push(sample_cache& cache, std::uint32_t at) {
      entry& one = cache.entries_[at];
      one.older = newest;
      one.newer = none;
      (newest == none ? oldest : cache.entries_[newest].newer) = at;
      newest = at;
    }
    void remove(sample_cache& cache, std::uint32_t at) {
      const entry& one = cache.entries_[at];
      (one.older == none ? oldest : cache.entries_[one.older].newer) = one.newer;
      (one.newer == none ? newest : cache.entries_[one.newer].older) = one.older;
    }
  };

  void set_wanted(std::uint32_t at, job_set wanted) {
    if (entries_[at].wanted == wanted) return;
    leave_group(at);
    entries_[at].wanted = wanted;
    join_group(at);
  }

  static void add_to(std::vector<std::uint32_t>& list, std::uint32_t index, std::uint32_t& place) {
    place = static_cast<std::uint32_t>(list.size());
    list.push_back(index);
  }
  void remove_from(std::vector<std::uint32_t>& list, std::uint32_t group::*place, std::uint32_t index) {
    const std::uint32_t at = groups_[index].*place;
    list[at] = list.back();
    groups_[list[at]].*place = at;
    list.pop_back();
    groups_[index].*place = none;
  }
  std::vector<std::uint32_t>& level_of(const group& one) {
    return levels_[static_cast<std::size_t>(std::popcount(one.wanted))];
  }

  void join_group(std::uint32_t at) {
    entry& one = entries_[at];
    const auto [found, is_new] = by_key_.try_emplace(group_key{one.wanted, one.kind}, 0);
    if (is_new) {
      if (free_groups_.empty()) {
        found->second = static_cast<std::uint32_t>(groups_.size());
        groups_.emplace_back();
      } else {
        found->second = free_groups_.back();
        free_groups_.pop_back();
      }
      group& made = groups_[found->second];
      made = {one.wanted, one.kind, none, none, none, none};
      if (one.kind >= kinds_.size()) kinds_.resize(one.kind + std::size_t{1});
      add_to(kinds_[one.kind], found->second, made.at_kind);
    }
    group& mine = groups_[found->second];
    std::uint32_t& head = one.pins > 0 ? mine.pinned : mine.idle;
    one.group = found->second;
    one.previous = none;
    one.next = head;
    if (head != none) entries_[head].previous = at;
    head = at;
    if (mine.idle != none && mine.at_level == none) add_to(level_of(mine), one.group, mine.at_level);
  }

  void leave_group(std::uint32_t at) {
    const entry& one = entries_[at];
    group& mine = groups_[one.group];
    (one.previous != none ? entries_[one.previous].next : one.pins > 0 ? mine.pinned : mine.idle) = one.next;
    if (one.next != none) entries_[one.next].previous = one.previous;
    if (mine.idle == none && mine.at_level != none) remove_from(level_of(mine), &group::at_level, one.group);
    if (mine.idle == none && mine.pinned == none) {
      remove_from(kinds_[mine.kind], &group::at_kind, one.group);
      by_key_.erase(group_key{mine.wanted, mine.kind});
      free_groups_.push_back(one.group);
    }
  }

  void remove(std::uint32_t at) {
    entry& one = entries_[at];
    leave_group(at);
    if (one.pins == 0) order_.remove(*this, at);
    bytes_ -= one.bytes;
    --stored_;
    index_[one.item] = 0;
    const std::uint32_t stamp = one.stamp + 1;
    one = {};
    one.stamp = stamp;
    free_.push_back(at);
  }

  /// Removes a stored version that may still be in preparation: it can be joined for a while.
  void evict(std::uint32_t at) {
    const std::uint32_t item = entries_[at].item;
    const job_set served = entries_[at].served;
    Payload payload = std::move(entries_[at].payload);
    remove(at);
    if (!ring_.empty()) remember(item, std::move(payload), served);
  }

  /// The version to go before a newcomer that `waiting` jobs wait for; none if the newcomer itself is to go.
  template <class NextUse>
  [[nodiscard]] std::uint32_t victim(std::uint32_t item, job_set waiting, NextUse&& next_use) const {
    if (options_.policy == eviction::fixed) return none;
    if (options_.policy != eviction::reference_count) return order_.oldest;
    const auto count = static_cast<std::size_t>(std::popcount(waiting));
    std::size_t level = 0;
    while (level <= count && levels_[level].empty()) ++level;
    if (level > count) return none;
    const std::vector<std::uint32_t>& groups = levels_[level];
    if constexpr (std::is_same_v<std::remove_cvref_t<NextUse>, no_preference>) {
      return level < count ? groups_[groups.front()].idle : none;
    } else {
      // Within a group the newest version is the one that is wanted last.
      std::uint32_t last = level < count ? groups_[groups.front()].idle : none;
      std::uint64_t latest = level < count ? 0 : next_use(item, waiting);
      for (const std::uint32_t index : groups) {
        const entry& newest = entries_[groups_[index].idle];
        const std::uint64_t use = next_use(newest.item, newest.wanted);
        if (use > latest) {
          latest = use;
          last = groups_[index].idle;
        }
      }
      return last;
    }
  }

  template <class NextUse>
  bool make_room(std::uint32_t item, std::uint64_t bytes, job_set waiting, NextUse&& next_use) {
    if (bytes > options_.capacity) return false;
    std::uint64_t room = options_.capacity - bytes_;
    going_.clear();
    while (room < bytes) {
      const std::uint32_t at = victim(item, waiting, next_use);
      if (at == none) break;
      room += entries_[at].bytes;
      if (going_.empty() && room >= bytes) {  // nearly always
        evict(at);
        return true;
      }
      going_.push_back(at);
      pin(entries_[at].item);  // out of the way until it is certain that there will be room
    }
    for (std::size_t i = going_.size(); i-- > 0;) {
      unpin({going_[i], entries_[going_[i]].stamp});
      if (room >= bytes) evict(going_[i]);
    }
    return room >= bytes;
  }

  void remember(std::uint32_t item, Payload payload, job_set takers) {
    recent& one = ring_[turn_];
    if (one.item != none) index_[one.item] = 0;
    one = {std::move(payload), takers, item};
    index_[item] = -static_cast<std::int32_t>(turn_) - 1;
    turn_ = (turn_ + 1) % ring_.size();
  }

  cache_options options_;
  std::vector<std::int32_t> index_;  // of each item: 0, entry + 1, or -(place in the ring) - 1
  std::vector<entry> entries_;
  std::vector<std::uint32_t> free_, free_groups_, going_;
  std::vector<group> groups_;
  std::unordered_map<group_key, std::uint32_t, group_hash> by_key_;
  std::array<std::vector<std::uint32_t>, max_jobs + 1> levels_;  // groups by their number of waiting jobs
  std::vector<std::vector<std::uint32_t>> kinds_;                // groups of each kind
  age_order order_;
  std::vector<recent> ring_;
  std::size_t turn_ = 0;
  std::uint64_t bytes_ = 0, stored_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::data
