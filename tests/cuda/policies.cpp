// Policies that find their place on a device without the executor knowing of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>
#include <vivace/exec/cuda.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/kernel/cuda/each.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/train.hpp>

#include "../train/networks.hpp"
#include "fake_runtime.hpp"

namespace {

namespace vv = vivace;
using fake::clean_machine;

/// Policy: a set of kernels that counts.
struct counted_products {
  using family = vv::kernels_family;
  static int& calls() {
    static int count = 0;
    return count;
  }
  struct table : vv::cuda_kernels {
    template <vv::op Kind, class Real>
    static constexpr vv::kernel_function<Real> operation() {
      if constexpr (Kind == vv::op::matmul)
        return [](const vv::call<Real>& self, const vv::step_context& context) {
          ++calls();
          vv::cuda_kernels::operation<Kind, Real>()(self, context);
        };
      else
        return vv::cuda_kernels::operation<Kind, Real>();
    }
  };
  bool operator==(const counted_products&) const = default;
};

/// Keeps the two largest of four weights of a column, and makes zeros of the others.
template <class Real>
struct keep_two_of_four {
  const Real* from;
  Real* to;
  std::uint32_t columns;
  /// @param index of a group: four rows of one column
  VIVACE_HOST_DEVICE void operator()(std::uint32_t index) const {
    const std::uint32_t first = index / columns * 4 * columns + index % columns;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const Real own = std::abs(from[first + i * columns]);
      int larger = 0;
      for (std::uint32_t j = 0; j < 4; ++j) {
        const Real other = std::abs(from[first + j * columns]);
        larger += other > own || (other == own && j < i) ? 1 : 0;
      }
      to[first + i * columns] = larger < 2 ? from[first + i * columns] : Real(0);
    }
  }
};
/// Policy: 2:4 sparse weights. Products with a weight multiply by a pruned copy in scratch memory, which the plan has;
/// the weights that are updated are whole.
struct two_of_four {
  using family = vv::kernels_family;
  struct table : vv::cuda_kernels {
    template <class Slot>
    static constexpr bool is_weight(const Slot& slot) {
      return !slot.dims.per_sample() && slot.dims.rank == 2 && slot.dims[0] % 4 == 0;
    }
    static constexpr std::int64_t workspace(const vv::command& from, std::int32_t samples) {
      const std::int64_t own = vv::aligned_size(vv::cuda_kernels::workspace(from, samples));
      return from.kind == vv::op::matmul && is_weight(from.in[1]) ? own + from.in[1].dims.size() : own;
    }
    template <vv::op Kind, class Real>
    static constexpr vv::kernel_function<Real> operation() {
      if constexpr (Kind == vv::op::matmul)
        return [](const vv::call<Real>& self, const vv::step_context& context) {
          // Of a gradient both operands are of samples, and the result is a weight's.
          if (self.attr->transpose_a || self.in[1].dims[0] % 4 != 0)
            return vv::cuda_kernels::operation<Kind, Real>()(self, context);
          const vv::shape& dims = self.in[1].dims;
          const std::int64_t own = self.body.exists() ? vv::aligned_size(self.out.dims.size()) : 0;
          vv::call<Real> pruned = self;
          Real* const copy = self.workspace + own;
          vv::gpu::for_each<fake::launch>(
              keep_two_of_four<Real>{self.in[1].data, copy, static_cast<std::uint32_t>(dims[1])}, dims.size() / 4,
              context);
          pruned.in[1].data = copy;
          vv::cuda_kernels::operation<Kind, Real>()(pruned, context);
        };
      else
        return vv::cuda_kernels::operation<Kind, Real>();
    }
  };
  bool operator==(const two_of_four&) const = default;
};

