// How each estimator ranks the trained cells at each budget: Spearman and Kendall correlation with the error on the
// test images after the whole training, with bootstrap intervals, as a table, JSON and a plot. Positive is good.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/estimate.hpp>
#include <vivace/io/chart.hpp>
#include <vivace/io/csv.hpp>
#include <vivace/io/file.hpp>
#include <vivace/search/zero_cost.hpp>

#include "cells.hpp"

namespace {

namespace vv = vivace;

using curves = std::vector<std::vector<double>>;  // of each cell, by epoch

/// The cells that were trained to the end.
struct cell_table {
  curves train, last_batch, validation, accuracy;
  std::vector<double> test_error, parameters;
  std::vector<vv::search::architecture> cells;

  explicit cell_table(const std::string& path) {
    const auto file = vv::io::csv_table::read(path);
    const auto status = file.text("status");
    const auto read = [&](const std::string& prefix) {
      curves result;
      for (int epoch = 1; epoch <= nas::epochs; ++epoch) {
        const auto column = file.numbers(nas::column(prefix, epoch));
        std::size_t kept = 0;
        for (std::size_t i = 0; i < column.size(); ++i) {
          if (status[i] != "ok") continue;
          if (kept == result.size()) result.emplace_back();
          result[kept++].push_back(column[i]);
        }
      }
      return result;
    };
    train = read("train_");
    last_batch = read("last_batch_");
    validation = read("val_");
    accuracy = read("accuracy_");
    const auto test = file.numbers("final_test_accuracy"), size = file.numbers("num_params");
    const auto names = file.text("cell");
    for (std::size_t i = 0; i < test.size(); ++i) {
      if (status[i] != "ok") continue;
      test_error.push_back(1 - test[i]);
      parameters.push_back(-size[i]);
      cells.push_back(nas::space::parse(names[i]));
    }
    if (test_error.size() < 3)
      throw vv::file_error("too few cells to rank", path, std::to_string(test_error.size()) + " trained cells",
                           "at least 3: let nas_train go on");
  }
};

struct estimator {
  const char* name;
  const char* label;  // in the plot; null: not drawn
  std::function<std::vector<double>(const cell_table&, int budget)> scores;
};

template <class Estimator>
std::vector<double> scored(const Estimator& by, const curves& of, int budget) {
  std::vector<double> result;
  for (const auto& curve : of) result.push_back(by(std::vector<double>(curve.begin(), curve.begin() + budget)));
  return result;
}

std::vector<estimator> all_estimators() {
  const auto on_train = [](auto by) {
    return [by](const cell_table& cells, int budget) { return scored(by, cells.train, budget); };
  };
  return {
      {"tse", "TSE", on_train(vv::tse{})},
      {"tse_e1", "TSE-E(1)", on_train(vv::tse_e{.epochs = 1})},
      {"tse_e2", nullptr, on_train(vv::tse_e{.epochs = 2})},
      {"tse_ema_0.9", nullptr, on_train(vv::tse_ema{.gamma = 0.9})},
      {"tse_ema_0.999", nullptr, on_train(vv::tse_ema{.gamma = 0.999})},
      {"tse_ema_released", nullptr, on_train(vv::tse_ema_released{})},
      {"tl_mini", nullptr, [](const cell_table& cells, int t) { return scored(vv::tl_mini{}, cells.last_batch, t); }},
      {"sum_validation_loss", nullptr,
       [](const cell_table& cells, int t) { return scored(vv::sum_validation_loss{}, cells.validation, t); }},
      {"early_stop", nullptr,
       [](const cell_table& cells, int t) { return scored(vv::early_stopped{}, cells.validation, t); }},
      {"early_stop_accuracy", "validation accuracy",
       [](const cell_table& cells, int t) {
         std::vector<double> errors;
         for (const auto& curve : cells.accuracy) errors.push_back(1 - curve[static_cast<std::size_t>(t - 1)]);
         return errors;
       }},
      {"parameters", nullptr, [](const cell_table& cells, int) { return cells.parameters; }}};
}

/// Scores at initialisation on one batch of 64 images, the same at any budget; negated, as a high one is good.
std::vector<estimator> zero_cost_scores(const cell_table& cells, const std::string& folder) {
  vv::data::loader<float> batches(vv::data::fashion_mnist(folder).train.take(nas::training_images), 64, 1);
  batches.start_epoch(0);
  const auto batch = *batches.next();
  std::vector<estimator> result;
  const auto add = [&](const char* name, const auto& score) {
    std::vector<double> values;
    for (const auto& cell : cells.cells) values.push_back(-score(vv::search::network<nas::space>{cell}));
    result.push_back({name, nullptr, [values](const cell_table&, int) { return values; }});
  };
  add("snip", [&](const auto& of) { return vv::search::snip{}(of, batch); });
  add("grad_norm", [&](const auto& of) { return vv::search::grad_norm{}(of, batch); });
  add("grasp", [&](const auto& of) { return vv::search::grasp{}(of, batch); });
  add("fisher", [&](const auto& of) { return vv::search::fisher{}(of, batch); });
  add("synflow", [&](const auto& of) { return vv::search::synflow{}(of); });
  add("jac_cov", [&](const auto& of) { return vv::search::jac_cov{}(of, batch); });
  return result;
}

std::string number_or_null(double number) {
  return std::isfinite(number) ? vv::io::csv_writer::field(number).text() : "null";
}

void write_text(const std::string& path, const std::string& text) {
  vv::io::atomic_file file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace

int main(int count, char** arguments) try {
  std::string path, plot, json, images;
  int resamples = 1000;
  CLI::App app{"Prints how each estimator of training speed ranks the cells that nas_train trained."};
  app.add_option("--table", path, "nas_cells.csv; without it, nothing is ranked");
  app.add_option("--svg", plot, "writes the Spearman correlations over budgets as a plot");
  app.add_option("--json", json, "writes the table as JSON");
  app.add_option("--zero-cost", images, "folder of Fashion-MNIST: ranks by scores of untrained cells, too");
  app.add_option("--resamples", resamples, "of the bootstrap")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  CLI11_PARSE(app, count, arguments);
  if (path.empty()) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  const cell_table cells(path);
  std::printf("%zu cells, test error %.2f %% to %.2f %%\n", cells.test_error.size(),
              100 * *std::min_element(cells.test_error.begin(), cells.test_error.end()),
              100 * *std::max_element(cells.test_error.begin(), cells.test_error.end()));
  const int limit = vv::overfit_limit(cells.train);
  if (limit <= nas::epochs)
    std::printf("training losses fall below 0.1: training-speed scores are meant for %d epochs at most\n", limit);
  const int budgets[] = {1, 2, 3, 5, 8, 10, 12, 15, 20};
  std::string rows;
  std::vector<vv::io::chart_series> lines;
  std::printf("%-20s %6s  %-24s %-24s %-8s %s\n", "estimator", "epochs", "spearman [95 %]", "kendall [95 %]",
              "best 20%", "regret of the best 5");
  auto estimators = all_estimators();
  if (!images.empty())
    for (auto& one : zero_cost_scores(cells, images)) estimators.push_back(std::move(one));
  for (const estimator& by : estimators) {
    vv::io::chart_series line{
        .name = by.label != nullptr ? by.label : "", .points = {}, .colour = static_cast<int>(lines.size())};
    for (const int budget : budgets) {
      const auto scores = by.scores(cells, budget);
      const vv::bootstrap interval{.resamples = resamples, .level = 0.95, .seed = 1};
      const auto rho = interval(vv::spearman{}, scores, cells.test_error);
      const auto tau = interval(vv::kendall{}, scores, cells.test_error);
      const double best = vv::within_best<vv::spearman>{.fraction = 0.2}(scores, cells.test_error);
      const double regret = vv::top_k_regret{.k = 5}(scores, cells.test_error);
      std::printf("%-20s %6d  %6.3f [%6.3f, %6.3f]  %6.3f [%6.3f, %6.3f]  %6.3f    %.2f %%\n", by.name, budget,
                  rho.value, rho.low, rho.high, tau.value, tau.low, tau.high, best, 100 * regret);
      rows += std::string(rows.empty() ? "" : ",\n") + "  {\"estimator\": \"" + by.name +
              "\", \"budget\": " + std::to_string(budget) + ", \"spearman\": " + number_or_null(rho.value) +
              ", \"spearman_low\": " + number_or_null(rho.low) + ", \"spearman_high\": " + number_or_null(rho.high) +
              ", \"kendall\": " + number_or_null(tau.value) + ", \"kendall_low\": " + number_or_null(tau.low) +
              ", \"kendall_high\": " + number_or_null(tau.high) + "}";
      line.points.push_back({static_cast<double>(budget), rho.value});
    }
    if (by.label != nullptr) lines.push_back(std::move(line));
  }
  if (!json.empty()) write_text(json, "{\"rows\": [\n" + rows + "\n]}\n");
  if (!plot.empty())
    write_text(plot,
               vv::io::svg_file(vv::io::line_chart({.x_name = "epochs", .y_name = "Spearman correlation"}, lines)));
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
