#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vivace/exec/evaluate.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/residual.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/training_graph.hpp>

// Shapes are checked while a graph is built; the first mistake is kept, with its place.

namespace {

namespace vv = vivace;
using vv::builder;
using vv::problem;
using vv::rows;
using vv::shape;
using vv::value;

vv::diagnosis mistake_of(const std::function<void(builder&)>& build) {
  builder graph;
  build(graph);
  return graph.result().mistake;
}

void check_mistake(const char* name, problem what, std::string_view kind, const shape& got, const shape& needs,
                   const std::function<void(builder&)>& build) {
  INFO(name);
  const vv::diagnosis found = mistake_of(build);
  CHECK(vv::to_string(found.what) == vv::to_string(what));
  CHECK(found.kind.view() == kind);
  CHECK(vv::to_string(found.got) == vv::to_string(got));
  CHECK(vv::to_string(found.needs) == vv::to_string(needs));
}

value made(builder& graph, const shape& dims) {
  const std::string name = "x" + std::to_string(graph.result().nodes.size());
  return dims.per_sample() ? graph.input(name, dims) : graph.parameter(name, dims);
}

/// The mistake of a classifier made of these layers.
template <class Input, vv::layer... Layers>
vv::diagnosis classifier_mistake(Input from, int classes, const Layers&... layers) {
  return vv::model_graph(vv::classifier(from, vv::classes{classes}, layers...), true).mistake;
}

}  // namespace

TEST_CASE("a correct graph has no mistake") {
  CHECK(mistake_of([](builder& graph) { made(graph, {2, 3}) + made(graph, {3}); }) == vv::diagnosis{});
}

TEST_CASE("shapes of results") {
  builder graph;
  const value image = made(graph, {rows, 4, 7, 9});
  const value weight = made(graph, {6, 2, 3, 2});
  vv::window frame;
  frame.stride[0] = 2;
  frame.padding[1] = 1;
  frame.dilation[0] = 2;
  frame.groups = 2;
  CHECK(convolve(image, weight, frame).dims() == shape{rows, 6, 2, 10});
  CHECK((made(graph, {rows, 1, 3}) * made(graph, {4, 1})).dims() == shape{rows, 4, 3});
  CHECK(matmul(made(graph, {rows, 5, 2, 3}), made(graph, {rows, 5, 4, 3}), false, true).dims() == shape{rows, 5, 2, 4});
  CHECK(matmul(made(graph, {rows, 5, 3}), made(graph, {3, 2})).dims() == shape{rows, 5, 2});
  CHECK(matmul(made(graph, {rows, 3}), made(graph, {rows, 2}), true).dims() == shape{3, 2});
  CHECK(sum(made(graph, {rows, 5, 3}), {0, 2}).dims() == shape{5});
  CHECK(mean(made(graph, {rows, 5, 3}), {-1}).dims() == shape{rows, 5});
  CHECK(max(made(graph, {rows, 5, 3}), {0, 1, 2}).dims() == shape{});
  CHECK(transpose(made(graph, {rows, 5, 3}), {2, 0, -2}).dims() == shape{3, rows, 5});
  CHECK(slice(made(graph, {rows, 5, 3}), -2, 1, 3).dims() == shape{rows, 3, 3});
  CHECK(pad(made(graph, {rows, 5, 3}), 1, 1, 8).dims() == shape{rows, 8, 3});
  CHECK(concatenate(made(graph, {rows, 5, 3}), made(graph, {rows, 2, 3}), 1).dims() == shape{rows, 7, 3});
  CHECK(where(made(graph, {rows, 1}), made(graph, {}), made(graph, {1, 3})).dims() == shape{rows, 3});
  CHECK(take_rows(made(graph, {10, 4}), graph.labels("l", {-7})).dims() == shape{-7, 4});
  CHECK(vv::flatten{}(image).dims() == shape{rows, 252});
  CHECK(graph.result().mistake == vv::diagnosis{});
}

