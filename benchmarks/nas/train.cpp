// Trains a fixed sample of NAS-Bench-201 cells on Fashion-MNIST and writes their losses and accuracies to a table, one
// row a cell. The table is replaced after each cell; started again with the same options, the program goes on.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include <CLI/CLI.hpp>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/io/csv.hpp>
#include <vivace/train/trainer.hpp>

#include "cells.hpp"

namespace {

namespace vv = vivace;

struct options {
  std::string out;
  std::string data = "/usr/share/datasets/fashion-mnist";
  int cells = 120;
  int threads = 1;
  unsigned seed = 1;
};

using row = std::vector<std::string>;

row header() {
  row names{"number",         "cell",       "arch_key",
            "seed",           "num_params", "status",
            "n_epochs",       "seconds",    "final_test_accuracy",
            "final_test_loss"};
  for (const char* prefix : {"train_", "last_batch_", "val_", "accuracy_"})
    for (int epoch = 1; epoch <= nas::epochs; ++epoch) names.push_back(nas::column(prefix, epoch));
  return names;
}

std::string field(double number) { return vv::io::csv_writer::field(number).text(); }

/// What training needs; shared by all cells.
struct images {
  vv::data::dataset train, validation, test;
  explicit images(const std::string& folder) {
    const auto all = vv::data::fashion_mnist(folder);
    std::vector<std::uint32_t> held_out;
    for (std::int64_t i = 0; i < nas::validation_images; ++i)
      held_out.push_back(static_cast<std::uint32_t>(nas::training_images + i));
    train = all.train.take(nas::training_images);
    validation = all.train.subset(held_out);
    test = all.test;
  }
};

row trained(std::size_t number, const vv::search::architecture& cell, const images& data, unsigned seed) {
  // The benchmark's settings, but for the batch, which suits fewer images.
  vv::trainer trainer{vv::search::network<nas::space>{cell}, vv::batch<128>,
                      vv::sgd_momentum{.rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true},
                      vv::cosine{.epochs = nas::epochs}, vv::seed{seed}};
  std::int64_t parameters = 0;
  for (int p = 0; p < trainer.values().parameter_count(); ++p) parameters += trainer.values().parameter(p).dims.size();
  std::string status = "ok";
  try {
    trainer.fit(data.train, vv::epochs{nas::epochs}, vv::validation{data.validation});
  } catch (const vv::divergence_error&) {
    status = "nan";
  }
  const auto& history = trainer.history();
  const bool whole = status == "ok";
  const double none = std::numeric_limits<double>::quiet_NaN();
  vv::evaluation final;
  final.loss = none;
  if (whole) final = trainer.evaluate(data.test);
  row result{std::to_string(number),
             nas::space::text(cell),
             nas::space::key(cell),
             std::to_string(seed),
             std::to_string(parameters),
             status,
             std::to_string(history.epochs.size()),
             field(history.seconds()),
             field(final.accuracy),
             field(final.loss)};
  std::vector<double> last(nas::epochs, none);
  for (const auto& one : history.batches) last[static_cast<std::size_t>(one.epoch)] = one.loss;
  const auto add = [&](auto value_of) {
    for (std::size_t i = 0; i < nas::epochs; ++i)
      result.push_back(field(i < history.epochs.size() ? value_of(history.epochs[i], i) : none));
  };
  add([](const vv::epoch_record& one, std::size_t) { return one.train_loss; });
  add([&](const vv::epoch_record&, std::size_t i) { return last[i]; });
  add([](const vv::epoch_record& one, std::size_t) { return one.val_loss; });
  add([](const vv::epoch_record& one, std::size_t) { return one.val_accuracy; });
  return result;
}

/// The rows of the table by their number.
class table {
 public:
  table(std::string path, const std::vector<vv::search::architecture>& cells, unsigned seed) : path_(std::move(path)) {
    if (!std::filesystem::exists(path_)) return;
    const auto file = vv::io::csv_table::read(path_);
    const row names = header();
    std::vector<row> columns;
    for (const std::string& name : names) columns.push_back(file.text(name));
    for (std::size_t i = 0; i < file.rows(); ++i) {
      row one;
      for (const row& column : columns) one.push_back(column[i]);
      const auto number = static_cast<std::size_t>(std::stoul(one[0]));
      if (number < cells.size() && (one[1] != nas::space::text(cells[number]) || one[3] != std::to_string(seed)))
        throw vv::file_error("the table is of another sample or seed", path_, "row " + one[0] + ": " + one[1],
                             "the table of an earlier run with the same --seed, or no table");
      rows_[number] = std::move(one);
    }
  }
  [[nodiscard]] bool has(std::size_t number) const { return rows_.count(number) > 0; }
  void add(row one) {
    rows_[static_cast<std::size_t>(std::stoul(one[0]))] = std::move(one);
    std::string text = line(header());
    for (const auto& [number, entry] : rows_) text += line(entry);
    vv::io::atomic_file file(path_);
    file.write(text.data(), text.size());
    file.commit();
  }

 private:
  static std::string line(const row& fields) {
    std::string result;
    for (const std::string& one : fields) result += (result.empty() ? "" : ",") + vv::io::csv_writer::field(one).text();
    return result + '\n';
  }
  std::string path_;
  std::map<std::size_t, row> rows_;
};

void run(const options& wanted) {
  const images data(wanted.data);
  const auto cells = nas::sampled_cells(static_cast<std::size_t>(wanted.cells));
  std::filesystem::create_directories(wanted.out);
  table results(wanted.out + "/nas_cells.csv", cells, wanted.seed);
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (!results.has(i)) open.push_back(i);
  std::printf("%zu of %zu cells to train\n", open.size(), cells.size());
  std::atomic<std::size_t> next{0};
  std::mutex turn;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < open.size(); i = next++) {
        row one = trained(open[i], cells[open[i]], data, wanted.seed);
        const std::lock_guard lock(turn);
        std::printf("%4s  %-72s %6.2f %%  %5.1f s\n", one[0].c_str(), one[1].c_str(), 100 * std::stod(one[8]),
                    std::stod(one[7]));
        std::fflush(stdout);
        results.add(std::move(one));
      }
    } catch (...) {
      const std::lock_guard lock(turn);
      failure = std::current_exception();
      next = open.size();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int i = 1; i < wanted.threads; ++i) workers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

int main(int count, char** arguments) try {
  options wanted;
  CLI::App app{"Trains a fixed sample of NAS-Bench-201 cells on Fashion-MNIST to the end; resumable."};
  app.add_option("--out", wanted.out, "folder of the table nas_cells.csv; without it, nothing is trained");
  app.add_option("--cells", wanted.cells, "cells of the sample")->check(CLI::Range(1, 6000))->capture_default_str();
  app.add_option("--threads", wanted.threads, "cells trained at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--seed", wanted.seed, "of weights and of the order of images")->capture_default_str();
  app.add_option("--data", wanted.data, "folder of Fashion-MNIST")->capture_default_str();
  CLI11_PARSE(app, count, arguments);
  if (wanted.out.empty())
    std::fputs(app.help().c_str(), stdout);
  else
    run(wanted);
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
