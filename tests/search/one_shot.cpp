// Supernets: paths, shared weights, scores of sub-networks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <vivace/data/shapes.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/search/one_shot.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

using space = search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, search::cell_skeleton{4, 1, 2}>;
using sharing = search::weight_sharing<space>;

const vv::data::train_and_test& images() {
  static const auto made = vv::data::rendered_shapes(96, 32, 1);
  return made;
}

constexpr search::architecture cell{3, 0, 1, 4, 0, 2};
constexpr vv::sgd_momentum optimiser{.rate = 0.025, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};

auto new_net() { return search::supernet{space{}, vv::batch<32>, optimiser, vv::cosine{.epochs = 4}, vv::seed{5}}; }
using net_type = decltype(new_net());

vv::data::batch_view<float> first_batch(vv::data::loader<float>& batches) {
  batches.start_epoch(0);
  return *batches.next();
}

template <class Number>
bool same_bits(const std::vector<Number>& left, const std::vector<Number>& right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size() * sizeof(Number)) == 0;
}

/// A space of a user: its sharing form is a member.
struct dense_space {
  static constexpr search::choice choices[] = {{"first", {"skip", "tanh"}}, {"second", {"skip", "tanh", "relu"}}};
  static constexpr vv::value build(vv::builder& graph, const search::architecture&) {
    return vv::classifier(vv::features{3}, vv::classes{2}, vv::dense{2})(graph);
  }
  struct sharing {
    static constexpr int cells = 2;
    template <class Along>
    static vv::value build(vv::builder& graph, const Along& along) {
      vv::value x = graph.input("input", {vv::rows, 3});
      const vv::value label = graph.labels("label", {vv::rows});
      for (int one = 0; one < cells; ++one) {
        x = along(search::edge_place{one, 0}, x);
        x = along(search::edge_place{one, 1}, x);
      }
      const vv::value head = graph.parameter("head", {3, 2});
      return mean(cross_entropy(matmul(x, head), label));
    }
    static vv::value operation(int option, vv::value from, const search::parameter_scope& scope) {
      if (option == 0) return from;
      const vv::value w = scope.parameter(from.owner(), "weight", {3, 3}, vv::init::xavier(), 3, 3);
      const vv::value product = matmul(from, w);
      return option == 1 ? tanh(product) : relu(product);
    }
  };
};

/// Whether two numbers have the same sign: no odd function knows, so a path without "relu" can only guess.
struct sign_space {
  static constexpr search::choice choices[] = {{"first", {"skip", "tanh", "relu"}},
                                               {"second", {"skip", "tanh", "relu"}}};
  static constexpr vv::value build(vv::builder& graph, const search::architecture&) {
    return vv::classifier(vv::features{2}, vv::classes{2}, vv::dense{2})(graph);
  }
  struct sharing {
    static constexpr int cells = 1;
    template <class Along>
    static vv::value build(vv::builder& graph, const Along& along) {
      const vv::value x = graph.input("input", {vv::rows, 2});
      const vv::value label = graph.labels("label", {vv::rows});
      const vv::value wide = matmul(x, graph.parameter("stem", {2, 8}));
      const vv::value first = along(search::edge_place{0, 0}, wide);
      const vv::value second = along(search::edge_place{0, 1}, first);
      const vv::value logits = matmul(second, graph.parameter("head", {8, 2}));
      graph.output("prediction", logits);
      return mean(cross_entropy(logits, label));
    }
    static vv::value operation(int option, vv::value from, const search::parameter_scope& scope) {
      if (option == 0) return from;
      const vv::value w = scope.parameter(from.owner(), "weight", {8, 8}, vv::init::xavier(), 8, 8);
      const vv::value product = matmul(from, w);
      return option == 1 ? tanh(product) : relu(product);
    }
  };
  static vv::data::dataset samples(unsigned count) {
    std::vector<float> features;
    std::vector<std::int32_t> labels;
    for (unsigned i = 0; i < count; ++i) {
      for (unsigned k = 0; k < 2; ++k)
        features.push_back(static_cast<float>(2 * vv::random_stream(5, 1).uniform(2 * i + k) - 1));
      labels.push_back(features[2 * i] * features[2 * i + 1] > 0 ? 1 : 0);
    }
    return vv::data::dataset::own(std::move(features), {2}, std::move(labels));
  }
};

