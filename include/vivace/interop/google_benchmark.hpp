#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <vivace/exec/evaluate.hpp>
#include <vivace/interop/machine.hpp>
#include <vivace/train/trainer.hpp>

/// @file
/// Microbenchmarks of one's own kernels, layers and networks on Google Benchmark: time, floating-point operations and
/// bytes a second, and the share of what the machine was measured to do at most in the same run. Needs benchmark.h.

namespace vivace::inline VIVACE_TARGET::interop {

/// A layer on an input of its own, as a definition: `layer_definition{image{16, 32, 32}, conv2d{.filters = 16}}`.
/// @tparam Input whatever has `dims()`: features, image
template <class Input, layer Layer>
struct layer_definition {
  Input from;
  Layer self;
  constexpr value operator()(builder& graph) const { return apply(self, graph.input("input", from.dims())); }
};
template <class Input, class Layer>
layer_definition(Input, Layer) -> layer_definition<Input, Layer>;

namespace detail {

/// The graph that computes what a definition returns, of any shape, and nothing else.
template <class Definition>
constexpr graph result_graph(const Definition& from) {
  builder make;
  const value result = from(make);
  if (!make.failed()) make.result().outputs.push_back({"result", make.computed(result).index()});
  make.result().assignments.clear();
  if (make.failed()) return make.take();
  return without_dead_code(make.result());
}

/// The graph of what a definition returns and of the gradients of its parameters and inputs, given that of the result.
template <class Definition>
constexpr graph pass_graph(const Definition& from) {
  builder make;
  const value result = from(make);
  make.result().assignments.clear();
  if (make.failed()) return make.take();
  sequence<std::int32_t> wanted;
  for (const variable& one : make.result().parameters) wanted.push_back(one.node);
  for (const port& one : make.result().inputs)
    if (make.at(one.node).kind == op::input) wanted.push_back(one.node);
  const value arriving = make.input("result's gradient", result.dims());
  const value loss = ops::sum(result * arriving);
  const sequence<std::int32_t> gradients = reverse_sweep(make, loss.index())(wanted);
  if (make.failed()) return make.take();
  make.result().outputs.push_back({"result", make.computed(result).index()});
  for (const std::int32_t gradient : gradients) {
    if (gradient < 0) continue;
    const std::int32_t kept = make.computed(make.handle(gradient)).index();
    make.result().outputs.push_back({"gradient", kept});
  }
  return without_dead_code(make.result());
}

template <class Net>
struct result_graph_of {
  constexpr graph operator()() const { return result_graph(Net::graph); }
};
template <class Net>
struct pass_graph_of {
  constexpr graph operator()() const { return pass_graph(Net::graph); }
};

/// Random numbers for every input of a graph; labels are in range for whoever reads them.
template <class Real>
class random_inputs {
 public:
  random_inputs(const graph_view& from, std::int32_t samples) {
    std::int32_t room = 1 << 30;
    for (int i = 0; i < from.nodes.size(); ++i) {
      const node& one = from.nodes[i];
      if (one.kind == op::add_rows) room = (std::min)(room, one.dims[0]);
      if (one.kind != op::cross_entropy && one.kind != op::cross_entropy_gradient && one.kind != op::take_rows)
        continue;
      const shape& scores = from.nodes[one.operand[0]].dims;
      room = (std::min)(room, one.kind == op::take_rows ? scores[0] : scores[scores.rank - 1]);
    }
    const random_stream numbers(1, 1);
    std::uint64_t at = 0;
    for (int i = 0; i < from.inputs.size(); ++i) {
      const node& one = from.nodes[from.inputs[i].node];
      const auto size = static_cast<std::size_t>(one.dims.size_at(samples));
      labels_.emplace_back(one.kind == op::labels ? size : 0);
      numbers_.emplace_back(one.kind == op::labels ? 0 : size);
      for (auto& label : labels_.back()) label = static_cast<std::int32_t>(numbers.uniform(at++) * room);
      for (auto& number : numbers_.back()) number = static_cast<Real>(2 * numbers.uniform(at++) - 1);
    }
  }
  /// The numbers, or labels, of an input by its place in the graph's table.
  [[nodiscard]] const void* data(int input) const {
    const auto at = static_cast<std::size_t>(input);
    return labels_[at].empty() ? static_cast<const void*>(numbers_[at].data()) : labels_[at].data();
  }
  /// A batch for a trainer: the first numbers are the features, the second the targets.
  [[nodiscard]] data::batch_view<Real> batch(std::int32_t samples) const {
    data::batch_view<Real> result{};
    result.size = samples;
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (!labels_[i].empty()) result.labels = labels_[i].data();
      if (!numbers_[i].empty()) (result.features == nullptr ? result.features : result.targets) = numbers_[i].data();
    }
    return result;
  }

