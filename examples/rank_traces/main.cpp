// Ranks networks by estimates of their training speed, and says how well that predicts their final quality. See --help.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vivace/core/errors.hpp>
#include <vivace/estimate.hpp>
#include <vivace/io/file.hpp>

#include "candidates.hpp"

namespace vv = vivace;

namespace {

struct options {
  input_options input;
  bool high_is_better = false;
  std::vector<int> budgets = {1, 2, 5, 10, 20, 50};
  bool json = false;
  std::string json_file;  // empty: standard output
};

/// Returns false if there is nothing to do, with the status to exit with.
bool parse(int count, char** arguments, options& wanted, int& status) {
  CLI::App app{
      "Ranks networks by the losses of their first epochs, and correlates that with their final quality: Spearman's "
      "rho "
      "and Kendall's tau-b, positive where an estimator ranks well."};
  std::string filter = "status=ok", better = "low";
  app.add_option(
      "FILE", wanted.input.files,
      "a table with a row a run and a column an epoch; or traces of the trainer (trace.csv), and a table with "
      "the columns run,target, whose runs are paths of traces or of their folders");
  app.add_option("--train-prefix", wanted.input.training_prefix,
                 "columns of training losses: the prefix, then 1, 2, ...")
      ->capture_default_str();
  app.add_option("--val-prefix", wanted.input.validation_prefix, "columns of validation losses")->capture_default_str();
  app.add_option("--target", wanted.input.target,
                 "column of the final quality [final_test_loss; beside traces, target]");
  app.add_option("--better", better, "which targets are the good ones")
      ->check(CLI::IsMember({"low", "high"}))
      ->capture_default_str();
  const auto* filtered = app.add_option("--filter", filter, "COLUMN=VALUE: only rows with that value; none: all rows")
                             ->capture_default_str();
  app.add_option("--budgets", wanted.budgets, "numbers of epochs")
      ->delimiter(',')
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  const auto* json = app.add_option("--json", wanted.json_file,
                                    "print JSON alone; with a FILE (not *.csv), write it there and print the tables")
                         ->expected(0, 1);
  try {
    app.parse(count, arguments);
    wanted.json = json->count() > 0;
    if (wanted.json_file.ends_with(".csv"))  // `--json FILE` meant as two: a table is never written over
      wanted.input.files.push_back(std::exchange(wanted.json_file, {}));
    if (wanted.input.files.empty()) throw CLI::RequiredError("FILE");
    if (filter != "none") {
      const auto sign = filter.find('=');
      if (sign == std::string::npos || sign == 0)
        throw CLI::ValidationError("--filter", filter + " is neither COLUMN=VALUE nor none");
      wanted.input.filter_column = filter.substr(0, sign);
      wanted.input.filter_value = filter.substr(sign + 1);
    }
    wanted.input.filter_must_exist = filtered->count() > 0;
    wanted.high_is_better = better == "high";
    std::sort(wanted.budgets.begin(), wanted.budgets.end());
    wanted.budgets.erase(std::unique(wanted.budgets.begin(), wanted.budgets.end()), wanted.budgets.end());
    return true;
  } catch (const CLI::ParseError& failure) {
    status = app.exit(failure) == 0 ? 0 : 2;
    return false;
  }
}

struct row {
  std::string estimator;
  int budget;
  double spearman, kendall;
  std::size_t runs;
};

/// The runs that can be compared at a budget: those that have so many epochs, and those that failed before.
bool reaches(const std::vector<double>& losses, int budget) {
  return losses.size() >= static_cast<std::size_t>(budget) || (!losses.empty() && !std::isfinite(vv::tse{}(losses)));
}

template <vv::trace_estimator Estimator>
void rank(const std::string& name, const Estimator& estimator, const std::vector<candidate>& candidates,
          const options& wanted, std::vector<row>& rows) {
  const auto series = Estimator::reads == vv::loss_series::validation ? &candidate::validation : &candidate::training;
  for (const int budget : wanted.budgets) {
    std::vector<std::span<const double>> losses;
    std::vector<double> targets;
    bool trained = false;  // to the budget, by anyone
    for (const candidate& one : candidates) {
      if (!reaches(one.*series, budget)) continue;
      trained = trained || (one.*series).size() >= static_cast<std::size_t>(budget);
      losses.emplace_back(one.*series);
      targets.push_back(wanted.high_is_better ? -one.target : one.target);
    }
    if (!trained || losses.size() < 2) continue;
    const auto scores = vv::scores(estimator, losses, budget);
    rows.push_back({name, budget, vv::spearman{}(scores, targets), vv::kendall{}(scores, targets), losses.size()});
  }
}

std::vector<row> rank_all(const std::vector<candidate>& candidates, const options& wanted) {
  std::vector<row> rows;
  const auto with = [&](const char* name, const auto& estimator) { rank(name, estimator, candidates, wanted, rows); };
  with("tse", vv::tse{});
  with("tse_e1", vv::tse_e{.epochs = 1});
  with("tse_ema_0.9", vv::tse_ema{.gamma = 0.9});
  with("tse_ema_0.999", vv::tse_ema{.gamma = 0.999});
  with("tse_ema_released", vv::tse_ema_released{});
  const auto validated = [](const candidate& one) {
    return std::any_of(one.validation.begin(), one.validation.end(), [](double loss) { return std::isfinite(loss); });
  };
  if (std::any_of(candidates.begin(), candidates.end(), validated)) {
    with("sum_validation_loss", vv::sum_validation_loss{});
    with("early_stop", vv::early_stopped{});
  } else {
    fmt::print(stderr, "There are no validation losses; what needs them is left out.\n");
  }
  return rows;
}

void print_table(const char* title, double row::*statistic, const std::vector<row>& rows, const options& wanted) {
  fmt::print("{:<20}", title);
  for (const int budget : wanted.budgets) fmt::print("{:>9}", budget);
  fmt::print("\n");
  for (std::size_t i = 0; i < rows.size();) {
    const std::string& estimator = rows[i].estimator;
    fmt::print("{:<20}", estimator);
    for (const int budget : wanted.budgets) {
      const bool here = i < rows.size() && rows[i].estimator == estimator && rows[i].budget == budget;
      if (here)
        fmt::print("{:>9.4f}", rows[i++].*statistic);
      else
        fmt::print("{:>9}", "-");
    }
    fmt::print("\n");
  }
  fmt::print("\n");
}

void print_tables(const std::vector<row>& rows, std::size_t runs, const options& wanted) {
  fmt::print("{} runs; columns are budgets in epochs\n\n", runs);
  print_table("Spearman's rho", &row::spearman, rows, wanted);
  print_table("Kendall's tau-b", &row::kendall, rows, wanted);
  for (const row& one : rows)
    if (one.estimator == rows.front().estimator && one.runs < runs)
      fmt::print("{} of the runs have {} epochs; the others are left out there.\n", one.runs, one.budget);
}

std::string json_of(const std::vector<row>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const row& one : rows)
    list.push_back({{"estimator", one.estimator},
                    {"budget", one.budget},
                    {"spearman", one.spearman},  // NaN becomes null
                    {"kendall", one.kendall},
                    {"runs", one.runs}});
  return nlohmann::ordered_json{{"rows", list}}.dump(2) + '\n';
}

void work(const options& wanted) {
  const std::vector<candidate> candidates = read_candidates(wanted.input);
  if (candidates.size() < 2)
    throw vv::file_error("there is nothing to rank", wanted.input.files.front(),
                         fmt::format("{} runs after the filter", candidates.size()), "two or more");
  const std::vector<row> rows = rank_all(candidates, wanted);
  if (rows.empty())
    throw vv::file_error("no budget is available", wanted.input.files.front(), "fewer epochs than the smallest budget",
                         "two runs of that length; --budgets 1,2,... sets others");
  if (wanted.json && wanted.json_file.empty()) {
    fmt::print("{}", json_of(rows));
  } else {
    print_tables(rows, candidates.size(), wanted);
  }
  if (!wanted.json_file.empty()) {
    const std::string text = json_of(rows);
    vv::io::atomic_file file(wanted.json_file);
    file.write(text.data(), text.size());
    file.commit();
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw vv::error("cannot write to standard output");
}

}  // namespace

int main(int count, char** arguments) {
  options wanted;
  int status = 0;
  if (!parse(count, arguments, wanted, status)) return status;
  try {
    work(wanted);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 2;
  }
  return 0;
}
