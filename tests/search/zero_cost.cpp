// Zero-cost scores against values computed another way: by the gradient function, by finite differences, by hand.
#include <cmath>
#include <vector>

#include <doctest/doctest.h>
#include <vivace/core/random.hpp>
#include <vivace/data/shapes.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/search/zero_cost.hpp>
#include <vivace/train/gradient.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

/// Smooth, so that finite differences see what derivatives say.
struct smooth {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 6, 6}, vv::classes{3}, vv::conv2d{.filters = 2}, vv::batch_norm{}, vv::tanh{},
                     vv::avg_pool{2}, vv::flatten{}, vv::dense{3});
};
struct two_layers {
  static constexpr auto graph =
      vv::classifier(vv::features{3}, vv::classes{2}, vv::dense{4}, vv::relu{}, vv::dense{2, false});
};
struct normalised {
  static constexpr auto graph = vv::classifier(vv::features{3}, vv::classes{2}, vv::dense{4}, vv::batch_norm{},
                                               vv::relu{}, vv::dropout{.rate = 0.5}, vv::dense{2, false});
};

constexpr int samples = 5;

struct numbers {
  std::vector<double> features;
  std::vector<std::int32_t> labels{0, 2, 1, 1, 0};
  explicit numbers(int width) {
    const vv::random_stream random(3, 1);
    for (int i = 0; i < samples * width; ++i) features.push_back(random.uniform(static_cast<std::uint64_t>(i)) - 0.5);
  }
  [[nodiscard]] vv::data::batch_view<double> view() const {
    return {.features = features.data(), .labels = labels.data(), .targets = nullptr, .size = samples, .position = 0};
  }
};

/// Parameters as `seed` starts them, and gradients at any place.
struct reference {
  vv::gradient_function<smooth, vv::f64, vv::batch_size<samples>, vv::seed> gradient{vv::f64{}, vv::batch<samples>,
                                                                                     vv::seed{4}};
  numbers data{36};
  std::vector<double> start;
  reference() : start(static_cast<std::size_t>(vv::parameters<smooth>)) { gradient.start(start.data()); }
  std::vector<double> operator()(const std::vector<double>& at) {
    std::vector<double> result(at.size());
    gradient({{"input", data.features.data()}, {"label", data.labels.data()}}, samples, at.data(), result.data());
    return result;
  }
};

}  // namespace

TEST_CASE("SNIP and gradient norm") {
  reference at;
  const auto g = at(at.start);
  double snip = 0;
  for (std::size_t i = 0; i < g.size(); ++i) snip += std::abs(at.start[i] * g[i]);
  CHECK(search::snip{}(smooth::graph, at.data.view(), vv::seed{4}) == doctest::Approx(snip).epsilon(1e-12));
  // Weights of the convolution, 18 numbers at first; of the dense layer, 24 before its 3 biases at last; between them
  // the bias of the convolution and batch normalisation's two.
  REQUIRE(g.size() == 18 + 2 + 4 + 24 + 3);
  double convolution = 0, dense = 0;
  for (std::size_t i = 0; i < 18; ++i) convolution += g[i] * g[i];
  for (std::size_t i = 24; i < 48; ++i) dense += g[i] * g[i];
  CHECK(search::grad_norm{}(smooth::graph, at.data.view(), vv::seed{4}) ==
        doctest::Approx(std::sqrt(convolution) + std::sqrt(dense)).epsilon(1e-12));
}

TEST_CASE("GraSP: against finite differences of the gradient") {
  reference at;
  const auto g = at(at.start);
  // Richardson: two central differences.
  const auto product = [&](double h) {
    std::vector<double> ahead = at.start, behind = at.start;
    for (std::size_t i = 0; i < g.size(); ++i) {
      ahead[i] += h * g[i];
      behind[i] -= h * g[i];
    }
    const auto up = at(ahead), down = at(behind);
    double sum = 0;
    for (std::size_t i = 0; i < g.size(); ++i) sum += at.start[i] * (up[i] - down[i]) / (2 * h);
    return sum;
  };
  const double by_differences = -(4 * product(1e-3) - product(2e-3)) / 3;
  CHECK(search::grasp{}(smooth::graph, at.data.view(), vv::seed{4}) == doctest::Approx(by_differences).epsilon(1e-6));
}

TEST_CASE("SynFlow: a network without normalisation, by hand; normalisation and dropout change nothing") {
  // Of layers without bias R is a product of positive matrices; each layer's sum of theta * dR/dtheta is R.
  vv::gradient_function<two_layers, vv::f64, vv::batch_size<1>, vv::seed> of{vv::f64{}, vv::batch<1>, vv::seed{4}};
  std::vector<double> start(static_cast<std::size_t>(vv::parameters<two_layers>));
  of.start(start.data());
  REQUIRE(start.size() == 12 + 4 + 8);
  double total = 0;
  for (std::size_t hidden = 0; hidden < 4; ++hidden) {
    double unit = 0;
    for (std::size_t i = 0; i < 3; ++i) unit += std::abs(start[4 * i + hidden]);
    for (std::size_t o = 0; o < 2; ++o) total += unit * std::abs(start[16 + 2 * hidden + o]);
  }
  CHECK(search::synflow{}(two_layers::graph, vv::seed{4}) == doctest::Approx(2 * total).epsilon(1e-12));
  vv::gradient_function<normalised, vv::f64, vv::batch_size<2>, vv::seed> with{vv::f64{}, vv::batch<2>, vv::seed{4}};
  std::vector<double> other(static_cast<std::size_t>(vv::parameters<normalised>));
  with.start(other.data());
  total = 0;
  for (std::size_t hidden = 0; hidden < 4; ++hidden) {
    double unit = 0;
    for (std::size_t i = 0; i < 3; ++i) unit += std::abs(other[4 * i + hidden]);
    for (std::size_t o = 0; o < 2; ++o) total += unit * std::abs(other[24 + 2 * hidden + o]);
  }
  CHECK(search::synflow{}(normalised::graph, vv::seed{4}) == doctest::Approx(2 * total).epsilon(1e-12));
}