 private:
  std::vector<std::vector<Real>> numbers_;
  std::vector<std::vector<std::int32_t>> labels_;
};

/// What is timed: one run of it, what it takes, and the threads that do it. The owner keeps all that `run` uses.
struct workload {
  std::function<void()> run;
  cost work;
  parallel lanes;
};

/// A graph that runs on random inputs.
template <class Real, class Executor>
class graph_runner {
 public:
  /// Of a graph and a plan that outlive it.
  graph_runner(const graph_view& from, const plan_view& steps, const kernel_table<Real>& kernels,
               const Executor& threads)
      : executor_(threads), inputs_(from, steps.batch), values_(from, steps), run_(from, steps, kernels, values_) {
    values_.initialise(1);
    for (int i = 0; i < from.inputs.size(); ++i) run_.set_input(i, inputs_.data(i));
  }
  workload timed() {
    const step_context context{.lanes = executor_.lanes(), .samples = run_.steps().batch};
    return {[this, context] { run_(context); },
            step_cost(run_.structure(), run_.steps().batch, static_cast<int>(sizeof(Real))), context.lanes};
  }

 private:
  typename Executor::executor executor_;
  random_inputs<Real> inputs_;
  variables<Real> values_;
  instance<Real> run_;
};

/// A graph that is planned when it is made, and its runner.
template <class Real, class Kernels, class Executor>
class planned_runner {
 public:
  planned_runner(graph from, std::int32_t batch, const Executor& threads)
      : planned_(std::move(from), batch),
        runner_(planned_.structure(), planned_.steps(), kernels_for<Kernels, Real, all_operations>(), threads) {}
  workload timed() { return runner_.timed(); }

 private:
  runtime_graph<Real, Kernels> planned_;
  graph_runner<Real, Executor> runner_;
};

/// A trainer and a batch that it takes the same step on again and again.
template <class Net, class... Policies>
class step_runner {
 public:
  explicit step_runner(const Net& net, const Policies&... policies)
      : trainer_(net, policies...),
        inputs_(trainer_.engine().setup().training_graph, trainer_.batch_limit),
        batch_(inputs_.batch(trainer_.batch_limit)) {}
  workload timed() {
    const auto& setup = trainer_.engine().setup();
    using real = typename trainer<Net, Policies...>::real;
    return {[this] { benchmark::DoNotOptimize(trainer_.step(batch_)); },
            step_cost(setup.training_graph, trainer_.batch_limit, static_cast<int>(sizeof(real))), setup.lanes};
  }

 private:
  trainer<Net, Policies...> trainer_;
  random_inputs<typename trainer<Net, Policies...>::real> inputs_;
  data::batch_view<typename trainer<Net, Policies...>::real> batch_;
};

}  // namespace detail

/// A list of benchmarks, run by Google Benchmark with its options.
///
/// What is measured is a network tag, planned by the compiler as in a trainer, or a definition that is a value, planned
/// when its turn comes. Policies: batch<n>, an executor, a precision, kernels; for steps all that a trainer takes. Each
/// benchmark makes what it needs when it runs and frees it after. Without an executor it runs on one thread, and its
/// time is that of the processor, which other programs on the machine disturb less; with one it is that of the clock.
///
/// Counters: `FLOP/s` and `bytes/s` as graph/cost.hpp counts them; `peak%`, the share of the multiply-adds that the
/// same threads did from registers in the same run; `bandwidth%`, the share of what they read and wrote a second in
/// arrays as large as what is read and written here, so that of the cache which holds them. Less bytes than counted go
/// to memory where operations are fused.
/// @code
/// vv::interop::benchmarks all(argc, argv);
/// all.layer("conv 3x3", vv::image{16, 32, 32}, vv::conv2d{.filters = 16, .kernel = 3, .padding = 1}, vv::batch<64>);
/// all.step("my network", net{}, vv::batch<64>, vv::adam{}, vv::tbb{.threads = 2});
/// return all.run();
/// @endcode
class benchmarks {
 public:
  /// @param argc,argv of main(); options of Google Benchmark are taken out
  benchmarks(int& argc, char** argv) : argc_(argc), argv_(argv) { benchmark::Initialize(&argc, argv); }

  /// Measures the forward computation of a definition: what it returns, which may have any shape.
  template <class Net, policy... Policies>
  requires network_tag<Net> || definition<Net> benchmark::internal::Benchmark* operation(const std::string& name,
                                                                                         const Net& net,
                                                                                         const Policies&... policies) {
    if constexpr (network_tag<Net>)
      return add_compiled<detail::result_graph_of<Net>>(name, policies...);
    else
      return add_planned(
          name, [net] { return detail::result_graph(net); }, policies...);
  }

  /// Measures forward and backward computation of a definition: its result, and the gradients of all parameters and
  /// inputs for a given gradient of the result.
  template <class Net, policy... Policies>
  requires network_tag<Net> || definition<Net> benchmark::internal::Benchmark* pass(const std::string& name,
                                                                                    const Net& net,
                                                                                    const Policies&... policies) {
    if constexpr (network_tag<Net>)
      return add_compiled<detail::pass_graph_of<Net>>(name, policies...);
    else
      return add_planned(
          name, [net] { return detail::pass_graph(net); }, policies...);
  }

