#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/optim/training_graph.hpp>

#include "fused_reference.hpp"
#include "nets.hpp"
#include "replay.hpp"

// Canonical numbers, dead code, groups, plans: what each pass makes of graphs that one can read.

namespace {

namespace vv = vivace;
using vv::builder;
using vv::op;
using vv::rows;
using vv::value;

std::string text_of(const vv::graph& from) {
  std::string text;
  for (const vv::node& node : from.nodes) {
    text += std::string(vv::to_string(node.kind)) + " " + vv::to_string(node.dims) + " ";
    for (const std::int32_t operand : node.operand) text += std::to_string(operand) + " ";
    text += std::to_string(node.attr.scale) + "\n";
  }
  const auto list = [&](const auto& table) {
    for (const auto& entry : table) text += std::string(entry.name.view()) + " " + std::to_string(entry.node) + "\n";
  };
  list(from.parameters);
  list(from.states);
  list(from.outputs);
  for (const vv::assignment& store : from.assignments) text += std::to_string(store.target) + "<-" + std::to_string(store.value) + "\n";
  return text + std::to_string(from.loss);
}

int count(const vv::graph& from, op kind) {
  int result = 0;
  for (const vv::node& node : from.nodes) result += node.kind == kind ? 1 : 0;
  return result;
}

vv::plan fused_plan(const vv::graph& from, std::int32_t batch = 8) {
  return vv::make_plan(from, vv::fuse(from), batch, &graph_test::fused_reference_kernels::workspace);
}

/// The commands as "operation+instruction+instruction", in order.
std::vector<std::string> commands_of(const vv::plan& from) {
  std::vector<std::string> result;
  for (const vv::command& current : from.commands) {
    std::string& text = result.emplace_back(current.kind == op::none ? "" : vv::to_string(current.kind));
    for (int i = 0; i < current.instructions; ++i) {
      if (!text.empty()) text += "+";
      text += vv::to_string(from.instructions[current.first_instruction + i].kind);
    }
  }
  return result;
}
using texts = std::vector<std::string>;

void check_plans(const vv::graph& from, const char* name) {
  INFO(name);
  REQUIRE(from.mistake.what == vv::problem::none);
  for (const bool fused : {false, true})
    for (const std::int32_t batch : {1, 3, 8}) {
      const vv::fusion groups = fused ? vv::fuse(from) : vv::unfused(from);
      const vv::plan steps = vv::make_plan(from, groups, batch, &graph_test::fused_reference_kernels::workspace);
      CHECK(graph_test::replay::check(from, groups, steps) == "");
      CHECK(steps.arena_size <= steps.unplanned_size);
    }
}

template <class Net>
void check_net(const char* name) {
  const vv::graph model = vv::model_graph(Net::graph, true);
  const vv::graph training = vv::training_graph<vv::adamw>(model);
  check_plans(training, name);
  check_plans(vv::training_graph<vv::sgd_momentum, vv::clip_norm>(model), name);
  check_plans(vv::prediction_graph(vv::model_graph(Net::graph, false), training), name);
  // The point of it all: less memory, fewer commands.
  const vv::plan plain = vv::make_plan(training, vv::unfused(training), 8, &vv::no_workspace);
  const vv::plan fused = vv::make_plan(training, vv::fuse(training), 8, &vv::no_workspace);
  CHECK(plain.arena_size < plain.unplanned_size);
  CHECK(fused.arena_size < fused.unplanned_size);
  CHECK(fused.unplanned_size < plain.unplanned_size);
  CHECK(fused.commands.size() < plain.commands.size());
}

}  // namespace