TEST_CASE("mistakes of operations") {
  const auto check = check_mistake;
  check("add", problem::shapes_do_not_broadcast, "add", {2, 3}, {2}, [](builder& g) { made(g, {2, 3}) + made(g, {2}); });
  check("rows and a number", problem::shapes_do_not_broadcast, "multiply", {rows, 3}, {2, 3},
        [](builder& g) { made(g, {rows, 3}) * made(g, {2, 3}); });
  check("branches", problem::shapes_do_not_broadcast, "where", {2}, {3},
        [](builder& g) { where(made(g, {1}), made(g, {2}), made(g, {3})); });
  check("condition", problem::shapes_do_not_broadcast, "where", {4}, {3},
        [](builder& g) { where(made(g, {4}), made(g, {1}), made(g, {3})); });
  check("broadcast", problem::shapes_do_not_broadcast, "broadcast", {3}, {4},
        [](builder& g) { broadcast(made(g, {3}), {4}); });
  check("broadcast to less", problem::shapes_do_not_broadcast, "broadcast", {4, 3}, {3},
        [](builder& g) { broadcast(made(g, {4, 3}), {3}); });
  check("sum_to", problem::shapes_do_not_broadcast, "sum", {rows, 3}, {rows, 2},
        [](builder& g) { sum_to(made(g, {rows, 3}), {rows, 2}); });
  check("sizes", problem::sizes_differ, "reshape", {2, 3}, {5}, [](builder& g) { reshape(made(g, {2, 3}), {5}); });
  check("reshape of the batch", problem::batch_cannot_be_reshaped, "reshape", {rows, 3}, {3},
        [](builder& g) { reshape(made(g, {rows, 3}), {3}); });
  check("sum axis", problem::axis_out_of_range, "sum", {2, 3}, {}, [](builder& g) { sum(made(g, {2, 3}), {2}); });
  check("mean axis", problem::axis_out_of_range, "mean", {2, 3}, {}, [](builder& g) { mean(made(g, {2, 3}), {-3}); });
  check("max axis", problem::axis_out_of_range, "max", {}, {}, [](builder& g) { max(made(g, {}), {0}); });
  check("transpose rank", problem::wrong_rank, "transpose", {2, 3}, {}, [](builder& g) { transpose(made(g, {2, 3}), {0}); });
  check("transpose axis", problem::axis_out_of_range, "transpose", {2, 3}, {},
        [](builder& g) { transpose(made(g, {2, 3}), {0, 2}); });
  check("transpose twice", problem::axis_out_of_range, "transpose", {2, 3}, {},
        [](builder& g) { transpose(made(g, {2, 3}), {1, -1}); });
  check("slice axis", problem::axis_out_of_range, "slice", {2, 3}, {}, [](builder& g) { slice(made(g, {2, 3}), 5, 0, 1); });
  check("slice range", problem::range_outside_axis, "slice", {2, 3}, {2, 2}, [](builder& g) { slice(made(g, {2, 3}), 1, 2, 2); });
  check("slice of nothing", problem::range_outside_axis, "slice", {2, 3}, {1, 0}, [](builder& g) { slice(made(g, {2, 3}), 1, 1, 0); });
  check("slice of the batch", problem::range_outside_axis, "slice", {rows, 3}, {0, 1},
        [](builder& g) { slice(made(g, {rows, 3}), 0, 0, 1); });
  check("pad axis", problem::axis_out_of_range, "pad", {3}, {}, [](builder& g) { pad(made(g, {3}), -2, 0, 5); });
  check("pad range", problem::range_outside_axis, "pad", {3}, {3, 5}, [](builder& g) { pad(made(g, {3}), 0, 3, 5); });
  check("concatenate rank", problem::wrong_rank, "concatenate", {3}, {2, 3},
        [](builder& g) { concatenate(made(g, {2, 3}), g.parameter("b", {3}), 0); });
  check("concatenate axis", problem::axis_out_of_range, "concatenate", {3}, {},
        [](builder& g) { concatenate(made(g, {3}), made(g, {3}), 1); });
  check("concatenate extents", problem::sizes_differ, "concatenate", {2, 4}, {2, 3}, [](builder& g) {
    const value left = made(g, {2, 3});
    concatenate(left, made(g, {2, 4}), 0);
  });
  check("concatenate batches", problem::sizes_differ, "concatenate", {rows, 3}, {rows, 3}, [](builder& g) {
    const value left = made(g, {rows, 3});
    concatenate(left, made(g, {rows, 3}), 0);
  });
}

