// Jobs of a hub that come, go, stall and fail in threads: made for the sanitizers.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/random.hpp>

#include "hub_sources.hpp"

namespace data = vivace::data;
using data::round_mode;

namespace {

/// What one job does in its life, by its own random numbers. Returns what was wrong, or nothing.
template <class Hub>
std::string live(const Hub& hub, const data::sample_key& dice, std::uint32_t items, bool may_leave) {
  std::uint32_t number = 0;
  const auto roll = [&](std::uint64_t bound) { return dice.below(number++, bound); };
  const std::uint64_t part = 1 + roll(4);
  const auto subset = data::items_where(items, [&](std::uint32_t item) { return item % 4 < part; });
  const int epochs = 1 + static_cast<int>(roll(3)), count = 1 + static_cast<int>(roll(20));
  const bool stalls = roll(3) == 0;
  const std::uint64_t leaves_after = may_leave && roll(3) == 0 ? 1 + roll(subset.size()) : subset.size() * 1000;
  std::uint64_t taken = 0;
  auto job = hub.join({.items = subset, .epochs = epochs});
  for (int epoch = 0; epoch < epochs; ++epoch) {
    if (epoch > 0) job.next_epoch();
    std::vector<std::uint32_t> got;
    for (;;) {
      if (stalls && roll(8) == 0) std::this_thread::sleep_for(std::chrono::microseconds(roll(3000)));
      if (taken >= leaves_after) return {};
      std::span<const data::delivery<float>> samples;
      try {
        samples = job.take(count);
      } catch (const vivace::error&) {
        continue;  // tried again until it works
      }
      if (samples.empty()) break;
      taken += samples.size();
      for (const auto& one : samples) {
        got.push_back(one.item);
        if (one.sample->features()[0] < static_cast<float>(one.item) ||
            one.sample->features()[3] > static_cast<float>(one.item) + 0.5F)
          return "a sample is not what it should be";
      }
    }
    std::sort(got.begin(), got.end());
    if (got != subset) return "an epoch is not complete";
  }
  return {};
}

/// Fails now and then.
struct moody {
  std::shared_ptr<std::atomic<unsigned>> calls = std::make_shared<std::atomic<unsigned>>(0);
  unsigned every = 0;  ///< 0: never
  void operator()(float* sample, const vivace::shape& of, const data::sample_key& key) const {
    if (every > 0 && ++*calls % every == 0) throw vivace::error("a bad moment");
    hubs::noise{}(sample, of, key);
  }
};

}  // namespace

TEST_CASE("hub threads: exactly once an epoch for each job, whatever the others do") {
  constexpr std::uint32_t items = 120;
  std::uint32_t run = 0;
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep})
    for (const int workers : {0, 2})
      for (const std::uint64_t cache : {0U, 30U * 16, 1U << 20}) {
        ++run;
        const data::sample_key dice{11, run, 0, 0};
        auto set = hubs::counted(items, std::chrono::microseconds(run % 3 == 0 ? 20 : 0));
        data::hub hub{set,
                      {.seed = run,
                       .mode = mode,
                       .max_lead = run % 4 == 0 ? 40 : data::any_lead,
                       .cache_bytes = cache,
                       .buffer = 1 + static_cast<int>(dice.below(0, 30)),
                       .window = 1 + static_cast<int>(dice.below(1, 30)),
                       .workers = workers},
                      moody{.every = run % 2 == 0 ? 97U : 0U}};
        std::vector<std::string> wrong(6);
        std::vector<std::thread> threads;
        for (std::uint32_t id = 0; id < wrong.size(); ++id)
          threads.emplace_back([&, id] {
            for (std::uint32_t life = 0; life < 3 && wrong[id].empty(); ++life)
              wrong[id] = live(hub, {7, run, id, life}, items, true);
          });
        for (auto& one : threads) one.join();
        for (const auto& text : wrong) CHECK(text == "");
        const auto counts = hub.statistics();
        CHECK(counts.jobs == 0);
        CHECK(counts.cached_bytes <= cache);
        CHECK(static_cast<std::uint64_t>(set.seen->all()) <= counts.preparations + counts.failures);
      }
}

TEST_CASE("hub threads: a sample in preparation is waited for, not prepared again") {
  // One epoch a job, and either nothing or everything is kept: nothing can be evicted while it is prepared.
  for (const std::uint64_t cache : {0U, 1U << 20})
    for (const int workers : {0, 1, 3}) {
      const auto set = hubs::counted(150, std::chrono::microseconds(100));
      data::hub hub{set, {.seed = 1, .cache_bytes = cache, .buffer = 20, .workers = workers}, hubs::noise{}};
      std::vector<std::thread> threads;
      std::atomic<int> incomplete = 0;
      for (int id = 0; id < 4; ++id)
        threads.emplace_back([&, id] {
          std::this_thread::sleep_for(std::chrono::milliseconds(id));
          auto job = hub.join({.epochs = 1});
          if (!hubs::epoch_of(job, 5 + id, 4).each_once(150)) ++incomplete;
        });
      for (auto& one : threads) one.join();
      CHECK(incomplete == 0);
      CHECK_FALSE(set.seen->overlapping);
      if (cache > 0) CHECK(set.seen->all() == 150);
      CHECK(static_cast<std::uint64_t>(set.seen->all()) == hub.statistics().preparations);
    }
}

TEST_CASE("hub threads: a sample that is evicted in preparation is waited for as well") {
  for (unsigned run = 0; run < 12; ++run) {
    const auto set = hubs::counted(200, std::chrono::microseconds(100));
    data::hub hub{set, {.seed = run, .cache_bytes = 20 * 16, .buffer = 20, .workers = 2}, hubs::noise{}};
    std::vector<std::thread> threads;
    for (int id = 0; id < 5; ++id)
      threads.emplace_back([&, id] {
        std::this_thread::sleep_for(std::chrono::milliseconds(id));
        auto job = hub.join({.epochs = 1});
        (void)hubs::epoch_of(job, 3 + 2 * id, 4);
      });
    for (auto& one : threads) one.join();
    CHECK_FALSE(set.seen->overlapping);
  }
}

TEST_CASE("hub threads: jobs that leave at any moment leave nothing behind") {
  const auto set = hubs::counted(100, std::chrono::microseconds(200));
  for (int attempt = 0; attempt < 30; ++attempt) {
    data::hub hub{set, {.buffer = 16, .workers = attempt % 3}};
    std::vector<decltype(hub)::job> jobs;
    for (int i = 0; i < 3; ++i) jobs.push_back(hub.join());
    (void)jobs[0].take(1 + attempt);
    jobs.erase(jobs.begin());
    (void)jobs[0].take(3);
    if (attempt % 2 == 0) jobs.clear();
    CHECK(hub.statistics().jobs == (attempt % 2 == 0 ? 0 : 2));
  }
}
