// Training steps of one network, timed alone or, with --serve, on command, so that a driver can let peers take turns.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "serve.hpp"
#include "stepper.hpp"

namespace {

constexpr const char* help =
    "usage: step_times --network tiny|mlp|lenet5|lenet|resnet20|gpt [--optimiser sgd|momentum|adam] [--batch N]\n"
    "                  [--rate R] [--threads N] [--rounds N] [--seconds S] [--write FILE] [--serve]\n"
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

}  // namespace

int main(int argc, char** argv) {
  peers::settings with;
  int rounds = 20;
  double seconds = 0.05;
  const char* file = nullptr;
  bool serve = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--serve") {
      serve = true;
      continue;
    }
    const char* const value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) return std::fputs(help, stderr), 2;
    if (option == "--network")
      with.network = value;
    else if (option == "--optimiser")
      with.optimiser = value;
    else if (option == "--batch")
      with.batch = std::atoi(value);
    else if (option == "--threads")
      with.threads = std::atoi(value);
    else if (option == "--rate")
      with.rate = std::atof(value);
    else if (option == "--rounds")
      rounds = std::atoi(value);
    else if (option == "--seconds")
      seconds = std::atof(value);
    else if (option == "--write")
      file = value;
    else
      return std::fputs(help, stderr), 2;
  }
  const peers::made network = make(with);
  if (network == nullptr) {
    std::fprintf(stderr, "step_times: no %s with %s at batch %d is measured\n", with.network.c_str(),
                 with.optimiser.c_str(), with.batch);
    return 2;
  }
  if (file != nullptr) network->write(file);
  const auto limits = [&] {
    const vivace::cost work = network->work();
    std::printf("{\"peak\": %.6g, \"bandwidth\": %.6g, \"flops\": %lld, \"bytes\": %lld}\n",
                vivace::interop::measured_flops(network->lanes()),
                vivace::interop::measured_bandwidth(network->lanes(), work.bytes), static_cast<long long>(work.flops),
                static_cast<long long>(work.bytes));
  };
  if (serve) return peers::serve([&] { network->restart(); }, [&] { return network->step(); }, limits);

  using clock = std::chrono::steady_clock;
  double of_step = 0;
  const auto run = [&](int steps) {
    const clock::time_point start = clock::now();
    for (int i = 0; i < steps; ++i) (void)network->step();
    return of_step = std::chrono::duration<double>(clock::now() - start).count() / steps;
  };
  run(1);
  run(3);
  std::printf("{\"network\": \"%s\", \"optimiser\": \"%s\", \"batch\": %d, \"threads\": %d, \"seconds\": [",
              with.network.c_str(), with.optimiser.c_str(), with.batch, with.threads);
  for (int round = 0; round < rounds; ++round)
    std::printf(round == 0 ? "%.9g" : ", %.9g", run((std::max)(1, static_cast<int>(seconds / of_step))));
  std::printf("]}\n");
}
