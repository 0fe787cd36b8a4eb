#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <vivace/exec/instance.hpp>
#include <vivace/io/onnx.hpp>

/// @file
/// A network's prediction graph as an ONNX model.

namespace vivace::inline VIVACE_TARGET {

namespace detail {

/// Translates a graph node by node.
template <class Real>
class onnx_export {
 public:
  onnx_export(const graph_view& from, const variables<Real>& values) : graph_(from), values_(values) {}

  io::onnx_model operator()() {
    if (graph_.outputs.empty())
      throw error("the network has nothing to export", "save_onnx", "a graph without outputs",
                  "an output, such as graph.output(\"prediction\", value)");
    names_.resize(static_cast<std::size_t>(graph_.nodes.size()));
    needed_ = ancestors_of_outputs();
    add_sources(needed_);
    for (int i = 0; i < graph_.nodes.size(); ++i) {
      if (!is_needed(i) || is_source(graph_.nodes[i].kind)) continue;
      std::string& name = names_[static_cast<std::size_t>(i)];
      for (const port& output : graph_.outputs)
        if (name.empty() && output.node == i) name = output.name.view();
      if (name.empty()) name = place(i) + "#" + std::to_string(i);
    }
    translate(0, graph_.nodes.size(), -1);
    for (const port& output : graph_.outputs) {
      const std::string name(output.name.view());
      if (name != name_of(output.node)) made_.node("Identity", {name_of(output.node)}, name);
      made_.output(name, real, extents_of(graph_.nodes[output.node].dims));
    }
    return std::move(made_);
  }

 private:
  using integers = std::vector<std::int64_t>;
  static constexpr io::element real = io::element_of<Real>;

  static integers extents_of(const shape& dims) { return {dims.extent, dims.extent + dims.rank}; }
  static integers range(int first, int last) {
    integers result;
    for (int d = first; d < last; ++d) result.push_back(d);
    return result;
  }
  static integers pair(const std::int16_t (&values)[2]) { return {values[0], values[1]}; }

  [[nodiscard]] const std::string& name_of(std::int32_t node) const { return names_[static_cast<std::size_t>(node)]; }
  /// Layer and operation, for names and messages.
  [[nodiscard]] std::string place(std::int32_t index) const {
    const node& one = graph_.nodes[index];
    std::string result(to_string(one.kind));
    if (one.layer >= 0) result = std::string(graph_.layers[one.layer].name.view()) + "/" + result;
    return result;
  }
  [[noreturn]] void refuse(const node& from, const std::string& got) const {
    const auto index = static_cast<std::int32_t>(&from - graph_.nodes.begin());
    throw error("the network cannot be written as ONNX", place(index), got,
                "a network without it: save the parameters as safetensors, or leave it out of the prediction");
  }

  [[nodiscard]] std::vector<bool> ancestors_of_outputs() const {
    std::vector<bool> needed(static_cast<std::size_t>(graph_.nodes.size()), false);
    for (const port& output : graph_.outputs) needed[static_cast<std::size_t>(output.node)] = true;
    for (bool again = true; again;) {
      for (int i = graph_.nodes.size() - 1; i >= 0; --i)
        for (int k = 0; needed[static_cast<std::size_t>(i)] && k < graph_.nodes[i].operands(); ++k)
          needed[static_cast<std::size_t>(graph_.nodes[i].operand[k])] = true;
      again = false;
      for (const assignment& store : graph_.assignments) {
        const auto target = static_cast<std::size_t>(store.target), value = static_cast<std::size_t>(store.value);
        if (graph_.nodes[store.target].kind != op::carried || !needed[target] || needed[value]) continue;
        needed[value] = again = true;
      }
    }
    return needed;
  }
  [[nodiscard]] bool is_needed(std::int32_t index) const { return needed_[static_cast<std::size_t>(index)]; }

