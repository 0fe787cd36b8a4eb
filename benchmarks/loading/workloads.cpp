// Workloads of jobs that share data: two tables in Markdown.
//
// usage: loading_workloads [ITEMS, 4000] [CACHE ...]
//          On a virtual clock, from one tick of all jobs to the next: preparations for ways of loading, with room for
//          so many percent of the union (default: 1 5 10 25 50 100). Time of day plays no part, but for the last
//          column.
//        loading_workloads --measure [ITEMS, 2000]
//          In threads and real time, four jobs with room for 10 %: a hub against a loader for each job. Preparation
//          costs some 50 us a sample; a job of speed 1 would take an item every 100 us, and sleeps in between.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>
#include <vivace/data/dataset.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/simulation.hpp>

#include "turns.hpp"

namespace data = vivace::data;
using data::eviction;
using data::round_mode;

namespace {

struct workload {
  std::string name;
  std::uint32_t universe = 0;
  std::vector<data::simulated_job> jobs;
};

workload of_subsets(std::string name, data::overlapping_subsets subsets) {
  workload made{std::move(name), subsets.universe, {}};
  for (auto& subset : subsets.jobs) {
    made.jobs.emplace_back();
    made.jobs.back().items = std::move(subset);
  }
  return made;
}

std::vector<workload> workloads(int jobs, std::uint32_t items) {
  using data::overlap_kind;
  const double epoch = items;
  const auto same = [&](const char* name) {
    return of_subsets(name, data::make_overlap(jobs, items, 1, overlap_kind::core, 1));
  };
  std::vector<workload> all;
  all.push_back(same("W1 same"));
  all.push_back(same("W2 half an epoch"));
  for (std::size_t j = 1; j < all.back().jobs.size(); j += 2) all.back().jobs[j].start = epoch / 2;
  all.push_back(same("W2 starts k/n"));
  for (int j = 0; j < jobs; ++j) all.back().jobs[static_cast<std::size_t>(j)].start = epoch * j / jobs;
  for (const int faster : {2, 4}) {
    all.push_back(same(faster == 2 ? "W3 speeds 1:2" : "W3 speeds 1:4"));
    for (std::size_t j = 1; j < all.back().jobs.size(); j += 2) all.back().jobs[j].speed = faster;
  }
  all.push_back(same("W3 one stalls"));
  all.back().jobs[1].stall_at = 0.3 * epoch;
  all.back().jobs[1].stall_for = 0.5 * epoch;
  for (const double overlap : {0.25, 0.5, 0.75}) {
    const std::string percent = std::to_string(static_cast<int>(100 * overlap)) + " %";
    all.push_back(of_subsets("W4 core " + percent, data::make_overlap(jobs, items, overlap, overlap_kind::core, 1)));
    all.push_back(
        of_subsets("W4 random " + percent, data::make_overlap(jobs, items, overlap, overlap_kind::random, 1)));
  }
  all.push_back(same("W5 subset in superset"));
  for (std::size_t j = 1; j < all.back().jobs.size(); j += 2) all.back().jobs[j].items.resize(items / 2);
  all.push_back(same("W6 two groups"));
  all.back().universe *= 2;
  for (std::size_t j = 1; j < all.back().jobs.size(); j += 2)
    for (std::uint32_t& item : all.back().jobs[j].items) item += items;
  all.push_back(same("W7 churn"));
  for (std::size_t j = 1; j < all.back().jobs.size(); ++j) {
    all.back().jobs[j].start = 0.05 * epoch * static_cast<double>(j);
    if (j % 2 == 1) all.back().jobs[j].leave_after = items / 20 * j;
  }
  all.push_back(same("W8 3 epochs, 1:1.5"));
  for (std::size_t j = 0; j < all.back().jobs.size(); ++j) {
    all.back().jobs[j].epochs = 3;
    if (j % 2 == 1) all.back().jobs[j].speed = 1.5;
  }
  return all;
}

struct way {
  round_mode mode = round_mode::participants;
  eviction policy = eviction::reference_count;
  bool cached = true, substitute = false;
};

/// Different items of all jobs.
double union_size(const workload& load) {
  std::vector<bool> seen(load.universe);
  double all = 0;
  for (const data::simulated_job& job : load.jobs)
    for (const std::uint32_t item : job.items) {
      all += seen[item] ? 0 : 1;
      seen[item] = true;
    }
  return all;
}

template <class Model>
data::simulation_result run(const workload& load, double cache, const way& how) {
  const double all = union_size(load);
  data::share_options options;
  options.rounds = {.seed = 1, .mode = how.mode};
  options.cache.capacity = how.cached ? static_cast<std::uint64_t>(std::llround(cache * all)) : 0;
  options.cache.policy = how.policy;
  options.substitute = how.substitute;
  return data::simulate<Model>(load.universe, load.jobs, options);
}

int count_preparations(std::uint32_t items, const std::vector<double>& caches) {
  std::printf(
      "Preparations per item of the union. independent: every job shuffles for itself, without a cache, with LRU, with "
      "a fixed cache; queue, lockstep: dependent sampling in these modes; improved: pairwise coupling with "
      "substitution.\n\n| workload | jobs | cache | independent | + LRU | + fixed | lockstep | queue | dependent | "
      "per sample | hit rate | improved | us per sample |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int jobs : {2, 4, 8})
    for (const workload& load : workloads(jobs, items))
      for (const double percent : caches) {
        using data::dependent_cells, data::independent_cells, data::pairwise_cells;
        const double cache = percent / 100;
        const double alone = run<independent_cells>(load, cache, {.cached = false}).preparations_per_item();
        const double lru = run<independent_cells>(load, cache, {.policy = eviction::lru}).preparations_per_item();
        const double fixed = run<independent_cells>(load, cache, {.policy = eviction::fixed}).preparations_per_item();
        const double lock = run<dependent_cells>(load, cache, {.mode = round_mode::lockstep}).preparations_per_item();
        const double queue = run<dependent_cells>(load, cache, {.mode = round_mode::queue}).preparations_per_item();
        const auto begin = std::chrono::steady_clock::now();
        const auto ours = run<dependent_cells>(load, cache, {});
        const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
        const double improved = run<pairwise_cells>(load, cache, {.substitute = true}).preparations_per_item();
        std::printf("| %s | %d | %g %% | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f |\n",
                    load.name.c_str(), jobs, percent, alone, lru, fixed, lock, queue, ours.preparations_per_item(),
                    1 - ours.hit_rate(), ours.hit_rate(), improved,
                    time.count() / static_cast<double>(ours.deliveries));
        std::fflush(stdout);
      }
  return 0;
}

// Real time.

constexpr int batch = 32;
using clock = std::chrono::steady_clock;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// What jobs saw.
struct record {
  std::mutex lock;
  std::vector<double> waits;   // microseconds for a batch
  std::vector<double> epochs;  // seconds an epoch, of each job
  std::atomic<std::size_t> memory = 0;
  double taken = 0, processor = 0, prepared = 0;

  [[nodiscard]] double wait(double share) {
    std::sort(waits.begin(), waits.end());
    return waits[static_cast<std::size_t>(share * static_cast<double>(waits.size() - 1))];
  }
  [[nodiscard]] double epoch() const {
    double sum = 0;
    for (const double one : epochs) sum += one / static_cast<double>(epochs.size());
    return sum;
  }
};

/// One job: takes its batches at its pace, which is that of a training that does nothing else.
/// @param unit seconds for an item at speed 1; 0: as fast as it gets them
template <class Batches>
void live(Batches& batches, const data::simulated_job& job, double unit, clock::time_point start, record& to,
          const auto& watch) {
  std::vector<double> waits;
  std::uint64_t taken = 0;
  const auto wait_for = [&](double items) {
    if (unit > 0) std::this_thread::sleep_for(std::chrono::duration<double>(items * unit));
  };
  bool stalls = job.stall_for > 0, leaves = false;
  int epochs = 0;
  for (; epochs < job.epochs && !leaves; ++epochs) {
    batches.start_epoch(epochs);
    for (;;) {
      const auto before = clock::now();
      const auto* given = batches.next();
      if (given == nullptr) break;
      waits.push_back(std::chrono::duration<double, std::micro>(clock::now() - before).count());
      taken += static_cast<std::uint64_t>(given->size);
      watch();
      wait_for(given->size / job.speed);
      if (stalls && static_cast<double>(taken) >= job.stall_at) {
        wait_for(job.stall_for);
        stalls = false;
      }
      leaves = job.leave_after > 0 && taken >= job.leave_after;
      if (leaves) break;
    }
  }
  const std::chrono::duration<double> time = clock::now() - start;
  const std::lock_guard guard(to.lock);
  to.taken += static_cast<double>(taken);
  to.waits.insert(to.waits.end(), waits.begin(), waits.end());
  to.epochs.push_back(time.count() / static_cast<double>(taken) * static_cast<double>(job.items.size()));
}

/// Runs the jobs of a workload in threads. @param shares a hub, or a loader for each
template <class Transform>
void measure(const workload& load, const data::dataset& set, bool shares, double unit, const Transform& change,
             record& to) {
  const double all = union_size(load);
  const auto bytes = static_cast<double>(set.sample_shape().size()) * sizeof(float);
  const bool at_once = std::all_of(load.jobs.begin(), load.jobs.end(), [](const auto& job) { return job.start == 0; });
  const data::hub hub{set,
                      {.seed = 1,
                       .cache_bytes = static_cast<std::uint64_t>(0.1 * all * bytes),
                       .start_with = at_once ? static_cast<int>(load.jobs.size()) : 0},
                      change};
  const double before = processor_seconds();
  const auto begin = clock::now();
  std::vector<std::thread> threads;
  for (std::size_t j = 0; j < load.jobs.size(); ++j)
    threads.emplace_back([&, j] {
      const data::simulated_job& job = load.jobs[j];
      std::this_thread::sleep_until(
          begin + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(job.start * unit)));
      const auto start = clock::now();
      if (shares) {
        data::shared_batches<float> batches{hub, batch, {.items = job.items, .epochs = job.epochs}};
        live(batches, job, unit, start, to, [&] {
          const std::size_t now = hub.statistics().memory_bytes;
          for (std::size_t most = to.memory; now > most && !to.memory.compare_exchange_weak(most, now);) {
          }
        });
      } else {
        data::loader<float> batches{set.subset(job.items), batch, j, {}, change};
        live(batches, job, unit, start, to, [] {});
      }
    });
  for (std::thread& one : threads) one.join();
  to.processor = processor_seconds() - before;
  to.prepared = (shares ? static_cast<double>(hub.statistics().preparations) : to.taken) / all;
}

data::dataset pictures(std::uint32_t count, int width) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * static_cast<std::size_t>(width * width));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 2654435761U >> 13);
  return data::dataset::own(std::move(bytes), {1, width, width}, std::vector<std::int32_t>(count), 10)
      .scaled(1.0 / 255, 0);
}