TEST_CASE("canonical numbers do not depend on the order in which nodes are made") {
  const auto build = [](bool left_first) {
    builder graph;
    value a, b;
    const auto make_a = [&] { a = tanh(graph.parameter("a", {3})); };
    const auto make_b = [&] { b = exp(graph.parameter("b", {3})); };
    if (left_first) make_a();
    make_b();
    if (!left_first) make_a();
    const value s = graph.state("s", {});
    const value loss = sum(a * b);
    graph.update(s, loss + 1.0);
    graph.output("y", a - b);
    graph.result().loss = loss.index();
    return graph.take();
  };
  CHECK(text_of(build(true)) != text_of(build(false)));
  CHECK(text_of(vv::canonical(build(true))) == text_of(vv::canonical(build(false))));
  const vv::graph once = vv::canonical(build(false));
  CHECK(text_of(vv::canonical(once)) == text_of(once));
}

TEST_CASE("each node follows its operands, whatever the pass") {
  const vv::graph training = vv::training_graph<vv::adamw>(vv::model_graph(graph_test::small_resnet::graph, true));
  for (std::int32_t index = 0; index < training.nodes.size(); ++index)
    for (const std::int32_t operand : training.nodes[index].operand) CHECK(operand < index);
}

TEST_CASE("dead code goes, sources and what stores stay") {
  builder graph;
  const value x = graph.input("x", {rows, 3});
  const value w = graph.parameter("w", {3});
  const value unused = graph.parameter("unused", {2});
  const value s = graph.state("s", {3});
  exp(tanh(w));            // dead
  unused * 3.0;            // dead
  graph.update(s, s + 1.0);  // alive
  graph.result().loss = mean(x * w).index();
  const vv::graph left = vv::without_dead_code(graph.result());
  CHECK(count(left, op::exp) == 0);
  CHECK(count(left, op::tanh) == 0);
  CHECK(count(left, op::affine) == 1);
  CHECK(left.parameters.size() == 2);
  CHECK(left.assignments.size() == 1);
  CHECK(text_of(vv::without_dead_code(left)) == text_of(left));
}

TEST_CASE("a layer is one command") {
  builder graph;
  const value x = graph.input("x", {rows, 3});
  graph.output("y", vv::apply(vv::relu{}, vv::apply(vv::dense{4}, x)));
  CHECK(commands_of(fused_plan(vv::canonical(graph.result()))) == texts{"matmul+add+relu"});

  builder images;
  const value picture = images.input("x", {rows, 2, 5, 5});
  images.output("y", vv::apply(vv::relu{}, vv::apply(vv::conv2d{.filters = 3}, picture)));
  const vv::plan steps = fused_plan(vv::canonical(images.result()));
  CHECK(commands_of(steps) == texts{"conv2d+add+relu"});
  CHECK(steps.stores.size() == 1);
}

TEST_CASE("a value with two users is made once") {
  builder graph;
  const value x = graph.input("x", {rows, 3});
  const value y = tanh(x * 2.0);
  const value total = sum(y, {0});
  graph.output("y", exp(y));
  graph.output("total", total);
  const vv::plan steps = fused_plan(vv::canonical(graph.result()));
  int made = 0;
  for (const vv::instruction& code : steps.instructions) made += code.kind == op::tanh ? 1 : 0;
  CHECK(made == 1);
}

TEST_CASE("what a sum consumes is not stored") {
  builder graph;
  const value x = graph.input("x", {rows, 300});
  graph.output("y", sum(square(tanh(x)), {1}));
  const vv::plan steps = fused_plan(vv::canonical(graph.result()));
  CHECK(commands_of(steps) == texts{"sum+tanh+square"});
  CHECK(steps.stores.empty());
}

TEST_CASE("an update is part of the product that makes the gradient") {
  const vv::graph training = vv::training_graph<vv::sgd>(vv::model_graph(graph_test::perceptron::graph, true));
  const vv::plan steps = fused_plan(training);
  int weights = 0;
  for (const vv::command& current : steps.commands)
    if (current.kind == op::matmul)
      for (int s = 0; s < current.stores; ++s)
        weights += steps.stores[current.first_store + s].to.where == vv::space::parameter ? 1 : 0;
  CHECK(weights == 3);
  // No gradient of a weight is ever memory: the arena holds activations and little else.
  CHECK(steps.arena_size < 3 * 8 * 16 * 4);
}

