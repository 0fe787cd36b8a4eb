// Four networks of different sizes are trained at once on the same augmented images: first from one hub, which prepares
// an image once for all, then each with a loader of its own. See --help.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/data/shapes.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn/blocks.hpp>
#include <vivace/vivace.hpp>

#include "augmentation.hpp"

namespace vv = vivace;

namespace {

constexpr vv::image grey{1, 28, 28};
constexpr vv::classes ten{10};

struct linear {
  static constexpr auto name = "linear";
  static constexpr auto graph = vv::classifier(grey, ten, vv::flatten{}, vv::dense{10});
};
struct narrow {
  static constexpr auto name = "mlp 32";
  static constexpr auto graph = vv::classifier(grey, ten, vv::mlp<32, 10>{});
};
struct wide {
  static constexpr auto name = "mlp 128 64";
  static constexpr auto graph = vv::classifier(grey, ten, vv::mlp<128, 64, 10>{});
};
struct convolutional {
  static constexpr auto name = "convolutional";
  static constexpr auto graph = vv::classifier(grey, ten, vv::conv2d{.filters = 4, .kernel = 5, .stride = 2},
                                               vv::relu{}, vv::max_pool{2}, vv::flatten{}, vv::dense{10});
};

struct options {
  std::string data = "/usr/share/datasets/fashion-mnist";
  int samples = 10'000, epochs = 1, batch = 64, workers = -1, points = 4;
  double cache = 0.1;
  std::uint64_t seed = 1;
};

struct result {
  std::string name;
  double seconds = 0, accuracy = 0;
};

constexpr int batch_limit = 256, networks = 4;

/// @param fit fit(trainer): trains it
template <class Net, class Fit, class... Policies>
result train(const options& wanted, const vv::data::dataset& test, Fit&& fit, const Policies&... policies) {
  vv::trainer trainer{Net{}, vv::batch<batch_limit>, vv::adam{.rate = 1e-3}, vv::seed{wanted.seed}, policies...};
  const auto start = std::chrono::steady_clock::now();
  fit(trainer);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return {Net::name, time.count(), trainer.evaluate(test).accuracy};
}

/// All networks at once, each in a thread.
template <class Fit, class... Policies>
std::vector<result> train_all(const options& wanted, const vv::data::dataset& test, const Fit& fit,
                              const Policies&... policies) {
  std::vector<result> results(networks);
  std::vector<std::exception_ptr> failures(networks);
  std::vector<std::thread> threads;
  const auto add = [&]<class Net>(Net) {
    const std::size_t id = threads.size();
    threads.emplace_back([&, id] {
      try {
        results[id] = train<Net>(wanted, test, fit, policies...);
      } catch (...) {
        failures[id] = std::current_exception();
      }
    });
  };
  add(linear{});
  add(narrow{});
  add(wide{});
  add(convolutional{});
  for (auto& one : threads) one.join();
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return results;
}

/// Prints a table; returns samples a second, from the start to the end of the last one.
double report(const char* title, const std::vector<result>& results, const options& wanted, std::int64_t samples) {
  fmt::print("{}\n", title);
  double longest = 0;
  for (const result& one : results) {
    fmt::print("  {:<14} {:8.2f} s   accuracy {:.1f} %\n", one.name, one.seconds, 100 * one.accuracy);
    longest = (std::max)(longest, one.seconds);
  }
  const double rate = static_cast<double>(samples * wanted.epochs * networks) / longest;
  fmt::print("  {:.0f} samples/s\n", rate);
  return rate;
}

void run(const options& wanted) {
  const auto all = wanted.data == "shapes" ? vv::data::rendered_shapes(wanted.samples, 1000, 1)
                                           : vv::data::fashion_mnist(wanted.data);
  const vv::data::dataset set = all.train.take(wanted.samples), test = all.test.take(1000);
  const random_view augmentation{.points = wanted.points,
                                 .surroundings = wanted.data == "shapes" ? 0 : -0.2860 / 0.3530};
  const auto cache = static_cast<std::uint64_t>(wanted.cache * static_cast<double>(set.size()) * 784 * sizeof(float));

  vv::data::hub hub{set,
                    {.seed = wanted.seed, .cache_bytes = cache, .workers = wanted.workers, .start_with = networks},
                    vv::data::compose(augmentation, vv::data::per_job(vv::data::random_flip{}))};
  const auto together = train_all(
      wanted, test, [&](auto& trainer) { trainer.fit(vv::epochs{wanted.epochs}, vv::batch_of{wanted.batch}); },
      vv::data::shared_loader{hub});
  const double shared = report("one hub", together, wanted, set.size());
  const vv::data::hub_statistics counts = hub.statistics();
  fmt::print("  {:.2f} preparations an image and epoch, {:.0f} % of the samples were shared\n",
             static_cast<double>(counts.preparations) / static_cast<double>(set.size() * wanted.epochs),
             100 * counts.hit_rate());

  const auto apart = train_all(wanted, test, [&](auto& trainer) {
    trainer.fit(set, vv::epochs{wanted.epochs}, vv::batch_of{wanted.batch},
                vv::augment{vv::data::compose(augmentation, vv::data::random_flip{})});
  });
  const double alone = report("a loader for each", apart, wanted, set.size());
  fmt::print("throughput with the hub: {:.2f} times that without\n", shared / alone);
}

}  // namespace

int main(int count, char** arguments) {
  options wanted;
  CLI::App app{"Trains four networks at once on the same augmented images, with shared and with separate loading."};
  app.add_option("--data", wanted.data, "folder of Fashion-MNIST, or 'shapes' for a set that is made up here")
      ->capture_default_str();
  app.add_option("--samples", wanted.samples, "train on the first so many images")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.add_option("--epochs", wanted.epochs, "of each network")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--batch", wanted.batch, "samples of a step")
      ->check(CLI::Range(1, batch_limit))
      ->capture_default_str();
  app.add_option("--points", wanted.points, "cost of the augmentation: its square is the places looked up for a pixel")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--cache", wanted.cache, "prepared images that are kept, as a fraction of all")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--workers", wanted.workers, "threads of the hub; -1: as many as the machine has")
      ->check(CLI::Range(-1, 256))
      ->capture_default_str();
  app.add_option("--seed", wanted.seed, "of all that is random")->check(CLI::NonNegativeNumber)->capture_default_str();
  try {
    app.parse(count, arguments);
    run(wanted);
  } catch (const CLI::ParseError& mistake) {
    return app.exit(mistake);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "{}\n", failure.what());
    return 1;
  }
  return 0;
}
