// Searches the cell space of NAS-Bench-201 on Fashion-MNIST: evolution that scores its candidates by their training
// speed, against the same evolution with the validation error as its score, and against random search, all at the same
// cost. The best candidate so far of each search is then trained further and tested: a table and a plot of test
// accuracy over spent epochs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/data/shapes.hpp>
#include <vivace/io/chart.hpp>
#include <vivace/search.hpp>
#include <vivace/vivace.hpp>

namespace {

namespace vv = vivace;

/// Narrow, so that a candidate takes a second: one cell a stage, 4 channels in the first, 14 x 14 pixels.
using space = vv::search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, vv::search::cell_skeleton{4, 1, 2}>;

struct options {
  std::string data = "/usr/share/datasets/fashion-mnist", out = "search_out";
  int queries = 60, epochs = 2, final_epochs = 12, seeds = 3, images = 1600, threads = 2;
  bool every = false;
};

struct samples {
  vv::data::dataset train, validation, test;
};

samples load(const options& wanted) {
  const auto all = wanted.data == "shapes" ? vv::data::rendered_shapes(wanted.images + 500, 1000, 1)
                                           : vv::data::fashion_mnist(wanted.data);
  std::vector<std::uint32_t> held_out;
  const auto count = static_cast<std::uint32_t>((std::min)(std::int64_t{wanted.images}, all.train.size() - 500));
  for (std::uint32_t i = 0; i < 500; ++i) held_out.push_back(count + i);
  return {all.train.take(count), all.train.subset(held_out), all.test};
}

/// What every training here has in common; the schedule does not know that a query stops early.
const vv::sgd_momentum optimiser{.rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};

double test_accuracy(const vv::search::architecture& of, const samples& data, const options& wanted) {
  vv::trainer trainer{vv::search::network<space>{of}, vv::batch<64>, optimiser,
                      vv::cosine{.epochs = static_cast<double>(wanted.final_epochs)}, vv::seed{1}};
  try {
    trainer.fit(data.train, vv::epochs{wanted.final_epochs});
    return trainer.evaluate(data.test).accuracy;
  } catch (const vv::divergence_error&) {
    return 0;
  }
}

/// One kind of search: its name, and its result for each seed. The first two are evolutions.
struct contestant {
  const char* name;
  std::vector<vv::search::result> runs{};
};

/// The architecture with the best score among the first `count` results: what the search would have returned then.
const vv::search::architecture& incumbent(const vv::search::result& of, std::size_t count) {
  const auto known = std::span(of.history).first(count);
  return known[static_cast<std::size_t>(vv::search::best_of(known))].of;
}

std::vector<contestant> search_all(const samples& data, const options& wanted) {
  std::vector<contestant> all{{"by TSE-EMA"}, {"by validation"}, {"at random"}};
  const vv::budget limit{.epochs = wanted.epochs, .queries = wanted.queries};
  const vv::search::regularised_evolution<space> evolution{.population = 20, .draws = 5};
  const vv::search::random_search<space> chance{};
  for (int repeat = 0; repeat < wanted.seeds; ++repeat) {
    // The same start for all: the first ten architectures.
    std::vector<vv::search::architecture> points;
    for (std::uint32_t i = 0; i < 10; ++i)
      points.push_back(vv::search::sample<space>({static_cast<std::uint64_t>(repeat), 10, i}));
    const auto run = [&](contestant& to, const auto& how, const auto& score) {
      std::fprintf(stderr, "%s, seed %d\n", to.name, repeat);
      to.runs.push_back(how(data.train, score, limit, vv::batch<64>, optimiser,
                            vv::cosine{.epochs = static_cast<double>(wanted.final_epochs)},
                            vv::validation{data.validation}, vv::tbb{.threads = wanted.threads},
                            vv::seed{static_cast<unsigned long long>(repeat)}, vv::search::initial{points},
                            vv::search::live_table{}));
    };
    run(all[0], evolution, vv::tse_ema{.gamma = 0.999});
    run(all[1], evolution, vv::search::validation_error{});
    run(all[2], chance, vv::tse_ema{.gamma = 0.999});
  }
  return all;
}

/// Test accuracy of every architecture that was the best of a search for a while, or of all that were asked for, by its
/// number in the space.
std::map<std::uint64_t, double> test_candidates(const std::vector<contestant>& all, const samples& data,
                                                const options& wanted) {
  std::map<std::uint64_t, double> accuracy;
  for (const contestant& one : all)
    for (const auto& run : one.runs)
      for (std::size_t count = 1; count <= run.history.size(); ++count)
        accuracy[vv::search::index_of<space>(wanted.every ? run.history[count - 1].of : incumbent(run, count))] = 0;
  std::vector<std::pair<const std::uint64_t, double>*> open;
  for (auto& entry : accuracy) open.push_back(&entry);
  std::fprintf(stderr, "training %zu candidates for %d epochs\n", open.size(), wanted.final_epochs);
  vv::tbb::executor executor(vv::tbb{.threads = wanted.threads});
  executor.lanes()(static_cast<std::int64_t>(open.size()), [&](std::int64_t i) {
    auto& [index, result] = *open[static_cast<std::size_t>(i)];
    result = test_accuracy(vv::search::at<space>(index), data, wanted);
  });
  return accuracy;
}

/// Prints a table of test accuracies over spent epochs and writes its plot.
/// @param found the accuracy that counts for a search after so many results
template <class Found>
void report_as(const char* title, const char* name, const std::vector<contestant>& all, const options& wanted,
               const Found& found) {
  std::vector<vv::io::chart_series> lines;
  std::printf("%-24s %14s %14s %14s   %s, mean and standard error of %d seeds\n", "spent epochs", "a third",
              "two thirds", "all", title, wanted.seeds);
  for (const contestant& one : all) {
    const std::size_t queries = one.runs.front().history.size();
    vv::io::chart_series line{.name = one.name, .points = {}, .colour = static_cast<int>(lines.size())};
    std::printf("%-24s", one.name);
    for (std::size_t count = 1; count <= queries; ++count) {
      double sum = 0, squares = 0;
      for (const auto& run : one.runs) {
        const double now = found(run, count);
        sum += now;
        squares += now * now;
      }
      const auto seeds = static_cast<double>(one.runs.size());
      const double mean = sum / seeds;
      const double spread = seeds > 1 ? std::sqrt((std::max)(0.0, squares / seeds - mean * mean) / (seeds - 1)) : 0;
      line.points.push_back({static_cast<double>(count) * wanted.epochs, mean});
      if (count == queries / 3 || count == 2 * queries / 3 || count == queries)
        std::printf("  %6.2f +- %.2f", 100 * mean, 100 * spread);
    }
    std::printf("\n");
    lines.push_back(std::move(line));
  }
  const std::string path = wanted.out + '/' + name;
  const std::string plot =
      vv::io::svg_file(vv::io::line_chart({.x_name = "spent epochs", .y_name = title, .percent = true}, lines));
  vv::io::atomic_file file(path);
  file.write(plot.data(), plot.size());
  file.commit();
  std::printf("plot: %s\n", path.c_str());
}

void report(const std::vector<contestant>& all, const std::map<std::uint64_t, double>& accuracy,
            const options& wanted) {
  using run = vv::search::result;
  const auto accuracy_of = [&](const vv::search::architecture& of) {
    return accuracy.at(vv::search::index_of<space>(of));
  };
  report_as("test accuracy of the best by score", "search.svg", all, wanted,
            [&](const run& of, std::size_t count) { return accuracy_of(incumbent(of, count)); });
  if (wanted.every)
    report_as("highest test accuracy of all asked for", "search_every.svg", all, wanted,
              [&](const run& of, std::size_t count) {
                double best = 0;
                for (std::size_t i = 0; i < count; ++i) best = (std::max)(best, accuracy_of(of.history[i].of));
                return best;
              });
  std::printf("best of the first search: %s\n", vv::search::text<space>(all.front().runs.front().best).c_str());
}

}  // namespace

int main(int count, char** arguments) try {
  options wanted;
  CLI::App app{"Searches a space of cells on Fashion-MNIST: training speed against validation and chance."};
  app.add_option("--queries", wanted.queries, "candidates of a search, after the ten it starts from")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--epochs", wanted.epochs, "of a query")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--final-epochs", wanted.final_epochs, "of those that are tested")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seeds", wanted.seeds, "repetitions")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--images", wanted.images, "to train on")->check(CLI::Range(64, 59'500))->capture_default_str();
  app.add_option("--threads", wanted.threads, "candidates at once")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_flag("--every", wanted.every,
               "trains every candidate to the end, not only those that were the best by score for a while, and also "
               "reports the best that each search had asked for");
  app.add_option("--data", wanted.data, "folder of Fashion-MNIST, or 'shapes' for a set that is made up here")
      ->capture_default_str();
  app.add_option("--out", wanted.out, "folder of the plot")->capture_default_str();
  CLI11_PARSE(app, count, arguments);
  const auto start = std::chrono::steady_clock::now();
  const samples data = load(wanted);
  std::filesystem::create_directories(wanted.out);
  const auto all = search_all(data, wanted);
  report(all, test_candidates(all, data, wanted), wanted);
  std::printf("%.0f seconds\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
