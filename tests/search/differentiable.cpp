// Differentiable search: samples of mixtures and their derivatives, rollouts, searches.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <doctest/doctest.h>
#include <vivace/data/shapes.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/search/differentiable.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

using space = search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, search::cell_skeleton{4, 1, 4}>;

const vv::data::train_and_test& images() {
  static const auto made = vv::data::rendered_shapes(96, 32, 1);
  return made;
}

/// A toy that is smooth in all it computes: two edges of four operations in two cells of four features.
struct smooth_space {
  static constexpr search::choice choices[] = {{"first", {"none", "skip", "tanh", "sine"}},
                                               {"second", {"none", "skip", "tanh", "sine"}}};
  static constexpr vv::value build(vv::builder& graph, const search::architecture&) {
    return vv::classifier(vv::features{4}, vv::classes{3}, vv::dense{3})(graph);
  }
  struct sharing {
    static constexpr int cells = 2;
    template <class Along>
    static vv::value build(vv::builder& graph, const Along& along) {
      vv::value x = graph.input("input", {vv::rows, 4});
      const vv::value label = graph.labels("label", {vv::rows});
      for (int one = 0; one < cells; ++one) {
        const vv::value zeros = vv::ops::broadcast(graph.constant(0), {vv::rows, 4});
        const vv::value first = along(search::edge_place{one, 0}, x);
        const vv::value second = along(search::edge_place{one, 1}, x);
        vv::value next = first.exists() ? first : zeros;
        if (second.exists()) next = next + tanh(second);
        x = next;
      }
      const vv::value head = graph.parameter("head", {4, 3});
      return mean(cross_entropy(matmul(x, head), label));
    }
    static vv::value operation(int option, vv::value from, const search::parameter_scope& scope) {
      if (option == 0) return {};
      if (option == 1) return from;
      const std::int32_t width = from.dims()[1];
      const vv::value w = scope.parameter(from.owner(), "weight", {width, width}, vv::init::xavier(), width, width);
      const vv::value product = matmul(from, w);
      return option == 2 ? tanh(product) : sin(product);
    }
  };
};

/// One edge: nothing, or ten times its input.
struct one_edge {
  static constexpr search::choice choices[] = {{"edge", {"none", "ten times"}}};
  static constexpr vv::value build(vv::builder& graph, const search::architecture&) {
    return vv::classifier(vv::features{4}, vv::classes{3}, vv::dense{3})(graph);
  }
  struct sharing {
    static constexpr int cells = 1;
    template <class Along>
    static vv::value build(vv::builder& graph, const Along& along) {
      const vv::value y = along(search::edge_place{}, graph.input("x", {vv::rows, 4}));
      graph.output("y", y);
      return mean(y);
    }
    static vv::value operation(int option, vv::value from, const search::parameter_scope&) {
      return option == 0 ? vv::value{} : from * 10.0;
    }
  };
};

vv::data::dataset points(unsigned count, double scale = 1) {
  std::vector<double> features;
  std::vector<std::int32_t> labels;
  for (unsigned i = 0; i < count; ++i) {
    for (unsigned k = 0; k < 4; ++k) features.push_back(scale * (vv::random_stream(3, 1).uniform(4 * i + k) - 0.5));
    labels.push_back(features[4 * i] > 0 ? 1 : features[4 * i + 1] > 0 ? 2 : 0);
  }
  return vv::data::dataset::own(std::move(features), {4}, std::move(labels));
}

constexpr vv::sgd_momentum momentum{.rate = 0.05, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};

template <class Mixture>
auto toy(const Mixture& how) {
  return search::relaxed_supernet{smooth_space{}, how, vv::batch<10>, momentum, vv::f64{}, vv::seed{4}};
}

template <class Number>
bool same_bits(const std::vector<Number>& left, const std::vector<Number>& right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size() * sizeof(Number)) == 0;
}

}  // namespace

