#pragma once
// Runs graphs that tests build, in any precision, with the reference kernels and without compilation.
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/layer.hpp>

namespace nn_test {

namespace vv = vivace;
using numbers = std::vector<double>;

/// A graph in double, ready to run.
class evaluated {
 public:
  explicit evaluated(vv::graph from, int batch = 1)
      : batch_(batch), run_(std::make_unique<runner>(std::move(from), batch)) {
    run_->values().initialise(1);
  }
  /// Gives an input its elements; they are copied.
  void give(std::string_view name, const numbers& elements) {
    run_->run().set_input(run_->run().input(name), numbers_.emplace_back(elements).data());
  }
  void give(std::string_view name, const std::vector<std::int32_t>& labels) {
    run_->run().set_input(run_->run().input(name), labels_.emplace_back(labels).data());
  }
  void run(std::uint32_t step = 0) { run_->run()({.seed = 3, .step = step, .samples = batch_}); }
  [[nodiscard]] double loss() { return run_->run().loss(); }
  [[nodiscard]] numbers read(std::string_view output) {
    const auto found = run_->run().output(output);
    return numbers(found.data, found.data + found.dims.size_at(batch_));
  }
  /// A parameter or state.
  [[nodiscard]] numbers variable(std::string_view name) {
    const auto found = run_->values().find(name);
    return numbers(found.data, found.data + found.dims.size());
  }
  void set(std::string_view name, const numbers& elements) {
    const auto found = run_->values().find(name);
    for (std::size_t i = 0; i < elements.size(); ++i) found.data[i] = elements[i];
  }
  double* settings() { return run_->run().settings(); }
  [[nodiscard]] const vv::graph& structure() const { return run_->structure(); }

 private:
  using runner = vv::runtime_graph<double, vv::reference_kernels>;
  int batch_;
  std::unique_ptr<runner> run_;
  std::deque<numbers> numbers_;
  std::deque<std::vector<std::int32_t>> labels_;
};

/// The graph of one layer: input "x" (numbers, or integers), output "y".
template <class Layer>
vv::graph layer_graph(const Layer& layer, const vv::shape& dims, bool integers = false, bool training = true) {
  vv::builder graph(training);
  const vv::value x = integers ? graph.labels("x", dims) : graph.input("x", dims);
  const vv::value y = apply(layer, x);
  graph.output("y", y);
  return vv::canonical(graph.result());
}
template <class Layer>
vv::shape output_shape(const Layer& layer, const vv::shape& dims, bool integers = false, bool training = true) {
  vv::builder graph(training);
  const vv::value x = integers ? graph.labels("x", dims) : graph.input("x", dims);
  return apply(layer, x).dims();
}
template <class Layer>
vv::diagnosis mistake_of(const Layer& layer, const vv::shape& dims, bool integers = false) {
  vv::builder graph;
  (void)apply(layer, integers ? graph.labels("x", dims) : graph.input("x", dims));
  return graph.result().mistake;
}

/// Elements of all parameters.
inline std::int64_t parameter_count(const vv::graph& from) {
  std::int64_t total = 0;
  for (const vv::variable& one : from.parameters) total += from.nodes[one.node].dims.size();
  return total;
}
/// Names and shapes of all parameters: "0.dense.weight [3, 2]; 0.dense.bias [2]".
inline std::string parameter_list(const vv::graph& from) {
  std::string text;
  for (const vv::variable& one : from.parameters)
    text += (text.empty() ? "" : "; ") + std::string(one.name.view()) + " " + vv::to_string(from.nodes[one.node].dims);
  return text;
}

/// Numbers that look random and are the same everywhere, in (-1, 1).
inline numbers some(std::size_t count, std::uint32_t stream) {
  const vv::random_stream random(11, stream);
  numbers result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = 2 * random.uniform(i) - 1;
  return result;
}

}  // namespace nn_test
