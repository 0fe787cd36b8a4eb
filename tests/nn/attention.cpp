#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/nn/gpt.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/train/compiled.hpp>

#include "evaluated.hpp"

namespace {

using namespace nn_test;
using vv::rows;

constexpr std::size_t batch = 3, context = 5, width = 8, heads = 2, vocabulary = 7, depth = width / heads;
constexpr vv::gpt small{.layers = 2, .width = 8, .heads = 2, .context = 5, .vocabulary = 7};

struct four_layers {
  static constexpr auto graph = vv::language_model(vv::gpt{});
};

/// A transformer's forward pass on one sequence, written out plainly. Matrices are [rows, columns].
struct plain_forward {
  evaluated& model;
  int layer = 0;  // the next line of the architecture's table

  numbers next(const std::string& kind, const std::string& role) {
    return model.variable(std::to_string(layer) + "." + kind + "." + role);
  }
  static numbers product(const numbers& a, const numbers& b, std::size_t inner) {
    const std::size_t m = a.size() / inner, n = b.size() / inner;
    numbers result(m * n, 0.0);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t k = 0; k < inner; ++k)
        for (std::size_t j = 0; j < n; ++j) result[i * n + j] += a[i * inner + k] * b[k * n + j];
    return result;
  }
  static numbers with_bias(numbers a, const numbers& bias) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += bias[i % bias.size()];
    return a;
  }
  numbers normalised(const numbers& x) {
    const numbers scale = next("layer_norm", "scale");
    const numbers shift = next("layer_norm", "shift");
    ++layer;
    numbers result(x.size());
    for (std::size_t row = 0; row < x.size() / width; ++row) {
      double mean = 0, variance = 0;
      for (std::size_t j = 0; j < width; ++j) mean += x[row * width + j] / width;
      for (std::size_t j = 0; j < width; ++j) variance += std::pow(x[row * width + j] - mean, 2) / width;
      for (std::size_t j = 0; j < width; ++j)
        result[row * width + j] = (x[row * width + j] - mean) / std::sqrt(variance + 1e-5) * scale[j] + shift[j];
    }
    return result;
  }
  numbers attention(const numbers& x) {
    const numbers qkv = with_bias(product(x, next("attention", "qkv_weight"), width), next("attention", "qkv_bias"));
    numbers seen(context * width, 0.0);
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t p = 0; p < context; ++p) {
        const double* query = &qkv[p * 3 * width + h * depth];
        numbers weights(p + 1);
        double total = 0;
        for (std::size_t o = 0; o <= p; ++o) {
          const double* key = &qkv[o * 3 * width + width + h * depth];
          double score = 0;
          for (std::size_t d = 0; d < depth; ++d) score += query[d] * key[d];
          total += weights[o] = std::exp(score / std::sqrt(double{depth}));
        }
        for (std::size_t o = 0; o <= p; ++o)
          for (std::size_t d = 0; d < depth; ++d)
            seen[p * width + h * depth + d] += weights[o] / total * qkv[o * 3 * width + 2 * width + h * depth + d];
      }
    const numbers result =
        with_bias(product(seen, next("attention", "out_weight"), width), next("attention", "out_bias"));
    ++layer;
    return result;
  }
  numbers dense(const numbers& x, std::size_t inner) {
    const numbers result = with_bias(product(x, next("dense", "weight"), inner), next("dense", "bias"));
    ++layer;
    return result;
  }
  static void add(numbers& to, const numbers& what) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += what[i];
  }

  numbers operator()(const std::int32_t* tokens) {
    const numbers table = next("embedding", "weight");
    ++layer;
    numbers x = next("positional_embedding", "weight");
    ++layer;
    for (std::size_t p = 0; p < context; ++p)
      for (std::size_t j = 0; j < width; ++j)
        x[p * width + j] += table[static_cast<std::size_t>(tokens[p]) * width + j];
    for (int l = 0; l < 2; ++l) {
      add(x, attention(normalised(x)));
      ++layer;  // the residual's sum
      numbers wide = dense(normalised(x), width);
      for (double& one : wide) one = one / 2 * (1 + std::erf(one / std::sqrt(2.0)));
      ++layer;
      add(x, dense(wide, 4 * width));
      ++layer;
    }
    x = normalised(x);
    return product(x, next("dense", "weight"), width);
  }
};

/// Starts that hide nothing: no zeros, no ones.
void scramble(evaluated& model) {
  std::uint32_t stream = 50;
  for (const vv::variable& one : model.structure().parameters) {
    const std::string name(one.name.view());
    model.set(name, some(model.variable(name).size(), stream++));
  }
}

}  // namespace