/// Samples for networks of 3 features.
vv::data::dataset points(float scale = 1) {
  std::vector<float> features;
  std::vector<std::int32_t> labels;
  for (unsigned i = 0; i < 20; ++i) {
    for (unsigned k = 0; k < 3; ++k)
      features.push_back(scale * static_cast<float>(vv::random_stream(3, 1).uniform(3 * i + k) - 0.5));
    labels.push_back(features[3 * i] > 0 ? 1 : 0);
  }
  return vv::data::dataset::own(std::move(features), {3}, std::move(labels));
}

}  // namespace

TEST_CASE("a supernet has the parameters of each operation of each edge of each cell once") {
  const auto net = new_net();
  const auto& table = net.table();
  // Per cell of c channels: 6 edges with a 1x1 and a 3x3 convolution.
  for (int number = 0; number < 3; ++number) {
    const std::int64_t c = 4 << number;
    for (int edge = 0; edge < 6; ++edge)
      for (int k = 0; k < 5; ++k)
        CHECK(table.size_of(search::scope_of({number, edge}, k).name.view()) == (k == 2   ? c * c
                                                                                 : k == 3 ? 9 * c * c
                                                                                          : 0));
  }
  const std::int64_t cells = 6 * 10 * (4 * 4 + 8 * 8 + 16 * 16);
  const std::int64_t reductions = 9 * 8 * (4 + 8) + 4 * 8 + 9 * 16 * (8 + 16) + 8 * 16;
  CHECK(table.size() == cells + reductions + 9 * 4 + 16 * 10 + 10);
  std::int64_t place = 0;
  std::set<std::int64_t> offsets;
  for (const auto& one : table.entries()) {
    offsets.insert(one.offset);
    place += one.dims.size();
    CHECK(table.find(one.of.name.view()) == &one);
  }
  CHECK(place == table.size());
  CHECK(offsets.size() == table.entries().size());
  CHECK(table.find("none of them") == nullptr);
}

TEST_CASE("names of operations") {
  CHECK(search::scope_of({0, 3}, 2).name.view() == "cell0.edge3.op2");
  CHECK(search::scope_of({14, 10}, 7).name.view() == "cell14.edge10.op7");
}

TEST_CASE("a sub-network inherits the supernet's weights by name") {
  auto net = new_net();
  auto candidate = net.candidate(cell, vv::sgd{});
  net.copy_to(candidate.values());
  const auto& values = candidate.values();
  int operations = 0;
  for (int p = 0; p < values.parameter_count(); ++p) {
    const auto own = values.parameter(p);
    const auto* shared = net.table().find(own.name);
    REQUIRE(shared != nullptr);
    CHECK(shared->dims == own.dims);
    CHECK(std::equal(own.data, own.data + own.dims.size(), net.weights().data() + shared->offset));
    operations += own.name.starts_with("cell") ? 1 : 0;
  }
  CHECK(operations == 2 * 3);  // a 3x3 and a 1x1 convolution in each of three cells
}

TEST_CASE("batch normalisation is on the batch's statistics, in prediction too, and has no parameters") {
  auto net = new_net();
  auto candidate = net.candidate(cell, vv::sgd{});
  for (int p = 0; p < candidate.values().parameter_count(); ++p)
    CHECK_FALSE(candidate.values().parameter(p).name.ends_with(".scale"));
  CHECK(candidate.values().state_count() == 0);
  vv::data::loader<float> batches(images().train.take(32), 32, 1);
  const auto batch = first_batch(batches);
  std::vector<float> louder(batch.features, batch.features + 32 * 784);
  for (float& one : louder) one *= 4;
  const auto* scores = candidate.predict(batch.features, 32).data;
  const std::vector<float> before(scores, scores + 320);
  scores = candidate.predict(louder.data(), 32).data;
  for (std::size_t i = 0; i < 320; ++i) CHECK(scores[i] == doctest::Approx(before[i]).epsilon(0.02));
}

