#pragma once
#include <vivace/nn/blocks.hpp>
#include <vivace/vivace.hpp>

// The networks and, for each, how it is trained unless the command line says otherwise.

namespace vv = vivace;

template <class Optimiser, class Augmentation>
struct recipe {
  Optimiser optimiser;
  int epochs = 10;     ///< the rate falls to zero over them, along half a cosine
  double warm_up = 0;  ///< epochs in which the rate rises first; at most a fifth of all
  int batch = 128;
  Augmentation augmentation{};
  const char* described = "none";
};

constexpr double black = -0.2860 / 0.3530;  // a normalised image's surroundings
constexpr vv::image grey{1, 28, 28};
constexpr vv::classes ten{10};

struct mlp {
  static constexpr auto name = "mlp";
  static constexpr auto graph = vv::classifier(grey, ten, vv::mlp<512, 256, 10>{});
  static constexpr recipe<vv::adamw, vv::data::no_transform> best{.optimiser = {.rate = 1e-3, .weight_decay = 0.05}};
};

struct lenet {
  static constexpr auto name = "lenet";
  static constexpr auto graph = vv::classifier(grey, ten, vv::lenet{});
  static constexpr recipe<vv::adamw, vv::data::random_flip> best{
      .optimiser = {.rate = 2e-3, .weight_decay = 0.05}, .batch = 64, .described = "random flip"};
};

struct resnet {
  using flip_and_crop = vv::data::composed<vv::data::random_flip, vv::data::random_crop>;
  static constexpr auto name = "resnet";
  static constexpr auto graph = vv::classifier(grey, ten, vv::resnet_cifar<20, 16>{}).smoothed(0.1);
  static constexpr recipe<vv::sgd_momentum, flip_and_crop> best{
      .optimiser = {.rate = 0.1, .weight_decay = 5e-4, .nesterov = true},
      .warm_up = 1,
      .augmentation = {{}, {.padding = 2, .fill = black}},
      .described = "random flip, shift by up to 2 pixels"};
};

static_assert(vv::parameters<mlp> == 535'818);
static_assert(vv::parameters<lenet> == 215'370);
static_assert(vv::parameters<resnet> == 269'434);  // ResNet-20 for one channel
