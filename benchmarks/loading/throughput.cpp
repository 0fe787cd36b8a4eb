// Networks that are trained at once on the same data, each in a thread: batches of a hub against a loader for each.
//   costly:  the preparation is the limit, a small network
//   trivial: no preparation beyond the conversion of bytes, the MLP 784-512-256-10
// Both ways take turns; the table has medians, and the median of the ratios of neighbouring runs.
//   loading_throughput [rounds, 7] [samples, 4096] [largest number of jobs, 6]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#include <vivace/data/shapes.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn/blocks.hpp>
#include <vivace/vivace.hpp>

namespace vv = vivace;

/// Turns an image by random angles, with linear interpolation, some times over: the cost of decoding and augmenting.
struct costly {
  int turns = 12;

  template <std::floating_point Real>
  void operator()(Real* sample, const vv::shape& of, const vv::data::sample_key& key) const {
    const int height = of[of.rank - 2], width = of[of.rank - 1];
    std::vector<Real> old(static_cast<std::size_t>(of.size()));
    for (int turn = 0; turn < turns; ++turn) {
      std::copy_n(sample, of.size(), old.begin());
      const auto angle = static_cast<Real>((key.uniform(static_cast<std::uint32_t>(turn)) - 0.5) * 0.2);
      const Real cosine = std::cos(angle), sine = std::sin(angle);
      const Real middle_x = static_cast<Real>(width - 1) / 2, middle_y = static_cast<Real>(height - 1) / 2;
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
          const Real right = static_cast<Real>(x) - middle_x, down = static_cast<Real>(y) - middle_y;
          const Real u =
              (std::clamp)(cosine * right - sine * down + middle_x, Real(0), static_cast<Real>(width) - Real(1.01));
          const Real v =
              (std::clamp)(sine * right + cosine * down + middle_y, Real(0), static_cast<Real>(height) - Real(1.01));
          const int left = static_cast<int>(u), top = static_cast<int>(v);
          const Real a = u - static_cast<Real>(left), b = v - static_cast<Real>(top);
          const Real* const from = old.data() + top * width + left;
          sample[y * width + x] =
              (1 - b) * ((1 - a) * from[0] + a * from[1]) + b * ((1 - a) * from[width] + a * from[width + 1]);
        }
    }
  }
};

struct small_net {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<32, 10>{});
};
struct mlp {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};

double seconds_of(auto&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Trains `jobs` networks at once, each in a thread; all threads begin together.
template <class Net, class Fit, class... Policies>
double train(int jobs, Fit&& fit, const Policies&... policies) {
  std::vector<std::unique_ptr<vv::trainer<Net, vv::batch_size<64>, vv::sgd, Policies...>>> trainers;
  for (int id = 0; id < jobs; ++id)
    trainers.push_back(std::make_unique<vv::trainer<Net, vv::batch_size<64>, vv::sgd, Policies...>>(
        Net{}, vv::batch<64>, vv::sgd{.rate = 0.01}, policies...));
  return seconds_of([&] {
    std::vector<std::thread> threads;
    for (auto& one : trainers) threads.emplace_back([&] { fit(*one); });
    for (auto& one : threads) one.join();
  });
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class Net, class Transform>
void compare(const char* name, const vv::data::dataset& set, int epochs, int rounds, int most,
             const Transform& change) {
  for (const int jobs : {1, 2, 4, 6}) {
    if (jobs > most) continue;
    std::vector<double> apart, together, ratios;
    double per_item = 0;
    const auto alone = [&] {
      return train<Net>(jobs, [&](auto& trainer) { trainer.fit(set, vv::epochs{epochs}, vv::augment{change}); });
    };
    const auto shared = [&] {
      vv::data::hub hub{
          set,
          {.seed = 1, .cache_bytes = static_cast<std::uint64_t>(set.size()) * 784 * 4 / 10, .start_with = jobs},
          change};
      const double seconds = train<Net>(
          jobs, [&](auto& trainer) { trainer.fit(vv::epochs{epochs}); }, vv::data::shared_loader{hub});
      per_item = static_cast<double>(hub.statistics().preparations) / static_cast<double>(set.size() * epochs);
      return seconds;
    };
    for (int round = 0; round < rounds; ++round) {
      const bool first = round % 2 == 0;
      if (first) apart.push_back(alone());
      together.push_back(shared());
      if (!first) apart.push_back(alone());
      ratios.push_back(apart.back() / together.back());
    }
    std::printf("%-8s %4d %16.1f %12.1f %18.2f %14.2f\n", name, jobs, 1e3 * median(apart) / epochs,
                1e3 * median(together) / epochs, median(ratios), per_item);
    std::fflush(stdout);
  }
}

int main(int count, char** words) {
  const int rounds = count > 1 ? std::atoi(words[1]) : 7, samples = count > 2 ? std::atoi(words[2]) : 4096;
  const int most = count > 3 ? std::atoi(words[3]) : 6;
  if (rounds < 1 || samples < 64 || most < 1) {
    std::fprintf(stderr, "usage: loading_throughput [rounds] [samples, 64 or more] [largest number of jobs]\n");
    return 2;
  }
  const vv::data::dataset set = vv::data::rendered_shapes(samples, 64, 1).train;
  std::vector<float> sample(784);
  const double each = seconds_of([&] {
                        for (std::uint32_t i = 0; i < 500; ++i)
                          costly{}(sample.data(), vv::shape{1, 28, 28}, vv::data::sample_key{1, 0, i, 0});
                      }) /
                      500;
  std::printf("costly preparation of a sample: %.0f us; %d samples an epoch\n", 1e6 * each, samples);
  std::printf("%-8s %4s %16s %12s %18s %14s\n", "", "jobs", "independent ms", "shared ms", "throughput ratio",
              "prepared/item");
  compare<small_net>("costly", set, 1, rounds, most, costly{});
  compare<mlp>("trivial", set, 3, rounds, most, vv::data::no_transform{});
}