TEST_CASE("the logarithm of the gamma function and its derivative") {
  for (const double x : {1e-8, 0.01, 0.3, 1.0, 1.5, 2.0, 7.25, 12.0, 100.5, 1e5}) {
    CHECK(search::detail::log_gamma(x) == doctest::Approx(std::lgamma(x)).epsilon(1e-13).scale(1));
    const double h = 1e-4 * x;
    const double slope =
        (8 * (std::lgamma(x + h) - std::lgamma(x - h)) - std::lgamma(x + 2 * h) + std::lgamma(x - 2 * h)) / (12 * h);
    CHECK(search::detail::digamma(x) == doctest::Approx(slope).epsilon(1e-8));
  }
  CHECK(search::detail::digamma(1) == doctest::Approx(-0.57721566490153286061).epsilon(1e-14));
}

TEST_CASE("quantiles of gamma distributions in closed form") {
  for (const double u : {1e-9, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9}) {
    CHECK(search::log_gamma_quantile(1, u).value == doctest::Approx(std::log(-std::log1p(-u))).epsilon(1e-5));
    const double z = std::exp(search::log_gamma_quantile(0.5, u).value);  // half the square of a normal number
    CHECK(std::erf(std::sqrt(z)) == doctest::Approx(u).epsilon(1e-12));
    const double t = std::exp(search::log_gamma_quantile(3, u).value);
    CHECK(1 - std::exp(-t) * (1 + t + t * t / 2) == doctest::Approx(u).epsilon(1e-9));
  }
}

TEST_CASE("derivatives of samples: against differences of the sampling path at the same random numbers") {
  for (const double shape : {0.02, 0.3, 0.9, 1.0, 1.001, 2.5, 40.0})
    for (const double u : {1e-6, 0.1, 0.5, 0.77, 0.99, 0.99999}) {
      const double h = 1e-3 * shape;
      const auto at = [&](double by) { return search::log_gamma_quantile(shape + by, u).value; };
      const double slope = (8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h);
      CHECK(search::log_gamma_quantile(shape, u).slope == doctest::Approx(slope).epsilon(1e-6));
    }
  // Of a whole row of Dirichlet weights by the architecture parameters, on both sides of elu's kink.
  const double uniform[] = {0.2, 0.7, 0.45, 0.93, 0.05};
  const double slopes[] = {1, -2, 0.5, 3, -1};
  std::vector<double> a{-1.5, 0.3, 0.001, -0.2, 2};
  const auto value_at = [&](const std::vector<double>& at) {
    search::log_sample logits[5];
    double weights[5], value = 0;
    for (int k = 0; k < 5; ++k)
      logits[k] = search::dirichlet_mixture::logit(at[static_cast<std::size_t>(k)], uniform[k]);
    search::normalise(logits, weights);
    for (int k = 0; k < 5; ++k) value += slopes[k] * weights[k];
    return value;
  };
  search::log_sample logits[5];
  double weights[5], total = 0;
  for (std::size_t k = 0; k < 5; ++k) logits[k] = search::dirichlet_mixture::logit(a[k], uniform[k]);
  search::normalise(logits, weights);
  for (const double one : weights) total += one;
  CHECK(total == doctest::Approx(1).epsilon(1e-15));
  std::vector<double> gradient(5);
  search::add_gradient(logits, weights, slopes, gradient);
  for (std::size_t k = 0; k < 5; ++k) {
    auto up = a, down = a;
    up[k] += 1e-5, down[k] -= 1e-5;
    CHECK(gradient[k] == doctest::Approx((value_at(up) - value_at(down)) / 2e-5).epsilon(1e-7));
  }
}