TEST_CASE("attention: a transformer gives what the plain formulas give") {
  evaluated model(vv::model_graph(vv::language_model(small), true), batch);
  scramble(model);
  std::vector<std::int32_t> tokens, next_tokens;
  for (std::size_t i = 0; i < batch * context; ++i) {
    tokens.push_back(static_cast<std::int32_t>(i * i % vocabulary));
    next_tokens.push_back(static_cast<std::int32_t>((i * i + 3) % vocabulary));
  }
  model.give("tokens", tokens);
  model.give("next_tokens", next_tokens);
  model.run();
  const numbers logits = model.read("prediction");
  REQUIRE(logits.size() == batch * context * vocabulary);
  double loss = 0;
  double worst = 0;
  for (std::size_t s = 0; s < batch; ++s) {
    const numbers expected = plain_forward{model}(&tokens[s * context]);
    for (std::size_t p = 0; p < context; ++p) {
      double total = 0;
      for (std::size_t v = 0; v < vocabulary; ++v) {
        const double want = expected[p * vocabulary + v];
        worst = (std::max)(worst, std::abs(want - logits[(s * context + p) * vocabulary + v]));
        total += std::exp(want);
      }
      const auto label = static_cast<std::size_t>(next_tokens[s * context + p]);
      loss += std::log(total) - expected[p * vocabulary + label];
    }
  }
  CHECK(worst < 1e-12);
  CHECK(model.loss() == doctest::Approx(loss / (batch * context)).epsilon(1e-12));
}

TEST_CASE("attention: causal, a position does not see later ones; otherwise it does") {
  for (const bool causal : {true, false}) {
    const vv::multi_head_attention layer{.heads = 2, .causal = causal};
    evaluated run(layer_graph(layer, {rows, 4, 6}));
    numbers x = some(4 * 6, 1);
    run.give("x", x);
    run.run();
    const numbers before = run.read("y");
    for (std::size_t j = 0; j < 6; ++j) x[3 * 6 + j] += 1;  // the last position changes
    run.give("x", x);
    run.run();
    const numbers after = run.read("y");
    for (std::size_t i = 0; i < 3 * 6; ++i) CHECK((before[i] == after[i]) == causal);
    CHECK(before[3 * 6] != after[3 * 6]);
  }
}

TEST_CASE("attention: dropout is for training only") {
  const vv::multi_head_attention with{.heads = 2, .dropout = 0.5};
  const vv::multi_head_attention without{.heads = 2};
  const auto result = [](const auto& layer, bool training) {
    evaluated run(layer_graph(layer, {rows, 4, 6}, false, training));
    run.give("x", some(4 * 6, 1));
    run.run();
    return run.read("y");
  };
  CHECK(result(with, false) == result(without, false));
  CHECK(result(with, true) != result(without, true));
}

TEST_CASE("attention: shapes, names and counts") {
  const vv::multi_head_attention layer{.heads = 2};
  CHECK(output_shape(layer, {rows, 4, 6}) == vv::shape{rows, 4, 6});
  CHECK(parameter_list(layer_graph(layer, {rows, 4, 6})) ==
        "0.attention.qkv_weight [6, 18]; 0.attention.qkv_bias [18]; 0.attention.out_weight [6, 6]; "
        "0.attention.out_bias [6]");
  // torch.nn.MultiheadAttention(128, 4): 4 w^2 + 4 w.
  CHECK(parameter_count(layer_graph(vv::multi_head_attention{.heads = 4}, {rows, 10, 128})) == 4 * 128 * 128 + 4 * 128);
  CHECK(mistake_of(layer, {rows, 6}).what == vv::problem::wrong_rank);
  CHECK(mistake_of(vv::multi_head_attention{.heads = 4}, {rows, 4, 6}).what ==
        vv::problem::groups_do_not_divide_channels);
  CHECK(mistake_of(vv::multi_head_attention{.heads = 0}, {rows, 4, 6}).what ==
        vv::problem::groups_do_not_divide_channels);
}

TEST_CASE("attention: the square root is the library's, at compile time too") {
  static_assert(vv::root_of(16) == 4 && vv::root_of(0.25) == 0.5 && vv::root_of(0) == 0);
  for (const double x : {1e-12, 0.3, 1.0, 2.0, 32.0, 1e9})
    CHECK(vv::root_of(x) == doctest::Approx(std::sqrt(x)).epsilon(1e-15));
}

