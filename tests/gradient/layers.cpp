#include <doctest/doctest.h>

#include <vivace/nn/activations.hpp>
#include <vivace/nn/attention.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/residual.hpp>

#include "check.hpp"

// Every layer of vivace/nn: gradients with respect to its input and its parameters.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using gradient_check::operand;
using vv::rows;
using vv::value;
using values = std::vector<value>;

template <vv::layer Layer>
void check_layer(const char* name, const operand& input, const Layer& layer, bool training = true) {
  check(function{name, {input}, [&](vv::builder&, const values& x) { return vv::apply(layer, x[0]); }, training});
}

const operand vectors{{rows, 4}};
const operand images{{rows, 2, 4, 5}};
const operand far_from_zero{{rows, 4}, fill::nonzero, 0.2, 1.2};

}  // namespace

TEST_CASE("gradient: activations") {
  check_layer("relu", far_from_zero, vv::relu{});
  check_layer("leaky_relu", far_from_zero, vv::leaky_relu{.slope = 0.2});
  check_layer("elu", far_from_zero, vv::elu{.alpha = 0.7});
  check_layer("gelu", vectors, vv::gelu{});
  check_layer("silu", vectors, vv::silu{});
  check_layer("sigmoid", vectors, vv::sigmoid{});
  check_layer("tanh", vectors, vv::tanh{});
  check_layer("softmax", vectors, vv::softmax{});
  check_layer("dropout", vectors, vv::dropout{.rate = 0.4});
  check_layer("dropout, predicting", vectors, vv::dropout{.rate = 0.4}, false);
  check_layer("flatten", images, vv::flatten{});
}

TEST_CASE("gradient: dense") {
  check_layer("dense", vectors, vv::dense{3});
  check_layer("dense without bias", vectors, vv::dense{.units = 1, .bias = false});
  check_layer("dense over positions", {{rows, 2, 3}}, vv::dense{5});
}

TEST_CASE("gradient: conv2d") {
  check_layer("conv2d", images, vv::conv2d{.filters = 3, .kernel = 2});
  check_layer("all settings", images,
              vv::conv2d{.filters = 4, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2, .bias = false});
}

TEST_CASE("gradient: pooling") {
  const operand distinct{{rows, 2, 5, 4}, fill::distinct, -1, 1};
  check_layer("max_pool", distinct, vv::max_pool{2});
  check_layer("max_pool, overlapping", distinct, vv::max_pool{.size = 3, .stride = 1, .padding = 1});
  check_layer("avg_pool", images, vv::avg_pool{2});
  check_layer("avg_pool, overlapping", images, vv::avg_pool{.size = 3, .stride = 2, .padding = 1});
  check_layer("global_avg_pool", images, vv::global_avg_pool{});
}

TEST_CASE("gradient: normalisation") {
  for (const bool training : {true, false}) {
    check_layer("batch_norm", {{rows, 3}}, vv::batch_norm{.epsilon = 0.1}, training);
    check_layer("batch_norm of images", {{rows, 2, 3, 2}}, vv::batch_norm{}, training);
  }
  check_layer("layer_norm", vectors, vv::layer_norm{});
  check_layer("layer_norm of positions", {{rows, 2, 3}}, vv::layer_norm{.epsilon = 0.01});
}

TEST_CASE("gradient: residual blocks and chains") {
  check_layer("residual", vectors, vv::residual{vv::dense{3}, vv::tanh{}, vv::dense{4}});
  check_layer("residual, halved and widened", {{rows, 2, 4, 4}},
              vv::residual{vv::conv2d{.filters = 4, .kernel = 3, .stride = 2, .padding = 1}, vv::tanh{}});
  check_layer("chain", images, vv::chain{vv::conv2d{.filters = 2, .kernel = 2}, vv::batch_norm{}, vv::tanh{}, vv::flatten{},
                                        vv::dense{2}});
}

TEST_CASE("gradient: sequences") {
  const operand sequence{{rows, 3, 4}};
  check_layer("attention", sequence, vv::multi_head_attention{.heads = 2});
  check_layer("attention, causal", sequence, vv::multi_head_attention{.heads = 1, .causal = true});
  check_layer("attention with dropout", sequence, vv::multi_head_attention{.heads = 2, .dropout = 0.3});
  check_layer("positional_embedding", sequence, vv::positional_embedding{});
  check_layer("gru", {{rows, 3, 2}}, vv::gru{.width = 2});
  check_layer("lstm", {{rows, 2, 2}}, vv::lstm{.width = 2, .last = true});
  check(function{"embedding", {{{rows, 3}, fill::labels, 0, 4}}, [](vv::builder&, const values& x) {
    return square(vv::apply(vv::embedding{.count = 4, .width = 2}, x[0]));
  }});
}

TEST_CASE("gradient: a classifier's loss") {
  const operand labels{{rows}, fill::labels, 0, 3};
  check(function{"classifier", {vectors, labels}, [](vv::builder&, const values& x) {
    const value logits = vv::apply(vv::dense{3}, vv::apply(vv::gelu{}, vv::apply(vv::dense{2}, x[0])));
    return mean(cross_entropy(logits, x[1], 0.1));
  }});
}
