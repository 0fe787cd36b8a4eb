#include "options.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <vivace/io/file.hpp>

namespace {

std::string positive(const std::string& text) {
  double number = 0;
  if (!CLI::detail::lexical_cast(text, number) || !std::isfinite(number) || number <= 0)
    return text + " is not a number above zero";
  return {};
}

std::string not_negative(const std::string& text) {  // an unsigned option would take -1 for its largest number
  return text.find('-') == std::string::npos ? std::string{} : text + " is below zero";
}

std::string has_device([[maybe_unused]] const std::string& text) {
#if !defined(TRAIN_ON_CUDA)
  if (text == "cuda") return "this program was built without CUDA (CMake: -DVIVACE_CUDA=ON)";
#endif
  return {};
}

/// Opens the file as it will be written, and leaves it as it was.
void expect_writable(const char* option, const std::string& path) {
  try {
    const vivace::io::atomic_file probe(path);
  } catch (const vivace::file_error& failure) {
    throw CLI::ValidationError(option, failure.what());
  }
}

void prepare_results(const options& wanted) {
  std::error_code failure;
  std::filesystem::create_directories(wanted.out, failure);
  if (failure) throw CLI::ValidationError("--out", "cannot make the folder " + wanted.out + ": " + failure.message());
  expect_writable("--out", wanted.out + "/trace.csv");
  if (!wanted.json.empty()) expect_writable("--json", wanted.json);
}

}  // namespace

std::optional<options> parse(int count, char** arguments, int& status) {
  options wanted;
  CLI::App app{
      "Trains a network that was composed at compile time on Fashion-MNIST, and writes a checkpoint after each epoch, "
      "the losses and a report."};
  app.add_option("--network", wanted.network, "which network")
      ->check(CLI::IsMember({"mlp", "lenet", "resnet"}))
      ->capture_default_str();
  app.add_option("--epochs", wanted.epochs, "passes over the training set")->check(CLI::Range(1, 100'000));
  app.add_option("--batch", wanted.batch, "samples of a step")->check(CLI::Range(1, batch_limit));
  app.add_option("--rate", wanted.rate, "learning rate at its highest")->check(CLI::Validator(positive, "NUMBER > 0"));
  app.add_option("--device", wanted.device, "what trains: the CPU, or a GPU by CUDA")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->check(CLI::Validator(has_device, ""))
      ->capture_default_str();
  app.add_option("--threads", wanted.threads, "threads of the CPU at work; 0: as many as the machine has")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--seed", wanted.seed, "of all that is random")
      ->check(CLI::Validator(not_negative, ""))
      ->capture_default_str();
  app.add_option("--samples", wanted.samples, "train on the first so many images only")->check(CLI::Range(1, 60'000));
  app.add_option("--data", wanted.data, "folder of Fashion-MNIST, or 'shapes' for a set that is made up here");
  app.add_option("--out", wanted.out, "folder for checkpoint, losses and report")->capture_default_str();
  app.add_option("--json", wanted.json, "file for the results in figures");
  app.add_flag("--resume", wanted.resume, "go on from the checkpoint in the folder of --out");
  try {
    app.parse(count, arguments);
    prepare_results(wanted);
  } catch (const CLI::ParseError& failure) {
    status = app.exit(failure) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return wanted;
}