TEST_CASE("mistakes of products, windows and rows") {
  const auto check = check_mistake;
  const auto two = [](const shape& a, const shape& b, auto use) {
    return [=](builder& g) {
      const value left = made(g, a);
      const value right = made(g, b);
      use(left, right);
    };
  };
  const auto product = [](value a, value b) { matmul(a, b); };
  check("vector", problem::wrong_rank, "matmul", {3}, {3, 2}, two({3}, {3, 2}, product));
  check("ranks", problem::wrong_rank, "matmul", {2, 3}, {5, 3, 2}, two({2, 3}, {5, 3, 2}, product));
  check("inner", problem::inner_extents_differ, "matmul", {rows, 3}, {4, 2}, two({rows, 3}, {4, 2}, product));
  check("inner, transposed", problem::inner_extents_differ, "matmul", {3, 2}, {4, 2},
        two({3, 2}, {4, 2}, [](value a, value b) { matmul(a, b, true, false); }));
  check("leading", problem::shapes_do_not_broadcast, "matmul", {2, 3, 4}, {3, 4, 5}, two({2, 3, 4}, {3, 4, 5}, product));
  check("batch by batch", problem::batch_in_two_axes, "matmul", {rows, rows}, {},
        two({rows, 3}, {rows, 3}, [](value a, value b) { matmul(a, b, false, true); }));
  check("differences of all pairs", problem::batch_in_two_axes, "subtract", {rows, rows}, {},
        [](builder& g) {
          const value x = made(g, {rows, 1});
          x - transpose(x);
        });

  const auto convolution = [](value a, value b) { convolve(a, b, {}); };
  check("rank", problem::wrong_rank, "conv2d", {rows, 5, 5}, {2, 1, 3, 3}, two({rows, 5, 5}, {2, 1, 3, 3}, convolution));
  check("channels", problem::channels_do_not_match, "conv2d", {rows, 3, 5, 5}, {2, 4, 3, 3},
        two({rows, 3, 5, 5}, {2, 4, 3, 3}, convolution));
  check("groups", problem::groups_do_not_divide_channels, "conv2d", {rows, 4, 5, 5}, {3, 2},
        two({rows, 4, 5, 5}, {3, 2, 3, 3}, [](value a, value b) { convolve(a, b, {.groups = 2}); }));
  check("window", problem::window_larger_than_input, "conv2d", {rows, 3, 2, 5}, {2, 3, 3, 3},
        two({rows, 3, 2, 5}, {2, 3, 3, 3}, convolution));
  check("stride 0", problem::extent_must_be_positive, "conv2d", {rows, 3, 5, 5}, {2, 3, 3, 3},
        two({rows, 3, 5, 5}, {2, 3, 3, 3}, [](value a, value b) { convolve(a, b, {.stride = {0, 1}}); }));

  check("pool rank", problem::wrong_rank, "max_pool", {rows, 4}, {},
        [](builder& g) { pool(vv::op::max_pool, made(g, {rows, 4}), {}); });
  check("pool window", problem::window_larger_than_input, "avg_pool", {rows, 1, 4, 4}, {5, 2},
        [](builder& g) { pool(vv::op::avg_pool, made(g, {rows, 1, 4, 4}), {.kernel = {5, 2}}); });
  check("pool padding", problem::window_larger_than_input, "avg_pool", {rows, 1, 4, 4}, {2, 2},
        [](builder& g) { pool(vv::op::avg_pool, made(g, {rows, 1, 4, 4}), {.kernel = {2, 2}, .padding = {2, 0}}); });
  check("pool dilation", problem::extent_must_be_positive, "max_pool", {rows, 1, 4, 4}, {2, 2},
        [](builder& g) { pool(vv::op::max_pool, made(g, {rows, 1, 4, 4}), {.kernel = {2, 2}, .dilation = {2, 2}}); });

  check("softmax of a scalar", problem::wrong_rank, "softmax", {}, {}, [](builder& g) { softmax(made(g, {})); });
  check("causal softmax of a vector", problem::wrong_rank, "softmax", {3}, {}, [](builder& g) { softmax(made(g, {3}), true); });
  const auto labelled = [](const shape& logits, const shape& labels, auto use) {
    return [=](builder& g) {
      const value left = made(g, logits);
      use(left, g.labels("l", labels));
    };
  };
  const auto entropy = [](value a, value b) { cross_entropy(a, b); };
  check("logits", problem::wrong_rank, "cross_entropy", {rows, 2, 3}, {rows}, labelled({rows, 2, 3}, {rows}, entropy));
  check("as many", problem::sizes_differ, "cross_entropy", {rows, 3}, {-2}, labelled({rows, 3}, {-2}, entropy));
  check("table", problem::wrong_rank, "take_rows", {4}, {rows}, labelled({4}, {rows}, [](value a, value b) { take_rows(a, b); }));
  check("labels are no numbers", problem::labels_and_numbers_mixed, "add", {rows, 3}, {},
        labelled({rows, 3}, {rows, 1}, [](value a, value b) { a + b; }));
  check("nor behind a reshape", problem::labels_and_numbers_mixed, "exp", {rows}, {},
        labelled({rows, 3}, {rows, 1}, [](value, value b) { exp(reshape(b, {rows})); }));
  check("numbers are no labels", problem::labels_and_numbers_mixed, "cross_entropy", {rows}, {},
        two({rows, 3}, {rows}, entropy));
}