/// A graph whose gradients of matrices go through an exchange before they are used: here a transposition that permutes
/// nothing, in whose place a set of kernels has a collective.
vv::graph with_exchange(const vv::graph& model) {
  vv::graph differentiated = vv::differentiated(model);
  for (std::int32_t& gradient : differentiated.gradients) {
    if (gradient < 0 || differentiated.nodes[gradient].dims.rank != 2) continue;
    vv::node exchange{
        .kind = vv::op::transpose, .dims = differentiated.nodes[gradient].dims, .operand = {gradient, -1, -1}};
    exchange.attr.axes[0] = 0;
    exchange.attr.axes[1] = 1;
    differentiated.nodes.push_back(exchange);
    gradient = differentiated.nodes.size() - 1;
  }
  return vv::with_updates<vv::sgd>(differentiated);
}
/// Sizes of what was exchanged, in the order in which it happened.
std::vector<std::uint32_t>& exchanged_sizes() {
  static std::vector<std::uint32_t> all;
  return all;
}
/// The mean over two ranks, of which the other one's gradient is zero.
template <class Real>
struct mean_of_two {
  const Real* from;
  Real* to;
  std::uint32_t size;
  void operator()(std::uint32_t index) const {
    if (index == 0) exchanged_sizes().push_back(size);
    to[index] = from[index] / 2;
  }
};
/// Collectives of all ranks run in one order.
template <bool Ordered>
struct exchanging_kernels : vv::cuda_kernels {
  static constexpr bool keeps_order(vv::op kind) { return Ordered && kind == vv::op::transpose; }
  template <vv::op Kind, class Real>
  static constexpr vv::kernel_function<Real> operation() {
    if constexpr (Kind == vv::op::transpose)
      return [](const vv::call<Real>& self, const vv::step_context& context) {
        const std::int64_t size = self.out.dims.size();
        vv::gpu::for_each<fake::launch>(
            mean_of_two<Real>{self.in[0].data, self.out.data, static_cast<std::uint32_t>(size)}, size, context);
      };
    else
      return vv::cuda_kernels::operation<Kind, Real>();
  }
};

}  // namespace

TEST_CASE("cuda policies: a set of kernels of one's own") {
  const clean_machine tidy;
  const vv::data::dataset data = networks::labelled(45, {12});
  const auto variables = [&](const auto&... policies) {
    vv::trainer trainer{networks::mlp{}, vv::batch<10>, vv::adamw{.rate = 1e-2}, vv::cuda{}, policies...};
    trainer.fit(data, vv::epochs{3});
    return networks::variables_of(trainer);
  };
  CHECK(variables(counted_products{}) == variables());
  CHECK(counted_products::calls() > 0);
}

TEST_CASE("cuda policies: 2:4 sparse products, with scratch memory from the plan") {
  const clean_machine tidy;
  using net = decltype(vv::classifier(vv::features{12}, vv::classes{3}, vv::mlp<16, 8, 3>{}));
  const net definition = vv::classifier(vv::features{12}, vv::classes{3}, vv::mlp<16, 8, 3>{});
  const vv::data::dataset data = networks::labelled(45, {12});
  const std::vector<double> features = [] {
    const vv::random_stream random(1, 2);
    std::vector<double> made;
    for (std::uint64_t i = 0; i < 7 * 12; ++i) made.push_back(2 * random.uniform(i) - 1);
    return made;
  }();
  const auto trained = [&](const vv::cuda& on) {
    vv::trainer trainer{definition, vv::batch<10>, vv::sgd{.rate = 0.1}, vv::f64{}, vv::seed{1}, on, two_of_four{}};
    const vv::trace trace = trainer.fit(data, vv::epochs{8});
    CHECK(trace.epochs.back().train_loss < trace.epochs.front().train_loss);
    // The same numbers come from a host whose weights are pruned.
    vv::trainer host{definition, vv::batch<10>, vv::f64{}};
    int zeros = 0;
    for (int p = 0; p < host.values().parameter_count(); ++p) {
      const auto from = trainer.values().parameter(p);
      const auto to = host.values().parameter(p);
      std::copy(from.data, from.data + from.dims.size(), to.data);
      if (from.dims.rank != 2) continue;
      const keep_two_of_four<double> prune{from.data, to.data, static_cast<std::uint32_t>(from.dims[1])};
      for (std::uint32_t group = 0; group < from.dims.size() / 4; ++group) prune(group);
      zeros += static_cast<int>(std::count(to.data, to.data + to.dims.size(), 0.0));
    }
    CHECK(zeros == (12 * 16 + 16 * 8 + 8 * 3) / 2);
    const auto found = trainer.predict(features.data(), 7), wanted = host.predict(features.data(), 7);
    for (std::int64_t i = 0; i < wanted.dims.size(); ++i) CHECK(found.data[i] == doctest::Approx(wanted.data[i]));
    return networks::variables_of(trainer);
  };
  CHECK(trained(vv::cuda{}) == trained(vv::cuda{.captures = false}));
}

