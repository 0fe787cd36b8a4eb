#pragma once
// The meaning of a graph: each node an array of its own, all nodes from the old values of parameters and states, new
// values stored at the end; loops turn by turn. Slow, and simple enough to be believed.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>
#include <vivace/exec/initialise.hpp>
#include <vivace/exec/step.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/reference/reference.hpp>

namespace graph_test {

namespace vv = vivace;
using numbers = std::vector<double>;

class interpreter {
 public:
  explicit interpreter(vv::graph from)
      : graph_(std::move(from)),
        ranges_(graph_),
        turn_(static_cast<std::size_t>(graph_.loops.size())),
        node_(static_cast<std::size_t>(graph_.nodes.size())) {
    const auto start = [&](const vv::sequence<vv::variable>& table, std::uint32_t stream) {
      for (int i = 0; i < table.size(); ++i) {
        const vv::shape& dims = graph_.nodes[table[i].node].dims;
        numbers& value = at(table[i].node);
        value.resize(static_cast<std::size_t>(dims.size()));
        vv::initialise(value.data(), dims, table[i], vv::random_stream(1, stream + static_cast<std::uint32_t>(i)));
      }
    };
    start(graph_.parameters, vv::parameter_stream);
    start(graph_.states, 2 * vv::parameter_stream);
  }

  void step(const vv::step_context& context, const std::vector<const void*>& inputs, const numbers& settings) {
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index) {
      const vv::op kind = graph_.nodes[index].kind;
      if (kind == vv::op::constant) at(index) = {graph_.nodes[index].attr.scale};
      for (int i = 0; i < graph_.settings.size(); ++i)
        if (graph_.settings[i].node == index) at(index) = {settings[static_cast<std::size_t>(i)]};
      for (int i = 0; i < graph_.inputs.size(); ++i)
        if (graph_.inputs[i].node == index && kind == vv::op::input) {
          const auto* data = static_cast<const double*>(inputs[static_cast<std::size_t>(i)]);
          at(index).assign(data, data + graph_.nodes[index].dims.size_at(context.samples));
        }
    }
    run(0, graph_.nodes.size(), -1, context, inputs);
    std::map<std::int32_t, numbers> next;
    for (const vv::assignment& store : graph_.assignments)
      if (graph_.nodes[store.target].loop < 0) next[store.target] = at(store.value);
    result_ = node_;
    for (const auto& [target, value] : next) at(target) = value;
  }

  /// The value of a node in the last step.
  [[nodiscard]] const numbers& result(std::int32_t index) const { return result_[static_cast<std::size_t>(index)]; }
  /// A parameter or state, after the last step.
  [[nodiscard]] const numbers& stored(std::int32_t index) const { return node_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const vv::graph& structure() const { return graph_; }

 private:
  numbers& at(std::int32_t index) { return node_[static_cast<std::size_t>(index)]; }

  /// Computes nodes [first, end), which are in a loop or in loops within it.
  void run(std::int32_t first, std::int32_t end, std::int32_t loop, const vv::step_context& context,
           const std::vector<const void*>& inputs) {
    for (std::int32_t index = first; index < end; ++index) {
      std::int32_t inner = graph_.nodes[index].loop;
      if (inner == loop) {
        if (!vv::is_source(graph_.nodes[index].kind)) compute(index, context, inputs);
        continue;
      }
      while (graph_.loops[inner].outer != loop) inner = graph_.loops[inner].outer;
      run_loop(inner, context, inputs);
      index = ranges_.end[inner] - 1;
    }
  }
  void run_loop(std::int32_t loop, const vv::step_context& context, const std::vector<const void*>& inputs) {
    const std::int32_t turns = graph_.loops[loop].turns;
    std::map<std::int32_t, std::vector<numbers>> parts;  // of values that are stacked
    for (std::int32_t t = 0; t < turns; ++t) {
      const auto place = static_cast<std::size_t>(graph_.loops[loop].reverse ? turns - 1 - t : t);
      turn_[static_cast<std::size_t>(loop)] = place;
      std::map<std::int32_t, numbers> carried;
      for (std::int32_t index = ranges_.begin[loop]; index < ranges_.end[loop]; ++index)
        if (graph_.nodes[index].kind == vv::op::carried && graph_.nodes[index].loop == loop && t == 0)
          at(index) = at(graph_.nodes[index].operand[0]);
      if (t > 0)
        for (const vv::assignment& store : graph_.assignments)
          if (graph_.nodes[store.target].loop == loop) carried[store.target] = at(store.value);
      for (const auto& [target, value] : carried) at(target) = value;
      run(ranges_.begin[loop], ranges_.end[loop], loop, context, inputs);
      for (const vv::node& result : graph_.nodes)
        if (result.kind == vv::op::stack && graph_.nodes[result.operand[0]].loop == loop) {
          auto& kept = parts[result.operand[0]];
          kept.resize(static_cast<std::size_t>(turns));
          kept[place] = at(result.operand[0]);
        }
    }
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index) {
      const vv::node& result = graph_.nodes[index];
      if (!vv::is_loop_result(result.kind) || graph_.nodes[result.operand[0]].loop != loop) continue;
      at(index).clear();
      if (result.kind == vv::op::stack)
        for (const numbers& part : parts[result.operand[0]]) at(index).insert(at(index).end(), part.begin(), part.end());
      if (result.kind == vv::op::last) at(index) = at(result.operand[0]);
      for (const vv::assignment& store : graph_.assignments)
        if (result.kind == vv::op::last && store.target == result.operand[0]) at(index) = at(store.value);
    }
  }