  /// Inputs, parameters, states and literals.
  void add_sources(const std::vector<bool>& needed) {
    const auto used = [&](std::int32_t node) { return node >= 0 && needed[static_cast<std::size_t>(node)]; };
    for (const port& input : graph_.inputs) {
      if (!used(input.node)) continue;
      const node& from = graph_.nodes[input.node];
      names_[static_cast<std::size_t>(input.node)] = input.name.view();
      made_.input(name_of(input.node), from.kind == op::labels ? io::element::i32 : real, extents_of(from.dims));
    }
    const auto add = [&](const variable& from, const typename variables<Real>::entry& value) {
      if (!used(from.node)) return;
      names_[static_cast<std::size_t>(from.node)] = value.name;
      made_.constant<Real>(name_of(from.node), {value.data, static_cast<std::size_t>(value.dims.size())},
                           extents_of(value.dims));
    };
    for (int p = 0; p < graph_.parameters.size(); ++p) add(graph_.parameters[p], values_.parameter(p));
    for (int s = 0; s < graph_.states.size(); ++s) add(graph_.states[s], values_.state(s));
    for (int i = 0; i < graph_.nodes.size(); ++i) {
      if (!used(i)) continue;
      if (graph_.nodes[i].kind == op::setting) refuse(graph_.nodes[i], "a scalar that is set before each step");
      if (graph_.nodes[i].kind == op::constant)
        names_[static_cast<std::size_t>(i)] = scalar(graph_.nodes[i].attr.scale);
    }
  }

  /// A literal of rank 0, made once.
  std::string scalar(double value) {
    const Real rounded = static_cast<Real>(value);
    std::string name = "literal " + std::to_string(literals_.size());
    for (std::size_t i = 0; i < literals_.size(); ++i)
      if (literals_[i] == rounded) return "literal " + std::to_string(i);
    literals_.push_back(rounded);
    made_.constant<Real>(name, {&rounded, 1}, {});
    return name;
  }
  /// A list of whole numbers that an operator takes as a tensor.
  std::string list(const integers& values) {
    std::string name = "list " + std::to_string(lists_++);
    made_.constant<std::int64_t>(name, values, {static_cast<std::int64_t>(values.size())});
    return name;
  }
  /// A result on the way to another.
  std::string step(const std::string& result) { return result + "." + std::to_string(++steps_); }

  /// The extents of a shape for Reshape: the batch is what is left.
  std::string shape_list(const shape& dims) {
    integers extents = extents_of(dims);
    for (std::int64_t& extent : extents) extent = (std::max)(extent, std::int64_t{-1});
    return list(extents);
  }

  /// Translates nodes [first, end), which are in a loop or in loops within it.
  void translate(std::int32_t first, std::int32_t end, std::int32_t loop) {
    for (std::int32_t i = first; i < end; ++i) {
      const node& from = graph_.nodes[i];
      std::int32_t inner = from.loop;
      if (inner == loop) {
        const bool own = !is_source(from.kind) && (from.kind == op::reshape || !is_view(from.kind));
        if (is_needed(i) && own) translate(from, name_of(i));
        continue;
      }
      while (graph_.loops[inner].outer != loop) inner = graph_.loops[inner].outer;
      std::int32_t after = i;
      for (std::int32_t n = i; n < end; ++n)
        for (std::int32_t l = graph_.nodes[n].loop; l >= inner; l = graph_.loops[l].outer)
          if (l == inner) after = n + 1;
      translate_loop(inner, i, after);
      i = after - 1;
    }
  }

