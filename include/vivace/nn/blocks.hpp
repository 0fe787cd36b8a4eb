#pragma once
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/residual.hpp>

/// @file
/// Well-known networks and their blocks. Each is a layer, so it may stand wherever a layer may.

namespace vivace::inline VIVACE_TARGET {

/// Dense layers of the given widths with a ReLU between each two. Images are flattened first.
template <int... Widths>
struct mlp {
  static_assert(sizeof...(Widths) > 0, "vivace: what: an mlp needs the width of at least one layer");
  static constexpr bool is_block = true;

  constexpr value operator()(value input) const {
    if (input.dims().rank > 2) input = apply(flatten{}, input);
    int done = 0;
    ((input = apply(dense{Widths}, done++ == 0 ? input : apply(relu{}, input))), ...);
    return input;
  }
};

/// Two convolutions 5x5 with pooling and two dense layers: LeNet-5 (LeCun et al., 1998) with ReLU and max pooling.
struct lenet {
  static constexpr bool is_block = true;
  int classes = 10;
  int filters = 16;  ///< of the first convolution; the second has twice as many
  int hidden = 128;  ///< units of the dense layer between

  constexpr value operator()(value input) const {
    return chain{conv2d{.filters = filters, .kernel = 5, .padding = 2},
                 relu{},
                 max_pool{2},
                 conv2d{.filters = 2 * filters, .kernel = 5, .padding = 2},
                 relu{},
                 max_pool{2},
                 flatten{},
                 dense{hidden},
                 relu{},
                 dense{classes}}(input);
  }
};

/// Convolution 3x3 that keeps the image (or, with stride 2, halves it), then batch normalisation, which makes a bias
/// useless.
struct conv_norm {
  static constexpr bool is_block = true;
  int filters = 1;
  int stride = 1;

  constexpr value operator()(value input) const {
    return chain{conv2d{.filters = filters, .kernel = 3, .stride = stride, .padding = 1, .bias = false},
                 batch_norm{}}(input);
  }
};

/// The block of a small ResNet: relu(x + f(x)), f being two convolutions 3x3 (He et al., CVPR 2016, figure 2).
struct basic_block {
  static constexpr bool is_block = true;
  int filters = 1;
  int stride = 1;  ///< of the first convolution

  constexpr value operator()(value input) const {
    return chain{residual{conv_norm{filters, stride}, relu{}, conv_norm{filters}}, relu{}}(input);
  }
};

/// The ResNet for small images (He et al., CVPR 2016, section 4.2): a convolution 3x3, three stages of
/// (Depth - 2) / 6 blocks with Width, 2 Width and 4 Width filters, the mean over the image, and a dense layer.
/// resnet_cifar<20, 16> is their ResNet-20.
template <int Depth, int Width>
struct resnet_cifar {
  static_assert(Depth >= 8 && Depth % 6 == 2, "vivace: what: the depth of this ResNet is 6 n + 2: 8, 14, 20, 32, ...");
  static_assert(Width > 0, "vivace: what: the width of this ResNet is the filters of its first stage, at least 1");
  static constexpr bool is_block = true;
  static constexpr int blocks_of_stage = (Depth - 2) / 6;
  int classes = 10;

  constexpr value operator()(value input) const {
    value image = chain{conv_norm{Width}, relu{}}(input);
    for (int stage = 0; stage < 3; ++stage)
      for (int block = 0; block < blocks_of_stage; ++block) {
        const bool halves = stage > 0 && block == 0;
        image = apply(basic_block{.filters = Width << stage, .stride = halves ? 2 : 1}, image);
      }
    return chain{global_avg_pool{}, dense{classes}}(image);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
