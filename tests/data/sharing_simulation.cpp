// Whole workloads on a virtual clock: the closed forms and figures of the specification, and what improvements cost.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>
#include <vivace/data/sharing/correlation.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/simulation.hpp>
#include <vivace/data/sharing/tree.hpp>

#include "sharing_statistics.hpp"

namespace data = vivace::data;
using data::eviction;
using data::overlap_kind;
using data::round_mode;

namespace {

struct workload {
  int jobs = 2;
  std::vector<double> speeds = {1}, offsets = {0};  // cycled over the jobs; offsets in epochs of a speed-1 job
  double overlap = 1;
  overlap_kind kind = overlap_kind::core;
  double cache = 0.1;  // of the union
  round_mode mode = round_mode::participants;
  eviction policy = eviction::reference_count;
  bool substitute = false, repeat = false;
  int epochs = 1;
  std::uint32_t items = 4000;
  bool stall = false, churn = false;
  bool nested = false, apart = false;  // odd jobs: on half of the others' items; on other items
  std::uint64_t max_lead = data::any_lead;
};

struct prepared {
  std::uint32_t universe = 0;
  std::vector<data::simulated_job> jobs;
  data::share_options options;
};

prepared prepare(const workload& wanted, std::uint64_t seed) {
  prepared made;
  const auto subsets = data::make_overlap(wanted.jobs, wanted.items, wanted.overlap, wanted.kind, seed);
  made.universe = subsets.universe * (wanted.apart ? 2 : 1);
  std::vector<bool> seen(made.universe);
  double all = 0;
  for (std::size_t j = 0; j < subsets.jobs.size(); ++j) {
    data::simulated_job one;
    one.items = subsets.jobs[j];
    if (wanted.nested && j % 2 == 1) one.items.resize(one.items.size() / 2);
    if (wanted.apart && j % 2 == 1)
      for (std::uint32_t& item : one.items) item += subsets.universe;
    one.speed = wanted.speeds[j % wanted.speeds.size()];
    one.start = wanted.offsets[j % wanted.offsets.size()] * static_cast<double>(one.items.size());
    one.epochs = wanted.epochs;
    if (wanted.stall && j == 1) {
      one.stall_at = 0.3 * static_cast<double>(one.items.size());
      one.stall_for = static_cast<double>(one.items.size());
    }
    if (wanted.churn && j > 0) {
      one.start = 0.05 * static_cast<double>(j * one.items.size());
      one.leave_after = one.items.size() * j / 8;
    }
    for (const std::uint32_t item : one.items) {
      all += seen[item] ? 0 : 1;
      seen[item] = true;
    }
    made.jobs.push_back(std::move(one));
  }
  made.options.rounds = {.seed = seed, .mode = wanted.mode, .max_lead = wanted.max_lead};
  made.options.cache.capacity = static_cast<std::uint64_t>(std::llround(wanted.cache * all));
  made.options.cache.policy = wanted.policy;
  made.options.cache.repeat = wanted.repeat;
  made.options.substitute = wanted.substitute;
  return made;
}

template <class Model = data::dependent_cells>
double per_item(const workload& wanted, int seeds = 3) {
  double sum = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    const prepared made = prepare(wanted, static_cast<std::uint64_t>(seed));
    sum += data::simulate<Model>(made.universe, made.jobs, made.options).preparations_per_item();
  }
  return sum / seeds;
}

const std::vector<double> stagger = {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875};

}  // namespace

TEST_CASE_TEMPLATE("simulation: closed forms", Model, data::dependent_cells, data::dependent_tree,
                   data::pairwise_cells) {
  for (const double cache : {0.0, 0.05, 0.1, 0.25, 0.4, 0.5}) {
    CAPTURE(cache);
    const double late = per_item<Model>({.offsets = {0, 0.5}, .cache = cache});
    CHECK(late == doctest::Approx(1 + (0.5 - cache) * (1 + std::log(2.0))).epsilon(0.02));
    const double fast = per_item<Model>({.speeds = {1, 2}, .cache = cache});
    CHECK(fast == doctest::Approx(1 + (1 - cache) * std::log(2 * (1 - cache))).epsilon(0.02));
  }
  for (const int jobs : {2, 4, 8}) CHECK(per_item<Model>({.jobs = jobs, .cache = 0}, 1) == 1);
}