TEST_CASE("embedding: shapes, names, mistakes") {
  const vv::embedding layer{.count = 5, .width = 3};
  CHECK(output_shape(layer, {rows}, true) == vv::shape{rows, 3});
  CHECK(output_shape(layer, {rows, 4}, true) == vv::shape{rows, 4, 3});
  CHECK(parameter_list(layer_graph(layer, {rows, 4}, true)) == "0.embedding.weight [5, 3]");
  CHECK(mistake_of(layer, {rows, 4}).what == vv::problem::labels_and_numbers_mixed);
  CHECK(mistake_of(layer, {rows, 1, 1, 1}, true).what == vv::problem::wrong_rank);
  CHECK(mistake_of(vv::embedding{.count = 0, .width = 3}, {rows}, true).what == vv::problem::extent_must_be_positive);
  CHECK(mistake_of(vv::positional_embedding{}, {rows, 3}).what == vv::problem::wrong_rank);
  evaluated run(layer_graph(layer, {rows, 2}, true), 2);
  run.give("x", std::vector<std::int32_t>{4, 0, 0, 2});
  run.run();
  const numbers table = run.variable("0.embedding.weight");
  const numbers y = run.read("y");
  const std::size_t chosen[] = {4, 0, 0, 2};
  for (std::size_t row = 0; row < 4; ++row)
    for (std::size_t j = 0; j < 3; ++j) CHECK(y[row * 3 + j] == table[chosen[row] * 3 + j]);
}

TEST_CASE("gpt: counts, mistakes, and the plan of four layers as a constant") {
  const std::int64_t block = 2 * 2 * 128 + (4 * 128 * 128 + 4 * 128) + (8 * 128 * 128 + 5 * 128);
  const std::int64_t all = 65 * 128 + 128 * 128 + 4 * block + 2 * 128 + 128 * 65;
  CHECK(parameter_count(vv::model_graph(four_layers::graph, true)) == all);
  using code = vv::compiled<four_layers, 8, vv::adam, vv::no_clipping, vv::cpu_kernels, float>;
  static_assert(code::training_plan.commands.element[0].node >= 0);
  const vv::graph made = vv::training_graph<vv::adam>(vv::model_graph(four_layers::graph, true));
  CHECK(made.nodes.size() == code::training.nodes.size);
  CHECK(vv::make_plan<vv::cpu_kernels>(made, 8).arena_size == code::training_plan.arena_size);

  const auto mistake = [](const vv::gpt& body) { return vv::model_graph(vv::language_model(body), true).mistake.what; };
  CHECK(mistake({.layers = 0}) == vv::problem::extent_must_be_positive);
  CHECK(mistake({.context = 0}) == vv::problem::extent_must_be_positive);
  CHECK(mistake({.width = 10, .heads = 4}) == vv::problem::groups_do_not_divide_channels);
  CHECK(mistake_of(small, {rows, 4}, true).what == vv::problem::sizes_differ);
}

TEST_CASE("gpt: learns a sequence by heart") {
  evaluated model(vv::training_graph<vv::adam>(vv::model_graph(vv::language_model(small), true)), 2);
  model.give("tokens", std::vector<std::int32_t>{0, 1, 2, 3, 4, 6, 5, 4, 3, 2});
  model.give("next_tokens", std::vector<std::int32_t>{1, 2, 3, 4, 5, 5, 4, 3, 2, 1});
  vv::adam optimiser;
  optimiser.rate = 1e-2;
  double first = 0;
  for (int step = 0; step < 150; ++step) {
    optimiser.set({.step = step}, model.settings());
    model.run(static_cast<std::uint32_t>(step));
    if (step == 0) first = model.loss();
  }
  CHECK(first == doctest::Approx(std::log(7.0)).epsilon(0.05));  // small weights: every token is as likely
  CHECK(model.loss() < 0.05);
}

TEST_CASE("gpt: dropout changes training alone") {
  vv::gpt dropped = small;
  dropped.dropout = 0.2;
  const vv::graph with = vv::model_graph(vv::language_model(dropped), false);
  const vv::graph without = vv::model_graph(vv::language_model(small), false);
  const auto masks = [](const vv::graph& from) {
    int count = 0;
    for (const vv::node& one : from.nodes) count += one.kind == vv::op::dropout_mask ? 1 : 0;
    return count;
  };
  CHECK(masks(with) == 0);
  CHECK(masks(vv::model_graph(vv::language_model(dropped), true)) == 2 * 3);
  CHECK(parameter_count(with) == parameter_count(without));
}

TEST_CASE("language_model: of any layers") {
  const auto bigram = vv::language_model(6, vv::embedding{.count = 4, .width = 4});
  const vv::graph model = vv::model_graph(bigram, true);
  CHECK(model.mistake.what == vv::problem::none);
  CHECK(model.nodes[model.outputs[0].node].dims == vv::shape{rows, 6, 4});
}