TEST_CASE("derivatives of samples: the mean is the derivative of the mean") {
  const double a[] = {0.5, -0.7, 0.0};
  const double beta[] = {1.5, std::exp(-0.7), 1.0};
  const double whole = beta[0] + beta[1] + beta[2];
  constexpr unsigned count = 40'000;
  // E[w_0] = beta_0 / sum, E[w_0^2] = beta_0 (beta_0 + 1) / (sum (sum + 1)).
  double mean[2]{}, sum[2][3]{}, squares[2][3]{};
  for (unsigned i = 0; i < count; ++i) {
    const vv::random_stream random(11, 2, i);
    search::log_sample logits[3];
    double weights[3];
    for (unsigned k = 0; k < 3; ++k)
      logits[k] = search::dirichlet_mixture::logit(a[k], (random.bits(k) + 0.5) * 0x1p-32);
    search::normalise(logits, weights);
    for (int f = 0; f < 2; ++f) {
      const double by_weights[] = {f == 0 ? 1 : 2 * weights[0], 0, 0};
      double gradient[3]{};
      search::add_gradient(logits, weights, by_weights, gradient);
      mean[f] += (f == 0 ? weights[0] : weights[0] * weights[0]) / count;
      for (int k = 0; k < 3; ++k) sum[f][k] += gradient[k], squares[f][k] += gradient[k] * gradient[k];
    }
  }
  const auto expected = [&](int f, double b0, double rest) {
    const double all = b0 + rest;
    return f == 0 ? b0 / all : b0 * (b0 + 1) / (all * (all + 1));
  };
  for (int f = 0; f < 2; ++f) {
    CHECK(mean[f] == doctest::Approx(expected(f, beta[0], whole - beta[0])).epsilon(0.02));
    for (int k = 0; k < 3; ++k) {
      const double h = 1e-6, own = k == 0 ? h : 0, other = k == 0 ? 0 : h;
      const double slope =
          (expected(f, beta[0] + own, whole - beta[0] + other) - expected(f, beta[0] - own, whole - beta[0] - other)) /
          (2 * h) * (std::min)(1.0, beta[k]);  // d beta / d a
      const double average = sum[f][k] / count;
      const double error = std::sqrt((squares[f][k] / count - average * average) / count);
      CHECK(std::abs(average - slope) < 5 * error);
      CHECK(error < 0.05 * std::abs(slope));
    }
  }
}

TEST_CASE("extreme architecture parameters give weights all the same") {
  search::log_sample logits[3];
  double weights[3], gradient[3]{};
  const double a[] = {-900, 0, 50}, by_weights[] = {1, 2, 3};
  for (int k = 0; k < 3; ++k) logits[k] = search::dirichlet_mixture::logit(a[k], 0.5);
  search::normalise(logits, weights);
  search::add_gradient(logits, weights, by_weights, gradient);
  CHECK(weights[0] == 0);
  CHECK(weights[2] > 0.9);
  for (const double one : gradient) CHECK(std::isfinite(one));
}

TEST_CASE("a rollout sums gradients and leaves weights and optimiser as they are, bit for bit") {
  const auto check = [](auto mixture) {
    auto net = toy(mixture);
    vv::data::loader<double> batches(points(47), 10, 1);
    batches.start_epoch(0);
    for (int k = 0; k < 3; ++k) net.weight_step(*batches.next());
    const auto before = net.now().weights.keep();
    const auto total = net.rollout(batches, {1, 0}, 4);
    const auto after = net.now().weights.keep();
    CHECK(same_bits(before.values, after.values));
    CHECK(same_bits(before.states, after.states));
    CHECK(before.step == after.step);
    CHECK(*std::max_element(total.begin(), total.end()) > 1e-3);
    CHECK(batches.state().position == 40);
    (void)net.rollout(batches, {1, 40}, 4);  // the last group of an epoch is shorter
    CHECK(batches.state().position == 47);
  };
  check(search::softmax_mixture{});
  check(search::dirichlet_mixture{});
}

TEST_CASE("the gradient of a rollout is the sum of the gradients of its steps, by finite differences") {
  auto net = toy(search::softmax_mixture{});
  const auto a = net.architecture_parameters();
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = 0.4 * std::sin(3.0 * static_cast<double>(i));
  vv::data::loader<double> batches(points(40), 10, 1);
  const auto total = net.rollout(batches, {0, 0}, 4);
  std::vector<double> expected(a.size());
  batches.start_epoch(0);
  for (int k = 0; k < 4; ++k) {
    const auto batch = *batches.next();
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double kept = a[i];
      const auto loss_at = [&](double number) {
        a[i] = number;
        return net.loss(batch);
      };
      expected[i] += (loss_at(kept + 1e-5) - loss_at(kept - 1e-5)) / 2e-5;
      a[i] = kept;
    }
    net.weight_step(batch, k / 4.0);
  }
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(total[i] == doctest::Approx(expected[i]).epsilon(1e-7).scale(1e-2));
}