TEST_CASE("simulation: figures at 10 % cache") {
  for (const int jobs : {2, 4, 8}) {
    CHECK(per_item({.jobs = jobs}) == 1);
    CHECK(per_item({.jobs = jobs, .overlap = 0.5}) == 1);
  }
  CHECK(per_item({.speeds = {1, 2}}) <= 1.54);
  CHECK(per_item({.offsets = {0, 0.5}}) <= 1.69);
  // Eight jobs spread over an epoch, and random halves: what the improvements are for.
  const workload spread = {.jobs = 8, .offsets = stagger};
  const workload halves = {.jobs = 8, .overlap = 0.5, .kind = overlap_kind::random};
  const auto with = [](workload one) {
    one.substitute = true;
    return one;
  };
  CHECK(per_item(spread) == doctest::Approx(3.25).epsilon(0.02));
  CHECK(per_item(halves) == doctest::Approx(2.81).epsilon(0.02));
  CHECK(per_item(with(spread)) <= 1.85);
  CHECK(per_item<data::pairwise_cells>(with(spread)) <= 1.85);
  CHECK(per_item<data::pairwise_cells>(with(halves)) <= 1.20);
  CHECK(per_item<data::pairwise_cells>(halves) < per_item(halves));
  CHECK(per_item<data::pairwise_cells>(spread) < per_item(spread));
  // Independent jobs without a cache prepare everything for themselves.
  CHECK(per_item<data::independent_cells>({.jobs = 4, .cache = 0}) > 3.98);
}

TEST_CASE("simulation: bounds on preparations, and no item twice or never") {
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep})
    for (const double cache : {0.0, 0.1, 1.0})
      for (const bool substitute : {false, true})
        for (const bool random : {false, true}) {
          const workload wanted = {.jobs = 5,
                                   .speeds = {1, 2, 0.7},
                                   .offsets = {0, 0.3},
                                   .overlap = 0.6,
                                   .kind = random ? overlap_kind::random : overlap_kind::core,
                                   .cache = cache,
                                   .mode = mode,
                                   .substitute = substitute,
                                   .epochs = 2,
                                   .items = 300,
                                   .stall = true};
          const prepared made = prepare(wanted, 5);
          std::vector<std::map<std::uint32_t, int>> got(5);
          std::map<std::pair<std::uint32_t, std::uint32_t>, data::job_set> versions;
          bool fresh = true;
          std::uint64_t prepared_for_first = 0;
          const auto result = data::simulate(made.universe, made.jobs, made.options,
                                             [&](std::uint64_t, std::size_t job, const auto& one) {
                                               ++got[job][one.item];
                                               data::job_set& served = versions[{one.item, one.version}];
                                               fresh = fresh && !data::contains(served, static_cast<int>(job));
                                               served |= data::only(static_cast<int>(job));
                                             });
          CHECK(fresh);  // no job gets the same version twice
          for (std::size_t job = 0; job < 5; ++job) {
            CHECK(got[job].size() == made.jobs[job].items.size());
            for (const std::uint32_t item : made.jobs[job].items) REQUIRE(got[job][item] == 2);
            CHECK(result.jobs[job].delivered == 2 * made.jobs[job].items.size());
            prepared_for_first += result.jobs[job].prepared;
            CHECK(result.jobs[job].end > result.jobs[job].start);
          }
          CHECK(prepared_for_first == result.preparations);
          CHECK(versions.size() == result.preparations);
          CHECK(result.preparations >=
                2 * result.union_items);  // a version serves a job once, and there are two epochs
          CHECK(result.preparations <= result.deliveries);
          workload once = wanted;
          once.epochs = 1;
          const prepared one_epoch = prepare(once, 5);
          const auto first = data::simulate(one_epoch.universe, one_epoch.jobs, one_epoch.options);
          CHECK(first.preparations >= first.union_items);
          if (cache == 1) CHECK(first.preparations == first.union_items);
          CHECK(first.hit_rate() ==
                doctest::Approx(1 - static_cast<double>(first.preparations) / static_cast<double>(first.deliveries)));
        }
}