  /// A loop, nodes [first, end), as a Scan.
  void translate_loop(std::int32_t loop, std::int32_t first, std::int32_t end) {
    struct flow {
      std::string operand, input, output, result;
      shape dims;
    };
    std::vector<flow> carried, sequences, stacks;
    made_.begin_body();
    const auto take_in = [&](op kind, std::vector<flow>& to) {
      for (std::int32_t i = first; i < end; ++i)
        if (const node& from = graph_.nodes[i]; is_needed(i) && from.kind == kind && from.loop == loop)
          to.push_back({name_of(from.operand[0]), name_of(i), name_of(i) + ".next", name_of(i) + ".last", from.dims});
    };
    take_in(op::carried, carried);
    take_in(op::turn, sequences);
    if (sequences.empty()) {  // Scan counts its turns by them
      const std::string turns = step("turns");
      const std::vector<Real> zeros(static_cast<std::size_t>(graph_.loops[loop].turns), Real(0));
      made_.constant<Real>(turns, zeros, {graph_.loops[loop].turns});
      sequences.push_back({turns, turns + ".part", "", "", {}});
    }
    for (const std::vector<flow>* inputs : {&carried, &sequences})
      for (const flow& one : *inputs) made_.input(one.input, real, extents_of(one.dims));
    translate(first, end, loop);
    for (flow& one : carried) {
      std::string value = one.input;
      for (const assignment& store : graph_.assignments)
        if (is_needed(store.target) && name_of(store.target) == one.input) value = name_of(store.value);
      made_.node("Identity", {value}, one.output);
      made_.output(one.output, real, extents_of(one.dims));
    }
    std::vector<std::pair<std::string, std::string>> renamed;  // a result, and the tensor that it is
    std::vector<std::pair<std::int32_t, std::string>> flattened;
    for (std::int32_t i = end; i < graph_.nodes.size(); ++i) {
      const node& from = graph_.nodes[i];
      if (!is_needed(i) || !is_loop_result(from.kind) || graph_.nodes[from.operand[0]].loop != loop) continue;
      if (from.kind == op::last) {
        renamed.emplace_back(name_of(i), name_of(from.operand[0]) + ".last");
        continue;
      }
      const shape& part = graph_.nodes[from.operand[0]].dims;
      const bool same = part.rank + 1 == from.dims.rank;  // those with too many axes are flattened
      stacks.push_back({"", "", step(name_of(i)), same ? name_of(i) : step(name_of(i)), part});
      made_.node("Identity", {name_of(from.operand[0])}, stacks.back().output);
      made_.output(stacks.back().output, real, extents_of(part));
      if (!same) flattened.emplace_back(i, stacks.back().result);
    }
    std::vector<std::string> operands, results;
    for (const flow& one : carried) operands.push_back(one.operand), results.push_back(one.result);
    for (const flow& one : sequences) operands.push_back(one.operand);
    for (const flow& one : stacks) results.push_back(one.result);
    made_.scan(operands, results, carried.size(), graph_.loops[loop].reverse);
    for (const auto& [name, value] : renamed) made_.node("Identity", {value}, name);
    for (const auto& [index, value] : flattened)
      made_.node("Reshape", {value, shape_list(graph_.nodes[index].dims)}, name_of(index));
  }

