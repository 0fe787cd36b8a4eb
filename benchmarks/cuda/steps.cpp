// Times of training steps on a GPU: with the vendor's libraries and without, recorded and command by command. 77 where
// there is no device.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <vector>

#include <vivace/exec/cuda.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../../tests/cuda/device/networks.hpp"

namespace {

namespace vv = vivace;
using clock_type = std::chrono::steady_clock;

/// Microseconds of a step: the median of rounds.
template <class Net, class... Policies>
double microseconds(const Policies&... policies) {
  vv::trainer trainer{Net{}, vv::batch<Net::batch>, vv::adam{.rate = 1e-4}, policies...};
  const device::batch_of<Net, float> data(Net::batch);
  const auto step = [&] {
    trainer.step({.features = data.features.data(), .labels = data.labels.data(), .size = Net::batch});
  };
  for (int warm_up = 0; warm_up < 10; ++warm_up) step();
  constexpr int rounds = 11, steps = 50;
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const clock_type::time_point start = clock_type::now();
    for (int i = 0; i < steps; ++i) step();
    times.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - start).count() / steps);
  }
  std::sort(times.begin(), times.end());
  return times[rounds / 2];
}

template <class Net>
void measure() {
  std::printf("%-22s %6d", Net::name, Net::batch);
  for (const bool libraries : {true, false})
    for (const bool captures : {true, false})
      std::printf(" %12.1f", microseconds<Net>(vv::cuda{.libraries = libraries, .captures = captures}));
  std::printf(" %12.1f\n", microseconds<Net>(vv::cuda{}, vv::tf32{}));
  std::fflush(stdout);
}

}  // namespace

int main() try {
  if (!vv::cuda_available()) {
    std::puts("There is no CUDA device, or no driver for it: nothing is measured.");
    return 77;
  }
  std::puts("Microseconds of a training step (Adam), the batch copied to the device and the loss brought back each time");
  std::printf("%-22s %6s %25s %25s %12s\n", "", "", "libraries, f32", "own kernels, f32", "libr., tf32");
  std::printf("%-22s %6s %12s %12s %12s %12s %12s\n", "network", "batch", "recorded", "by command", "recorded",
              "by command", "recorded");
  measure<device::mlp>();
  measure<device::lenet>();
  measure<device::resnet>();
  measure<device::gpt>();
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