TEST_CASE("simulation: counting references is never worse than forgetting what was not used for longest") {
  const std::vector<workload> workloads = {
      {.jobs = 4},                                                        // same data, start, speed
      {.jobs = 2, .offsets = {0, 0.5}},                                   // half an epoch later
      {.jobs = 4, .offsets = {0, 0.25, 0.5, 0.75}},                       // spread over an epoch
      {.jobs = 8, .offsets = stagger},                                    //
      {.jobs = 2, .speeds = {1, 2}},                                      // twice as fast
      {.jobs = 4, .speeds = {1, 4}},                                      //
      {.jobs = 4, .stall = true},                                         // one stalls
      {.jobs = 4, .offsets = {0, 0.2}, .overlap = 0.5},                   // common core
      {.jobs = 4, .overlap = 0.5, .kind = overlap_kind::random},          // random halves
      {.jobs = 8, .overlap = 0.25, .kind = overlap_kind::random},         //
      {.jobs = 4, .offsets = {0, 0.3}, .overlap = 0.75},                  //
      {.jobs = 4, .nested = true},                                        // a subset inside of a superset
      {.jobs = 4, .offsets = {0, 0, 0.5, 0.5}, .apart = true},            // two groups
      {.jobs = 8, .churn = true},                                         // comings and goings
      {.jobs = 3, .speeds = {1, 1.5}, .offsets = {0, 0.3}, .epochs = 3},  // several epochs
      {.jobs = 3, .speeds = {1, 1.5}, .offsets = {0, 0.3}, .repeat = true, .epochs = 3}};
  for (std::size_t i = 0; i < workloads.size(); ++i)
    for (const auto mode : {round_mode::participants, round_mode::queue})
      for (const double cache : {0.05, 0.25}) {
        workload one = workloads[i];
        one.items = 1000;
        one.mode = mode;
        one.cache = cache;
        const double counted = per_item(one, 10);
        one.policy = eviction::lru;
        CHECK_MESSAGE(counted <= per_item(one, 10) + 1e-9,
                      "workload " << i << ", cache " << cache << ", mode " << static_cast<int>(mode));
      }
}

TEST_CASE("simulation: epochs stay uniformly random under substitution") {
  // All orders of a job on three of four items, of which a second job has some, with room for two.
  for (const bool pairwise : {false, true}) {
    std::vector<std::map<std::vector<std::uint32_t>, double>> counts(3);
    for (std::uint64_t seed = 0; seed < 6000; ++seed) {
      const std::vector<data::simulated_job> jobs = {{.items = {0, 1, 2, 3}, .epochs = 3},
                                                     {.items = {1, 2, 3}, .start = 1, .epochs = 3},
                                                     {.items = {0, 1, 4}, .speed = 2, .start = 2, .epochs = 3}};
      const data::share_options options = {.rounds = {.seed = seed}, .cache = {.capacity = 2}, .substitute = true};
      std::vector<std::vector<std::uint32_t>> order(3);
      const auto see = [&](std::uint64_t, std::size_t job, const auto& one) {
        order[job].push_back(one.item);
        if (order[job].size() % jobs[job].items.size() == 0) {
          if (order[job].size() == 3 * jobs[job].items.size())  // the last epoch: all that came before is in it
            ++counts[job][{order[job].end() - static_cast<std::ptrdiff_t>(jobs[job].items.size()), order[job].end()}];
        }
      };
      if (pairwise)
        data::simulate<data::pairwise_cells>(5, jobs, options, see);
      else
        data::simulate(5, jobs, options, see);
    }
    for (const auto& of_job : counts) {
      std::vector<double> all;
      for (const auto& [order, count] : of_job) all.push_back(count);
      CHECK(all.size() == (&of_job == counts.data() ? 24 : 6));
      CHECK(statistics::uneven(all) < statistics::limit);
    }
  }
}

TEST_CASE("simulation: the price of the improvements is correlation") {
  const auto record = [](workload wanted, auto model) {
    wanted.items = 2000;
    wanted.epochs = 3;
    const prepared made = prepare(wanted, 1);
    data::order_record orders(made.jobs.size(), made.universe);
    data::simulate<decltype(model)>(made.universe, made.jobs, made.options,
                                    [&](std::uint64_t, std::size_t job, const auto& one) {
                                      orders.add(job, one.item, made.jobs[job].items.size());
                                    });
    return orders;
  };
  const data::dependent_cells dependent(0);
  const data::pairwise_cells pairwise(0);
  const workload spread = {.jobs = 8, .offsets = stagger};
  const workload halves = {.jobs = 8, .overlap = 0.5, .kind = overlap_kind::random};
  const double chance = 4 / std::sqrt(1000.0);  // what orders of this length show by chance
  const auto with = [](workload one) {
    one.substitute = true;
    return one;
  };
  // Plain rounds: successive epochs are independent, with either coupling.
  CHECK(record(spread, dependent).between_epochs() < chance);
  CHECK(record(halves, dependent).between_epochs() < chance);
  CHECK(record(spread, pairwise).between_epochs() < chance);
  CHECK(record(halves, pairwise).between_epochs() < chance);
  CHECK(record(halves, data::independent_cells(0)).between_jobs() < chance);
  // Jobs are coupled on purpose; substitution couples epochs too.
  const auto tight = record(with(spread), pairwise), loose = record(with(halves), pairwise);
  MESSAGE("spread: between epochs " << tight.between_epochs() << ", jobs " << tight.between_jobs()
                                    << " (plain: " << record(spread, dependent).between_jobs() << ")");
  MESSAGE("halves: between epochs " << loose.between_epochs() << ", jobs " << loose.between_jobs()
                                    << " (plain: " << record(halves, dependent).between_jobs() << ")");
  CHECK(tight.between_epochs() > chance);
  CHECK(tight.between_epochs() < 0.95);  // all jobs end up on one stream, which hardly changes from epoch to epoch
  // Equal data at equal places: the same order, by design.
  CHECK(record({.jobs = 2}, dependent).between_jobs() == doctest::Approx(1));
}