  void translate(const node& from, const std::string& result) {
    const std::string a = from.operand[0] >= 0 ? name_of(from.operand[0]) : "";
    const std::string b = from.operand[1] >= 0 ? name_of(from.operand[1]) : "";
    const shape& operand = graph_.nodes[from.operand[0] >= 0 ? from.operand[0] : 0].dims;
    if (const char* plain = one_to_one(from.kind)) {
      if (b.empty()) return made_.node(plain, {a}, result);
      return made_.node(plain, {a, b}, result);
    }
    switch (from.kind) {
      case op::affine:
        return affine(from, a, result);
      case op::square:
        return made_.node("Mul", {a, a}, result);
      case op::power:
        return made_.node("Pow", {a, scalar(from.attr.scale)}, result);
      case op::step:
        return compare("Greater", a, scalar(0), result);
      case op::greater:
        return compare("Greater", a, b, result);
      case op::equal:
        return compare("Equal", a, b, result);
      case op::select: {
        const std::string condition = step(result);
        made_.node("Cast", {a}, condition, {{"to", io::onnx_type(io::element::boolean)}});
        return made_.node("Where", {condition, b, name_of(from.operand[2])}, result);
      }
      case op::multiply_add: {
        const std::string product = step(result), other = name_of(from.operand[2]);
        made_.node("Mul", {a, b}, product);
        if (from.attr.scale < 0) return made_.node("Sub", {other, product}, result);
        return made_.node(from.attr.shift < 0 ? "Sub" : "Add", {product, other}, result);
      }
      case op::broadcast:
        return broadcast(from, operand, a, result);
      case op::reshape:
        return made_.node("Reshape", {a, shape_list(from.dims)}, result);
      case op::transpose:
        return made_.node("Transpose", {a}, result,
                          {{"perm", integers(from.attr.axes, from.attr.axes + from.dims.rank)}});
      case op::slice: {
        const int axis = from.attr.axes[0];
        return made_.node(
            "Slice", {a, list({from.attr.first}), list({from.attr.first + from.dims[axis]}), list({axis})}, result);
      }
      case op::pad: {
        const int axis = from.attr.axes[0];
        integers around(static_cast<std::size_t>(2 * from.dims.rank), 0);
        around[static_cast<std::size_t>(axis)] = from.attr.first;
        around[static_cast<std::size_t>(axis + from.dims.rank)] = from.dims[axis] - operand[axis] - from.attr.first;
        return made_.node("Pad", {a, list(around)}, result);
      }
      case op::concatenate:
        return made_.node("Concat", {a, b}, result, {{"axis", std::int64_t{from.attr.axes[0]}}});
      case op::sum:
      case op::max:
        return reduce(from, operand, a, result);
      case op::matmul: {
        const std::string left = from.attr.transpose_a ? matrix_transposed(a, from.dims.rank, result) : a;
        const std::string right = from.attr.transpose_b ? matrix_transposed(b, from.dims.rank, result) : b;
        return made_.node("MatMul", {left, right}, result);
      }
      case op::conv2d: {
        std::vector<io::onnx_attribute> attributes = window_of(from.attr.frame);
        attributes.emplace_back("dilations", pair(from.attr.frame.dilation));
        attributes.emplace_back("group", std::int64_t{from.attr.frame.groups});
        return made_.node("Conv", {a, b}, result, attributes);
      }
      case op::max_pool: {
        std::vector<io::onnx_attribute> attributes = window_of(from.attr.frame);
        attributes.emplace_back("dilations", pair(from.attr.frame.dilation));
        return made_.node("MaxPool", {a}, result, attributes);
      }
      case op::avg_pool: {
        if (pair(from.attr.frame.dilation) != integers{1, 1}) refuse(from, "a dilated window");
        std::vector<io::onnx_attribute> attributes = window_of(from.attr.frame);
        attributes.emplace_back("count_include_pad", std::int64_t{0});
        return made_.node("AveragePool", {a}, result, attributes);
      }
      case op::softmax:
        return softmax(from, a, result);
      case op::cross_entropy:
        if (from.attr.scale != 0) refuse(from, "label smoothing");
        return log_likelihood(a, b, result);
      case op::take_rows:
        return made_.node("Gather", {a, b}, result, {{"axis", std::int64_t{0}}});
      case op::map:
        refuse(from, "a function of your own, " + std::string(from.attr.functor->name));
      default:
        refuse(from, "an operation that has no counterpart there");
    }
  }

  /// Operators that do the same under another name.
  static constexpr const char* one_to_one(op kind) {
    switch (kind) {
      case op::negate:
        return "Neg";
      case op::exp:
        return "Exp";
      case op::log:
        return "Log";
      case op::sqrt:
        return "Sqrt";
      case op::reciprocal:
        return "Reciprocal";
      case op::tanh:
        return "Tanh";
      case op::sigmoid:
        return "Sigmoid";
      case op::relu:
        return "Relu";
      case op::abs:
        return "Abs";
      case op::sign:
        return "Sign";
      case op::sin:
        return "Sin";
      case op::cos:
        return "Cos";
      case op::erf:
        return "Erf";
      case op::add:
        return "Add";
      case op::subtract:
        return "Sub";
      case op::multiply:
        return "Mul";
      case op::divide:
        return "Div";
      case op::maximum:
        return "Max";
      case op::minimum:
        return "Min";
      default:
        return nullptr;
    }
  }