  /// An operand, repeated to a node's extents.
  numbers repeated(std::int32_t operand, const vv::shape& dims, std::int32_t samples) {
    const vv::shape from = graph_.nodes[operand].dims.at(samples);
    numbers result(static_cast<std::size_t>(dims.size()));
    for (std::size_t i = 0; i < result.size(); ++i) {
      std::int64_t rest = static_cast<std::int64_t>(i);
      std::int64_t place = 0;
      std::int64_t stride = 1;
      for (int d = from.rank - 1; d >= 0; --d) {
        const int own = d + dims.rank - from.rank;
        if (from[d] != 1) place += rest % dims[own] * stride;
        stride *= from[d];
        rest /= dims[own];
      }
      result[i] = at(operand)[static_cast<std::size_t>(place)];
    }
    return result;
  }

  void compute(std::int32_t index, const vv::step_context& context, const std::vector<const void*>& inputs) {
    const vv::node& node = graph_.nodes[index];
    const vv::shape dims = node.dims.at(context.samples);
    numbers& to = at(index);
    if (node.kind == vv::op::turn) {
      const auto part = static_cast<std::ptrdiff_t>(turn_[static_cast<std::size_t>(node.loop)]) * dims.size();
      const numbers& from = at(node.operand[0]);
      to.assign(from.begin() + part, from.begin() + part + dims.size());
    }
    if (vv::is_view(node.kind) && node.kind != vv::op::reshape) return;  // a loop's results are there already
    to.assign(static_cast<std::size_t>(dims.size()), -77);
    static constexpr auto kernels = vv::kernels_for<vv::reference_kernels, double, vv::all_operations>();
    if (node.kind == vv::op::reshape) {
      to = at(node.operand[0]);
    } else if (vv::is_elementwise(node.kind)) {
      numbers from[3];
      for (int i = 0; i < node.operands(); ++i) from[i] = repeated(node.operand[i], dims, context.samples);
      vv::instruction code{.kind = node.kind, .derivative = node.attr.derivative, .stream = node.attr.stream,
                           .scale = node.attr.scale, .shift = node.attr.shift, .functor = node.attr.functor};
      if (node.kind == vv::op::broadcast)
        code.scale = !node.attr.mean ? 1 : static_cast<double>(to.size()) / static_cast<double>(at(node.operand[0]).size());
      kernels.elementwise[static_cast<int>(node.kind)](to.data(), from[0].data(), from[1].data(), from[2].data(), 0,
                                                       dims.size(), code, context);
    } else {
      vv::call<double> self;
      self.attr = &node.attr;
      self.out = {to.data(), dims};
      for (int i = 0; i < node.operands(); ++i) {
        const std::int32_t operand = node.operand[i];
        self.in[i] = {at(operand).data(), graph_.nodes[operand].dims.at(context.samples)};
        for (int k = 0; k < graph_.inputs.size(); ++k)
          if (graph_.inputs[k].node == operand && graph_.nodes[operand].kind == vv::op::labels)
            self.in[i].data = static_cast<const double*>(inputs[static_cast<std::size_t>(k)]);
      }
      kernels.operation[static_cast<int>(node.kind)](self, context);
    }
  }

  vv::graph graph_;
  vv::loop_ranges ranges_;
  std::vector<std::size_t> turn_;  // of each loop: the part of sequences that it is at
  std::vector<numbers> node_, result_;
};

}  // namespace graph_test