TEST_CASE("a group: one step of Adam on the sum, then the same minibatches with the new architecture") {
  auto net = toy(search::softmax_mixture{.optimiser = {.rate = 0.1, .beta1 = 0.5}});
  auto by_hand = toy(search::softmax_mixture{.optimiser = {.rate = 0.1, .beta1 = 0.5}});
  const std::vector<double> start(net.architecture_parameters().begin(), net.architecture_parameters().end());
  vv::data::loader<double> batches(points(40), 10, 4);  // the seed of the search
  const auto total = by_hand.rollout(batches, {0, 0}, 4);
  by_hand.architecture_step(total);
  batches.start_epoch(0);
  std::vector<double> losses;
  while (const auto* batch = batches.next()) losses.push_back(by_hand.weight_step(*batch));

  const auto& history = net.fit(points(40), search::by_training_speed{.steps = 100}, vv::epochs{1});
  REQUIRE(history.batches.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) CHECK(history.batches[k].loss == losses[k]);
  CHECK(same_bits(net.now().weights.keep().values, by_hand.now().weights.keep().values));
  // Adam's first step is its rate times the sign, almost.
  const auto a = net.architecture_parameters();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double g = total[i] + 1e-3 * start[i];
    CHECK(a[i] == doctest::Approx(start[i] - 0.1 * g / (std::abs(g) + 1e-8)).epsilon(1e-9));
  }
}

TEST_CASE("groups of 2, 2 and 1 minibatches make three steps of the architecture; none while it warms up") {
  auto net = toy(search::dirichlet_mixture{.channel_share = 2});
  const std::vector<double> start(net.architecture_parameters().begin(), net.architecture_parameters().end());
  net.fit(points(47), search::by_training_speed{.steps = 2, .warm_up = 2}, vv::epochs{2});
  CHECK(net.now().architecture.steps() == 0);
  CHECK(std::equal(start.begin(), start.end(), net.architecture_parameters().begin()));
  net.fit(points(47), search::by_training_speed{.steps = 2, .warm_up = 2}, vv::epochs{4});
  CHECK(net.now().architecture.steps() == 6);
  CHECK(net.now().weights.steps() == 20);
  CHECK(net.history().batches.size() == 20);
}

TEST_CASE("DARTS alternates steps on other samples with steps of the weights") {
  auto net = toy(search::softmax_mixture{});
  auto by_hand = toy(search::softmax_mixture{});
  net.fit(points(40), search::by_validation{points(27)}, vv::epochs{2});
  vv::data::loader<double> batches(points(40), 10, 4), others(points(27), 10, 5);
  for (int step = 0; step < 8; ++step) {
    if (step % 4 == 0) batches.start_epoch(step / 4);
    if (step % 3 == 0) others.start_epoch(step / 3);
    const auto gradient = by_hand.gradient(*others.next());
    by_hand.architecture_step(gradient);
    by_hand.weight_step(*batches.next());
  }
  const auto found = net.architecture_parameters(), expected = by_hand.architecture_parameters();
  CHECK(std::equal(found.begin(), found.end(), expected.begin()));
  CHECK(same_bits(net.now().weights.keep().values, by_hand.now().weights.keep().values));
}

TEST_CASE("the cell that was found is the largest parameter of each edge") {
  search::relaxed_supernet net{space{}, search::softmax_mixture{}, vv::batch<32>, momentum, vv::seed{1}};
  const auto a = net.architecture_parameters();
  REQUIRE(a.size() == 30);
  std::fill(a.begin(), a.end(), 0.0f);
  const int best[] = {3, 0, 4, 1, 2, 3};
  for (std::size_t edge = 0; edge < 6; ++edge) a[edge * 5 + static_cast<std::size_t>(best[edge])] = 0.1f;
  CHECK(space::text(net.found()) ==
        "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|");
}