  void affine(const node& from, const std::string& a, const std::string& result) {
    const double scale = from.attr.scale, shift = from.attr.shift;
    if (scale == 1 && shift == 0) return made_.node("Identity", {a}, result);
    if (shift == 0) return made_.node("Mul", {a, scalar(scale)}, result);
    if (scale == 1) return made_.node("Add", {a, scalar(shift)}, result);
    const std::string scaled = step(result);
    made_.node("Mul", {a, scalar(scale)}, scaled);
    made_.node("Add", {scaled, scalar(shift)}, result);
  }

  void compare(const char* kind, const std::string& a, const std::string& b, const std::string& result) {
    const std::string truth = step(result);
    made_.node(kind, {a, b}, truth);
    made_.node("Cast", {truth}, result, {{"to", io::onnx_type(real)}});
  }

  void broadcast(const node& from, const shape& operand, const std::string& a, const std::string& result) {
    const int lead = from.dims.rank - operand.rank;
    integers extents = extents_of(from.dims);
    std::int64_t repetitions = 1;
    int unknown = -1;  // the axis along which a value is repeated for every sample
    for (int d = 0; d < from.dims.rank; ++d) {
      const std::int32_t own = d < lead ? 1 : operand[d - lead];
      if (own == from.dims[d]) extents[static_cast<std::size_t>(d)] = 1;  // Expand keeps the larger extent
      if (own == from.dims[d]) continue;
      repetitions *= from.dims[d];
      if (from.dims[d] < 0) unknown = d;
    }
    if (from.attr.mean && unknown >= 0) refuse(from, "a share of every sample");
    const std::string expanded = from.attr.mean ? step(result) : result;
    made_.node("Expand", {a, unknown < 0 ? list(extents) : list_with_batch(extents, unknown, from, result)}, expanded);
    if (from.attr.mean) made_.node("Div", {expanded, scalar(static_cast<double>(repetitions))}, result);
  }

  /// A list of extents, of which one is that many times the batch; the batch is read off an input.
  std::string list_with_batch(const integers& extents, int axis, const node& from, const std::string& result) {
    for (const port& input : graph_.inputs) {
      const shape& dims = graph_.nodes[input.node].dims;
      for (int d = 0; d < dims.rank; ++d) {
        if (dims[d] >= 0 || name_of(input.node).empty()) continue;
        const std::string own = step(result), times = step(result), batch = step(result), all = step(result);
        made_.node("Shape", {name_of(input.node)}, own, {{"start", std::int64_t{d}}, {"end", std::int64_t{d + 1}}});
        made_.node("Mul", {own, list({-extents[static_cast<std::size_t>(axis)]})}, times);
        made_.node("Div", {times, list({-dims[d]})}, batch);
        made_.node(
            "Concat",
            {list({extents.begin(), extents.begin() + axis}), batch, list({extents.begin() + axis + 1, extents.end()})},
            all, {{"axis", std::int64_t{0}}});
        return all;
      }
    }
    refuse(from, "a value that is repeated for every sample, where no input says how many there are");
  }

