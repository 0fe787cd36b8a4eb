// Workloads of jobs that share data, on a virtual clock: preparations per item for ways of loading, from one tick of
// eight jobs to the next. A table in Markdown; time of day plays no part in it, but for the last column.
//
// usage: loading_workloads [ITEMS]     items of a job; default 4000
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/simulation.hpp>

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

template <class Model>
data::simulation_result run(const workload& load, double cache, const way& how) {
  std::vector<bool> seen(load.universe);
  double all = 0;
  for (const data::simulated_job& job : load.jobs)
    for (const std::uint32_t item : job.items) {
      all += seen[item] ? 0 : 1;
      seen[item] = true;
    }
  data::share_options options;
  options.rounds = {.seed = 1, .mode = how.mode};
  options.cache.capacity = how.cached ? static_cast<std::uint64_t>(std::llround(cache * all)) : 0;
  options.cache.policy = how.policy;
  options.substitute = how.substitute;
  return data::simulate<Model>(load.universe, load.jobs, options);
}

}  // namespace

int main(int count, char** arguments) {
  const long items = count > 1 ? std::atol(arguments[1]) : 4000;
  if (items < 100 || items > 1'000'000) {
    std::fprintf(stderr, "items of a job: %s is not a number from 100 to 1000000\n", arguments[1]);
    return 2;
  }
  std::printf(
      "Preparations per item of the union. independent: every job shuffles for itself, without a cache, with LRU, with "
      "a fixed cache; queue, lockstep: dependent sampling in these modes; improved: pairwise coupling with "
      "substitution.\n\n| workload | jobs | cache | independent | + LRU | + fixed | lockstep | queue | dependent | "
      "per sample | improved | us per sample |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int jobs : {2, 4, 8})
    for (const workload& load : workloads(jobs, static_cast<std::uint32_t>(items)))
      for (const double cache : {0.01, 0.05, 0.1, 0.25, 0.5, 1.0}) {
        using data::dependent_cells, data::independent_cells, data::pairwise_cells;
        const double alone = run<independent_cells>(load, cache, {.cached = false}).preparations_per_item();
        const double lru = run<independent_cells>(load, cache, {.policy = eviction::lru}).preparations_per_item();
        const double fixed = run<independent_cells>(load, cache, {.policy = eviction::fixed}).preparations_per_item();
        const double lock = run<dependent_cells>(load, cache, {.mode = round_mode::lockstep}).preparations_per_item();
        const double queue = run<dependent_cells>(load, cache, {.mode = round_mode::queue}).preparations_per_item();
        const auto begin = std::chrono::steady_clock::now();
        const auto ours = run<dependent_cells>(load, cache, {});
        const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
        const double improved = run<pairwise_cells>(load, cache, {.substitute = true}).preparations_per_item();
        std::printf("| %s | %d | %.0f %% | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f |\n",
                    load.name.c_str(), jobs, 100 * cache, alone, lru, fixed, lock, queue, ours.preparations_per_item(),
                    1 - ours.hit_rate(), improved, time.count() / static_cast<double>(ours.deliveries));
      }
}