TEST_CASE("updates wait for the last reader of the old value: none needs a copy") {
  for (const vv::graph& training : {vv::training_graph<vv::sgd>(vv::model_graph(graph_test::perceptron::graph, true)),
                                    vv::training_graph<vv::adamw>(vv::model_graph(graph_test::small_lenet::graph, true))})
    for (const vv::assignment& store : training.assignments) CHECK(training.nodes[store.value].kind != op::affine);
}

TEST_CASE("groups have bounds") {
  builder graph;
  value x = graph.input("x", {rows, 3});
  for (int i = 0; i < 100; ++i) x = tanh(x);
  graph.output("y", x);
  const vv::plan steps = fused_plan(vv::canonical(graph.result()));
  for (const vv::command& current : steps.commands) {
    CHECK(current.instructions <= vv::max_group);
    CHECK(current.registers <= vv::max_group + 1);
  }
  CHECK(steps.commands.size() == (100 + vv::max_group - 1) / vv::max_group);
}

TEST_CASE("plans of networks: nothing reads what is overwritten") {
  check_net<graph_test::perceptron>("perceptron");
  check_net<graph_test::small_lenet>("small_lenet");
  check_net<graph_test::small_resnet>("small_resnet");
  check_net<graph_test::small_attention>("small_attention");
  check_net<graph_test::gradient_penalty>("gradient_penalty");
  check_net<graph_test::small_recurrent>("small_recurrent");
}

TEST_CASE("memory that rests is left alone for some commands, and takes no more than without a plan") {
  const vv::graph training = vv::training_graph<vv::adam>(vv::model_graph(graph_test::small_resnet::graph, true));
  const auto plan = [&](std::int32_t rest) { return vv::make_plan(training, vv::fuse(training), 8, &vv::no_workspace, rest); };
  const vv::plan at_once = plan(0), rested = plan(8), never = plan(100000);
  CHECK(at_once.arena_size < rested.arena_size);
  CHECK(rested.arena_size < never.arena_size);
  CHECK(never.arena_size <= never.unplanned_size);
  CHECK(commands_of(rested) == commands_of(at_once));
}

TEST_CASE("narrow storage: what the backward pass reads of the forward pass, but no statistics") {
  const vv::graph wide = vv::training_graph<vv::sgd>(vv::model_graph(graph_test::small_resnet::graph, true));
  const vv::graph from = vv::with_narrow_storage(wide);
  const int narrow = count(from, op::narrow);
  CHECK(narrow >= 5);
  CHECK(count(from, op::widen) >= narrow);
  CHECK(from.nodes.size() == wide.nodes.size() + narrow + count(from, op::widen) + count(from, op::reshape) - count(wide, op::reshape));
  std::vector<bool> stored(static_cast<std::size_t>(from.nodes.size()), false);
  for (int index = 0; index < from.nodes.size(); ++index) {
    const vv::node& current = from.nodes[index];
    if (current.kind != op::narrow) continue;
    CHECK(current.operand[0] == index - 1);
    CHECK(index < from.loss);
    CHECK(from.nodes[index - 1].kind != op::sum);
    CHECK(current.dims.per_sample());
    stored[static_cast<std::size_t>(index - 1)] = true;
  }
  for (int index = 0; index < from.nodes.size(); ++index) {
    const vv::node& current = from.nodes[index];
    for (int i = 0; i < vv::max_operands && current.operand[i] >= 0; ++i) {
      CHECK((from.nodes[current.operand[i]].kind == op::narrow) == (current.kind == op::widen));
      if (index > from.loss) CHECK(!stored[static_cast<std::size_t>(current.operand[i])]);
    }
  }
  // The same tables, and a smaller arena for the same batch.
  CHECK(from.parameters.size() == wide.parameters.size());
  CHECK(from.assignments.size() == wide.assignments.size());
  for (int p = 0; p < from.parameters.size(); ++p) CHECK(from.nodes[from.parameters[p].node].kind == op::parameter);
  CHECK(fused_plan(from).arena_size < fused_plan(wide).arena_size);
}

