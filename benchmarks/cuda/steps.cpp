// Times of training steps on a GPU: with the vendor's libraries and without, recorded side by side, recorded in order
// and command by command, and in fit(); how many problems the libraries took. 77 where there is no device.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include <vivace/exec/cuda.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../../tests/cuda/device/networks.hpp"

namespace {

namespace vv = vivace;
using clock_type = std::chrono::steady_clock;

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}
double microseconds_since(clock_type::time_point start) {
  return std::chrono::duration<double, std::micro>(clock_type::now() - start).count();
}

/// A trainer of a network, and the times of its steps.
template <class Net, class... Policies>
class variant {
 public:
  explicit variant(const Policies&... policies)
      : trainer_{Net::graph, vv::batch<Net::batch>, vv::adam{.rate = 1e-4}, policies...}, data_(Net::batch) {
    const clock_type::time_point start = clock_type::now();
    while (microseconds_since(start) < 0.5e6) step();  // clocks rise, steps are recorded
  }
  void measure() {
    constexpr int steps = 50;
    const clock_type::time_point start = clock_type::now();
    for (int i = 0; i < steps; ++i) step();
    times_.push_back(microseconds_since(start) / steps);
  }
  [[nodiscard]] double step_time() const { return median(times_); }
  /// Of a step inside of fit(), which starts the next one before it reads the loss: the median of epochs.
  [[nodiscard]] double fit_time() {
    constexpr int batches = 50, epochs = 12;
    const device::batch_of<Net, float> samples(Net::batch * batches, 2);
    const auto data = vv::data::dataset::own(samples.features, Net::sample, samples.labels, Net::classes);
    const vv::trace trace = trainer_.fit(data, vv::epochs{epochs});
    std::vector<double> times;
    for (const vv::epoch_record& epoch : trace.epochs)
      if (epoch.epoch > 0) times.push_back(epoch.seconds * 1e6 / batches);
    return median(times);
  }
  /// How many problems libraries took, and how many they refused.
  [[nodiscard]] std::pair<int, int> problems() {
    const auto& on = dynamic_cast<const vv::gpu::cuda_device<float>&>(*trainer_.engine().setup().device);
    return {on.taken_by_libraries(), on.refused_by_libraries()};
  }

 private:
  void step() {
    trainer_.step({.features = data_.features.data(),
                   .labels = data_.labels.data(),
                   .targets = data_.features.data(),  // of a regressor: any numbers
                   .size = Net::batch});
  }
  // A definition, planned when the program starts: a device interprets programs either way.
  decltype(vv::trainer{Net::graph, vv::batch<Net::batch>, vv::adam{}, Policies{}...}) trainer_;
  device::batch_of<Net, float> data_;
  std::vector<double> times_;
};

/// One after another in each round, so that what changes with time meets all of them.
template <class Net>
void measure() {
  variant<Net, vv::cuda> recorded{vv::cuda{}}, in_order{vv::cuda{.overlaps = false}};
  variant<Net, vv::cuda> by_command{vv::cuda{.captures = false}}, own{vv::cuda{.libraries = false}};
  variant<Net, vv::cuda, vv::tf32> rounded{vv::cuda{}, vv::tf32{}};
  variant<Net, vv::cuda, vv::bf16> narrow{vv::cuda{}, vv::bf16{}};
  for (int round = 0; round < 11; ++round) {
    recorded.measure();
    in_order.measure();
    by_command.measure();
    own.measure();
    rounded.measure();
    narrow.measure();
  }
  std::printf("%-22s %6d %12.1f %12.1f %12.1f %12.1f %12.1f %12.1f", Net::name, Net::batch, recorded.step_time(),
              in_order.step_time(), by_command.step_time(), own.step_time(), rounded.step_time(), narrow.step_time());
  const auto [taken, refused] = recorded.problems();
  if constexpr (Net::labels == 1)
    std::printf(" %12.1f", recorded.fit_time());
  else
    std::printf(" %12s", "-");
  std::printf(" %6d %7d\n", taken, refused);
  std::fflush(stdout);
}

}  // namespace

int main() try {
  if (!vv::cuda_available()) {
    std::puts("There is no CUDA device, or no driver for it: nothing is measured.");
    return 77;
  }
  std::puts("Microseconds of a training step (Adam), the batch copied to the device and the loss brought back each time");
  std::printf("%-22s %6s %38s %12s %12s %12s %12s %14s\n", "", "", "libraries, f32", "own kernels", "libr., tf32",
              "libr., bf16", "libr., f32", "libraries");
  std::printf("%-22s %6s %12s %12s %12s %12s %12s %12s %12s %6s %7s\n", "network", "batch", "recorded", "in order",
              "by command", "recorded", "recorded", "recorded", "in fit()", "took", "refused");
  measure<device::tiny>();
  measure<device::mlp>();
  measure<device::lenet>();
  measure<device::resnet>();
  measure<device::gpt>();
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
