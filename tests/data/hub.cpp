#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <thread>
#include <vector>
#include <vivace/data/hub.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/exec/serial.hpp>
#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>

#include "../io/files.hpp"
#include "hub_sources.hpp"

namespace data = vivace::data;
using data::round_mode;
using hubs::record;

TEST_CASE("hub: a job gets each of its items once an epoch, whoever prepares") {
  for (const int workers : {0, 1, 3})
    for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep}) {
      data::hub hub{hubs::numbered(230), {.seed = 1, .mode = mode, .buffer = 16, .workers = workers}};
      auto job = hub.join();
      CHECK(job.size() == 230);
      std::vector<record> epochs;
      for (int epoch = 0; epoch < 3; ++epoch) {
        CHECK(job.epoch() == epoch);
        epochs.push_back(hubs::epoch_of(job, 7, 3));
        CHECK(epochs.back().each_once(230));
        for (std::size_t i = 0; i < 230; ++i)
          CHECK(epochs.back().features[3 * i + 2] == static_cast<float>(100 * epochs.back().items[i] + 2));
        CHECK(job.position() == 230);
        CHECK(job.take(7).empty());
        job.next_epoch();
      }
      CHECK(epochs[0].items != epochs[1].items);
      const auto first = job.take(3)[0];
      CHECK(first.sample->label() == static_cast<std::int32_t>(first.item));
    }
}

TEST_CASE("hub: one job alone repeats itself, whatever prepares and however much is drawn ahead") {
  const auto run = [](std::uint64_t seed, const data::hub_options& with) {
    data::hub_options options = with;
    options.seed = seed;
    data::hub hub{hubs::numbered(200), options, hubs::noise{}};
    auto job = hub.join({.epochs = 2});
    record all = hubs::epoch_of(job, 8, 3);
    job.next_epoch();
    const record second = hubs::epoch_of(job, 13, 3);
    all.features.insert(all.features.end(), second.features.begin(), second.features.end());
    CHECK(second.each_once(200));
    CHECK(all.features != second.features);
    return all;
  };
  const record first = run(1, {.workers = 0});
  CHECK(run(1, {.workers = 1}) == first);
  CHECK(run(1, {.window = 3, .workers = 3}) == first);
  CHECK(run(1, {.buffer = 1000, .workers = 2}) == first);
  CHECK(run(2, {.workers = 0}).items != first.items);
}

TEST_CASE("hub: jobs on parts of the data") {
  const auto set = hubs::numbered(100);
  data::hub hub{set, {.workers = 1}};
  CHECK(hub.labelled());
  CHECK(hub.classes() == 100);
  const auto labels = hub.labels();
  CHECK(labels[42] == 42);
  auto even = hub.join({.items = data::items_where(labels, [](std::int32_t label) { return label % 2 == 0; })});
  auto low = hub.join({.items = data::items_where(hub.size(), [](std::uint32_t index) { return index < 30; })});
  const std::vector<std::string> names(100, "cat");
  CHECK(data::items_where(names, [](const std::string& name) { return name == "dog"; }).empty());
  CHECK(even.size() == 50);
  const record first = hubs::epoch_of(even, 9, 3), second = hubs::epoch_of(low, 9, 3);
  CHECK(first.each_once(50));
  CHECK(second.each_once(30));
  CHECK(std::all_of(first.items.begin(), first.items.end(), [](std::uint32_t item) { return item % 2 == 0; }));
  CHECK(std::all_of(second.items.begin(), second.items.end(), [](std::uint32_t item) { return item < 30; }));
}

