#include "outcome.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <vivace/data/fashion_mnist.hpp>
#include <vivace/data/shapes.hpp>
#include <vivace/estimate/tse.hpp>

namespace vv = vivace;

samples load(const options& wanted) {
  const std::string folder = wanted.data.value_or("/usr/share/datasets/fashion-mnist");
  const bool installed = ::access((folder + "/train-images-idx3-ubyte.gz").c_str(), F_OK) == 0;
  if (folder != "shapes" && (wanted.data || installed)) {
    const auto all = vv::data::fashion_mnist(folder);
    const auto count = wanted.samples.value_or(all.train.size());
    return {"Fashion-MNIST", count < all.train.size() ? all.train.take(count) : all.train, all.test};
  }
  if (!wanted.data) fmt::print("Fashion-MNIST is not installed (package dataset-fashion-mnist).\n");
  const auto made_up = vv::data::rendered_shapes(wanted.samples.value_or(60'000), 10'000, 1);
  return {"made-up shapes, a stand-in for Fashion-MNIST", made_up.train, made_up.test};
}

namespace {

std::int64_t samples_seen(const vv::trace& trace) {
  std::int64_t total = 0;
  for (const vv::batch_record& one : trace.batches) total += one.size;
  return total;
}

double samples_per_second(const vv::trace& trace) {
  return trace.seconds() > 0 ? static_cast<double>(samples_seen(trace)) / trace.seconds() : 0;
}

vv::io::training_report report_of(const samples& data, const outcome& result) {
  vv::io::training_report report;
  report.title = result.network + " on " + data.name;
  report.remark =
      fmt::format("Trained on {} images, judged by {} others after each epoch.", data.train.size(), data.test.size());
  report.highlights = {
      {"test accuracy", fmt::format("{:.2f} %", 100 * result.test.accuracy)},
      {"test loss", fmt::format("{:.4f}", result.test.loss)},
      {"training time", fmt::format("{:.1f} s", result.trace.seconds())},
      {"samples/s", fmt::format("{:.0f}", samples_per_second(result.trace))},
      {"parameters", std::to_string(result.parameters)},
      {"memory of a step", fmt::format("{:.1f} MiB", static_cast<double>(result.arena_bytes) / vv::MiB)}};
  std::vector<int> batches(result.trace.size(), 0);
  for (const vv::batch_record& one : result.trace.batches) ++batches[static_cast<std::size_t>(one.epoch)];
  for (const vv::batch_record& one : result.trace.batches)
    report.batch_losses.push_back(
        {one.epoch + static_cast<double>(one.batch) / batches[static_cast<std::size_t>(one.epoch)], one.loss});
  report.held_out = "test";
  for (const vv::epoch_record& one : result.trace.epochs) {
    report.epoch_losses.push_back(one.train_loss);
    report.held_out_losses.push_back(one.val_loss);
    report.held_out_accuracies.push_back(one.val_accuracy);
  }
  report.class_names.assign(data.test.class_names().begin(), data.test.class_names().end());
  report.confusion = result.test.confusion;
  report.architecture = result.architecture;
  report.settings = result.settings;
  return report;
}

void write_json(const std::string& path, const outcome& result) {
  const nlohmann::ordered_json figures = {{"network", result.network},
                                          {"test_accuracy", result.test.accuracy},
                                          {"epochs", result.trace.size()},
                                          {"seconds", result.trace.seconds()},
                                          {"samples_per_second", samples_per_second(result.trace)},
                                          {"parameters", result.parameters},
                                          {"arena_bytes", result.arena_bytes},
                                          {"trace", std::vector<double>(result.trace.begin(), result.trace.end())}};
  const std::string text = figures.dump(2) + '\n';
  vv::io::atomic_file file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace

void finish(const options& wanted, const samples& data, const outcome& result) {
  vv::io::write_report(wanted.out + "/report.html", report_of(data, result));
  if (!wanted.json.empty()) write_json(wanted.json, result);
  fmt::print("test accuracy {:.2f} % of {} images, loss {:.4f}; training {:.1f} s, {:.0f} samples/s; TSE {:.3f}\n",
             100 * result.test.accuracy, result.test.samples, result.test.loss, result.trace.seconds(),
             samples_per_second(result.trace), vv::tse{}(result.trace));
  fmt::print("{0}/report.html, {0}/trace.csv, {0}/checkpoint.safetensors\n", wanted.out);
}