TEST_CASE("weights of operations: a softmax, or a new Dirichlet sample at each forward pass") {
  vv::data::loader<double> batches(points(10), 10, 1);
  batches.start_epoch(0);
  const auto batch = *batches.next();
  auto soft = toy(search::softmax_mixture{});
  const double loss = soft.loss(batch);
  CHECK(soft.loss(batch) == loss);
  const auto a = soft.architecture_parameters();
  const auto weights = soft.mixture_weights();
  double sum = 0;
  for (std::size_t k = 0; k < 4; ++k) sum += std::exp(a[k]);
  for (std::size_t k = 0; k < 4; ++k) CHECK(weights[k] == doctest::Approx(std::exp(a[k]) / sum).epsilon(1e-12));
  auto drawn = toy(search::dirichlet_mixture{.channel_share = 1});
  const double first = drawn.loss(batch);
  CHECK(drawn.loss(batch) != first);
  CHECK(toy(search::dirichlet_mixture{.channel_share = 1}).loss(batch) == first);
}

TEST_CASE("partial channels bypass the operations and are shuffled") {
  const std::vector<double> x{1, 2, 3, 4, 5, 6, 7, 8};
  const auto passed_on = [&](std::uint32_t kept) {
    vv::runtime_graph<double, vv::cpu_kernels> run(vv::model_graph(search::mixed_network<one_edge>{{kept}, 2}, true),
                                                   2);
    run.values().initialise(1);
    const auto weights = run.values().find(search::mixture_name);
    weights.data[1] = 0.25;
    run.run().set_input(0, x.data());
    run.run()({.samples = 2});
    const auto y = run.run().output("y");
    return std::vector<double>(y.data, y.data + 8);
  };
  CHECK(passed_on(0b11) == std::vector<double>{2.5, 3, 5, 4, 12.5, 7, 15, 8});
  CHECK(passed_on(0b01) == std::vector<double>{0, 3, 0, 4, 0, 7, 0, 8});
  auto net = toy(search::dirichlet_mixture{.channel_share = 2});
  for (const auto& one : net.now().table.entries())
    if (one.of.name.view() != "head") CHECK(one.dims == vv::shape{2, 2});
}

TEST_CASE("DrNAS: a second stage with the best operations and more channels") {
  search::relaxed_supernet net{space{},
                               search::dirichlet_mixture{.channel_share = 4},
                               vv::batch<32>,
                               vv::sgd_momentum{.rate = 0.025, .weight_decay = 3e-4},
                               vv::cosine{.epochs = 2},
                               vv::seed{1}};
  const search::by_training_speed how{.steps = 2, .warm_up = 1};
  net.fit(images().train, how, vv::epochs{2});
  const auto* narrow = net.now().table.find("cell1.edge2.op3.weight");
  REQUIRE(narrow != nullptr);
  CHECK(narrow->dims == vv::shape{2, 2, 3, 3});
  const std::vector<float> old(net.now().weights.data() + narrow->offset,
                               net.now().weights.data() + narrow->offset + 36);
  const auto a = net.architecture_parameters();
  for (std::size_t edge = 0; edge < 6; ++edge)
    a[edge * 5 + 3] = 1 + static_cast<float>(edge), a[edge * 5] = -1, a[edge * 5 + 4] = -2;
  const std::vector<float> parameters(a.begin(), a.end());

  net.next_stage(3, 2);
  const auto* wide = net.now().table.find("cell1.edge2.op3.weight");
  REQUIRE(wide != nullptr);
  CHECK(wide->dims == vv::shape{4, 4, 3, 3});
  const float* now = net.now().weights.data() + wide->offset;
  for (std::size_t out = 0; out < 2; ++out)
    for (std::size_t in = 0; in < 2; ++in)
      CHECK(std::equal(&old[(out * 2 + in) * 9], &old[(out * 2 + in) * 9] + 9, now + (out * 4 + in) * 9));
  CHECK(now[2 * 9] != 0);
  CHECK(std::equal(parameters.begin(), parameters.end(), net.architecture_parameters().begin()));
  CHECK(net.history().epochs.empty());
  net.fit(images().train, how, vv::epochs{2});
  CHECK(net.now().architecture.steps() == 2);
  const auto weights = net.mixture_weights();
  for (std::size_t edge = 0; edge < 6; ++edge) {
    CHECK(weights[edge * 5] == 0);  // out
    CHECK(weights[edge * 5 + 4] == 0);
    CHECK(weights[edge * 5 + 1] + weights[edge * 5 + 2] + weights[edge * 5 + 3] == doctest::Approx(1).epsilon(1e-12));
    CHECK(net.found()[static_cast<int>(edge)] == 3);
  }
  CHECK_THROWS_WITH_AS(net.next_stage(4, 2), doctest::Contains("an edge has not as many operations"), vv::error);
  CHECK_THROWS_WITH_AS(net.next_stage(2, 3), doctest::Contains("partial channels"), vv::error);
  CHECK_THROWS_WITH_AS(net.next_stage(2, 0), doctest::Contains("channel_share"), vv::error);
}

