#pragma once
// Drives a share_group by numbers from anywhere (a seed, a fuzzer), and checks it against bookkeeping of its own.
#include <bit>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>
#include <vivace/data/sharing/group.hpp>

namespace sharing_driver {

namespace data = vivace::data;

/// What a group should hold, kept apart from it.
struct book {
  struct job {
    std::set<std::uint32_t> subset, left;
    bool in_epoch = false;
  };
  std::map<int, job> jobs;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::multiset<int>> served;  // of each item and version
  std::uint64_t deliveries = 0, preparations = 0;
};

/// Plays a script: next() gives numbers from 0 to 255, and less(steps) says whether it goes on.
/// @returns the number of the first rule that was broken; 0: none
template <class Model, class Next, class More>
int play(Next&& next, More&& more) {
  constexpr std::uint32_t universe = 24;
  constexpr data::round_mode modes[] = {data::round_mode::participants, data::round_mode::queue,
                                        data::round_mode::lockstep};
  constexpr data::eviction policies[] = {data::eviction::reference_count, data::eviction::lru, data::eviction::fifo,
                                         data::eviction::fixed};
  data::share_options options;
  options.rounds.seed = next();
  options.rounds.mode = modes[next() % 3];
  options.rounds.max_lead = next() % 3 == 0 ? next() % 8 : data::any_lead;
  options.cache.policy = policies[next() % 4];
  options.cache.capacity = next() % 64;
  options.cache.window = next() % 3;
  options.sample_bytes = 1 + next() % 5;
  options.substitute = next() % 2 == 0;
  data::share_group<int, Model> group(universe, options);
  using pins = std::vector<std::pair<std::uint32_t, typename data::share_group<int, Model>::pin_handle>>;
  book kept;
  pins pinned;

  while (more()) {
    switch (next() % 12) {
      case 0: {  // a job comes
        if (kept.jobs.size() == 8) break;
        book::job one;
        const std::uint32_t density = 1 + next() % 4;
        for (std::uint32_t item = 0; item < universe; ++item)
          if (next() % 4 < density) one.subset.insert(item);
        if (one.subset.empty()) one.subset.insert(next() % universe);
        const int id = group.open({one.subset.begin(), one.subset.end()});
        if (!kept.jobs.emplace(id, std::move(one)).second) return 1;
        break;
      }
      case 1: {  // one goes
        if (kept.jobs.empty() || next() % 4 != 0) break;
        auto one = kept.jobs.begin();
        std::advance(one, next() % kept.jobs.size());
        for (auto& [version, takers] : kept.served) takers.erase(one->first);
        group.close(one->first);
        kept.jobs.erase(one);
        break;
      }
      case 2:
      case 3:  // epochs begin
        for (auto& [id, one] : kept.jobs)
          if (!one.in_epoch && next() % 2 == 0) {
            group.begin_epoch(id);
            one.in_epoch = true;
            one.left = one.subset;
          }
        break;
      case 4: {
        const std::uint32_t item = next() % universe;
        if (pinned.size() < 3 && group.cache().holds(item)) pinned.emplace_back(item, group.pin(item));
        break;
      }
      case 5:
        if (!pinned.empty()) {
          group.unpin(pinned.back().second);
          pinned.pop_back();
        }
        break;
      default: {  // a round; jobs that are not ready stall
        data::job_set ready = next(), taken = 0;
        std::set<std::uint32_t> items;
        for (const auto& order : group.round(ready)) {
          if ((taken & order.takers) != 0 || !items.insert(order.item).second) return 2;
          if (order.takers == 0 || (order.takers & ~ready) != 0) return 3;
          taken |= order.takers;
          if (order.prepare) ++kept.preparations;
          if (order.prepare != kept.served[{order.item, order.version}].empty() && order.prepare) return 4;
          bool fine = true;
          data::for_each_job(order.takers, [&](int id) {
            ++kept.deliveries;
            auto& one = kept.jobs[id];
            fine = fine && one.in_epoch && one.left.erase(order.item) == 1;  // once an epoch, and nothing else
            fine = fine && kept.served[{order.item, order.version}].count(id) == 0;
            kept.served[{order.item, order.version}].insert(id);
            if (one.left.empty()) one.in_epoch = false;
          });
          if (!fine) return 5;
        }
        if (options.rounds.mode == data::round_mode::participants && options.rounds.max_lead == data::any_lead)
          for (const auto& [id, one] : kept.jobs)  // nobody who is ready goes without
            if (one.in_epoch && data::contains(ready, id) && !data::contains(taken, id)) return 6;
        break;
      }
    }

    data::job_set active = 0;
    for (const auto& [id, one] : kept.jobs) {
      if (one.in_epoch) active |= data::only(id);
      if (group.rounds().remaining(id) != one.left.size()) return 7;
    }
    if (group.rounds().active() != active) return 8;
    std::uint64_t stored = 0;
    for (std::uint32_t item = 0; item < universe; ++item) {
      data::job_set waiting = 0;
      for (const auto& [id, one] : kept.jobs)
        if (one.left.count(item) != 0) waiting |= data::only(id);
      if (group.rounds().waiting(item) != waiting) return 9;
      if (!group.cache().holds(item)) continue;
      ++stored;
      data::job_set may = 0;
      for (int id = 0; id < data::max_jobs; ++id)
        if (group.cache().may_serve(item, id)) may |= data::only(id);
      if (group.cache().wanted(item) != (waiting & may)) return 10;  // the reference count, counted anew
    }
    if (stored != group.cache().stored() || group.cache().bytes() != stored * options.sample_bytes) return 11;
    if (group.cache().bytes() > options.cache.capacity) return 12;
    for (const auto& [item, handle] : pinned)
      if (options.cache.policy == data::eviction::fixed && !group.cache().holds(item)) return 13;
    if (group.deliveries() != kept.deliveries || group.preparations() != kept.preparations) return 14;
    if constexpr (requires { group.rounds().model().consistent(); })
      if (!group.rounds().model().consistent()) return 15;
  }
  return 0;
}

}  // namespace sharing_driver