TEST_CASE("Fisher: one dense layer, by hand") {
  struct linear {
    vv::value operator()(vv::builder& graph) const {
      const vv::value x = graph.input("x", {vv::rows, 3});
      const vv::value y = vv::apply(vv::dense{2, false}, x);
      graph.output("prediction", y);
      return mean(square(y));
    }
  };
  // dL/da of a mean of squares is 2 a / (samples * 2), so a * dL/da is a^2 / samples.
  const numbers data(3);
  vv::runtime_graph<double, vv::cpu_kernels> run(vv::model_graph(linear{}, true), samples);
  run.values().initialise(4);
  run.run().set_input(0, data.features.data());
  run.run()({.seed = 4, .samples = samples});
  const double* a = run.run().output("prediction").data;
  double expected = 0;
  for (int c = 0; c < 2; ++c)
    for (int n = 0; n < samples; ++n) expected += std::pow(a[2 * n + c] * a[2 * n + c] / samples, 2) / samples / 2;
  CHECK(search::fisher{}(linear{}, data.view(), vv::seed{4}) == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("JacCov: eigenvalues, correlations, and a linear network") {
  // [[2, 1], [1, 2]] has 1 and 3; a rotation of diag(1, 2, 5) has those.
  const auto two = search::detail::symmetric_eigenvalues({2, 1, 1, 2}, 2);
  CHECK(two[0] == doctest::Approx(1).epsilon(1e-14));
  CHECK(two[1] == doctest::Approx(3).epsilon(1e-14));
  const double c = std::cos(0.3), s = std::sin(0.3);
  const auto three = search::detail::symmetric_eigenvalues(
      {c * c + 2 * s * s, c * s - 2 * c * s, 0, c * s - 2 * c * s, s * s + 2 * c * c, 0, 0, 0, 5}, 3);
  CHECK(three[0] == doctest::Approx(1).epsilon(1e-12));
  CHECK(three[1] == doctest::Approx(2).epsilon(1e-12));
  CHECK(three[2] == doctest::Approx(5).epsilon(1e-12));
  const auto r = search::detail::row_correlations({1, 2, 3, 3, 2, 1, 1, 3, 2}, 3, 3);
  CHECK(r[1] == doctest::Approx(-1));
  CHECK(r[2] == doctest::Approx(0.5));
  CHECK(r[0] == 1);
  // All rows of a linear network are equal: eigenvalues samples, 0, 0 ...
  constexpr auto linear = vv::classifier(vv::features{6}, vv::classes{3}, vv::dense{3});
  constexpr double k = 1e-5;
  const double expected = -(std::log(samples + k) + 1 / (samples + k) + (samples - 1) * (std::log(k) + 1 / k));
  CHECK(search::jac_cov{}(linear, numbers(6).view(), vv::seed{4}) == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("zero-cost scores of architectures of a space") {
  using space = search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, search::cell_skeleton{4, 1, 2}>;
  const auto data = vv::data::rendered_shapes(64, 0, 1);
  vv::data::loader<float> batches(data.train, 16, 1);
  batches.start_epoch(0);
  const vv::data::batch_view<float> batch = *batches.next();
  const auto all = [&](const search::architecture& cell) {
    const search::network<space> of{cell};
    return std::vector<double>{search::snip{}(of, batch),  search::grad_norm{}(of, batch),
                               search::grasp{}(of, batch), search::fisher{}(of, batch),
                               search::synflow{}(of),      search::jac_cov{}(of, batch)};
  };
  const auto one = all({3, 0, 1, 4, 0, 2}), again = all({3, 0, 1, 4, 0, 2}), other = all({3, 3, 3, 3, 3, 3});
  CHECK(one == again);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(std::isfinite(one[i]));
    CHECK(one[i] != other[i]);
  }
  CHECK(other[4] > one[4]);  // SynFlow grows with the number of paths
  // A cell that passes nothing on has no Jacobian.
  CHECK(search::jac_cov{}(search::network<space>{search::architecture{0, 0, 0, 0, 0, 0}}, batch) == -INFINITY);
}

TEST_CASE("zero-cost scores: what they cannot score is refused") {
  const numbers data(3);
  struct nameless {
    vv::value operator()(vv::builder& graph) const {
      return mean(square(vv::apply(vv::dense{2}, graph.input("x", {vv::rows, 3}))));
    }
  };
  CHECK_THROWS_WITH_AS(search::synflow{}(nameless{}), doctest::Contains("prediction"), vv::error);
  CHECK_THROWS_WITH_AS(search::snip{}(nameless{}, vv::data::batch_view<double>{}), doctest::Contains("needs a batch"),
                       vv::error);
  vv::data::batch_view<double> unlabelled = data.view();
  unlabelled.labels = nullptr;
  CHECK_THROWS_WITH_AS(search::snip{}(two_layers::graph, unlabelled), doctest::Contains("an input has no data"),
                       vv::error);
  CHECK_THROWS_WITH_AS(search::jac_cov{}(two_layers::graph, vv::data::batch_view<double>{}),
                       doctest::Contains("at least two"), vv::error);
  struct wrong {
    vv::value operator()(vv::builder& graph) const {
      return mean(matmul(graph.input("x", {vv::rows, 3}), graph.parameter("w", {4, 2})));
    }
  };
  CHECK_THROWS_WITH_AS(search::grad_norm{}(wrong{}, data.view()), doctest::Contains("matmul"), vv::error);
}