TEST_CASE("mistakes of names, updates and gradients") {
  const auto check = check_mistake;
  check("parameter", problem::name_used_twice, "w", {3}, {}, [](builder& g) {
    g.parameter("w", {2});
    g.parameter("w", {3});
  });
  check("state", problem::name_used_twice, "s", {}, {}, [](builder& g) {
    g.state("s", {2});
    g.state("s", {});
  });
  check("input", problem::name_used_twice, "x", {rows}, {}, [](builder& g) {
    g.input("x", {rows, 3});
    g.labels("x", {rows});
  });
  check("output", problem::name_used_twice, "y", {3}, {}, [](builder& g) {
    g.output("y", made(g, {2}));
    g.output("y", made(g, {3}));
  });
  check("extent", problem::extent_must_be_positive, "w", {2, 0}, {}, [](builder& g) { g.parameter("w", {2, 0}); });
  check("a parameter for each sample", problem::extent_must_be_positive, "w", {rows, 2}, {},
        [](builder& g) { g.parameter("w", {rows, 2}); });
  check("empty input", problem::extent_must_be_positive, "x", {rows, 0}, {}, [](builder& g) { g.input("x", {rows, 0}); });
  check("update", problem::sizes_differ, "update", {3}, {2},
        [](builder& g) { g.update(g.parameter("w", {2}), g.parameter("v", {3})); });
  check("update of a result", problem::cannot_be_updated, "update", {2}, {}, [](builder& g) {
    const value w = g.parameter("w", {2});
    g.update(exp(w), w);
  });
  check("gradient", problem::loss_must_be_a_scalar, "gradient", {3}, {}, [](builder& g) {
    const value w = g.parameter("w", {3});
    gradient(exp(w), w);
  });
  check("gradient for each sample", problem::loss_must_be_a_scalar, "gradient", {rows, 1}, {}, [](builder& g) {
    const value x = g.input("x", {rows, 1});
    gradient(exp(x), x);
  });

  builder twice;
  const value w = twice.parameter("w", {2});
  twice.update(w, w * 0.5);
  twice.update(w, w * 0.25);
  CHECK(vv::canonical(twice.result()).mistake.what == problem::cannot_be_updated);
}

TEST_CASE("long names stay apart") {
  builder graph;
  for (int layer = 0; layer < 12; ++layer) {
    graph.begin_layer("a_layer_with_a_name_that_never_ends");
    graph.parameter("weight", {2});
    graph.parameter("bias", {2});
    graph.end_layer(graph.state("running", {2}));
  }
  CHECK_FALSE(graph.failed());
  CHECK(graph.result().parameters[23].name.view().ends_with(".bias"));
  CHECK(graph.result().parameters[23].name.view().starts_with("11.a_layer"));
}

