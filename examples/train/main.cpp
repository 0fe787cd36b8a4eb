// Trains a network on Fashion-MNIST: the main job of the library, as a program. See --help.
#include <csignal>
#include <cstdio>

#include <vivace/core/errors.hpp>

#include "options.hpp"
#include "outcome.hpp"

void train_mlp(const options& wanted, const samples& data);
void train_lenet(const options& wanted, const samples& data);
void train_resnet(const options& wanted, const samples& data);

int main(int count, char** arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is then an error like others
  int status = 0;
  try {
    const auto wanted = parse(count, arguments, status);
    if (!wanted) return status;
    const samples data = load(*wanted);
    const auto train = wanted->network == "mlp" ? train_mlp : wanted->network == "lenet" ? train_lenet : train_resnet;
    train(*wanted, data);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
  return 0;
}