// Products of one's own are given bfloat16 only by a set of kernels that says, by its own name, that it reads it.
static_assert(vv::narrowing_of<vv::cuda_kernels> == vv::narrowing::products);
static_assert(vv::narrowing_of<two_of_four::table> == vv::narrowing::storage);

TEST_CASE("cuda policies: gradients go through a collective before they are used") {
  const clean_machine tidy;
  const vv::graph model = vv::model_graph(
      vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{.units = 8, .bias = false}, vv::relu{},
                     vv::dense{.units = 7, .bias = false}, vv::relu{}, vv::dense{.units = 3, .bias = false}),
      true);
  const auto trained = [&](const vv::graph& graph, const auto& kernels, const vv::plan& plan, double rate) {
    vv::gpu::cuda_device<double> device(0, true, false, true, true);
    vv::variables<double> values(graph, plan);
    vv::instance<double> run(graph, plan, kernels, values, &device);
    values.initialise(1);
    const vv::random_stream random(5, 6);
    std::vector<double> features;
    for (std::uint64_t i = 0; i < 10 * 12; ++i) features.push_back(2 * random.uniform(i) - 1);
    const std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
    run.set_input(0, features.data());
    run.set_input(1, labels.data());
    for (std::uint32_t step = 0; step < 40; ++step) {
      vv::sgd{.rate = rate}.set({.step = static_cast<std::int32_t>(step)}, run.settings());
      run({.seed = 1, .step = step, .samples = 10});
    }
    std::vector<double> found;
    for (const vv::variable& one : graph.parameters) {
      const auto value = values.find(one.name.view());
      found.insert(found.end(), value.data, value.data + value.dims.size());
    }
    return found;
  };
  const vv::graph exchanged = vv::with_late_stores(vv::without_dead_code(vv::canonical(with_exchange(model))));
  constexpr auto ordered = vv::kernels_for<exchanging_kernels<true>, double, vv::all_operations>();
  constexpr auto unordered = vv::kernels_for<exchanging_kernels<false>, double, vv::all_operations>();
  constexpr auto plain = vv::kernels_for<vv::cuda_kernels, double, vv::all_operations>();
  const vv::graph alone = vv::training_graph<vv::sgd>(model);
  // Half a gradient at twice the rate: the same bits.
  const std::vector<double> wanted = trained(alone, plain, vv::make_plan<vv::cuda_kernels>(alone, 10), 0.25);
  const vv::plan plan = vv::make_plan<exchanging_kernels<true>>(exchanged, 10);
  const auto swaps = [&](const auto& kernels) {
    exchanged_sizes().clear();
    CHECK(trained(exchanged, kernels, plan, 0.5) == wanted);
    const std::vector<std::uint32_t>& sizes = exchanged_sizes();
    REQUIRE(sizes.size() == 3 * 40);
    int found = 0;
    for (std::size_t i = 3; i < sizes.size(); ++i) found += sizes[i] != sizes[i - 3] ? 1 : 0;
    return found;
  };
  CHECK(swaps(ordered) == 0);
  CHECK(swaps(unordered) > 0);
}
