// The cache of prepared samples: what it keeps, for whom, and for how long.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>
#include <vivace/data/sharing/cache.hpp>
#include <vivace/data/sharing/flight.hpp>
#include <vivace/data/sharing/group.hpp>
#include <vivace/data/sharing/random_source.hpp>

namespace data = vivace::data;
using data::eviction;
using sample = std::shared_ptr<const int>;
using cache_of_samples = data::sample_cache<sample>;

namespace {

sample made(int value) { return std::make_shared<const int>(value); }

/// Stores an item of one byte that was given to job 0 and that these jobs wait for.
bool put(cache_of_samples& cache, std::uint32_t item, data::job_set waiting, std::uint64_t bytes = 1) {
  return cache.store(item, bytes, made(static_cast<int>(item)), 1, waiting);
}

std::vector<std::uint32_t> held(const cache_of_samples& cache) {
  std::vector<std::uint32_t> items;
  for (std::uint32_t item = 0; item < cache.universe(); ++item)
    if (cache.holds(item)) items.push_back(item);
  return items;
}

using ids = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("cache: samples are shared, not copied, and served to each job once") {
  cache_of_samples cache(10, {.capacity = 100});
  const sample original = made(7);
  CHECK(cache.serve(3, 2) == nullptr);
  CHECK(cache.store(3, 40, original, 1, 6));
  CHECK(cache.bytes() == 40);
  CHECK(cache.wanted(3) == 6);
  REQUIRE(cache.serve(3, 2) != nullptr);
  CHECK(cache.wanted(3) == 4);
  CHECK(cache.serve(3, 2) == nullptr);  // had it
  CHECK(cache.serve(3, 1) == nullptr);  // got it when it was made
  CHECK(cache.serve(3, 6) == nullptr);  // one of them had it
  CHECK(*cache.serve(3, 4) == original);
  CHECK(cache.wanted(3) == 0);
  CHECK(cache.holds(3));  // nobody waits for it, but there is room
  // A job that starts later wants it; one that had it in its last epoch does not.
  cache.want(3, ids{3, 4});
  cache.want(2, ids{3, 4});
  CHECK(cache.wanted(3) == 8);
  CHECK(cache.may_serve(3, 3));
  CHECK_FALSE(cache.may_serve(3, 2));
  // Another job under an old number.
  cache.forget(2);
  cache.want(2, ids{3});
  CHECK(cache.wanted(3) == 12);
  // A new version takes the place of the old one.
  CHECK(cache.store(3, 30, made(8), 4, 8));
  CHECK(cache.bytes() == 30);
  CHECK(cache.stored() == 1);
  CHECK(**cache.serve(3, 8) == 8);
  CHECK(*original == 7);
}

TEST_CASE("cache: a version may come back to a job if preparation is not random") {
  cache_of_samples cache(10, {.capacity = 100, .repeat = true});
  CHECK(put(cache, 1, 0));
  CHECK(cache.serve(1, 1) != nullptr);
  cache.want(0, ids{1});
  CHECK(cache.wanted(1) == 1);
  CHECK(cache.serve(1, 1) != nullptr);
}

TEST_CASE("cache: the lowest count goes first, the newcomer's too") {
  cache_of_samples cache(20, {.capacity = 3});
  put(cache, 0, 0b0010);
  put(cache, 1, 0b0110);
  put(cache, 2, 0b0000);
  CHECK(held(cache) == ids{0, 1, 2});
  CHECK(put(cache, 3, 0b1110));
  CHECK(held(cache) == ids{0, 1, 3});
  CHECK_FALSE(put(cache, 4, 0b1000));  // as low as the lowest: not stored
  CHECK_FALSE(put(cache, 5, 0));
  CHECK(put(cache, 6, 0b1100));
  CHECK(held(cache) == ids{1, 3, 6});
  (void)cache.serve(3, 0b1110);
  CHECK(put(cache, 7, 0b0010));
  CHECK(held(cache) == ids{1, 6, 7});
  // Counts that rise again protect.
  cache.want(4, ids{7});
  CHECK_FALSE(put(cache, 8, 0b0010));
  CHECK(held(cache) == ids{1, 6, 7});
}

TEST_CASE("cache: capacity is in bytes, and nothing goes in vain") {
  cache_of_samples cache(20, {.capacity = 100});
  CHECK_FALSE(put(cache, 0, 2, 101));
  CHECK(put(cache, 1, 0b0010, 40));
  CHECK(put(cache, 2, 0b0110, 40));
  CHECK(put(cache, 3, 0b0010, 20));
  CHECK_FALSE(put(cache, 4, 0b0110, 61));  // the two lower ones would free 60
  CHECK(held(cache) == ids{1, 2, 3});
  CHECK(put(cache, 4, 0b0110, 60));
  CHECK(held(cache) == ids{2, 4});
  CHECK(cache.bytes() == 100);
  cache.drop(2);
  cache.drop(2);
  CHECK(cache.bytes() == 60);
  CHECK(put(cache, 5, 0, 0));  // a sample of no bytes
  cache_of_samples none(5, {.capacity = 0});
  CHECK_FALSE(put(none, 1, 0b1110));
}

TEST_CASE("cache: the other policies") {
  cache_of_samples lru(20, {.capacity = 3, .policy = eviction::lru});
  cache_of_samples fifo(20, {.capacity = 3, .policy = eviction::fifo});
  cache_of_samples fixed(20, {.capacity = 3, .policy = eviction::fixed});
  for (cache_of_samples* one : {&lru, &fifo, &fixed}) {
    for (std::uint32_t item = 0; item < 3; ++item) CHECK(put(*one, item, 0b1110));
    (void)one->serve(0, 0b0010);
    CHECK(put(*one, 3, 0) == (one != &fixed));
  }
  CHECK(held(lru) == ids{0, 2, 3});
  CHECK(held(fifo) == ids{1, 2, 3});
  CHECK(held(fixed) == ids{0, 1, 2});
  // What is pinned stays, even if it is the oldest.
  const auto pinned = lru.pin(2);
  CHECK(put(lru, 4, 0));
  CHECK(held(lru) == ids{2, 3, 4});
  lru.unpin(pinned);
  CHECK(held(lru) == ids{2, 3, 4});
  // Several go for one that is large.
  CHECK(put(lru, 5, 0, 3));
  CHECK(held(lru) == ids{5});
}

TEST_CASE("cache: what is being delivered is pinned") {
  cache_of_samples cache(20, {.capacity = 2});
  put(cache, 0, 0);
  put(cache, 1, 0);
  const auto first = cache.pin(0), again = cache.pin(0), second = cache.pin(1);
  CHECK_FALSE(put(cache, 2, 0b1110));
  CHECK(held(cache) == ids{0, 1});
  CHECK(cache.serve(0, 2) != nullptr);  // pinned ones still serve
  cache.unpin(first);
  CHECK_FALSE(put(cache, 2, 0b1110));
  cache.unpin(again);
  CHECK(put(cache, 2, 0b1110));
  CHECK(held(cache) == ids{1, 2});
  // A version that has gone for a new one is unpinned in vain, and the new one is not.
  CHECK(cache.store(1, 1, made(1), 2, 0));
  const auto third = cache.pin(1);
  cache.unpin(second);
  CHECK_FALSE(put(cache, 3, 0b0010));
  cache.unpin(third);
  CHECK(put(cache, 3, 0b0010));
  cache.unpin(cache.pin(19));  // nothing there
}

TEST_CASE("cache: ties go to the one that is wanted last, where that is known") {
  cache_of_samples cache(20, {.capacity = 3});
  const std::vector<std::uint64_t> uses = {5, 9, 2, 7, 1, 30};
  const auto store = [&](std::uint32_t item, data::job_set waiting) {
    return cache.store(item, 0, 1, made(0), 1, waiting, [&](std::uint32_t of, data::job_set) { return uses[of]; });
  };
  CHECK(store(0, 0b0010));
  CHECK(store(1, 0b0100));
  CHECK(store(2, 0b1000));
  CHECK(store(3, 0b1000));
  CHECK(held(cache) == ids{0, 2, 3});
  CHECK_FALSE(store(5, 0b0010));  // the newcomer itself
  CHECK(store(4, 0b0010));
  CHECK(held(cache) == ids{0, 2, 4});
}

TEST_CASE("cache: versions that were not stored can be joined for a while") {
  cache_of_samples cache(20, {.capacity = 0, .window = 2});
  CHECK_FALSE(put(cache, 0, 0b0110));
  REQUIRE(cache.serve(0, 2) != nullptr);
  CHECK(cache.serve(0, 2) == nullptr);
  put(cache, 1, 2);
  CHECK(cache.serve(0, 4) != nullptr);
  put(cache, 2, 2);
  CHECK(cache.serve(0, 8) == nullptr);
  CHECK(cache.serve(1, 8) != nullptr);
  put(cache, 1, 2);  // a new version of what is there
  CHECK(cache.serve(1, 8) != nullptr);
  cache.drop(1);
  CHECK(cache.serve(1, 16) == nullptr);
  CHECK(cache.stored() == 0);
}

TEST_CASE("cache: fuzzed against plain bookkeeping") {
  struct version {
    data::job_set served = 0, wanted = 0;
    std::uint64_t bytes = 0;
    int value = 0, pins = 0;
  };
  for (const auto policy : {eviction::reference_count, eviction::lru, eviction::fifo, eviction::fixed})
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      data::random_source random(seed);
      constexpr std::uint32_t universe = 30;
      const std::uint64_t capacity = 5 + random.below(60);
      cache_of_samples cache(universe, {.capacity = capacity, .policy = policy});
      std::map<std::uint32_t, version> kept;
      std::vector<std::pair<std::uint32_t, cache_of_samples::pin_handle>> pins;
      bool sound = true;
      for (int step = 0; step < 1500 && sound; ++step) {
        const auto item = static_cast<std::uint32_t>(random.below(universe));
        const int job = static_cast<int>(random.below(6));
        switch (random.below(6)) {
          case 0:
          case 1: {
            const data::job_set takers = 1 + random.below(63);
            const sample* got = cache.serve(item, takers);
            const auto found = kept.find(item);
            const bool right = found != kept.end() && (found->second.served & takers) == 0;
            sound = sound && (got != nullptr) == right && (!right || **got == found->second.value);
            if (right) {
              found->second.served |= takers;
              found->second.wanted &= ~takers;
            }
            break;
          }
          case 2: {
            const data::job_set takers = 1 + random.below(63), waiting = random.below(64) & ~takers;
            const std::uint64_t bytes = 1 + random.below(10);
            kept.erase(item);
            std::erase_if(pins, [&](const auto& one) { return one.first == item; });
            const auto before = kept;
            const bool stored = cache.store(item, item % 3, bytes, made(step), takers, waiting, data::no_preference{});
            std::uint64_t lowest_kept = 99;
            for (auto one = kept.begin(); one != kept.end();) {
              const bool gone = !cache.holds(one->first);
              sound = sound && !(gone && (one->second.pins > 0 || !stored));
              if (gone && policy == eviction::reference_count)
                sound = sound && std::popcount(one->second.wanted) < std::popcount(waiting);
              if (!gone && one->second.pins == 0)
                lowest_kept = (std::min)(lowest_kept, static_cast<std::uint64_t>(std::popcount(one->second.wanted)));
              one = gone ? kept.erase(one) : std::next(one);
            }
            if (policy == eviction::reference_count)
              for (const auto& [other, was] : before)
                if (!cache.holds(other))
                  sound = sound && static_cast<std::uint64_t>(std::popcount(was.wanted)) <= lowest_kept;
            if (stored) kept[item] = {takers, waiting, bytes, step, 0};
            break;
          }
          case 3: {
            ids items;
            for (std::uint32_t one = 0; one < universe; ++one)
              if (random.chance(1, 2)) items.push_back(one);
            if (random.chance(1, 2)) {
              cache.want(job, items);
              for (const std::uint32_t one : items)
                if (const auto found = kept.find(one);
                    found != kept.end() && !data::contains(found->second.served, job))
                  found->second.wanted |= data::only(job);
            } else {
              cache.forget(job);
              for (auto& [other, one] : kept) {
                one.served &= ~data::only(job);
                one.wanted &= ~data::only(job);
              }
            }
            break;
          }
          case 4:
            if (pins.size() < 4) {
              pins.emplace_back(item, cache.pin(item));
              if (kept.count(item) != 0)
                ++kept[item].pins;
              else
                pins.pop_back();
            }
            break;
          default:
            if (!pins.empty()) {
              cache.unpin(pins.back().second);
              --kept[pins.back().first].pins;
              pins.pop_back();
            }
            if (random.chance(1, 4)) {
              cache.drop(item);
              kept.erase(item);
              std::erase_if(pins, [&](const auto& one) { return one.first == item; });
            }
        }
        std::uint64_t bytes = 0;
        for (const auto& [other, one] : kept) {
          bytes += one.bytes;
          sound = sound && cache.holds(other) && cache.wanted(other) == one.wanted;
        }
        sound = sound && cache.bytes() == bytes && cache.bytes() <= capacity && cache.stored() == kept.size();
        const std::uint32_t at_hand = cache.available(item % 3, job, [](std::uint32_t) { return true; });
        bool any = false;
        for (const auto& [other, one] : kept) any = any || (other % 3 == item % 3 && data::contains(one.wanted, job));
        // Kinds come with store(), and items keep theirs here.
        sound = sound && (at_hand < universe) == any;
        if (any) sound = sound && at_hand % 3 == item % 3 && data::contains(kept[at_hand].wanted, job);
      }
      CHECK_MESSAGE(sound, "seed " << seed << ", policy " << static_cast<int>(policy));
    }
}

