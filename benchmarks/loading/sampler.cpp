// What a shared sampler costs: a delivered sample of 16 jobs on 1.3 million items (per_sample), and a job
// that joins eight others. draws_per_sample: different items drawn, over samples delivered.
#include <benchmark/benchmark.h>

#include <bit>
#include <cstdint>
#include <vector>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/random_source.hpp>
#include <vivace/data/sharing/simulation.hpp>
#include <vivace/data/sharing/tree.hpp>

namespace data = vivace::data;

constexpr std::uint32_t item_count = 1'300'000;
constexpr int job_count = 16;

/// 16 jobs all of whose epochs end: the whole cost over an epoch, compaction of pools and new views included.
/// @param subsets of the jobs
/// @param starts  ticks at which jobs join
/// @param irregular whether each job takes part in a round by the toss of a coin
template <class Model>
void deliver(benchmark::State& state, const std::vector<std::vector<std::uint32_t>>& subsets,
             const std::vector<std::uint64_t>& starts, bool irregular = false) {
  std::uint64_t delivered = 0, prepared = 0;
  std::vector<data::pick> picks;
  for (auto _ : state) {
    state.PauseTiming();
    Model model(item_count);
    data::random_source random(1), coins(2);
    state.ResumeTiming();
    data::job_set active = 0;
    std::size_t joined = 0;
    for (std::uint64_t tick = 0; joined < starts.size() || active != 0; ++tick) {
      for (; joined < starts.size() && starts[joined] <= tick; ++joined) {
        state.PauseTiming();
        model.insert(static_cast<int>(joined), subsets[joined]);
        state.ResumeTiming();
        active |= data::only(static_cast<int>(joined));
      }
      model.choose(irregular ? active & coins.bits() : active, random, picks);
      for (const data::pick& one : picks) {
        model.take(one.item, one.takers);
        delivered += static_cast<std::uint64_t>(std::popcount(one.takers));
        data::for_each_job(one.takers,
                           [&](int job) { active &= model.remaining(job) > 0 ? active : ~data::only(job); });
      }
      prepared += picks.size();
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(delivered));
  state.counters["per_sample"] =
      benchmark::Counter(static_cast<double>(delivered), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["draws_per_sample"] = static_cast<double>(prepared) / static_cast<double>(delivered);
}

/// (a) The same data, starts spread over an epoch.
template <class Model>
void staggered(benchmark::State& state) {
  const auto all = data::make_overlap(job_count, item_count, 1, data::overlap_kind::core, 1);
  std::vector<std::uint64_t> starts;
  for (std::uint64_t j = 0; j < job_count; ++j) starts.push_back(j * item_count / job_count);
  deliver<Model>(state, all.jobs, starts);
}

/// (b) Each job has a random half of the data; all start at once.
template <class Model>
void random_halves(benchmark::State& state) {
  const auto halves = data::make_overlap(job_count, item_count, 0.5, data::overlap_kind::random, 1);
  deliver<Model>(state, halves.jobs, std::vector<std::uint64_t>(job_count, 0));
}

/// As above, with jobs that take part irregularly: a new set of jobs nearly every round.
template <class Model>
void irregular(benchmark::State& state) {
  const bool halves = state.range(0) != 0;
  const auto subsets = data::make_overlap(job_count, item_count / 10, halves ? 0.5 : 1, data::overlap_kind::random, 1);
  deliver<Model>(state, subsets.jobs, std::vector<std::uint64_t>(job_count, 0), true);
}

/// Sampler and cache together: 8 jobs spread over an epoch, room for a tenth of the data.
template <class Model>
void with_cache(benchmark::State& state) {
  const auto subsets = data::make_overlap(8, item_count, 1, data::overlap_kind::core, 1);
  std::vector<data::simulated_job> eight(8);
  for (std::size_t j = 0; j < 8; ++j) {
    eight[j].items = subsets.jobs[j];
    eight[j].start = static_cast<double>(j) * item_count / 8;
  }
  std::uint64_t delivered = 0;
  for (auto _ : state)
    delivered += data::simulate<Model>(
                     item_count, eight,
                     {.rounds = {.seed = 1}, .cache = {.capacity = item_count / 10}, .substitute = state.range(0) != 0})
                     .deliveries;
  state.counters["per_sample"] =
      benchmark::Counter(static_cast<double>(delivered), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// A job on all the data joins eight: on all (0), or on random halves (1) of it.
template <class Model>
void join_eight(benchmark::State& state) {
  const bool halves = state.range(0) != 0;
  const auto eight = halves ? data::make_overlap(8, item_count, 0.5, data::overlap_kind::random, 1)
                            : data::make_overlap(8, item_count, 1, data::overlap_kind::core, 1);
  const auto ninth = data::make_overlap(1, item_count, 1, data::overlap_kind::core, 1);
  Model model(item_count);
  for (int job = 0; job < 8; ++job) model.insert(job, eight.jobs[static_cast<std::size_t>(job)]);
  for (auto _ : state) {
    model.insert(8, ninth.jobs[0]);
    state.PauseTiming();
    model.erase(8);
    state.ResumeTiming();
  }
}

BENCHMARK(staggered<data::dependent_cells>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(random_halves<data::dependent_cells>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(staggered<data::pairwise_cells>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(random_halves<data::pairwise_cells>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(staggered<data::dependent_tree>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(random_halves<data::dependent_tree>)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(irregular<data::dependent_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(irregular<data::pairwise_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(with_cache<data::dependent_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(with_cache<data::pairwise_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(join_eight<data::dependent_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(join_eight<data::pairwise_cells>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(join_eight<data::dependent_tree>)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(2);

BENCHMARK_MAIN();