TEST_CASE("hub: what jobs want at the same time is prepared once, and shared") {
  for (const std::uint64_t cache : {0U, 100'000U}) {
    const auto set = hubs::counted(500);
    data::hub hub{set, {.seed = 3, .cache_bytes = cache, .workers = 2, .start_with = 3}, hubs::noise{}};
    std::vector<decltype(hub)::job> jobs;
    for (int i = 0; i < 3; ++i) jobs.push_back(hub.join({.epochs = 1}));
    for (int turn = 0; turn < 50; ++turn) {
      std::vector<std::vector<data::delivery<float>>> got;
      for (auto& job : jobs) {
        const auto samples = job.take(10);
        got.emplace_back(samples.begin(), samples.end());
      }
      for (std::size_t i = 0; i < 10; ++i) CHECK(got[0][i].sample == got[2][i].sample);
    }
    CHECK(set.seen->all() == 500);
    CHECK_FALSE(set.seen->overlapping);
    const auto counts = hub.statistics();
    CHECK(counts.preparations == 500);
    CHECK(counts.deliveries == 1500);
    CHECK(counts.hit_rate() == doctest::Approx(2.0 / 3));
    CHECK(counts.jobs == 3);
    CHECK(counts.cached_bytes <= cache);
  }
}

TEST_CASE("hub: a job that comes later gets what is kept") {
  const auto set = hubs::counted(300);
  data::hub hub{set, {.cache_bytes = 300 * 4 * sizeof(float), .workers = 1}, hubs::noise{}};
  auto first = hub.join({.epochs = 1});
  const record one = hubs::epoch_of(first, 10, 4);
  auto second = hub.join({.epochs = 1});
  const record other = hubs::epoch_of(second, 10, 4);
  CHECK(set.seen->all() == 300);
  CHECK(one.items != other.items);
  // What is not random may be given to one job again and again.
  for (const bool repeat : {false, true}) {
    const auto again = hubs::counted(300);
    data::hub kept{again, {.cache_bytes = 1 << 20, .repeat = repeat, .workers = 1}, hubs::noise{}};
    auto job = kept.join({.epochs = 3});
    for (int epoch = 0; epoch < 3; ++epoch) {
      if (epoch > 0) job.next_epoch();
      CHECK(hubs::epoch_of(job, 10, 4).each_once(300));
    }
    CHECK(again.seen->all() == (repeat ? 300 : 900));
  }
  const auto plain = hubs::counted(300);
  data::hub without{plain, {.workers = 1}};
  auto job = without.join({.epochs = 2});
  (void)hubs::epoch_of(job, 10, 4);
  job.next_epoch();
  (void)hubs::epoch_of(job, 10, 4);
  CHECK(plain.seen->all() == 300);
}

TEST_CASE("hub: what only lies in memory is not kept, unless a transform changes it") {
  static_assert(data::in_memory_source<data::dataset> && !data::in_memory_source<hubs::counting>);
  const auto two_epochs = [](const data::hub<float>& hub) {
    auto job = hub.join({.epochs = 2});
    CHECK(hubs::epoch_of(job, 10, 3).each_once(200));
    job.next_epoch();
    CHECK(hubs::epoch_of(job, 10, 3).each_once(200));
    return hub.statistics();
  };
  const auto copied = two_epochs(data::hub{hubs::numbered(200), {.workers = 1}});
  CHECK(copied.cached_bytes == 0);
  CHECK(copied.preparations == 400);
  const auto changed =
      two_epochs(data::hub{hubs::numbered(200), {.repeat = true, .workers = 1}, data::normalise{{1}, {2}}});
  CHECK(changed.cached_bytes == 200 * 3 * sizeof(float));
  CHECK(changed.preparations == 200);
}

TEST_CASE("hub: other samplers, and substitution") {
  data::hub<float, data::pairwise_cells> hub{hubs::numbered(100), {.workers = 1}};
  auto one = hub.join(), other = hub.join({.items = data::items_where(100, [](std::uint32_t i) { return i % 3 > 0; })});
  CHECK(hubs::epoch_of(one, 5, 3).each_once(100));
  CHECK(hubs::epoch_of(other, 5, 3).each_once(66));
  data::hub substituting{hubs::numbered(100), {.cache_bytes = 240, .substitute = true, .workers = 1}, hubs::noise{}};
  auto early = substituting.join();
  (void)early.take(50);
  auto late = substituting.join();
  CHECK(hubs::epoch_of(late, 5, 3).each_once(100));
  CHECK(hubs::epoch_of(early, 5, 3).items.size() == 50);
}

TEST_CASE("hub: a job that stalls holds nobody up, unless the mode or the lead says so") {
  for (const auto mode : {round_mode::participants, round_mode::queue}) {
    data::hub hub{hubs::numbered(400), {.mode = mode, .buffer = 10, .workers = 1, .start_with = 2}};
    auto stalled = hub.join(), running = hub.join();
    CHECK(stalled.take(5).size() == 5);
    CHECK(hubs::epoch_of(running, 5, 3).each_once(400));
    CHECK(hubs::epoch_of(stalled, 5, 3).items.size() == 395);
  }
  for (const std::uint64_t lead : {0U, 50U}) {
    data::hub hub{hubs::numbered(400), {.max_lead = lead, .buffer = 10, .workers = 1, .start_with = 2}};
    auto stalled = hub.join(), running = hub.join();
    CHECK(running.wait_for(5, std::chrono::milliseconds(5000)));
    int taken = 0;
    while (running.wait_for(5, std::chrono::milliseconds(50))) taken += static_cast<int>(running.take(5).size());
    CHECK(taken <= 15 + static_cast<int>(lead));
    CHECK(taken >= static_cast<int>(lead));
    { const auto gone = std::move(stalled); }
    taken += static_cast<int>(hubs::epoch_of(running, 5, 3).items.size());
    CHECK(taken == 400);
  }
}

TEST_CASE("hub: in lockstep, jobs that start together repeat themselves, whatever the threads do") {
  const auto run = [](int workers, int slow, bool shuffled) {
    data::hub hub{hubs::numbered(150),
                  {.seed = 7,
                   .mode = round_mode::lockstep,
                   .cache_bytes = 20 * 12,
                   .buffer = 12,
                   .workers = workers,
                   .start_with = 3},
                  hubs::noise{}};
    std::vector<std::vector<record>> seen(3);
    std::vector<std::thread> threads;
    for (int turn = 0; turn < 3; ++turn) {
      const int id = shuffled ? 2 - turn : turn;
      threads.emplace_back([&hub, &mine = seen[static_cast<std::size_t>(id)], id, slow] {
        auto job =
            hub.join({.items = data::items_where(
                          150, [&](std::uint32_t i) { return id == 0 || i % 3 != static_cast<std::uint32_t>(id); }),
                      .epochs = 2 + id,
                      .place = id});
        for (int epoch = 0; epoch < 2 + id; ++epoch) {
          if (epoch > 0) job.next_epoch();
          if (id == slow) std::this_thread::sleep_for(std::chrono::milliseconds(2));
          mine.push_back(hubs::epoch_of(job, 4 + id, 3));
        }
      });
    }
    for (auto& one : threads) one.join();
    return seen;
  };
  const auto first = run(1, -1, false);
  CHECK(first[0][0].each_once(150));
  CHECK(first[1][2].each_once(100));
  CHECK(first[2][3].each_once(100));
  for (int attempt = 0; attempt < 6; ++attempt) {
    const bool same = run(attempt % 4, attempt % 3, attempt % 2 == 0) == first;
    CHECK(same);
  }
}

TEST_CASE("hub: part of an epoch, and the number of epochs") {
  data::hub hub{hubs::numbered(100), {.buffer = 8, .workers = 1}};
  auto job = hub.join({.epochs = 3});
  (void)job.take(30);
  job.next_epoch();
  CHECK(job.epoch() == 1);
  CHECK(job.position() == 0);
  CHECK(hubs::epoch_of(job, 8, 3).each_once(100));
  job.next_epoch();
  CHECK(hubs::epoch_of(job, 8, 3).each_once(100));
  const auto text = files::message_of<vivace::error>([&] { job.next_epoch(); });
  CHECK(files::contains(text, "a job has no more epochs"));
  CHECK(files::contains(text, "a job that joins for more than 3"));
  CHECK(hub.statistics().deliveries < 100 + 200 + 30);
}

TEST_CASE("hub: a failure reaches those who wait for the item, with its index and text, and can be tried again") {
  for (const int workers : {0, 2}) {
    const auto set = hubs::counted(60);
    set.seen->broken = 17;
    data::hub hub{set, {.seed = 2, .workers = workers, .start_with = 2}};
    auto one = hub.join({.epochs = 1}), other = hub.join({.epochs = 1});
    auto without = hub.join({.items = data::items_where(60, [](std::uint32_t i) { return i != 17; }), .epochs = 1});
    CHECK(hubs::epoch_of(without, 6, 4).each_once(59));
    record mine, theirs;
    const auto go = [&](auto& job, record& to) {
      const record next = hubs::epoch_of(job, 6, 4);
      to.items.insert(to.items.end(), next.items.begin(), next.items.end());
    };
    const auto text = files::message_of<vivace::error>([&] { go(one, mine); });
    CHECK(text ==
          "vivace: a sample could not be prepared\n  where: item 17\n  got:   the file is gone\n"
          "  needs: a source and transforms that can serve it; the next call tries again");
    const std::int64_t place = one.position();
    CHECK(files::message_of<vivace::error>([&] { go(one, mine); }) == text);
    CHECK(one.position() == place);
    CHECK(files::message_of<vivace::error>([&] { go(other, theirs); }) == text);
    CHECK(hub.statistics().failures >= 1);
    set.seen->broken = -1;
    const int before = set.seen->begun[17];
    auto rest = hubs::epoch_of(one, 6, 4);
    CHECK(place + static_cast<std::int64_t>(rest.items.size()) == 60);
    CHECK(std::count(rest.items.begin(), rest.items.end(), 17U) == 1);
    rest = hubs::epoch_of(other, 6, 4);
    CHECK(std::count(rest.items.begin(), rest.items.end(), 17U) == 1);
    CHECK(other.position() == 60);
    CHECK(set.seen->begun[17] <= before + 2);
  }
  struct rude {
    void operator()(float*, const vivace::shape&, const data::sample_key& key) const {
      if (key.sample == 3) throw 42;
    }
  };
  data::hub hub{hubs::numbered(5), {.workers = 1}, rude{}};
  auto job = hub.join();
  const auto text = files::message_of<vivace::error>([&] { (void)job.take(5); });
  CHECK(files::contains(text, "where: item 3\n  got:   an exception of an unknown type"));
}

TEST_CASE("hub: every refusal says what, where and what to do") {
  const auto message = [](auto&& body) { return files::message_of<vivace::error>(body); };
  const auto set = hubs::numbered(10);
  CHECK(files::contains(message([&] { data::hub(set, {.buffer = -1}); }), "the buffer of a hub is out of range"));
  CHECK(files::contains(message([&] { data::hub(set, {.window = 0}); }), "the window of a hub is out of range"));
  CHECK(files::contains(message([&] { data::hub(set, {.workers = -2}); }), "the number of workers of a hub"));
  CHECK(files::contains(message([&] { data::hub(set, {.start_with = 65}); }), "the number of jobs to start with"));
  CHECK(files::contains(message([&] { data::hub(set.take(0)); }), "the data set is empty"));
  data::hub hub{set, {.workers = 0}};
  CHECK(
      files::contains(message([&] { (void)hub.join({.items = std::vector<std::uint32_t>{}}); }), "a job has no items"));
  CHECK(files::contains(message([&] { (void)hub.join({.items = {{1, 2, 1}}}); }), "a job names an item twice"));
  CHECK(files::contains(message([&] { (void)hub.join({.items = {{10}}}); }), "there is no such item"));
  CHECK(files::contains(message([&] { (void)hub.join({.epochs = -1}); }), "the number of epochs is negative"));
  auto job = hub.join();
  CHECK(files::contains(message([&] { (void)job.take(0); }), "a job asks for too few samples"));
  const auto plain = data::dataset::own(std::vector<float>{1, 2, 3}, {1});
  CHECK(files::contains(message([&] { (void)data::hub(plain).labels(); }), "the data set has no labels"));
  data::hub waiting{set, {.start_with = 2}};
  CHECK(files::contains(message([&] { (void)waiting.join({.items = {{1, 1}}}); }), "a job names an item twice"));
  std::vector<decltype(hub)::job> jobs;
  CHECK(files::contains(message([&] {
                          for (int i = 0; i < 64; ++i) jobs.push_back(hub.join());
                        }),
                        "there are too many jobs"));
}

TEST_CASE("hub: whoever waits can be called off") {
  data::hub hub{hubs::numbered(10), {.workers = 1, .start_with = 2}};
  auto job = hub.join();
  CHECK_FALSE(job.wait_for(3, std::chrono::milliseconds(1)));
  std::string text;
  std::thread waiting([&] { text = files::message_of<vivace::error>([&] { (void)job.take(3); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  job.close();
  waiting.join();
  CHECK(files::contains(text, "the job was closed while it waited for samples"));
  CHECK_THROWS_AS((void)job.take(3), vivace::error);
}

TEST_CASE("hub: samples and jobs outlive the handle") {
  std::vector<data::delivery<float>> kept;
  {
    auto job = data::hub{hubs::numbered(50), {.workers = 1}}.join();
    for (auto samples = job.take(5); !samples.empty(); samples = job.take(5))
      kept.insert(kept.end(), samples.begin(), samples.end());
  }
  CHECK(kept.size() == 50);
  for (const auto& one : kept) CHECK(one.sample->features()[1] == static_cast<float>(100 * one.item + 1));
}

TEST_CASE("hub: memory stays within cache, window, buffers and batches, and comes from where one says") {
  const auto memory = std::make_shared<std::pmr::synchronized_pool_resource>();
  constexpr int jobs = 3, buffer = 20, window = 10, cached = 40;
  data::hub hub{hubs::counted(1000),
                {.cache_bytes = cached * 16, .buffer = buffer, .window = window, .workers = 2, .memory = memory},
                hubs::noise{}};
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> most_cached = 0, most = 0;
  for (int id = 0; id < jobs; ++id)
    threads.emplace_back([&, id] {
      auto job = hub.join({.epochs = 2});
      for (int epoch = 0; epoch < 2; ++epoch) {
        if (epoch > 0) job.next_epoch();
        while (!job.take(3 + id).empty()) {
          const auto now = hub.statistics();
          for (auto most_now = most_cached.load();
               now.cached_bytes > most_now && !most_cached.compare_exchange_weak(most_now, now.cached_bytes);) {
          }
          for (auto most_now = most.load();
               now.memory_bytes > most_now && !most.compare_exchange_weak(most_now, now.memory_bytes);) {
          }
        }
      }
    });
  for (auto& one : threads) one.join();
  CHECK(most_cached <= cached * 16);
  CHECK(most_cached > 0);
  // Beside the cache: what jobs hold, and the window, which at the end of a round may be exceeded by an item a job.
  CHECK(most <= 16 * (cached + 2 * (window + data::max_jobs) + jobs * ((std::max)(buffer, 4 * 5) + 5)));
}

TEST_CASE("hub: executors prepare, too") {
  const auto run = [](const auto& executor) {
    const auto set = hubs::counted(300, std::chrono::microseconds(50));
    data::hub hub{set, {.seed = 5}, hubs::noise{}, executor};
    auto job = hub.join({.epochs = 1});
    const record all = hubs::epoch_of(job, 20, 4);
    CHECK(set.seen->all() == 300);
    return all;
  };
  const record alone = run(vivace::serial{});
  CHECK(alone.each_once(300));
  CHECK(run(vivace::threads{.count = 3}) == alone);
}

TEST_CASE("hub: tbb prepares, too") {
  const auto set = hubs::counted(300, std::chrono::microseconds(50));
  data::hub hub{set, {.seed = 5, .cache_bytes = 0}, hubs::noise{}, vivace::tbb{.threads = 2}};
  std::vector<std::thread> threads;
  for (int id = 0; id < 3; ++id)
    threads.emplace_back([&] {
      auto job = hub.join({.epochs = 1});
      CHECK(hubs::epoch_of(job, 20, 4).each_once(300));
    });
  for (auto& one : threads) one.join();
  set.seen->broken = 17;
  data::hub failing{set, {.seed = 5}, hubs::noise{}, vivace::tbb{.threads = 2}};
  auto job = failing.join();
  CHECK_THROWS_AS((void)hubs::epoch_of(job, 20, 4), vivace::error);
}
