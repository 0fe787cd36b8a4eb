// Training steps of one network, timed alone or, with --serve, on command, so that a driver can let peers take turns.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <utility>

#include "serve.hpp"
#include "stepper.hpp"

namespace {

constexpr const char* help =
    "usage: step_times --network tiny|mlp|lenet5|lenet|resnet20|gpt [--optimiser sgd|momentum|adam] [--batch N]\n"
    "                  [--precision f32|tf32|bf16] [--rate R] [--threads N] [--rounds N] [--seconds S] [--write FILE]\n"
    "                  [--serve]\n"
    "Prints one line of JSON: seconds of a step in each of N rounds of about S seconds.\n"
    "--write puts start values and the batch into a safetensors file; --serve takes commands (see serve.hpp).\n";

peers::made make(const peers::settings& with) {
  using maker = peers::made (*)(const peers::settings&);
  constexpr std::pair<const char*, maker> networks[] = {
      {"tiny", peers::make_tiny},   {"mlp", peers::make_mlp},           {"lenet5", peers::make_lenet5},
      {"lenet", peers::make_lenet}, {"resnet20", peers::make_resnet20}, {"gpt", peers::make_gpt}};
  for (const auto& [name, from] : networks)
    if (with.network == name) return from(with);
  return nullptr;
}

struct arguments {
  peers::settings with;
  int rounds = 20;
  double seconds = 0.05;
  const char* file = nullptr;
  bool serve = false;
};

/// False if it makes no sense.
bool read(arguments& to, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--serve") {
      to.serve = true;
      continue;
    }
    const char* const value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) return false;
    if (option == "--network")
      to.with.network = value;
    else if (option == "--optimiser")
      to.with.optimiser = value;
    else if (option == "--precision")
      to.with.precision = value;
    else if (option == "--batch")
      to.with.batch = std::atoi(value);
    else if (option == "--threads")
      to.with.threads = std::atoi(value);
    else if (option == "--rate")
      to.with.rate = std::atof(value);
    else if (option == "--rounds")
      to.rounds = std::atoi(value);
    else if (option == "--seconds")
      to.seconds = std::atof(value);
    else if (option == "--write")
      to.file = value;
    else
      return false;
  }
  return true;
}

/// The work of a step, and what the machine can do at most; a GPU's limits are the driver's to measure.
void print_limits(const peers::stepper& network) {
  const vivace::cost work = network.work();
  std::printf("{\"flops\": %lld, \"bytes\": %lld", static_cast<long long>(work.flops),
              static_cast<long long>(work.bytes));
  if constexpr (!peers::on_gpu)
    std::printf(", \"peak\": %.6g, \"bandwidth\": %.6g", vivace::interop::measured_flops(network.lanes()),
                vivace::interop::measured_bandwidth(network.lanes(), work.bytes));
  std::puts("}");
}

void print_times(peers::stepper& network, const arguments& given) {
  using clock = std::chrono::steady_clock;
  double of_step = 0;
  const auto run = [&](int steps) {
    const clock::time_point start = clock::now();
    for (int i = 0; i < steps; ++i) (void)network.step();
    return of_step = std::chrono::duration<double>(clock::now() - start).count() / steps;
  };
  run(1);
  run(3);
  const peers::settings& with = given.with;
  std::printf("{\"network\": \"%s\", \"optimiser\": \"%s\", \"precision\": \"%s\", ", with.network.c_str(),
              with.optimiser.c_str(), with.precision.c_str());
  std::printf("\"batch\": %d, \"threads\": %d, \"seconds\": [", with.batch, with.threads);
  for (int round = 0; round < given.rounds; ++round)
    std::printf(round == 0 ? "%.9g" : ", %.9g", run((std::max)(1, static_cast<int>(given.seconds / of_step))));
  std::printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) try {
  arguments given;
  if (!read(given, argc, argv)) return std::fputs(help, stderr), 2;
  if (!peers::available()) {
    std::fputs("There is no CUDA device, or no driver for it: nothing is measured.\n", stderr);
    return 77;
  }
  const peers::made network = make(given.with);
  if (network == nullptr) {
    std::fprintf(stderr, "step_times: no %s with %s at batch %d in %s is measured\n", given.with.network.c_str(),
                 given.with.optimiser.c_str(), given.with.batch, given.with.precision.c_str());
    return 2;
  }
  if (given.file != nullptr) network->write(given.file);
  if (given.serve)
    return peers::serve([&] { network->restart(); }, [&] { return network->step(); }, [&] { print_limits(*network); });
  print_times(*network, given);
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