  void reduce(const node& from, const shape& operand, const std::string& a, const std::string& result) {
    const int lead = operand.rank - from.dims.rank;
    integers axes = range(0, lead);
    for (int d = lead; d < operand.rank; ++d)
      if (operand[d] != from.dims[d - lead]) axes.push_back(d);
    const std::string kept = lead > 0 ? step(result) : result;
    if (from.kind == op::sum && !from.attr.mean)
      made_.node("ReduceSum", {a, list(axes)}, kept, {{"keepdims", std::int64_t{1}}});
    else  // these two take their axes as an attribute up to version 17 of the operators
      made_.node(from.kind == op::max ? "ReduceMax" : "ReduceMean", {a}, kept,
                 {{"axes", axes}, {"keepdims", std::int64_t{1}}});
    if (lead > 0) made_.node("Reshape", {kept, shape_list(from.dims)}, result);
  }

  std::string matrix_transposed(const std::string& a, int rank, const std::string& result) {
    integers order = range(0, rank);
    std::swap(order[static_cast<std::size_t>(rank - 1)], order[static_cast<std::size_t>(rank - 2)]);
    std::string transposed = step(result);
    made_.node("Transpose", {a}, transposed, {{"perm", order}});
    return transposed;
  }

  static std::vector<io::onnx_attribute> window_of(const window& frame) {
    return {{"kernel_shape", pair(frame.kernel)},
            {"strides", pair(frame.stride)},
            {"pads", integers{frame.padding[0], frame.padding[1], frame.padding[0], frame.padding[1]}}};
  }

  void softmax(const node& from, const std::string& a, const std::string& result) {
    const io::onnx_attribute last{"axis", std::int64_t{-1}};
    if (!from.attr.causal) return made_.node("Softmax", {a}, result, {last});
    const int rank = from.dims.rank;
    const std::int32_t row_count = rank < 2 ? 1 : from.dims[rank - 2], column_count = from.dims[rank - 1];
    if (row_count < 0) refuse(from, "a causal mask as long as the batch");
    std::vector<Real> mask;
    for (int r = 0; r < row_count; ++r)
      for (int c = 0; c < column_count; ++c) mask.push_back(c > r ? -std::numeric_limits<Real>::infinity() : Real(0));
    const std::string name = step(result), masked = step(result);
    made_.constant<Real>(name, mask, {row_count, column_count});
    made_.node("Add", {a, name}, masked);
    made_.node("Softmax", {masked}, result, {last});
  }

  /// -log softmax(logits) at the label of each row.
  void log_likelihood(const std::string& logits, const std::string& labels, const std::string& result) {
    const std::string logarithms = step(result), columns = step(result), found = step(result), flat = step(result);
    made_.node("LogSoftmax", {logits}, logarithms, {{"axis", std::int64_t{-1}}});
    made_.node("Unsqueeze", {labels, list({1})}, columns);
    made_.node("GatherElements", {logarithms, columns}, found, {{"axis", std::int64_t{1}}});
    made_.node("Squeeze", {found, list({1})}, flat);
    made_.node("Neg", {flat}, result);
  }

  const graph_view& graph_;
  const variables<Real>& values_;
  std::vector<bool> needed_;  // nodes that an output is computed from
  io::onnx_model made_;
  std::vector<std::string> names_;  // of each node's result
  std::vector<Real> literals_;
  int lists_ = 0;
  int steps_ = 0;
};

}  // namespace detail

/// Writes the outputs of a graph, with all they need, as an ONNX model: parameters under their names, the batch as a
/// symbolic extent "batch".
/// @param from a graph for prediction
/// @param values its parameters and states
/// @throws error if an operation has no counterpart in ONNX (a user's functor)
/// @throws file_error if the file cannot be written
template <class Real>
void save_onnx(const graph_view& from, const variables<Real>& values, const std::string& path) {
  detail::onnx_export<Real>(from, values)().write(path);
}

/// Writes what a trainer's network predicts (its outputs, not its loss) as an ONNX model.
template <class Trainer>
requires requires(Trainer& self) { self.engine(); }
void save_onnx(Trainer& from, const std::string& path) {
  save_onnx(from.engine().setup().prediction_graph, from.engine().values(), path);
}

}  // namespace vivace::inline VIVACE_TARGET
