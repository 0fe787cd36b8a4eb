// Whole training steps by the device's kernels, run on the host, beside the reference.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train/trainer.hpp>

#include "../train/networks.hpp"

namespace {

namespace vv = vivace;

/// Policy: the device's kernels, on the host.
struct emulated_kernels {
  using family = vv::kernels_family;
  using table = vv::gpu::kernels_by<vv::gpu::host_launch>;
  bool operator==(const emulated_kernels&) const = default;
};

struct letters {
  static constexpr auto graph = vv::classifier(vv::image{1, 12, 12}, vv::classes{5}, vv::lenet{.classes = 5, .filters = 4, .hidden = 16});
};
struct residual {
  static constexpr auto graph = vv::classifier(vv::image{3, 8, 8}, vv::classes{5}, vv::resnet_cifar<8, 4>{.classes = 5}).smoothed(0.1);
};

struct words {
  static constexpr int context = 6;
  static constexpr auto graph = vv::language_model(
      vv::gpt{.layers = 2, .width = 8, .heads = 2, .context = context, .vocabulary = 7, .dropout = 0.1});
};

/// Losses of steps in a precision; the network is small enough to be compiled twice.
template <class Kernels, class Precision, class Net>
std::vector<double> losses(const Precision& precision, const Net& net) {
  constexpr int batch = 16;
  const vv::random_stream random(5, 6);
  std::vector<float> features;
  std::vector<std::int32_t> labels;
  for (std::uint64_t i = 0; i < batch * 144; ++i) features.push_back(static_cast<float>(2 * random.uniform(i) - 1));
  for (std::uint64_t i = 0; i < batch; ++i) labels.push_back(static_cast<std::int32_t>(random.below(100000 + i, 5)));
  vv::trainer trainer{net, vv::batch<batch>, vv::sgd_momentum{.rate = 0.05}, precision, Kernels{}, vv::seed{1}};
  std::vector<double> result;
  for (int step = 0; step < 30; ++step)
    result.push_back(static_cast<double>(trainer.step({.features = features.data(), .labels = labels.data(), .size = batch})));
  return result;
}

/// Trains a network on numbers of a seed, the last batch short; all parameters and states in the end.
template <class Kernels, class Net, class Optimiser>
std::vector<double> trained(const Net& net, const Optimiser& optimiser, const vv::shape& sample, int classes,
                            int labels_of_sample) {
  constexpr int batch = 10, samples = 26;
  const vv::random_stream random(3, 4);
  std::vector<double> features;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < samples * sample.size(); ++i)
    features.push_back(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  for (int i = 0; i < samples * labels_of_sample; ++i)
    labels.push_back(static_cast<std::int32_t>(random.bits(1000000 + static_cast<std::uint64_t>(i)) % static_cast<unsigned>(classes)));
  vv::trainer trainer{net, vv::batch<batch>, optimiser, vv::f64{}, vv::clip_norm{1.0}, Kernels{}, vv::seed{1}};
  std::vector<double> result;
  for (int epoch = 0; epoch < 2; ++epoch)
    for (int first = 0; first < samples; first += batch) {
      const int count = (std::min)(batch, samples - first);
      result.push_back(trainer.step({.features = features.data() + first * sample.size(),
                                     .labels = labels.data() + first * labels_of_sample,
                                     .size = count}));
    }
  if (labels_of_sample == 1) {
    const auto prediction = trainer.predict(features.data(), 7);
    result.insert(result.end(), prediction.data, prediction.data + prediction.dims.size());
  }
  const std::vector<double> variables = networks::variables_of(trainer);
  result.insert(result.end(), variables.begin(), variables.end());
  return result;
}

void check_close(const std::vector<double>& found, const std::vector<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double off = std::abs(found[i] - wanted[i]) / (1 + std::abs(wanted[i]));
    worst = off > worst || std::isnan(off) ? off : worst;
  }
  CHECK(worst < 1e-8);
}
template <class Net, class Optimiser>
void check_training(const Net& net, const Optimiser& optimiser, const vv::shape& sample, int classes,
                    int labels_of_sample = 1) {
  check_close(trained<emulated_kernels>(net, optimiser, sample, classes, labels_of_sample),
              trained<vv::plain_kernels>(net, optimiser, sample, classes, labels_of_sample));
}

}  // namespace

TEST_CASE("cuda training: an mlp with batch normalisation and dropout") {
  check_training(networks::mlp{}, vv::adamw{.rate = 1e-2}, {12}, 3);
}
TEST_CASE("cuda training: LeNet") { check_training(letters{}, vv::sgd_momentum{.rate = 0.1}, {1, 12, 12}, 5); }
TEST_CASE("cuda training: a residual network") { check_training(residual{}, vv::adamw{.rate = 1e-2}, {3, 8, 8}, 5); }
TEST_CASE("cuda training: loops") { check_training(networks::recurrent{}, vv::adamw{.rate = 1e-2}, {8, 16}, 3); }
TEST_CASE("cuda training: a transformer") { check_training(words{}, vv::adam{.rate = 1e-2}, {1}, 7, words::context); }
TEST_CASE("cuda training: products of bfloat16 learn what those of single precision do") {
  const std::vector<double> wanted = losses<emulated_kernels>(vv::f32{}, letters{});
  const std::vector<double> found = losses<emulated_kernels>(vv::bf16{}, letters{});
  CHECK(found.front() != wanted.front());  // the forward pass multiplies rounded numbers
  CHECK(found.front() == doctest::Approx(wanted.front()).epsilon(0.01));
  CHECK(wanted.back() < 0.5 * wanted.front());
  CHECK(found.back() < 0.5 * found.front());
  CHECK(found == losses<emulated_kernels>(vv::bf16{}, letters{}));
  CHECK(found == losses<emulated_kernels>(vv::bf16{}, letters::graph));  // planned at run time
}
