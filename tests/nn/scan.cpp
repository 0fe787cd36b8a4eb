#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>
#include <vivace/exec/threads.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/recompute.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/scan.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/training_graph.hpp>

#include "evaluated.hpp"

// Loops over one axis, against the plain loop; what they carry; what they cost.

namespace {

using namespace nn_test;
using vv::rows;
using vv::value;

/// Two carried values, one result: what the tests compute in plain loops.
struct memory {
  value left, right;
};
value turn_of(value part, memory& carried, value weight) {
  const value mixed = matmul(carried.left, weight);
  const value left = carried.right;
  carried.right = tanh(mixed + part);
  carried.left = left * 0.5 + part;
  return carried.right * left;
}

constexpr std::size_t width = 3;
struct plain {
  numbers all, left, right;
  plain(const double* x, std::size_t turns, const numbers& weight) : left(width, 0.25), right(width, -0.5) {
    for (std::size_t t = 0; t < turns; ++t) {
      const double* part = x + t * width;
      numbers next_left(width), next_right(width);
      for (std::size_t j = 0; j < width; ++j) {
        double mixed = 0;
        for (std::size_t i = 0; i < width; ++i) mixed += left[i] * weight[i * width + j];
        next_right[j] = std::tanh(mixed + part[j]);
        next_left[j] = right[j] * 0.5 + part[j];
        all.push_back(next_right[j] * right[j]);
      }
      left = next_left;
      right = next_right;
    }
  }
};

vv::graph loop_graph(std::int32_t turns) {
  vv::builder graph;
  const value x = graph.input("x", {rows, turns, width});
  const value weight = graph.parameter("weight", {width, width});
  memory state{broadcast(graph.constant(0.25), {rows, width}), graph.constant(-0.5)};
  graph.output("all", scan(x, 1, state, [&](value part, memory& carried) { return turn_of(part, carried, weight); }));
  graph.output("left", state.left);
  graph.output("right", state.right);
  graph.result().loss = graph.constant(0).index();
  return vv::canonical(graph.result());
}

template <class Layer>
vv::graph classifier_of_rows(std::int32_t turns, Layer layer) {
  vv::builder make;
  const value x = make.input("x", {rows, turns, 5});
  const value label = make.labels("label", {rows});
  const value logits = apply(vv::dense{3}, apply(layer, x));
  const value loss = mean(cross_entropy(logits, label));
  make.result().loss = loss.index();
  return vv::training_graph<vv::adam>(vv::canonical(make.result()));
}

}  // namespace

TEST_CASE("scan: what the plain loop gives, for any number of turns and samples") {
  for (const std::int32_t turns : {1, 2, 5, 17})
    for (const int planned : {1, 4})
      for (const int samples : {planned, 1}) {
        vv::runtime_graph<double, vv::cpu_kernels> run(loop_graph(turns), planned);
        run.values().initialise(2);
        const auto given = run.values().find("weight");
        const numbers weight(given.data, given.data + width * width);
        const numbers x = some(static_cast<std::size_t>(samples * turns) * width, 4);
        run.run().set_input(0, x.data());
        for (int step = 0; step < 2; ++step) {
          run.run()({.samples = samples});
          for (int s = 0; s < samples; ++s) {
            const std::size_t first = static_cast<std::size_t>(s * turns) * width;
            const plain expected(&x[first], static_cast<std::size_t>(turns), weight);
            const auto check = [&](const char* name, const numbers& wanted) {
              const double* found = run.run().output(name).data + static_cast<std::size_t>(s) * wanted.size();
              for (std::size_t i = 0; i < wanted.size(); ++i)
                CHECK(found[i] == doctest::Approx(wanted[i]).epsilon(1e-12));
            };
            check("all", expected.all);
            check("left", expected.left);
            check("right", expected.right);
          }
        }
      }
}

