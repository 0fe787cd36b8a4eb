// Searches with shared weights on the cells of nas_train: how well the sub-networks of a supernet are ranked by
// training speed and by the accuracy that they inherit, and which cells differentiable search finds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/estimate.hpp>
#include <vivace/io/csv.hpp>
#include <vivace/search/differentiable.hpp>
#include <vivace/search/one_shot.hpp>

#include "cells.hpp"

namespace {

namespace vv = vivace;
namespace search = vivace::search;
using clock_type = std::chrono::steady_clock;

struct options {
  std::string table, data = "/usr/share/datasets/fashion-mnist";
  bool differentiable = false;
  int epochs = 20, images = static_cast<int>(nas::training_images), cells = 1'000'000, batches = 50, resamples = 1000;
  int search_epochs = 10, final_epochs = nas::epochs, group = 20;
  double rate = 0.025;
  unsigned seed = 1;
};

struct images {
  vv::data::dataset train, validation, test;
  explicit images(const options& wanted) {
    const auto all = vv::data::fashion_mnist(wanted.data);
    train = all.train.take(wanted.images);
    validation = range(all.train, nas::training_images, nas::validation_images);
    test = all.test;
  }
  static vv::data::dataset range(const vv::data::dataset& of, std::int64_t first, std::int64_t count) {
    std::vector<std::uint32_t> indices;
    for (std::int64_t i = 0; i < count; ++i) indices.push_back(static_cast<std::uint32_t>(first + i));
    return of.subset(indices);
  }
};

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

// The settings of the authors' supernets: 0.025 down to 0.001 along half a cosine, for some 39,000 steps. Fewer steps
// want a higher rate: a supernet that is hardly trained ranks the cells with the fewest convolutions first.
constexpr vv::sgd_momentum optimiser(double rate) {
  return {.rate = rate, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};
}
constexpr vv::cosine schedule(int epochs) { return {.epochs = static_cast<double>(epochs), .floor = 0.04}; }

/// Cells with their test errors after a whole training of their own, as far as nas_train has come.
struct trained_cells {
  std::vector<search::architecture> cells;
  std::vector<double> error;

  trained_cells(const std::string& path, int most) {
    const auto file = vv::io::csv_table::read(path);
    const auto names = file.text("cell"), status = file.text("status");
    const auto accuracy = file.numbers("final_test_accuracy");
    for (std::size_t i = 0; i < names.size() && static_cast<int>(cells.size()) < most; ++i) {
      if (status[i] != "ok") continue;
      cells.push_back(nas::space::parse(names[i]));
      error.push_back(1 - accuracy[i]);
    }
    if (cells.size() < 3)
      throw vv::file_error("too few cells to rank", path, std::to_string(cells.size()) + " trained cells",
                           "at least 3: let nas_train go on");
  }
};

void print_ranking(const char* sampler, const char* score, const trained_cells& truth,
                   const std::vector<double>& scores, int resamples, double seconds) {
  const vv::bootstrap interval{.resamples = resamples, .level = 0.95, .seed = 1};
  const auto rho = interval(vv::spearman{}, scores, truth.error), tau = interval(vv::kendall{}, scores, truth.error);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < scores.size(); ++i) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] < scores[b] : a < b; });
  const std::size_t best = (std::min)(order.size(), std::size_t{10});
  double accuracy = 0;
  for (std::size_t i = 0; i < best; ++i) accuracy += (1 - truth.error[order[i]]) / static_cast<double>(best);
  std::printf("%-10s %-18s %6.3f [%6.3f, %6.3f]  %6.3f [%6.3f, %6.3f]  %6.2f %%  %6.2f s\n", sampler, score, rho.value,
              rho.low, rho.high, tau.value, tau.low, tau.high, 100 * accuracy, seconds);
  std::fflush(stdout);
}

template <class Sampler>
void rank_by(const char* name, const Sampler& sampler, const options& wanted, const images& data,
             const trained_cells& truth) {
  search::supernet net{nas::space{}, vv::batch<64>, optimiser(wanted.rate), schedule(wanted.epochs),
                       vv::seed{wanted.seed}};
  auto start = clock_type::now();
  const auto& history = net.fit(data.train, sampler, vv::epochs{wanted.epochs});
  std::printf("%-10s trained for %d epochs, %zu steps, in %.1f s, loss %.3f to %.3f\n", name, wanted.epochs,
              history.batches.size(), seconds_since(start), history.epochs.front().train_loss,
              history.epochs.back().train_loss);
  std::fflush(stdout);
  vv::data::loader<float> batches(data.train, 64, wanted.seed + 1);
  const auto scores = [&](auto score) {
    start = clock_type::now();
    std::vector<double> result;
    for (const auto& cell : truth.cells) result.push_back(score(cell));
    return result;
  };
  const auto speed =
      scores([&](const auto& of) { return search::inherited_tse{.batches = wanted.batches}(net, of, batches); });
  print_ranking(name, "TSE", truth, speed, wanted.resamples, seconds_since(start));
  const auto error = scores([&](const auto& of) { return search::inherited_error{}(net, of, data.validation); });
  print_ranking(name, "inherited accuracy", truth, error, wanted.resamples, seconds_since(start));
}

