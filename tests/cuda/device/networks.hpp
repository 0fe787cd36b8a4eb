#pragma once
// Networks and batches for the programs that run on a device.
#include <cstdint>
#include <vector>

#include <vivace/core/random.hpp>
#include <vivace/nn.hpp>

namespace device {

namespace vv = vivace;

struct tiny {
  static constexpr auto name = "tiny 16-32-1";
  static constexpr vv::shape sample{16};
  static constexpr int batch = 32, labels = 0, classes = 1;
  static constexpr auto graph = vv::regressor(vv::features{16}, vv::targets{1}, vv::mlp<32, 1>{});
};
struct mlp {
  static constexpr auto name = "mlp 784-512-256-10";
  static constexpr vv::shape sample{1, 28, 28};
  static constexpr int batch = 64, labels = 1, classes = 10;
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};
struct lenet {
  static constexpr auto name = "lenet";
  static constexpr vv::shape sample{1, 28, 28};
  static constexpr int batch = 64, labels = 1, classes = 10;
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};
struct resnet {
  static constexpr auto name = "resnet-20";
  static constexpr vv::shape sample{3, 32, 32};
  static constexpr int batch = 128, labels = 1, classes = 10;
  static constexpr auto graph = vv::classifier(vv::image{3, 32, 32}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};
struct gpt {
  static constexpr auto name = "gpt, 4 layers of 128";
  static constexpr vv::shape sample{1};
  static constexpr int batch = 8, labels = 128, classes = 65;
  static constexpr auto graph = vv::language_model(vv::gpt{});
};

/// Numbers and labels of a seed for `samples` samples of a network.
template <class Net, class Real>
struct batch_of {
  std::vector<Real> features;
  std::vector<std::int32_t> labels;
  explicit batch_of(std::int64_t samples, std::uint64_t seed = 1) {
    const vv::random_stream random(seed, 7);
    for (std::int64_t i = 0; i < samples * Net::sample.size(); ++i)
      features.push_back(static_cast<Real>(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1));
    for (std::int64_t i = 0; i < samples * Net::labels; ++i)
      labels.push_back(static_cast<std::int32_t>(
          random.below(1'000'000'000 + static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(Net::classes))));
  }
};

}  // namespace device