TEST_CASE("a step follows the gradient of the paths' mean loss; parameters that no path uses only decay") {
  auto net = new_net();
  vv::data::loader<float> batches(images().train, 32, 1);
  const auto batch = first_batch(batches);
  const std::vector<search::path> paths{{{cell}}, {{{1, 2, 1, 0, 0, 3}}}};
  const auto before = net.weights().keep();
  double mean = 0;
  std::vector<double> expected(before.values.size());
  for (const auto& one : paths) {
    auto alone = net.candidate(one.cells[0], vv::sgd{.rate = 1});
    net.copy_to(alone.values());
    mean += alone.step(batch) / 2.0;
    for (int p = 0; p < alone.values().parameter_count(); ++p) {
      const auto own = alone.values().parameter(p);
      const auto offset = net.table().find(own.name)->offset;
      for (std::int64_t i = 0; i < own.dims.size(); ++i) {
        const auto k = static_cast<std::size_t>(offset + i);
        expected[k] += (static_cast<double>(before.values[k]) - static_cast<double>(own.data[i])) / 2;
      }
    }
  }
  CHECK(net.step(batch, paths) == doctest::Approx(mean).epsilon(1e-6));
  const auto after = net.weights().keep();
  int untouched = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(net.gradient()[i] == doctest::Approx(expected[i]).epsilon(1e-3).scale(1e-2));
    const double push = net.gradient()[i] + 5e-4 * before.values[i];
    CHECK(after.states[i] == doctest::Approx(push).epsilon(1e-5));
    CHECK(after.values[i] == doctest::Approx(before.values[i] - 0.025 * (push + 0.9 * push)).epsilon(1e-5));
    untouched += expected[i] == 0 ? 1 : 0;
  }
  CHECK(untouched > 1000);
}

TEST_CASE("RandNAS: one path, cells on their own, no node whose inputs are all none") {
  const search::rand_nas<space> sampler;
  int drawn[6][5]{};
  int different = 0;
  for (unsigned step = 0; step < 600; ++step) {
    const auto paths = sampler({1, search::one_shot_stream, step});
    REQUIRE(paths.size() == 1);
    REQUIRE(paths[0].cells.size() == 3);
    different += paths[0].cells[0] == paths[0].cells[1] ? 0 : 1;
    for (const auto& one : paths[0].cells) {
      CHECK(one[0] != 0);
      CHECK(one[1] + one[2] != 0);
      CHECK(one[3] + one[4] + one[5] != 0);
      for (int edge = 0; edge < 6; ++edge) ++drawn[edge][one[edge]];
    }
  }
  CHECK(different > 590);
  CHECK(drawn[0][0] == 0);
  for (int edge = 0; edge < 6; ++edge)
    for (int k = 1; k < 5; ++k) CHECK(std::abs(drawn[edge][k] - 1800 / (edge == 0 ? 4 : 5)) < 120);
}

TEST_CASE("FairNAS: over one step every operation of every edge is used exactly once") {
  const search::fair_nas<space> sampler;
  std::set<std::string> first;
  for (unsigned step = 0; step < 100; ++step) {
    const auto paths = sampler({1, search::one_shot_stream, step});
    REQUIRE(paths.size() == 5);
    int used[6][5]{};
    for (const auto& one : paths) {
      REQUIRE(one.cells.size() == 1);
      for (int edge = 0; edge < 6; ++edge) ++used[edge][one.cells[0][edge]];
    }
    for (const auto& edge : used)
      for (const int times : edge) CHECK(times == 1);
    first.insert(space::text(paths[0].cells[0]));
  }
  CHECK(first.size() > 95);
}

TEST_CASE("MultiPaths: one path of each quartile by parameters, or uniform") {
  const auto convolutions = [](const search::architecture& of) {
    int size = 0;
    for (int edge = 0; edge < 6; ++edge) size += of[edge] == 3 ? 9 : of[edge] == 2 ? 1 : 0;
    return size;
  };
  std::vector<int> sizes;
  for (std::uint64_t i = 0; i < search::count<space>(); ++i) sizes.push_back(convolutions(search::at<space>(i)));
  std::sort(sizes.begin(), sizes.end());
  const search::multi_paths<space> sampler;
  std::set<std::string> all;
  for (unsigned step = 0; step < 100; ++step) {
    const auto paths = sampler({1, search::one_shot_stream, step});
    REQUIRE(paths.size() == 4);
    for (std::size_t k = 0; k < 4; ++k) {
      const int size = convolutions(paths[k].cells.at(0));
      CHECK(size >= sizes[15625 * k / 4]);
      CHECK(size <= sizes[15625 * (k + 1) / 4 - 1]);
      all.insert(space::text(paths[k].cells[0]));
    }
  }
  CHECK(all.size() > 380);
  CHECK(search::multi_paths<space>(3, false)({1, search::one_shot_stream, 1}).size() == 3);
  CHECK_THROWS_WITH_AS(search::multi_paths<space>(0), doctest::Contains("at least one path"), vv::error);
}

