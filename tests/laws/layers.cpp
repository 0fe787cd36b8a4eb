#include <doctest/doctest.h>

#include <string_view>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/attention.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/residual.hpp>

#include "layer_laws.hpp"

// All layers of the library, and one that is not of it, obey the laws of layers.

namespace {

namespace vv = vivace;
using laws::check_layer;
using vv::rows;

/// A user's layer: a gated unit with parameters of its own, written outside the library.
struct gated {
  static constexpr std::string_view label = "gated";
  int units = 2;
  constexpr vv::value operator()(vv::value input) const {
    vv::builder& graph = input.owner();
    const std::int32_t width = input.dims()[1];
    const vv::value weight = graph.parameter("weight", {width, units});
    const vv::value gate = graph.parameter("gate", {width, units});
    const vv::value open = vv::ops::sigmoid(matmul(input, gate));
    return matmul(input, weight) * open;
  }
};

/// A user's layer without a label.
struct doubled {
  constexpr vv::value operator()(vv::value input) const { return concatenate(input, input * 2.0, 1); }
};

}  // namespace

TEST_CASE("laws of layers: activations") {
  check_layer(vv::relu{}, {rows, 5});
  check_layer(vv::leaky_relu{.slope = 0.1}, {rows, 5});
  check_layer(vv::elu{.alpha = 0.7}, {rows, 5});
  check_layer(vv::gelu{}, {rows, 2, 3});
  check_layer(vv::silu{}, {rows, 5});
  check_layer(vv::sigmoid{}, {rows, 5});
  check_layer(vv::tanh{}, {rows, 300});
  check_layer(vv::softmax{}, {rows, 2, 5});
  check_layer(vv::dropout{.rate = 0.3}, {rows, 40}, {.random = true});
  check_layer(vv::dropout{.rate = 0.3}, {rows, 40}, {.training = false});
  check_layer(vv::flatten{}, {rows, 2, 3, 2});
}

TEST_CASE("laws of layers: dense and conv2d") {
  check_layer(vv::dense{7}, {rows, 5});
  check_layer(vv::dense{.units = 33, .bias = false}, {rows, 65});
  check_layer(vv::dense{3}, {rows, 4, 5});
  check_layer(vv::conv2d{.filters = 3}, {rows, 2, 6, 5});
  check_layer(vv::conv2d{.filters = 4, .kernel = 2, .stride = 2, .padding = 1, .dilation = 2, .groups = 2, .bias = false},
              {rows, 4, 6, 7});
}

TEST_CASE("laws of layers: pooling") {
  check_layer(vv::max_pool{2}, {rows, 2, 4, 6});
  check_layer(vv::max_pool{.size = 3, .stride = 2, .padding = 1}, {rows, 2, 5, 5});
  check_layer(vv::avg_pool{2}, {rows, 2, 5, 4});
  check_layer(vv::avg_pool{.size = 3, .stride = 1, .padding = 1}, {rows, 1, 4, 4});
  check_layer(vv::global_avg_pool{}, {rows, 3, 2, 5});
}

TEST_CASE("laws of layers: normalisation") {
  check_layer(vv::batch_norm{}, {rows, 4}, {.samples_are_apart = false});
  check_layer(vv::batch_norm{}, {rows, 2, 3, 3}, {.samples_are_apart = false});
  check_layer(vv::batch_norm{}, {rows, 2, 3, 3}, {.training = false});
  check_layer(vv::layer_norm{}, {rows, 6});
  check_layer(vv::layer_norm{}, {rows, 3, 4});
}

TEST_CASE("laws of layers: blocks") {
  check_layer(vv::residual{vv::dense{6}, vv::tanh{}, vv::dense{5}}, {rows, 5});
  check_layer(vv::residual{vv::conv2d{.filters = 5, .stride = 2, .padding = 1}, vv::silu{}}, {rows, 3, 4, 4});
  check_layer(vv::chain{vv::conv2d{.filters = 2}, vv::relu{}, vv::flatten{}, vv::dense{3}}, {rows, 1, 5, 5});
}

TEST_CASE("laws of layers: sequences") {
  check_layer(vv::multi_head_attention{.heads = 2}, {rows, 3, 4});
  check_layer(vv::multi_head_attention{.heads = 1, .causal = true}, {rows, 5, 3});
  check_layer(vv::positional_embedding{}, {rows, 4, 3});
  check_layer(vv::gru{.width = 3}, {rows, 4, 2});
  check_layer(vv::lstm{.width = 3, .last = true}, {rows, 3, 2});
}

TEST_CASE("laws of layers: a user's") {
  check_layer(gated{3}, {rows, 4});
  check_layer(doubled{}, {rows, 4});
  check_layer(vv::chain{doubled{}, gated{2}, vv::residual{doubled{}, gated{2}}}, {rows, 3});
}

namespace {

/// Samples disturb one another.
struct centred {
  constexpr vv::value operator()(vv::value input) const { return input - mean(input, {0}); }
};
/// Elements are treated by their place.
struct placed {
  constexpr vv::value operator()(vv::value input) const {
    const vv::value mask = dropout_mask(input, 0.5, 1);
    return input * mask;
  }
};
/// The batch is gone.
struct summed {
  constexpr vv::value operator()(vv::value input) const { return sum(input, {0}); }
};

}  // namespace

TEST_CASE("laws of layers notice: samples that disturb one another" * doctest::should_fail()) {
  check_layer(centred{}, {rows, 3});
}
TEST_CASE("laws of layers notice: results that depend on the place" * doctest::should_fail()) {
  check_layer(placed{}, {rows, 30});
}
TEST_CASE("laws of layers notice: a batch that is gone" * doctest::should_fail()) { check_layer(summed{}, {rows, 3}); }
