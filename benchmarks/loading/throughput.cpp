// Networks that are trained at once on the same data, each in a thread: batches of a hub against a loader for each.
//   costly:  the preparation is the limit, a small network
//   trivial: no preparation beyond the conversion of bytes, the MLP 784-512-256-10
// Both ways take turns; the table has medians, and the median and quartiles of the ratios of neighbouring runs.
//
// usage: loading_throughput [ROUNDS, 7] [SAMPLES, 4096] [costly|trivial|all]
//        loading_throughput --serve [SAMPLES]    does what lines "PREPARATION JOBS WAY" say (WAY: independent or
//                                                shared), for compare.py; answers a line of JSON each
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <vivace/data/shapes.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn/blocks.hpp>
#include <vivace/vivace.hpp>

#include "turns.hpp"

namespace vv = vivace;

struct small_net {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<32, 10>{});
};
struct mlp {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};

struct outcome {
  double seconds = 0;   // of an epoch of all jobs
  double prepared = 0;  // preparations an item and epoch
};

double seconds_of(auto&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Trains `jobs` networks at once, each in a thread; all threads begin together.
template <class Net, class Fit, class... Policies>
double train(int jobs, Fit&& fit, const Policies&... policies) {
  using trainer = vv::trainer<Net, vv::batch_size<64>, vv::sgd, Policies...>;
  std::vector<std::unique_ptr<trainer>> trainers;
  for (int id = 0; id < jobs; ++id)
    trainers.push_back(std::make_unique<trainer>(Net{}, vv::batch<64>, vv::sgd{.rate = 0.01}, policies...));
  return seconds_of([&] {
    std::vector<std::thread> threads;
    for (auto& one : trainers) threads.emplace_back([&] { fit(*one); });
    for (auto& one : threads) one.join();
  });
}

template <class Net, class Transform>
outcome run(const vv::data::dataset& set, int jobs, bool shares, int epochs, const Transform& change) {
  if (!shares)
    return {
        train<Net>(jobs, [&](auto& trainer) { trainer.fit(set, vv::epochs{epochs}, vv::augment{change}); }) / epochs,
        static_cast<double>(jobs)};
  vv::data::hub hub{
      set,
      {.seed = 1, .cache_bytes = static_cast<std::uint64_t>(set.size()) * 784 * 4 / 10, .start_with = jobs},
      change};
  const double seconds = train<Net>(
      jobs, [&](auto& trainer) { trainer.fit(vv::epochs{epochs}); }, vv::data::shared_loader{hub});
  return {seconds / epochs,
          static_cast<double>(hub.statistics().preparations) / static_cast<double>(set.size() * epochs)};
}

outcome run(const vv::data::dataset& set, const std::string& preparation, int jobs, bool shares) {
  return preparation == "costly" ? run<small_net>(set, jobs, shares, 1, loading::turns{})
                                 : run<mlp>(set, jobs, shares, 3, vv::data::no_transform{});
}

double seconds_of_a_sample() {
  std::vector<float> sample(784);
  return seconds_of([&] {
           for (std::uint32_t i = 0; i < 500; ++i)
             loading::turns{}(sample.data(), vv::shape{1, 28, 28}, vv::data::sample_key{1, 0, i, 0});
         }) /
         500;
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

void compare(const vv::data::dataset& set, const std::string& preparation, int rounds) {
  for (const int jobs : {1, 2, 4, 6}) {
    std::vector<double> apart, together, ratios;
    double prepared = 0;
    for (int round = 0; round < rounds; ++round)
      for (const bool shares : {round % 2 == 0, round % 2 != 0}) {
        const outcome one = run(set, preparation, jobs, shares);
        (shares ? together : apart).push_back(1e3 * one.seconds);
        if (shares) prepared = one.prepared;
      }
    for (std::size_t i = 0; i < apart.size(); ++i) ratios.push_back(apart[i] / together[i]);
    std::printf("| %s | %d | %.1f | %.1f | %.3f | %.3f to %.3f | %.2f |\n", preparation.c_str(), jobs,
                quantile(apart, 0.5), quantile(together, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25),
                quantile(ratios, 0.75), prepared);
    std::fflush(stdout);
  }
}

int serve(const vv::data::dataset& set) {
  std::string preparation, way;
  for (int jobs = 0; std::cin >> preparation >> jobs >> way;) {
    if (jobs < 1 || jobs > 64) return 2;
    const outcome one = run(set, preparation, jobs, way == "shared");
    std::printf("{\"seconds\": %.9f, \"prepared\": %.4f, \"sample\": %.9f}\n", one.seconds, one.prepared,
                seconds_of_a_sample());
    std::fflush(stdout);
  }
  return 0;
}

int main(int count, char** words) {
  const bool serves = count > 1 && std::string(words[1]) == "--serve";
  const int rounds = count > 1 && !serves ? std::atoi(words[1]) : 7;
  const int samples = count > 2 ? std::atoi(words[2]) : 4096;
  const std::string which = count > 3 ? words[3] : "all";
  if (rounds < 1 || samples < 64 || (which != "all" && which != "costly" && which != "trivial")) {
    std::fputs("usage: loading_throughput [ROUNDS] [SAMPLES, 64 or more] [costly|trivial|all]\n", stderr);
    return 2;
  }
  const vv::data::dataset set = vv::data::rendered_shapes(samples, 64, 1).train;
  if (serves) return serve(set);
  std::printf("costly preparation of a sample: %.0f us; %d samples an epoch; times of an epoch\n\n",
              1e6 * seconds_of_a_sample(), samples);
  std::puts(
      "| preparation | jobs | independent ms | shared ms | ratio | quartiles | prepared an item |\n"
      "|---|---|---|---|---|---|---|");
  for (const char* const one : {"costly", "trivial"})
    if (which == "all" || which == one) compare(set, one, rounds);
}