TEST_CASE("flight: all who wait get the one sample, or the one failure") {
  data::flight<int> one, other;
  CHECK_FALSE(one.done());
  std::vector<std::thread> waiting;
  std::vector<sample> got(4);
  std::vector<int> failures(4);
  for (std::size_t i = 0; i < 4; ++i)
    waiting.emplace_back([&, i] {
      got[i] = one.wait();
      try {
        (void)other.wait();
      } catch (const std::runtime_error&) {
        failures[i] = 1;
      }
    });
  const sample prepared = made(5);
  one.complete(prepared);
  other.fail(std::make_exception_ptr(std::runtime_error("cannot be read")));
  for (std::thread& thread : waiting) thread.join();
  for (const sample& each : got) CHECK(each == prepared);
  CHECK(failures == std::vector<int>(4, 1));
  CHECK(one.done());
  CHECK_FALSE(one.failed());
  CHECK(other.failed());
}

TEST_CASE("group: orders say what to prepare, share one flight, and number the versions") {
  data::share_group<int> group(100, {.rounds = {.seed = 1}, .cache = {.capacity = 100}});
  ids all(100);
  for (std::uint32_t i = 0; i < 100; ++i) all[i] = i;
  CHECK(group.open(all) == 0);
  CHECK(group.open(all) == 1);
  group.begin_epoch(0);
  std::vector<std::shared_ptr<data::flight<int>>> flights(100);
  for (int i = 0; i < 100; ++i)
    for (const auto& order : group.round(1)) {
      CHECK(order.prepare);
      CHECK(order.version == 0);
      CHECK(order.takers == 1);
      flights[order.item] = order.sample;
    }
  group.begin_epoch(0);
  group.begin_epoch(1);
  std::vector<int> seen(100);
  for (int i = 0; i < 100; ++i)
    for (const auto& order : group.round(3)) {
      // Job 0 needs a new version of everything, job 1 takes whatever is there.
      const bool old = order.sample == flights[order.item];
      CHECK(old == !order.prepare);
      CHECK(order.prepare == (data::contains(order.takers, 0) || seen[order.item] > 1));
      if (order.prepare) CHECK(order.version >= 1);
      data::for_each_job(order.takers, [&](int) { ++seen[order.item]; });
    }
  CHECK(seen == std::vector<int>(100, 2));
  CHECK(group.deliveries() == 300);
  // A version that could not be prepared is forgotten, and is made anew for whoever wants the item next.
  data::share_group<int> brittle(1, {.cache = {.capacity = 1}});
  brittle.open({0});
  brittle.open({0});
  brittle.begin_epoch(0);
  brittle.begin_epoch(1);
  const auto failed = brittle.round(1)[0];
  CHECK(failed.prepare);
  brittle.drop(failed);
  const auto next = brittle.round(2)[0];
  CHECK(next.prepare);
  CHECK(next.version == 1);
  brittle.drop(failed);  // out of date: the new version stays
  CHECK(brittle.cache().holds(0));
}