int measure_all(std::uint32_t items) {
  std::printf(
      "Four jobs, batches of %d, room for 10 %%; each cell: independent loaders, then the hub. epoch: mean of the "
      "jobs; "
      "wait: for a batch; memory: of prepared samples in the hub.\n\n| workload | prepared an item | processor s | "
      "epoch s | wait p50 us | wait p99 us | memory MiB |\n|---|---|---|---|---|---|---|\n",
      batch);
  const auto row = [](const workload& load, const data::dataset& set, double unit, const auto& change) {
    record apart, together;
    measure(load, set, false, unit, change, apart);
    measure(load, set, true, unit, change, together);
    std::printf("| %s | %.2f; %.2f | %.3f; %.3f | %.3f; %.3f | %.0f; %.0f | %.0f; %.0f | %.2f |\n", load.name.c_str(),
                apart.prepared, together.prepared, apart.processor, together.processor, apart.epoch(), together.epoch(),
                apart.wait(0.5), together.wait(0.5), apart.wait(0.99), together.wait(0.99),
                static_cast<double>(together.memory.load()) / (1 << 20));
    std::fflush(stdout);
  };
  for (const workload& load : workloads(4, items)) row(load, pictures(load.universe, 28), 100e-6, loading::turns{});
  // Cheap preparation: a sample has four bytes, and jobs do nothing but take them.
  workload cheap = workloads(4, 50 * items).front();
  cheap.name = "W9 four bytes a sample";
  for (data::simulated_job& one : cheap.jobs) one.epochs = 3;
  row(cheap, pictures(cheap.universe, 2), 0, data::no_transform{});
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const bool real = count > 1 && std::string_view(arguments[1]) == "--measure";
  const int first = real ? 2 : 1;
  const long items = count > first ? std::atol(arguments[first]) : real ? 2000 : 4000;
  std::vector<double> caches;
  for (int i = first + 1; i < count; ++i) caches.push_back(std::atof(arguments[i]));
  if (items < 100 || items > 1'000'000 ||
      std::any_of(caches.begin(), caches.end(), [](double one) { return !(one >= 0 && one <= 100); })) {
    std::fputs("usage: loading_workloads [--measure] [ITEMS, 100 to 1000000] [CACHE in percent ...]\n", stderr);
    return 2;
  }
  if (caches.empty()) caches = {1, 5, 10, 25, 50, 100};
  return real ? measure_all(static_cast<std::uint32_t>(items))
              : count_preparations(static_cast<std::uint32_t>(items), caches);
}