  /// Measures a layer on an input, features{n} or image{...}: forward as `name/forward`, forward and backward as
  /// `name/pass`.
  template <class Input, layer Layer, policy... Policies>
  void layer(const std::string& name, const Input& from, const Layer& self, const Policies&... policies) {
    operation(name + "/forward", layer_definition<Input, Layer>{from, self}, policies...);
    pass(name + "/pass", layer_definition<Input, Layer>{from, self}, policies...);
  }

  /// Measures a whole training step on one batch.
  template <class Net, policy... Policies>
  requires network_tag<Net> || definition<Net> benchmark::internal::Benchmark* step(const std::string& name,
                                                                                    const Net& net,
                                                                                    const Policies&... policies) {
    using real = typename trainer<Net, Policies...>::real;
    return add<real, executor_of<Policies...>>(
        name, [net, policies...] { return std::make_shared<detail::step_runner<Net, Policies...>>(net, policies...); });
  }

  /// Runs the benchmarks that the command line asks for.
  /// @return 0, or 1 if the command line has an option that nobody knows
  int run() {
    if (benchmark::ReportUnrecognizedArguments(argc_, argv_)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  }

 private:
  template <class... Policies>
  using real_of = typename selected_t<precision_family, f32, Policies...>::real;
  template <class... Policies>
  using executor_of = selected_t<executor_family, serial, Policies...>;
  template <class... Policies>
  using kernels_of = typename selected_t<kernels_family, fast_kernels, Policies...>::table;
  template <class... Policies>
  static constexpr int batch_of = selected_t<batch_family, batch_size<128>, Policies...>::value;

  template <class Maker, class... Policies>
  benchmark::internal::Benchmark* add_compiled(const std::string& name, const Policies&... policies) {
    using real = real_of<Policies...>;
    static_assert(network_fits<frozen_graph_of<Maker>.mistake>);
    const auto threads = select_policy<executor_family>(serial{}, policies...);
    return add<real, executor_of<Policies...>>(name, [threads] {
      constexpr const auto& graph = frozen_graph_of<Maker>;
      constexpr const auto& plan = frozen_plan_of<plan_of<Maker, batch_of<Policies...>, kernels_of<Policies...>>>;
      static constexpr kernel_needs needs = needs_of<kernels_of<Policies...>>(plan);
      using runner = detail::graph_runner<real, executor_of<Policies...>>;
      return std::make_shared<runner>(graph, plan, kernels_for<kernels_of<Policies...>, real, needs>(), threads);
    });
  }
  template <class Make, class... Policies>
  benchmark::internal::Benchmark* add_planned(const std::string& name, const Make& make, const Policies&... policies) {
    using real = real_of<Policies...>;
    using runner = detail::planned_runner<real, kernels_of<Policies...>, executor_of<Policies...>>;
    const auto threads = select_policy<executor_family>(serial{}, policies...);
    return add<real, executor_of<Policies...>>(
        name, [make, threads] { return std::make_shared<runner>(make(), batch_of<Policies...>, threads); });
  }
  /// @param make makes, as a shared pointer, what is timed
  template <class Real, class Executor, class Make>
  benchmark::internal::Benchmark* add(const std::string& name, const Make& make) {
    auto* const made = benchmark::RegisterBenchmark(name.c_str(), [make](benchmark::State& state) {
      const auto owner = make();
      time<Real>(state, owner->timed());
    });
    if constexpr (!std::is_same_v<Executor, serial>) made->UseRealTime();
    return made->Unit(benchmark::kMicrosecond);
  }

  template <class Real>
  static void time(benchmark::State& state, const detail::workload& what) {
    // Limits before and after: the larger are nearer to what the machine can do.
    const auto limits = [&] {
      return std::pair(measured_flops<Real>(what.lanes, 0.003),
                       measured_bandwidth<Real>(what.lanes, what.work.bytes, 0.005));
    };
    const auto before = limits();
    what.run();
    const detail::stopwatch watch(what.lanes.threads());
    for (auto _ : state) {
      what.run();
      benchmark::ClobberMemory();
    }
    const double seconds = watch.seconds();
    const auto after = limits();
    const auto flops = static_cast<double>(what.work.flops) * static_cast<double>(state.iterations());
    const auto bytes = static_cast<double>(what.work.bytes) * static_cast<double>(state.iterations());
    state.counters["FLOP/s"] = flops / seconds;
    state.counters["bytes/s"] = bytes / seconds;
    state.counters["peak%"] = 100 * flops / seconds / (std::max)(before.first, after.first);
    state.counters["bandwidth%"] = 100 * bytes / seconds / (std::max)(before.second, after.second);
  }

  int& argc_;
  char** argv_;
};

}  // namespace vivace::inline VIVACE_TARGET::interop
