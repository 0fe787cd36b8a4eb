#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/optim/training_graph.hpp>

// Sums of a backward pass: equal to plain ones, and fewer.

namespace {

namespace vv = vivace;
using vv::builder;
using vv::op;
using vv::rows;
using vv::value;

int count(const vv::graph& from, op kind) {
  int result = 0;
  for (const vv::node& node : from.nodes) result += node.kind == kind ? 1 : 0;
  return result;
}
int sums(builder& make) { return count(make.result(), op::sum); }

/// An expression of [batch, 4, 3] over inputs of that shape and others that stay the same along some axes.
value random_expression(builder& make, const std::vector<value>& leaves, const vv::random_stream& random,
                        std::uint64_t& at, int depth) {
  const auto pick = [&](std::uint64_t below) { return random.below(at++, below); };
  if (depth == 0) {
    const value leaf = leaves[pick(leaves.size())];
    return vv::ops::broadcast(leaf, leaves[0].dims());
  }
  const value left = random_expression(make, leaves, random, at, depth - 1);
  switch (pick(7)) {
    case 0:
      return -left;
    case 1:
      return left * 0.5;
    case 2:
      return left + 0.25;
    case 3:
      return left - vv::ops::sum_to(left, {1, 4, 1}, true);
    case 4: {
      const value right = random_expression(make, leaves, random, at, depth - 1);
      return left + right;
    }
    case 5: {
      const value right = leaves[pick(leaves.size())];
      return left * right;
    }
    default: {
      const value right = random_expression(make, leaves, random, at, depth - 1);
      return left * right;
    }
  }
}

}  // namespace

TEST_CASE("sums taken apart are the sums") {
  constexpr int batch = 3;
  const vv::shape targets[] = {{1, 4, 1}, {4, 1}, {3}, {rows, 1, 1}, {}};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const vv::random_stream random(seed, 7);
    std::uint64_t at = 0;
    builder make;
    std::vector<value> leaves;
    const vv::shape shapes[] = {{rows, 4, 3}, {rows, 4, 3}, {1, 4, 1}, {4, 1}, {3}, {rows, 1, 1}, {}};
    for (const vv::shape& dims : shapes) leaves.push_back(make.input("x" + std::to_string(leaves.size()), dims));
    vv::summation summed(make);
    const vv::shape dims = targets[random.below(at++, 5)];
    for (int i = 0; i < 3; ++i) {
      const value from = random_expression(make, leaves, random, at, 3);
      const value found = summed(from, dims);
      REQUIRE(found.dims() == dims);
      make.output("found" + std::to_string(i), found * 1.0);
      make.output("plain" + std::to_string(i), vv::ops::sum_to(from, dims) * 1.0);
    }
    REQUIRE(!make.failed());
    vv::runtime_graph<double, vv::reference_kernels> run(vv::without_dead_code(make.take()), batch);
    std::vector<std::vector<double>> numbers;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      auto& own = numbers.emplace_back(static_cast<std::size_t>(shapes[i].size_at(batch)));
      for (double& number : own) number = 2 * random.uniform(at++) - 1;
    }
    for (std::size_t i = 0; i < leaves.size(); ++i) run.run().set_input(static_cast<int>(i), numbers[i].data());
    run.run()({.samples = batch});
    for (int i = 0; i < 3; ++i) {
      const auto found = run.run().output("found" + std::to_string(i));
      const auto plain = run.run().output("plain" + std::to_string(i));
      for (std::int64_t k = 0; k < dims.size_at(batch); ++k) {
        CAPTURE(seed);
        REQUIRE(std::abs(found.data[k] - plain.data[k]) <= 1e-12 * (1 + std::abs(plain.data[k])));
      }
    }
  }
}

TEST_CASE("constant factors leave the sum, and sums that differ in them are one") {
  builder make;
  const value x = make.input("x", {rows, 4, 3}), y = make.input("y", {rows, 4, 3});
  const value r = make.input("r", {1, 4, 1}), s = make.input("s", {4, 1});
  vv::summation summed(make);
  summed(x * (y * r), {1, 4, 1});
  CHECK(sums(make) == 1);
  summed(-(y * s) * x, {1, 4, 1});
  summed((x * 2.0) * y, {1, 4, 1});
  CHECK(sums(make) == 1);
  summed(x * y, {4, 1});  // another shape
  CHECK(sums(make) == 2);
  summed(x * x, {4, 1});
  CHECK(sums(make) == 3);
  summed(x * r + y * x * s, {1, 4, 1});  // one of the two is known
  CHECK(sums(make) == 4);
  CHECK(make.at(make.result().nodes.size() - 1).dims == vv::shape{1, 4, 1});
}