TEST_CASE("a supernet learns; one seed gives one result for any number of threads") {
  const auto train = [](auto sampler, auto... settings) {
    search::supernet net{space{}, vv::batch<32>, optimiser, vv::seed{5}, settings...};
    net.fit(images().train, sampler, vv::epochs{2});
    net.fit(images().train, sampler, vv::epochs{4});
    return std::pair(net.weights().keep(), net.history());
  };
  const auto [weights, history] = train(search::fair_nas<space>{});
  REQUIRE(history.epochs.size() == 4);
  CHECK(history.batches.size() == 12);
  CHECK(history.epochs[3].train_loss < history.epochs[0].train_loss);
  CHECK(weights.step == 12);
  const auto [again, history_again] = train(search::fair_nas<space>{}, vv::threads{.count = 2});
  CHECK(same_bits(weights.values, again.values));
  CHECK(same_bits(weights.states, again.states));
  CHECK(history_again.epochs[3].train_loss == history.epochs[3].train_loss);
  CHECK(same_bits(train(search::rand_nas<space>{}).first.values, train(search::rand_nas<space>{}).first.values));
}

TEST_CASE("scores leave the supernet and its optimiser as they are, bit for bit") {
  auto net = new_net();
  net.fit(images().train, search::multi_paths<space>{}, vv::epochs{2});
  const auto before = net.weights().keep();
  vv::data::loader<float> batches(images().train, 32, 9);
  const search::inherited_tse score{.batches = 5};
  const double first = score(net, cell, batches);
  const double error = search::inherited_error{}(net, cell, images().test);
  (void)score(net, {3, 3, 3, 3, 3, 3}, batches);
  CHECK(score(net, cell, batches) == first);
  CHECK(search::inherited_error{}(net, cell, images().test) == error);
  const auto after = net.weights().keep();
  CHECK(same_bits(before.values, after.values));
  CHECK(same_bits(before.states, after.states));
  CHECK(before.step == after.step);
  CHECK(error >= 0);
  CHECK(error <= 1);
}

TEST_CASE("TSE of a sub-network: the sum of losses before each update, the same minibatches for each candidate") {
  auto net = new_net();
  vv::data::loader<float> batches(images().train, 32, 9);
  auto by_hand = net.candidate(cell, vv::sgd_momentum{.rate = 0.001, .weight_decay = 5e-4, .nesterov = true});
  net.copy_to(by_hand.values());
  double sum = 0;
  for (int b = 0; b < 5; ++b) {  // past the end of the epoch of three
    if (b % 3 == 0) batches.start_epoch(b / 3);
    sum += by_hand.step(*batches.next());
    if (b == 0) CHECK(search::inherited_tse{.batches = 1}(net, cell, batches) == sum);
    batches.seek(b / 3, 32 * (b % 3 + 1));
    if (b == 2) CHECK(search::inherited_tse{}(net, cell, batches) == sum);
    if (b == 2) batches.start_epoch(1);
  }
  CHECK(search::inherited_tse{.batches = 5}(net, cell, batches) == sum);
}

TEST_CASE("supernets of every sampler rank what can fit the data before what can only guess") {
  const auto train = sign_space::samples(400), other = sign_space::samples(200);
  const auto check = [&](const auto& sampler) {
    search::supernet net{sign_space{}, vv::batch<20>, vv::sgd_momentum{.rate = 0.1, .nesterov = true}, vv::seed{3}};
    net.fit(train, sampler, vv::epochs{20});
    vv::data::loader<float> batches(train, 20, 9);
    double worst_fit = 0, best_guess = 1e9, most_error = 0, least_error = 1;
    for (std::uint64_t i = 0; i < search::count<sign_space>(); ++i) {
      const auto of = search::at<sign_space>(i);
      const double speed = search::inherited_tse{.batches = 10}(net, of, batches);
      const double error = search::inherited_error{}(net, of, other);
      const bool fits = of[0] == 2 || of[1] == 2;
      if (fits) {
        worst_fit = std::max(worst_fit, speed);
        most_error = std::max(most_error, error);
      } else {
        best_guess = std::min(best_guess, speed);
        least_error = std::min(least_error, error);
      }
    }
    CHECK(worst_fit < 0.8 * best_guess);
    CHECK(most_error < least_error);
  };
  check(search::rand_nas<sign_space>{});
  check(search::fair_nas<sign_space>{});
  check(search::multi_paths<sign_space>{4});
  check(search::multi_paths<sign_space>{3, false});
}