void rank(const options& wanted, const images& data) {
  const trained_cells truth(wanted.table, wanted.cells);
  std::printf("%zu cells, test error %.2f %% to %.2f %%; %lld images, rate %g, %d minibatches to score\n",
              truth.cells.size(), 100 * *std::min_element(truth.error.begin(), truth.error.end()),
              100 * *std::max_element(truth.error.begin(), truth.error.end()),
              static_cast<long long>(data.train.size()), wanted.rate, wanted.batches);
  std::printf("%-10s %-18s %-24s  %-24s  %-9s %s\n", "sampler", "score", "spearman [95 %]", "kendall [95 %]", "best 10",
              "time");
  rank_by("RandNAS", search::rand_nas<nas::space>{}, wanted, data, truth);
  rank_by("FairNAS", search::fair_nas<nas::space>{}, wanted, data, truth);
  rank_by("MultiPaths", search::multi_paths<nas::space>{}, wanted, data, truth);
}

/// Trains a cell alone with the settings of nas_train and prints what it is worth.
void print_found(const char* name, const search::architecture& found, const options& wanted, const images& data,
                 double seconds) {
  vv::trainer trainer{search::network<nas::space>{found}, vv::batch<128>,
                      vv::sgd_momentum{.rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true},
                      vv::cosine{.epochs = static_cast<double>(wanted.final_epochs)}, vv::seed{wanted.seed}};
  trainer.fit(data.train, vv::epochs{wanted.final_epochs});
  int skips = 0;
  for (int edge = 0; edge < found.size(); ++edge) skips += found[edge] == 1 ? 1 : 0;
  std::printf("%-10s %d skips  %6.2f %%  search %6.1f s  %s\n", name, skips, 100 * trainer.evaluate(data.test).accuracy,
              seconds, nas::space::text(found).c_str());
  std::fflush(stdout);
}

void differentiable(const options& wanted, const images& data) {
  const std::int64_t half = data.train.size() / 2;
  const auto train = data.train.take(half), other = images::range(data.train, half, half);
  const vv::epochs epochs{wanted.search_epochs};
  const auto searched = [&](const char* name, auto mixture, const vv::sgd_momentum& how, auto&& run) {
    const auto start = clock_type::now();
    search::relaxed_supernet net{nas::space{},         mixture, vv::batch<64>, how, schedule(wanted.search_epochs),
                                 vv::seed{wanted.seed}};
    run(net);
    print_found(name, net.found(), wanted, data, seconds_since(start));
  };
  std::printf("searches on %lld images, %d epochs; cells trained alone on %lld images, %d epochs\n",
              static_cast<long long>(half), wanted.search_epochs, static_cast<long long>(data.train.size()),
              wanted.final_epochs);
  searched("DARTS", search::softmax_mixture{}, optimiser(0.025),
           [&](auto& net) { net.fit(train, search::by_validation{other}, epochs); });
  searched("DARTS-TSE", search::softmax_mixture{}, optimiser(0.025),
           [&](auto& net) { net.fit(train, search::by_training_speed{.steps = wanted.group}, epochs); });
  constexpr vv::sgd_momentum plain{.rate = 0.025, .momentum = 0.9, .weight_decay = 3e-4};
  const auto two_stages = [&](auto& net, const auto& how) {
    net.fit(train, how, epochs);
    net.next_stage(3, 2);
    net.fit(train, how, epochs);
  };
  const int warm_up = wanted.search_epochs / 5;
  searched("DrNAS", search::dirichlet_mixture{}, plain, [&](auto& net) {
    two_stages(net, search::by_validation{other, warm_up});
  });
  searched("DrNAS-TSE", search::dirichlet_mixture{}, plain,
           [&](auto& net) { two_stages(net, search::by_training_speed{.steps = wanted.group, .warm_up = warm_up}); });
}

}  // namespace

int main(int count, char** arguments) try {
  options wanted;
  CLI::App app{"Ranks the cells that nas_train trained by supernets, and searches cells by differentiation."};
  app.add_option("--table", wanted.table, "nas_cells.csv of nas_train, whole or not: ranks its cells by supernets");
  app.add_flag("--differentiable", wanted.differentiable, "searches by DARTS and DrNAS, with and without TSE");
  const auto at_least = [&](const char* name, int& number, int least, int most, const char* help) {
    app.add_option(name, number, help)->check(CLI::Range(least, most))->capture_default_str();
  };
  at_least("--epochs", wanted.epochs, 1, 10'000, "of a supernet's training");
  app.add_option("--rate", wanted.rate, "of a supernet's training, at its start")
      ->check(CLI::Range(1e-6, 10.0))
      ->capture_default_str();
  at_least("--images", wanted.images, 128, static_cast<int>(nas::training_images), "to train on");
  at_least("--cells", wanted.cells, 3, 1'000'000, "of the table to rank, the first ones");
  at_least("--batches", wanted.batches, 1, 100'000, "minibatches of 64 to score a sub-network by TSE");
  at_least("--resamples", wanted.resamples, 1, 1'000'000, "of the bootstrap");
  at_least("--search-epochs", wanted.search_epochs, 1, 10'000, "of a differentiable search, in each stage");
  at_least("--final-epochs", wanted.final_epochs, 1, 10'000, "of the training of a cell that was found");
  at_least("--group", wanted.group, 1, 100'000, "steps of a rollout; the authors take 100 of 391 an epoch");
  app.add_option("--seed", wanted.seed, "of weights, paths and the order of images")->capture_default_str();
  app.add_option("--data", wanted.data, "folder of Fashion-MNIST")->capture_default_str();
  CLI11_PARSE(app, count, arguments);
  if (wanted.table.empty() && !wanted.differentiable) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  const images data(wanted);
  if (!wanted.table.empty()) rank(wanted, data);
  if (wanted.differentiable) differentiable(wanted, data);
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