TEST_CASE("a constant that is repeated along an axis of its own counts as often") {
  builder make;
  const value x = make.input("x", {rows, 4, 1}), r = make.input("r", {1, 4, 1});
  const value repeated = vv::ops::broadcast(r, {rows, 4, 3});
  vv::summation summed(make);
  const value once = summed(x, {1, 4, 1});
  make.output("once", once);
  make.output("thrice", summed(repeated * x, {1, 4, 1}));
  vv::runtime_graph<double, vv::reference_kernels> run(vv::without_dead_code(make.take()), 2);
  const double numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8}, factors[4] = {1, 10, 100, 1000};
  run.run().set_input(0, numbers);
  run.run().set_input(1, factors);
  run.run()({.samples = 2});
  for (int channel = 0; channel < 4; ++channel)
    CHECK(run.run().output("thrice").data[channel] == 3 * factors[channel] * run.run().output("once").data[channel]);
}

TEST_CASE("deviations from their mean add up to zero") {
  builder make;
  const value x = make.input("x", {rows, 4, 3}), r = make.input("r", {1, 4, 1});
  const value deviation = x - vv::ops::sum_to(x, {1, 4, 1}, true);
  vv::summation summed(make);
  const int before = sums(make);
  summed(deviation * r * 2.0, {1, 4, 1});
  CHECK(sums(make) == before);
  summed(deviation, {3});  // not the axes of the mean
  CHECK(sums(make) == before + 1);
}

TEST_CASE("batch normalisation: two sums forward, two backward, and no copy of the deviations") {
  const auto sums_of = [](const auto& body) {
    const auto network = vv::classifier(vv::image{3, 8, 8}, vv::classes{10}, body);
    return count(vv::training_graph<vv::sgd>(vv::model_graph(network, true)), op::sum);
  };
  constexpr vv::conv2d filters{.filters = 4, .kernel = 3, .padding = 1};
  const int without = sums_of(vv::chain(filters, vv::relu{}, vv::flatten{}, vv::dense{10}));
  CHECK(sums_of(vv::chain(filters, vv::batch_norm{}, vv::relu{}, vv::flatten{}, vv::dense{10})) == without + 4);

  // Two passes for the moments read what the convolution left, and so does the normalisation.
  const auto network = vv::classifier(vv::image{3, 8, 8}, vv::classes{10}, filters, vv::batch_norm{}, vv::relu{},
                                      vv::flatten{}, vv::dense{10});
  const vv::graph training = vv::training_graph<vv::sgd>(vv::model_graph(network, true));
  const vv::plan plan = vv::make_plan(training, vv::fuse(training), 8, &vv::reference_kernels::workspace);
  for (const vv::command& one : plan.commands)
    if (one.kind == op::sum && one.attr.mean && one.has_program()) CHECK(one.stores == 0);
}

TEST_CASE("gradients of neighbouring slices are put side by side, in any order") {
  const auto nodes_of = [](std::initializer_list<int> order, int gap) {
    builder make;
    const value x = make.parameter("x", {6, 4});
    value loss = make.constant(0);
    for (const int slice : order)
      loss = loss + vv::ops::sum_to(vv::ops::square(vv::ops::slice(x, 0, 2 * slice, 2 - gap)), {}) * (slice + 1.0);
    make.result().loss = loss.index();
    const vv::graph training = vv::training_graph<vv::sgd>(make.take());
    return std::pair{count(training, op::pad), count(training, op::concatenate)};
  };
  CHECK(nodes_of({0, 1, 2}, 0) == std::pair{0, 2});
  CHECK(nodes_of({2, 1, 0}, 0) == std::pair{0, 2});
  CHECK(nodes_of({1, 2}, 0) == std::pair{1, 1});
  CHECK(nodes_of({0, 1, 2}, 1) == std::pair{3, 0});  // what lies between them gets nothing
}