TEST_CASE("scan: what is carried may be a value, an array, or a struct of both") {
  const numbers running{1, 3, 6, 4, 9, 15};
  const auto one = [](value part, value& total) { return total = total + part; };
  vv::builder graph;
  const value x = graph.input("x", {rows, 3, 1});
  const value zero = graph.constant(0);
  value single = zero;
  graph.output("single", scan(x, 1, single, one));
  std::array<value, 2> pair{zero, zero};
  graph.output("pair", scan(x, 1, pair, [](value part, std::array<value, 2>& total) {
                 total[0] = total[0] + part;
                 total[1] = total[1] - part;
                 return total[0];
               }));
  value raw[2]{zero, zero};
  graph.output("raw", scan(x, 1, raw, [](value part, value(&total)[2]) { return total[1] = total[1] + part; }));
  struct nested {
    std::array<value, 2> some;
    memory more;
    value none;
  } deep{{zero, zero}, {zero, zero}, {}};
  graph.output("deep", scan(x, 1, deep, [](value part, nested& total) {
                 total.more.right = total.more.right + part;
                 total.some[1] = total.more.right;
                 return total.some[1];
               }));
  std::vector<value> list(3, zero);
  graph.output("list", scan(x, 1, list, [](value part, std::vector<value>& total) {
                 return total[2] = total[2] + part;
               }));
  struct nothing {
  } empty;
  graph.output("empty", scan(x, 1, empty, [](value part, nothing&) { return part * 2.0; }));
  graph.output("ends", pair[1] + deep.some[1] + list[0]);
  evaluated run(vv::canonical(graph.result()), 2);
  run.give("x", numbers{1, 2, 3, 4, 5, 6});
  run.run();
  for (const char* name : {"single", "pair", "raw", "deep", "list"}) CHECK(run.read(name) == running);
  CHECK(run.read("empty") == numbers{2, 4, 6, 8, 10, 12});
  CHECK(run.read("ends") == numbers{0, 0});
}

TEST_CASE("scan: the state's shape is the body's, if the start can be repeated to it") {
  vv::builder graph;
  const value x = graph.input("x", {rows, 3, 2});
  value state = graph.constant(1);
  int calls = 0;
  graph.output("y", scan(x, 1, state, [&](value part, value& total) {
                 ++calls;
                 const value weight = graph.parameter("weight", {2}, vv::init::zeros);  // one, whatever the calls
                 return total = total + part + weight;
               }));
  CHECK(calls == 2);
  CHECK(state.dims() == vv::shape{rows, 2});
  CHECK(graph.result().parameters.size() == 1);
  evaluated run(vv::canonical(graph.result()), 1);
  run.give("x", numbers{1, 2, 3, 4, 5, 6});
  run.run();
  CHECK(run.read("y") == numbers{2, 3, 5, 7, 10, 13});
}

TEST_CASE("scan: results that are the state, old or unchanged, or from outside") {
  vv::builder graph;
  const value x = graph.input("x", {rows, 3, 1});
  const value start = broadcast(graph.constant(10), {1});
  value old = start, fixed = start, other = start;
  graph.output("old", scan(x, 1, old, [](value part, value& total) {
                 const value before = total;
                 total = total + part;
                 return before;
               }));
  graph.output("fixed", scan(x, 1, fixed, [](value, value& total) { return total; }));
  graph.output("outside", scan(x, 1, other, [&](value, value& total) {
                 total = start * 2.0;
                 return start * 3.0;
               }));
  graph.output("ends", old + fixed + other);
  evaluated run(vv::canonical(graph.result()), 2);
  run.give("x", numbers{1, 2, 3, 4, 5, 6});
  run.run();
  CHECK(run.read("old") == numbers{10, 11, 13, 10, 14, 19});
  CHECK(run.read("fixed") == numbers{10, 10, 10});
  CHECK(run.read("outside") == numbers{30, 30, 30});
  CHECK(run.read("ends") == numbers{46, 55});
}

TEST_CASE("scan: in a scan") {
  vv::builder graph;
  const value x = graph.input("x", {rows, 2, 3});
  value total = graph.constant(0);
  graph.output("y", scan(x, 1, total, [&](value part, value& outer) {
                 value inner = outer;
                 const value steps = scan(part, 1, inner, [&](value one, value& sum) { return sum = sum * 2.0 + one; });
                 outer = inner;
                 return steps;
               }));
  graph.output("total", total);
  evaluated run(vv::canonical(graph.result()), 2);
  numbers x_values, expected, ends;
  for (int s = 0; s < 2; ++s) {
    double sum = 0;
    for (int i = 0; i < 6; ++i) {
      x_values.push_back(10 * s + i);
      expected.push_back(sum = sum * 2 + 10 * s + i);
    }
    ends.push_back(sum);
  }
  run.give("x", x_values);
  run.run();
  CHECK(run.read("y") == expected);
  CHECK(run.read("total") == ends);
}

TEST_CASE("scan: every turn has a dropout mask of its own") {
  vv::builder graph;
  const value x = graph.input("x", {rows, 5, 400});
  value none;
  graph.output("y", scan(x, 1, none, [](value part, value&) { return apply(vv::dropout{0.5}, part); }));
  evaluated run(vv::canonical(graph.result()), 1);
  run.give("x", numbers(2000, 1.0));
  run.run();
  const numbers y = run.read("y");
  double kept = 0;
  for (std::size_t i = 0; i < y.size(); ++i) kept += y[i] / 2;
  CHECK(kept == doctest::Approx(1000).epsilon(0.1));
  for (std::size_t t = 1; t < 5; ++t)
    CHECK(numbers(y.begin(), y.begin() + 400) != numbers(&y[t * 400], &y[t * 400] + 400));
}