TEST_CASE("a search learns; one seed gives one result for any number of threads") {
  const auto search_with = [](auto mixture, auto... settings) {
    search::relaxed_supernet net{space{}, mixture, vv::batch<32>, momentum, vv::seed{7}, settings...};
    net.fit(images().train, search::by_training_speed{.steps = 2}, vv::epochs{1});
    net.fit(images().train, search::by_training_speed{.steps = 2}, vv::epochs{3});
    auto result = net.now().weights.keep().values;
    result.insert(result.end(), net.architecture_parameters().begin(), net.architecture_parameters().end());
    CHECK(net.history().epochs[2].train_loss < net.history().epochs[0].train_loss);
    return result;
  };
  CHECK(same_bits(search_with(search::softmax_mixture{}),
                  search_with(search::softmax_mixture{}, vv::threads{.count = 2})));
  CHECK(same_bits(search_with(search::dirichlet_mixture{}),
                  search_with(search::dirichlet_mixture{}, vv::threads{.count = 2})));
}

TEST_CASE("mistakes of users") {
  auto net = toy(search::softmax_mixture{});
  const auto all = points(20);
  CHECK_THROWS_WITH_AS(net.fit(all, search::by_training_speed{.steps = 0}, vv::epochs{1}),
                       doctest::Contains("by_training_speed.steps"), vv::error);
  CHECK_THROWS_WITH_AS(net.fit(all, search::by_training_speed{.warm_up = -1}, vv::epochs{1}),
                       doctest::Contains("warm_up"), vv::error);
  CHECK_THROWS_WITH_AS(net.fit(all, search::by_validation{all.take(0)}, vv::epochs{1}), doctest::Contains("empty"),
                       vv::error);
  CHECK_THROWS_WITH_AS(net.fit(images().train, search::by_training_speed{}, vv::epochs{1}),
                       doctest::Contains("does not fit the network"), vv::error);
  CHECK_THROWS_WITH_AS(toy(search::softmax_mixture{.channel_share = 3}), doctest::Contains("partial channels"),
                       vv::error);
  CHECK_THROWS_WITH_AS(toy(search::softmax_mixture{.channel_share = 0}), doctest::Contains("channel_share"), vv::error);
  const auto before = net.now().weights.keep();
  const auto wrong = points(20, std::numeric_limits<double>::infinity());
  CHECK_THROWS_WITH_AS(net.fit(wrong, search::by_training_speed{}, vv::epochs{1}), doctest::Contains("not finite"),
                       vv::divergence_error);
  CHECK(same_bits(before.values, net.now().weights.keep().values));
  CHECK(same_bits(before.states, net.now().weights.keep().states));
}
