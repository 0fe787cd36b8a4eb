#pragma once
// Networks that several tests take through the passes.
#include <vivace/graph/differentiate.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recompute.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/residual.hpp>

namespace graph_test {

namespace vv = vivace;

struct perceptron {
  static constexpr auto graph = vv::classifier(vv::features{7}, vv::classes{3}, vv::dense{5}, vv::relu{}, vv::dense{4},
                                               vv::gelu{}, vv::dense{3});
};
struct small_lenet {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 12, 12}, vv::classes{4}, vv::conv2d{.filters = 3, .kernel = 3, .padding = 1}, vv::relu{},
                     vv::max_pool{2}, vv::conv2d{.filters = 5, .kernel = 3}, vv::relu{}, vv::max_pool{2}, vv::flatten{},
                     vv::dense{8}, vv::tanh{}, vv::dropout{.rate = 0.3}, vv::dense{4});
};
constexpr auto residual_block(int filters, int stride) {
  return vv::residual{vv::conv2d{.filters = filters, .stride = stride, .padding = 1, .bias = false}, vv::batch_norm{},
                      vv::relu{}, vv::conv2d{.filters = filters, .padding = 1, .bias = false}, vv::batch_norm{}};
}
struct small_resnet {
  static constexpr auto graph =
      vv::classifier(vv::image{2, 8, 8}, vv::classes{3}, vv::conv2d{.filters = 4, .padding = 1}, vv::batch_norm{},
                     vv::relu{}, residual_block(4, 1), vv::relu{}, residual_block(6, 2), vv::relu{}, vv::global_avg_pool{}, vv::dense{3})
          .smoothed(0.1);
};
/// Rows of a table, attention, layer normalisation: in the free form.
struct small_attention {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    constexpr int positions = 5, width = 6, words = 9;
    const vv::value word = make.labels("word", {-positions});
    const vv::value next = make.labels("next", {-positions});
    const vv::value table = make.parameter("table", {words, width}, vv::init::normal(0.5));
    const vv::value rows = take_rows(table, word);
    vv::value x = reshape(rows, {vv::rows, positions, width});
    const vv::value normed = vv::apply(vv::layer_norm{}, x);
    const vv::value query = vv::apply(vv::dense{width}, normed);
    const vv::value key = vv::apply(vv::dense{width}, normed);
    const vv::value seen = vv::ops::softmax(matmul(query, key, false, true) * 0.4, true);
    x = x + matmul(seen, normed);
    const vv::value flat = reshape(x, {-positions, width});
    const vv::value logits = matmul(flat, table, false, true);  // the table serves twice
    make.output("prediction", logits);
    return mean(cross_entropy(logits, next));
  });
};
/// Loops, one in another, with values of outside, several results and a mask for each turn; one is computed again.
struct small_recurrent {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    constexpr int positions = 5, width = 3;
    const vv::value x = make.input("x", {vv::rows, positions, 4});
    const vv::value label = make.labels("label", {vv::rows});
    const vv::value hidden = vv::apply(vv::recompute{vv::gru{.width = 6}}, x);
    const vv::value last = vv::apply(vv::lstm{.width = width, .last = true}, hidden);
    struct memory {
      vv::value sum, product;
    } state{make.constant(0), last};
    const vv::value all = scan(hidden, 1, state, [&](vv::value part, memory& carried) {
      const vv::value mixed = vv::apply(vv::dense{width}, part);
      vv::value inner = carried.product;
      const vv::value steps = scan(mixed, 1, inner, [&](vv::value one, vv::value& total) {
        total = tanh(total * 0.5 + reshape(one, {vv::rows, 1}) * last);
        return sum(total, {1});
      });
      carried.sum = carried.sum + steps;
      carried.product = tanh(inner - carried.sum);
      return vv::apply(vv::dropout{0.3}, carried.sum * carried.product);
    });
    const vv::value logits = mean(all, {1}) + state.product;
    make.output("prediction", logits);
    return mean(cross_entropy(logits, label));
  });
};
/// A gradient in the loss: differentiated twice.
struct gradient_penalty {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 4});
    const vv::value y = make.input("y", {vv::rows, 1});
    const vv::value hidden = vv::apply(vv::tanh{}, vv::apply(vv::dense{6}, x));
    const vv::value out = vv::apply(vv::dense{1}, hidden);
    const vv::value slope = gradient(sum(out), x);
    const vv::value error = mean(square(out - y));
    return error + 0.1 * mean(square(slope));
  });
};

}  // namespace graph_test