TEST_CASE("simulation: speed, stalls and comings of one job leave the orders of the others uniform") {
  for (const double speed : {0.25, 1.0, 3.0}) {
    constexpr std::uint32_t size = 20;
    constexpr int epochs = 1500;
    std::vector<double> table(size * size);
    std::vector<data::simulated_job> jobs(3);
    for (data::simulated_job& one : jobs)
      for (std::uint32_t i = 0; i < size; ++i) one.items.push_back(i);
    jobs[0].epochs = epochs;
    jobs[1].epochs = static_cast<int>(epochs * speed);
    jobs[1].speed = speed;
    jobs[2].epochs = epochs / 2;
    jobs[2].stall_at = 777;
    jobs[2].stall_for = 5000;
    std::uint64_t place = 0;
    data::simulate(size, jobs, {.rounds = {.seed = 9}}, [&](std::uint64_t, std::size_t job, const auto& one) {
      if (job == 0) ++table[one.item * size + place++ % size];
    });
    CHECK(statistics::deviate(statistics::chi_square(table) * (size - 1) / size, (size - 1.0) * (size - 1)) <
          statistics::limit);
  }
}

TEST_CASE("simulation: the clock") {
  std::vector<std::uint32_t> items(100);
  for (std::uint32_t i = 0; i < 100; ++i) items[i] = i;
  const std::vector<data::simulated_job> jobs = {{.items = items},
                                                 {.items = items, .speed = 2, .start = 30},
                                                 {.items = items, .speed = 0.5, .epochs = 2},
                                                 {.items = items, .start = 10, .stall_at = 50, .stall_for = 1000},
                                                 {.items = items, .start = 5, .leave_after = 20}};
  const auto result = data::simulate(100, jobs, {});
  const std::vector<double> starts = {0, 30, 0, 10, 5}, ends = {100, 80, 400, 1110, 25};
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    CHECK(result.jobs[job].start == starts[job]);
    CHECK(result.jobs[job].end == ends[job]);
  }
  CHECK(result.jobs[4].delivered == 20);
  CHECK(result.deliveries == 100 + 100 + 200 + 100 + 20);
}

TEST_CASE("simulation: a bounded lead keeps jobs together") {
  const workload free = {.speeds = {1, 2}};
  workload bound = free;
  bound.max_lead = 300;  // below the 400 samples of the cache
  CHECK(per_item(bound, 1) < 1.001);
  bound.mode = round_mode::lockstep;
  CHECK(per_item(bound, 1) == 1);
  bound.cache = 0;
  CHECK(per_item(bound, 1) == 1);
  CHECK(per_item(free, 1) > 1.4);
}

TEST_CASE("simulation: settings that make no sense are told so") {
  const auto message_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const vivace::error& failure) {
      return failure.what();
    }
    return "no error";
  };
  const auto run = [](const data::simulated_job& job) { data::simulate(10, {job}, {}); };
  CHECK(message_of([&] { run({.items = {1}, .speed = 0}); }).find("speed") != std::string::npos);
  CHECK(message_of([&] { run({.items = {1}, .speed = std::nan("")}); }).find("speed") != std::string::npos);
  CHECK(message_of([&] { run({.items = {1}, .start = -1}); }).find("start") != std::string::npos);
  CHECK(message_of([&] { run({.items = {1}, .epochs = 0}); }).find("epochs") != std::string::npos);
  CHECK(message_of([&] { run({.items = {1}, .stall_for = 1e20}); }).find("stall") != std::string::npos);
  CHECK(message_of([&] { run({.items = {}}); }).find("no items") != std::string::npos);
  CHECK(message_of([&] { run({.items = {10}}); }).find("no such item") != std::string::npos);
  CHECK(message_of([] { data::make_overlap(2, 10, 1.5, overlap_kind::core, 1); }).find("overlap") != std::string::npos);
  CHECK(message_of([] { data::make_overlap(2, 10, 0, overlap_kind::random, 1); }).find("no items") !=
        std::string::npos);
  CHECK(message_of([] { data::make_overlap(64, 1u << 31, 0, overlap_kind::core, 1); }).find("too many") !=
        std::string::npos);
  CHECK(data::simulate(10, {}, {}).preparations_per_item() == 0);
  CHECK(data::simulate(10, {}, {}).hit_rate() == 0);
}