TEST_CASE("scan: nodes, commands and compiled code do not grow with the turns") {
  const auto sizes = [](std::int32_t turns) {
    const vv::graph made = classifier_of_rows(turns, vv::gru{.width = 4, .last = true});
    const vv::plan steps = vv::make_plan(made, vv::fuse(made), 8, &vv::cpu_kernels::workspace);
    return std::vector<int>{made.nodes.size(), made.loops.size(), steps.commands.size(), steps.instructions.size(),
                            steps.loops.size(), steps.strides.size()};
  };
  CHECK(sizes(2) == sizes(1000));
  CHECK(sizes(2)[1] == 2);
  // Memory grows by what each turn keeps for the backward pass.
  const auto elements = [](std::int32_t turns, auto layer) {
    const vv::graph made = classifier_of_rows(turns, layer);
    return vv::make_plan(made, vv::fuse(made), 8, &vv::no_workspace).arena_size;
  };
  const vv::gru layer{.width = 4, .last = true};
  CHECK(elements(200, layer) < 2 * elements(100, layer));
  CHECK(elements(200, vv::recompute{layer}) < elements(200, layer));
}

TEST_CASE("scan: computed again, the results are the same") {
  const auto trained = [](auto layer) {
    evaluated run(classifier_of_rows(6, layer), 4);
    run.give("x", some(4 * 6 * 5, 1));
    run.give("label", std::vector<std::int32_t>{0, 1, 2, 1});
    vv::adam optimiser;
    numbers losses;
    for (int step = 0; step < 5; ++step) {
      optimiser.set({.step = step}, run.settings());
      run.run(static_cast<std::uint32_t>(step));
      losses.push_back(run.loss());
    }
    return losses;
  };
  const vv::gru layer{.width = 4, .last = true};
  CHECK(trained(layer) == trained(vv::recompute{layer}));
  CHECK(trained(layer)[0] != trained(layer)[4]);
}

TEST_CASE("scan: the same bits on any number of threads") {
  const auto trained = [](int threads) {
    vv::runtime_graph<float, vv::cpu_kernels> run(classifier_of_rows(7, vv::gru{.width = 96, .last = true}), 300);
    run.values().initialise(1);
    std::vector<float> x;
    std::vector<std::int32_t> labels;
    for (const double number : some(300 * 7 * 5, 1)) x.push_back(static_cast<float>(number));
    for (int i = 0; i < 300; ++i) labels.push_back(i % 3);
    run.run().set_input(run.run().input("x"), x.data());
    run.run().set_input(run.run().input("label"), labels.data());
    vv::threads::executor executor(vv::threads{threads});
    vv::adam optimiser;
    double settings[vv::adam::settings]{};
    for (int step = 0; step < 3; ++step) {
      optimiser.set({.step = step}, settings);
      for (int i = 0; i < vv::adam::settings; ++i) run.run().settings()[i] = static_cast<float>(settings[i]);
      run.run()({.lanes = executor.lanes(), .samples = step == 1 ? 211 : 300});
    }
    const auto weight = run.values().find("0.gru.hidden_weight");
    return std::vector<float>(weight.data, weight.data + weight.dims.size());
  };
  const std::vector<float> alone = trained(1);
  for (const int threads : {2, 3, 8}) CHECK(trained(threads) == alone);
}

TEST_CASE("scan and concatenate: mistakes") {
  const auto mistake = [](const auto& build) {
    vv::builder graph;
    build(graph, graph.input("x", {rows, 3, 2}));
    return graph.result().mistake.what;
  };
  const auto same = [](value given, value&) { return given; };
  CHECK(mistake([&](vv::builder&, value x) { scan(x, 3, x, same); }) == vv::problem::axis_out_of_range);
  CHECK(mistake([&](vv::builder&, value x) { scan(x, 0, x, same); }) == vv::problem::range_outside_axis);
  CHECK(mistake([&](vv::builder&, value x) { separate(x, -4); }) == vv::problem::axis_out_of_range);
  CHECK(mistake([&](vv::builder& graph, value x) {
          vv::ops::concatenate({x, graph.constant(1)}, 1);
        }) == vv::problem::wrong_rank);
  CHECK(mistake([&](vv::builder&, value x) { vv::ops::concatenate({x, x, x}, 0); }) == vv::problem::sizes_differ);
  CHECK(mistake([&](vv::builder& graph, value x) {
          scan(x, 1, x, [&](value, value&) { return graph.input("y", {1, 1, 1, rows}); });
        }) == vv::problem::wrong_rank);
  CHECK(mistake([&](vv::builder&, value x) {  // a mask of all turns would have five axes
          value state = reshape(x, {rows, 3, 2, 1});
          scan(x, 1, state, [](value part, value& carried) {
            carried = apply(vv::dropout{0.5}, carried);
            return part;
          });
        }) == vv::problem::wrong_rank);
}