TEST_CASE("narrow products: both operands of each, and what only others read stays as it is") {
  const vv::graph wide = vv::training_graph<vv::adam>(vv::model_graph(graph_test::small_resnet::graph, true));
  const vv::graph from = vv::with_narrow_storage(wide, vv::narrowing::products);
  const auto base = [&](std::int32_t index) {
    while (from.nodes[index].kind == op::reshape) index = from.nodes[index].operand[0];
    return index;
  };
  int products = 0;
  for (int index = 0; index < from.nodes.size(); ++index) {
    const vv::node& current = from.nodes[index];
    for (int i = 0; i < vv::max_operands && current.operand[i] >= 0 && !vv::is_view(current.kind); ++i) {
      const op kind = from.nodes[base(current.operand[i])].kind;
      CHECK((kind == op::narrow) == (current.kind == op::widen || vv::takes_epilogue(current.kind)));
      if (kind == op::widen) CHECK(index > from.loss);
    }
    products += vv::takes_epilogue(current.kind) ? 1 : 0;
  }
  CHECK(products > 10);
  // Updates read and write parameters in full.
  for (const vv::assignment& store : from.assignments) CHECK(from.nodes[store.value].kind != op::narrow);
  // The same values, each widened in front of its product, for kernels that do not read them as they are.
  const vv::graph rounded = vv::with_narrow_storage(wide, vv::narrowing::rounded_products);
  CHECK(count(rounded, op::narrow) == count(from, op::narrow));
  CHECK(count(rounded, op::widen) > count(from, op::widen) + products);
  for (const vv::node& node : rounded.nodes)
    for (int i = 0; i < vv::max_operands && node.operand[i] >= 0 && !vv::is_view(node.kind); ++i)
      CHECK((rounded.nodes[node.operand[i]].kind == op::narrow) == (node.kind == op::widen));
}

TEST_CASE("a product and the only sum that reads it become one operation") {
  const auto build = [](auto&& make) {
    builder graph;
    const value a = graph.input("a", {rows, 3}), b = graph.input("b", {rows, 3}), c = graph.input("c", {3});
    const value result = make(a, b, c, graph);
    graph.output("y", result);
    return vv::without_dead_code(vv::contracted(vv::canonical(graph.take())));
  };
  const auto check = [&](auto&& make, double scale, double shift) {
    const vv::graph from = build(make);
    CHECK(count(from, op::multiply) == 0);
    CHECK(count(from, op::multiply_add) == 1);
    const vv::node& last = from.nodes[from.outputs[0].node];
    CHECK(last.attr.scale == scale);
    CHECK(last.attr.shift == shift);
    CHECK(from.nodes[last.operand[2]].dims == vv::shape{3});
  };
  check([](value a, value b, value c, builder&) { return a * b + c; }, 1, 1);
  check([](value a, value b, value c, builder&) { return c + a * b; }, 1, 1);
  check([](value a, value b, value c, builder&) { return a * b - c; }, 1, -1);
  check([](value a, value b, value c, builder&) { return c - a * b; }, -1, 1);
  // Two products: the second is taken, the first stays.
  CHECK(count(build([](value a, value b, value c, builder&) {
          const value left = a * b;
          return left + a * c;
        }), op::multiply) == 1);
  // Not where the product has other readers, or is smaller than the sum.
  const auto stays = [&](auto&& make) { CHECK(count(build(make), op::multiply_add) == 0); };
  stays([](value a, value b, value c, builder& graph) {
    const value product = a * b;
    graph.output("product", product);
    return product + c;
  });
  stays([](value a, value b, value c, builder&) {
    const value product = a * b;
    return (product + c) / product;
  });
  stays([](value a, value b, value, builder&) {
    const value product = a * b;
    return product + product;
  });
  stays([](value a, value, value c, builder&) {
    const value small = c * c;
    return a + small;
  });
}