TEST_CASE("a mistake says in which layer it is") {
  const vv::diagnosis found = classifier_mistake(vv::image{1, 28, 28}, 10, vv::conv2d{.filters = 16}, vv::relu{}, vv::dense{10});
  CHECK(found.what == problem::wrong_rank);
  CHECK(found.layer == 2);
  CHECK(found.kind.view() == "2.dense");
  CHECK(found.got == shape{rows, 16, 26, 26});
  CHECK(found.needs == shape{rows, 10});
}

TEST_CASE("mistakes of layers") {
  const vv::image picture{3, 8, 8};
  const auto what = [](const vv::diagnosis& found) { return found.what; };
  CHECK(what(classifier_mistake(picture, 10, vv::flatten{}, vv::dense{9})) == problem::classes_do_not_match);
  CHECK(what(classifier_mistake(picture, 10, vv::flatten{}, vv::dense{0})) == problem::extent_must_be_positive);
  CHECK(what(classifier_mistake(picture, 10, vv::conv2d{.filters = 4, .kernel = 0})) == problem::extent_must_be_positive);
  CHECK(what(classifier_mistake(picture, 10, vv::conv2d{.filters = 4, .groups = 2})) == problem::groups_do_not_divide_channels);
  CHECK(what(classifier_mistake(picture, 10, vv::conv2d{.filters = 4, .kernel = 9})) == problem::window_larger_than_input);
  CHECK(what(classifier_mistake(picture, 10, vv::max_pool{.size = 9})) == problem::window_larger_than_input);
  CHECK(what(classifier_mistake(picture, 10, vv::max_pool{.size = 0})) == problem::extent_must_be_positive);
  CHECK(what(classifier_mistake(picture, 10, vv::avg_pool{.size = 2, .stride = -1})) == problem::extent_must_be_positive);
  CHECK(what(classifier_mistake(picture, 10, vv::flatten{}, vv::conv2d{})) == problem::wrong_rank);
  CHECK(what(classifier_mistake(picture, 10, vv::flatten{}, vv::global_avg_pool{})) == problem::wrong_rank);
  CHECK(what(classifier_mistake(vv::features{0}, 10, vv::dense{10})) == problem::extent_must_be_positive);
  CHECK(what(classifier_mistake(picture, 10, vv::residual{vv::conv2d{.filters = 2, .padding = 1}})) ==
        problem::shapes_do_not_broadcast);
  CHECK(what(classifier_mistake(picture, 10, vv::residual{vv::flatten{}})) == problem::shapes_do_not_broadcast);
  CHECK(what(classifier_mistake(vv::features{3}, 3, vv::batch_norm{}, vv::layer_norm{})) == problem::none);
}

TEST_CASE("mistakes of models") {
  const auto not_scalar = vv::define([](builder& g) { return g.parameter("w", {3}); });
  CHECK(vv::model_graph(not_scalar, true).mistake.what == problem::loss_must_be_a_scalar);
  const auto nothing = vv::define([](builder& g) { return mean(g.input("x", {rows})); });
  CHECK(vv::training_graph<vv::adamw>(vv::model_graph(nothing, true)).mistake.what == problem::no_parameter);
}

TEST_CASE("at run time a mistake is an exception with the same parts") {
  builder graph;
  graph.begin_layer("dense");
  const value x = graph.input("x", {rows, 4, 3});
  matmul(x, graph.parameter("weight", {4, 2}));
  std::string text;
  try {
    const vv::runtime_graph<double, vv::reference_kernels> never(graph.result());
  } catch (const vv::error& problem) {
    text = problem.what();
  }
  CHECK(text ==
        "vivace: this architecture does not fit together: the inner extents of a product differ\n"
        "  where: layer 0 (0.dense)\n"
        "  got:   [4 * batch, 3]\n"
        "  needs: [4, 2]");
}

TEST_CASE("every problem has a text of its own") {
  for (int one = 0; one <= static_cast<int>(problem::cannot_be_updated); ++one)
    for (int other = 0; other < one; ++other)
      CHECK(vv::to_string(static_cast<problem>(one)) != vv::to_string(static_cast<problem>(other)));
  CHECK(vv::to_string(problem::cannot_be_updated) != "unknown");
}