TEST_CASE("a candidate whose loss is not finite scores infinity") {
  search::supernet net{dense_space{}, vv::batch<10>, vv::sgd{.rate = 0.1}};
  const auto wrong = points(std::numeric_limits<float>::infinity());
  vv::data::loader<float> batches(wrong, 10, 1);
  CHECK(std::isinf(search::inherited_tse{.batches = 3}(net, {1, 1}, batches)));
  CHECK_THROWS_WITH_AS(net.fit(wrong, search::rand_nas<dense_space>{}, vv::epochs{1}),
                       doctest::Contains("the loss is not finite"), vv::divergence_error);
}

TEST_CASE("a space of a user, edges with unlike numbers of operations") {
  search::supernet net{dense_space{}, vv::batch<10>, vv::sgd_momentum{.rate = 0.3}, vv::seed{2}};
  CHECK(net.table().size() == 2 * (1 + 2) * 9 + 6);
  net.fit(points(), search::rand_nas<dense_space>{}, vv::epochs{30});
  CHECK(net.history().epochs.back().train_loss < net.history().epochs.front().train_loss);
  net.fit(points(), search::multi_paths<dense_space>{2}, vv::epochs{31});
  CHECK_THROWS_WITH_AS(search::multi_paths<dense_space>(7), doctest::Contains("cannot be sorted into parts"),
                       vv::error);
}

TEST_CASE("mistakes of users") {
  auto net = new_net();
  vv::data::loader<float> batches(images().train, 32, 1);
  const auto batch = first_batch(batches);
  const auto step = [&](const std::vector<search::path>& paths) { net.step(batch, paths); };
  CHECK_THROWS_WITH_AS(step({}), doctest::Contains("at least one path"), vv::error);
  CHECK_THROWS_WITH_AS(step({{{cell, cell}}}), doctest::Contains("a path does not fit the supernet"), vv::error);
  CHECK_THROWS_WITH_AS(step({{{search::architecture{5, 0, 0, 0, 0, 0}}}}),
                       doctest::Contains("no architecture of the space"), vv::error);
  CHECK_THROWS_WITH_AS((void)net.candidate({1, 2}, vv::sgd{}), doctest::Contains("no architecture of the space"),
                       vv::error);
  CHECK_THROWS_WITH_AS(search::inherited_tse{.batches = -1}(net, cell, batches), doctest::Contains("inherited_tse"),
                       vv::error);
  CHECK_THROWS_WITH_AS(search::inherited_tse{.rate = 0}(net, cell, batches), doctest::Contains("inherited_tse"),
                       vv::error);
  vv::data::loader<float> empty(images().train.take(0), 32, 1);
  CHECK_THROWS_WITH_AS(search::inherited_tse{}(net, cell, empty), doctest::Contains("empty"), vv::error);
  const search::rand_nas<space> sampler;
  CHECK_THROWS_WITH_AS(net.fit(points(), sampler, vv::epochs{1}), doctest::Contains("does not fit the network"),
                       vv::error);
  CHECK_THROWS_WITH_AS(net.fit(images().train.take(0), sampler, vv::epochs{1}), doctest::Contains("empty"), vv::error);
  const auto unlabelled = vv::data::dataset::own(std::vector<float>(784 * 4), {1, 28, 28});
  CHECK_THROWS_WITH_AS(net.fit(unlabelled, sampler, vv::epochs{1}), doctest::Contains("needs labels"), vv::error);
  const auto many = vv::data::dataset::own(std::vector<float>(784), {1, 28, 28}, std::vector<std::int32_t>{11});
  CHECK_THROWS_WITH_AS(net.fit(many, sampler, vv::epochs{1}), doctest::Contains("more classes"), vv::error);

  auto wrong = batch;
  std::vector<std::int32_t> labels(32, 10);
  wrong.labels = labels.data();
  CHECK_THROWS_WITH_AS(net.step(wrong, std::vector<search::path>{{{cell}}}),
                       doctest::Contains("a label is out of range"), vv::error);
  wrong.labels = nullptr;
  CHECK_THROWS_WITH_AS(net.step(wrong, std::vector<search::path>{{{cell}}}),
                       doctest::Contains("lacks what the network takes"), vv::error);
  wrong.size = 33;
  CHECK_THROWS_WITH_AS(net.step(wrong, std::vector<search::path>{{{cell}}}), doctest::Contains("does not fit the plan"),
                       vv::error);
}