TEST_CASE("programs of one form, and those that a network compiles") {
  const vv::graph training = vv::training_graph<vv::adam>(vv::model_graph(graph_test::perceptron::graph, true));
  const vv::plan steps = fused_plan(training);
  std::vector<vv::program_form> forms;
  bool random = false;
  for (const vv::command& one : steps.commands) {
    if (one.instructions == 0) continue;
    const vv::program_form form = vv::form_of(steps, one);
    for (int i = 0; i < one.instructions; ++i) {
      const vv::instruction& code = steps.instructions[one.first_instruction + i];
      random = code.kind == op::dropout_mask || code.kind == op::map || code.kind == op::power;
      if (random) break;
      CHECK(form.code[i].kind == code.kind);
    }
    CHECK((form.lines == 0) == random);
    forms.push_back(form);
  }
  const vv::kernel_needs needs = vv::needs_of<vv::cpu_kernels>(steps);
  CHECK(needs.forms.size > 0);
  for (int f = 0; f < needs.forms.size; ++f) {
    const vv::program_form& form = needs.forms.element[f];
    CHECK(form.lines > 1);
    CHECK(std::find(forms.begin(), forms.end(), form) != forms.end());
    for (int other = 0; other < f; ++other) CHECK_FALSE(needs.forms.element[other] == form);
  }
  CHECK(needs.operations.contains(op::matmul));
  // Adam's update is most of the work: nobody interprets its division.
  CHECK_FALSE(needs.operations.contains(op::divide));
  vv::plan none;
  CHECK(vv::needs_of<vv::cpu_kernels>(none).forms.size == 0);
  // Kernels that cannot be compiled into programs need all operations.
  const vv::kernel_needs interpreted = vv::needs_of<graph_test::fused_reference_kernels>(steps);
  CHECK(interpreted.forms.size == 0);
  CHECK(interpreted.operations.contains(op::divide));
}

TEST_CASE("the replay notices a plan that is wrong") {
  const vv::graph training = vv::training_graph<vv::adamw>(vv::model_graph(graph_test::small_lenet::graph, true));
  const vv::fusion groups = vv::fuse(training);
  const vv::plan right = vv::make_plan(training, groups, 4, &vv::no_workspace);
  CHECK(graph_test::replay::check(training, groups, right) == "");
  int noticed = 0;
  int moved = 0;
  for (int s = 0; s < right.stores.size(); ++s) {  // a result put elsewhere
    vv::plan wrong = right;
    if (wrong.stores[s].to.where != vv::space::arena) continue;
    ++moved;
    wrong.stores[s].to.offset += wrong.stores[s].to.offset == 0 ? vv::element_alignment : -wrong.stores[s].to.offset;
    noticed += graph_test::replay::check(training, groups, wrong).empty() ? 0 : 1;
  }
  CHECK(moved > 5);
  CHECK(noticed == moved);
  for (int c = 1; c < right.commands.size(); ++c) {  // two commands exchanged, the second needing the first
    vv::plan wrong = right;
    std::swap(wrong.commands[c - 1], wrong.commands[c]);
    noticed += graph_test::replay::check(training, groups, wrong).empty() ? 0 : 1;
  }
  CHECK(noticed > moved + right.commands.size() / 2);
}

TEST_CASE("ranges: first fit, holes join") {
  vv::range_allocator arena;
  CHECK(arena.take(32) == 0);
  CHECK(arena.take(16) == 32);
  CHECK(arena.take(64) == 48);
  CHECK(arena.take(16) == 112);
  arena.give_back(0, 32);
  CHECK(arena.take(48) == 128);  // does not fit
  arena.give_back(48, 64);
  CHECK(arena.take(16) == 0);  // the first hole
  arena.give_back(32, 16);     // joins 16..32 and 48..112
  CHECK(arena.take(96) == 16);
  CHECK(arena.top() == 176);
  arena.give_back(112, 16);
  arena.give_back(128, 48);
  CHECK(arena.take(80) == 112);  // a hole at the end grows
  CHECK(arena.top() == 192);
}