TEST_CASE("scan: what is carried keeps its shape") {
  const auto found = [](const auto& body) {
    vv::builder graph;
    const value x = graph.input("x", {rows, 3, 2});
    value state = graph.parameter("start", {2, 2});
    (void)scan(x, 1, state, body);
    return graph.result().mistake;
  };
  const vv::diagnosis smaller = found([](value part, value& state) {
    state = sum(state, {0});
    return part;
  });
  CHECK(smaller.what == vv::problem::carried_shape_changes);
  CHECK(smaller.got == vv::shape{2});
  CHECK(smaller.needs == vv::shape{2, 2});
  CHECK(found([](value part, value& state) {  // grows in every turn
          state = vv::ops::concatenate(state, state, 0);
          return part;
        }).what == vv::problem::carried_shape_changes);
  CHECK(found([](value part, value& state) {
          state = reshape(state, {4});
          return part;
        }).what == vv::problem::carried_shape_changes);
  CHECK(found([](value part, value& state) {  // one that did not exist
          state = value{};
          return part + part;
        }).what == vv::problem::carried_shape_changes);
  vv::builder graph;
  std::vector<value> list{graph.constant(0)};
  (void)scan(graph.input("x", {rows, 3, 2}), 1, list, [](value part, std::vector<value>& all) {
    all.push_back(part);
    return part;
  });
  CHECK(graph.result().mistake.what == vv::problem::carried_shape_changes);
  try {
    vv::runtime_graph<double, vv::reference_kernels> run(graph.take());
    FAIL("a mistake passes");
  } catch (const vv::error& error) {
    const std::string text = error.what();
    CHECK(text.find("a value that a scan carries changes its shape from turn to turn") != text.npos);
    CHECK(text.find("where: scan") != text.npos);
  }
}

TEST_CASE("scan: values of a turn stay in the body") {
  const auto found = [](const auto& build) {
    vv::builder graph;
    const value x = graph.input("x", {rows, 3, 2});
    value state = graph.constant(0), leaked;
    (void)scan(x, 1, state, [&](value part, value& carried) {
      leaked = exp(part);
      build(graph, part, true);
      return carried = carried + part;
    });
    build(graph, leaked, false);
    return graph.result().mistake.what;
  };
  CHECK(found([](vv::builder&, value, bool) {}) == vv::problem::none);
  CHECK(found([](vv::builder&, value one, bool inside) {
          if (!inside) (void)(one + one);
        }) == vv::problem::value_outside_its_loop);
  CHECK(found([](vv::builder& graph, value one, bool inside) {
          if (inside) graph.output("y", one);
        }) == vv::problem::value_outside_its_loop);
  CHECK(found([](vv::builder& graph, value one, bool inside) {
          if (!inside) graph.output("y", one);
        }) == vv::problem::value_outside_its_loop);
  CHECK(found([](vv::builder& graph, value one, bool inside) {
          if (inside) graph.update(graph.state("s", {}), sum(one));
        }) == vv::problem::value_outside_its_loop);
  CHECK(found([](vv::builder&, value one, bool inside) {  // from one loop to another
          if (inside) return;
          value state;
          (void)scan(reshape(one, {rows, 2}), 1, state, [&](value part, value&) { return part + one; });
        }) == vv::problem::value_outside_its_loop);
  CHECK(found([](vv::builder& graph, value one, bool inside) {
          if (inside) return;
          value state = graph.constant(0);
          (void)scan(graph.input("z", {rows, 3, 2}), 1, state, [&](value part, value& carried) {
            carried = one;
            return part;
          });
        }) == vv::problem::value_outside_its_loop);
  CHECK(vv::model_graph([](vv::builder& graph) {
          value state, leaked;
          (void)scan(graph.input("x", {rows, 3}), 1, state, [&](value part, value&) {
            leaked = sum(part);
            return part;
          });
          return leaked;
        }, true).mistake.what == vv::problem::value_outside_its_loop);
}

TEST_CASE("concatenate: any number of values, in order") {
  vv::builder graph;
  vv::sequence<value> parts;
  numbers expected;
  for (int i = 0; i < 7; ++i) {
    parts.push_back(broadcast(graph.constant(i), {2, i + 1}));
    CHECK(vv::ops::concatenate(parts, -1).dims() == vv::shape{2, (i + 1) * (i + 2) / 2});
  }
  graph.output("y", vv::ops::concatenate(parts, -1));
  evaluated run(vv::canonical(graph.result()));
  run.run();
  for (int row = 0; row < 2; ++row)
    for (int i = 0; i < 7; ++i)
      for (int j = 0; j <= i; ++j) expected.push_back(i);
  CHECK(run.read("y") == expected);
}
