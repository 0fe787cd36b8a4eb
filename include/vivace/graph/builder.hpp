#pragma once
#include <cstdint>
#include <string_view>
#include <utility>

#include <vivace/graph/graph.hpp>

namespace vivace::inline VIVACE_TARGET {

class builder;

/// A path and a role as one name, "2.conv2d" and "weight" as "2.conv2d.weight". Of a long path the end is cut.
constexpr identifier joined(const identifier& path, std::string_view role) {
  constexpr int capacity = static_cast<int>(sizeof(identifier)) - 1;
  identifier result;
  int length = 0;
  for (const char letter : path.view())
    if (length + 1 + static_cast<int>(role.size()) < capacity) result.text[length++] = letter;
  if (length > 0) result.text[length++] = '.';
  for (const char letter : role)
    if (length < capacity) result.text[length++] = letter;
  return result;
}

namespace ops {

/// A handle to a node under construction. Copy it freely; it is valid as long as its builder.
///
/// The functions of namespace vivace::ops work on it (`exp`, `matmul`, `sum`, `+` ...). Argument-dependent lookup finds
/// them: write `mean(square(x))`, with neither a namespace nor a using-directive.
class value {
 public:
  constexpr value() = default;
  constexpr value(builder* owner, std::int32_t index) : owner_(owner), index_(index) {}

  /// The builder whose node it is.
  [[nodiscard]] constexpr builder& owner() const { return *owner_; }
  /// The node's place in the graph.
  [[nodiscard]] constexpr std::int32_t index() const { return index_; }
  /// False for a value that was made of nothing.
  [[nodiscard]] constexpr bool exists() const { return index_ >= 0; }
  /// A copy: the next node that is made may move all others.
  [[nodiscard]] constexpr shape dims() const;

 private:
  builder* owner_ = nullptr;
  std::int32_t index_ = -1;
};

}  // namespace ops

using ops::value;

/// Adds nodes to a graph. Every rule about shapes is checked here; the first mistake is kept in the graph.
class builder {
 public:
  /// @param training false builds the graph for prediction: no dropout, running statistics in place of the batch's
  constexpr explicit builder(bool training = true) : training_(training) {}
  /// Goes on building an existing graph.
  constexpr explicit builder(graph start, bool training = true) : graph_(std::move(start)), training_(training) {}

  /// False if the graph is for prediction.
  [[nodiscard]] constexpr bool training() const { return training_; }
  /// The graph so far.
  [[nodiscard]] constexpr const graph& result() const { return graph_; }
  [[nodiscard]] constexpr graph& result() { return graph_; }
  /// The graph; the builder is left empty.
  constexpr graph take() { return std::move(graph_); }

  /// Numbers of a batch; `rows` stands for the batch in `dims`.
  constexpr value input(std::string_view input_name, shape dims) { return source(op::input, input_name, dims); }
  /// Integers of a batch: class labels, or indices of rows.
  constexpr value labels(std::string_view input_name, shape dims) { return source(op::labels, input_name, dims); }
  /// A literal scalar.
  constexpr value constant(double number) {
    node literal{.kind = op::constant};
    literal.attr.scale = number;
    return add(literal);
  }
  /// A scalar that the caller sets before each step.
  constexpr value setting(std::string_view setting_name) {
    const value made = add({.kind = op::setting});
    graph_.settings.push_back({identifier(setting_name), made.index()});
    return made;
  }
  /// A trained parameter. Inside a layer its name is prefixed with the layer's.
  constexpr value parameter(std::string_view role, shape dims, initialiser start = {initialiser::rule::xavier_uniform, 1},
                            std::int32_t fan_in = 0, std::int32_t fan_out = 0) {
    return stored(op::parameter, graph_.parameters, role, dims, start, fan_in, fan_out);
  }
  /// A value kept from step to step and not trained. Give it its next value with update().
  constexpr value state(std::string_view role, shape dims, initialiser start = {}) {
    return stored(op::state, graph_.states, role, dims, start, 1, 1);
  }
  /// Stores `next` in a parameter or state at the end of the step.
  constexpr void update(value target, value next) {
    const op kind = graph_.nodes[target.index()].kind;
    if (kind != op::parameter && kind != op::state) {
      fail(problem::cannot_be_updated, "update", target.dims(), {});
      return;
    }
    if (graph_.nodes[next.index()].loop >= 0) {
      fail(problem::value_outside_its_loop, "update", next.dims(), {});
      return;
    }
    if (target.dims() != next.dims()) {
      fail(problem::sizes_differ, "update", next.dims(), target.dims());
      return;
    }
    graph_.assignments.push_back({target.index(), next.index()});
  }
  /// Names a result, so that it can be asked for.
  constexpr void output(std::string_view output_name, value result) {
    for (const port& other : graph_.outputs)
      if (other.name.view() == output_name) fail(problem::name_used_twice, output_name, result.dims(), {});
    graph_.outputs.push_back({identifier(output_name), computed(result).index()});
  }
  /// The value itself, or a copy if it only names what comes from outside: that is not the step's to hand out.
  constexpr value computed(value result) {
    std::int32_t base = result.index();
    if (graph_.nodes[base].loop >= 0) return fail(problem::value_outside_its_loop, "output", result.dims(), {});
    while (graph_.nodes[base].kind == op::reshape) base = graph_.nodes[base].operand[0];
    if (!is_source(graph_.nodes[base].kind)) return result;
    return add({.kind = op::affine, .dims = result.dims(), .operand = {result.index(), -1, -1}});
  }

  /// Starts a line of the architecture's table; parameters made until end_layer() carry its name.
  constexpr void begin_layer(std::string_view kind) {
    const auto position = graph_.layers.size();
    identifier path;
    int length = write_number(path, position);
    path.text[length++] = '.';
    for (const char letter : kind)
      if (length < 30) path.text[length++] = letter;
    graph_.layers.push_back({path, -1});
    layer_ = position;
  }
  /// Ends the line, whose result is `output`.
  constexpr void end_layer(value output) {
    graph_.layers[layer_].output = output.index();
    layer_ = -1;
  }
  /// Values made until end_recompute() are not kept for the backward pass, which makes them again; calls may nest.
  constexpr void begin_recompute() { ++recompute_; }
  /// @param output is kept all the same
  constexpr void end_recompute(value output) {
    --recompute_;
    if (output.exists()) graph_.nodes[output.index()].repeat = recompute_ > 0;
  }
  /// True between begin_layer() and end_layer().
  [[nodiscard]] constexpr bool in_layer() const { return layer_ >= 0; }

  /// Starts a loop in the one that is being built, if any; go back to that with enter_loop(loop_at(index).outer).
  constexpr std::int32_t begin_loop(std::int32_t turns, bool reverse = false) {
    graph_.loops.push_back({turns, loop_, reverse});
    return loop_ = graph_.loops.size() - 1;
  }
  /// Goes on building in another loop, -1 for none. The loop that was being built until then.
  constexpr std::int32_t enter_loop(std::int32_t loop) {
    const std::int32_t before = loop_;
    loop_ = loop;
    return before;
  }
  /// A loop by its index.
  [[nodiscard]] constexpr const loop& loop_at(std::int32_t index) const { return graph_.loops[index]; }
  /// Gives a carried value, one of ops::carried(), its value for the next turn.
  constexpr void carry(value carried, value next) { graph_.assignments.push_back({carried.index(), next.index()}); }

  /// How far a graph has been built.
  struct extent {
    int nodes, parameters, states, inputs, outputs, settings, layers, assignments, loops;
    std::uint32_t streams;
  };
  [[nodiscard]] constexpr extent extent_so_far() const {
    return {graph_.nodes.size(),    graph_.parameters.size(), graph_.states.size(),
            graph_.inputs.size(),   graph_.outputs.size(),    graph_.settings.size(),
            graph_.layers.size(),   graph_.assignments.size(), graph_.loops.size(), streams_};
  }
  /// Forgets what has been built since then.
  constexpr void cut_back(const extent& to) {
    graph_.nodes.resize(to.nodes);
    graph_.parameters.resize(to.parameters);
    graph_.states.resize(to.states);
    graph_.inputs.resize(to.inputs);
    graph_.outputs.resize(to.outputs);
    graph_.settings.resize(to.settings);
    graph_.layers.resize(to.layers);
    graph_.assignments.resize(to.assignments);
    graph_.loops.resize(to.loops);
    streams_ = to.streams;
  }

  /// A random stream that nothing else of this graph uses.
  constexpr std::uint32_t new_stream() { return streams_++; }

  /// Adds a node whose shape is known. For operations use the functions of vivace::ops. It runs in the innermost loop
  /// of its operands, or in `made.loop` if that is further in: what a body computes from outside of it alone, it
  /// computes once.
  constexpr value add(node made) {
    problem found = mistake_of(made);
    if (!graph_.loops.empty() && found == problem::none) found = find_loop(made);
    if (found != problem::none) return fail(found, to_string(made.kind), made.dims, {});
    made.layer = layer_;
    if (recompute_ > 0 && !is_source(made.kind)) made.repeat = true;
    graph_.nodes.push_back(made);
    return {this, graph_.nodes.size() - 1};
  }
  /// A node by its index.
  [[nodiscard]] constexpr const node& at(std::int32_t index) const { return graph_.nodes[index]; }
  /// A handle to a node by its index.
  [[nodiscard]] constexpr value handle(std::int32_t index) { return {this, index}; }

  /// Keeps the first mistake and returns a scalar in place of the value that could not be made.
  constexpr value fail(problem what, std::string_view kind, shape got, shape needs) {
    const identifier where = layer_ < 0 ? identifier(kind) : graph_.layers[layer_].name;
    if (graph_.mistake.what == problem::none) graph_.mistake = {what, layer_, where, got, needs};
    return constant(0);
  }
  /// True if a mistake was found; nodes that are made from then on mean nothing.
  [[nodiscard]] constexpr bool failed() const { return graph_.mistake.what != problem::none; }

 private:
  /// What no node may do, whatever its operation.
  [[nodiscard]] constexpr problem mistake_of(const node& made) const {
    int batch_axes = 0;
    for (int d = 0; d < made.dims.rank; ++d) batch_axes += made.dims[d] < 0 ? 1 : 0;
    if (batch_axes > 1) return problem::batch_in_two_axes;
    const bool reads_labels = made.kind == op::cross_entropy || made.kind == op::cross_entropy_gradient ||
                              made.kind == op::take_rows || made.kind == op::add_rows;
    for (int i = 0; i < made.operands() && made.kind != op::reshape; ++i) {
      std::int32_t base = made.operand[i];
      while (graph_.nodes[base].kind == op::reshape) base = graph_.nodes[base].operand[0];
      if ((graph_.nodes[base].kind == op::labels) != (reads_labels && i == 1)) return problem::labels_and_numbers_mixed;
    }
    return problem::none;
  }
  /// Sets the loop a node runs in: all operands' loops are around the one that is being built.
  constexpr problem find_loop(node& made) const {
    for (int i = 0; i < made.operands(); ++i) {
      std::int32_t own = graph_.nodes[made.operand[i]].loop;
      if (is_loop_result(made.kind)) own = graph_.loops[own].outer;
      if (!encloses(graph_.loops, own, loop_)) return problem::value_outside_its_loop;
      made.loop = made.loop > own ? made.loop : own;
    }
    return problem::none;
  }
  static constexpr int write_number(identifier& to, int number) {
    char digits[12]{};
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    for (int i = 0; i < count; ++i) to.text[i] = digits[count - 1 - i];
    return count;
  }
  constexpr value source(op kind, std::string_view input_name, shape dims) {
    for (int d = 0; d < dims.rank; ++d)
      if (dims[d] == 0) return fail(problem::extent_must_be_positive, input_name, dims, {});
    for (const port& other : graph_.inputs)
      if (other.name.view() == input_name) return fail(problem::name_used_twice, input_name, dims, {});
    const value made = add({.kind = kind, .dims = dims});
    graph_.inputs.push_back({identifier(input_name), made.index()});
    return made;
  }
  constexpr value stored(op kind, sequence<variable>& table, std::string_view role, shape dims, initialiser start,
                         std::int32_t fan_in, std::int32_t fan_out) {
    for (int d = 0; d < dims.rank; ++d)
      if (dims[d] <= 0) return fail(problem::extent_must_be_positive, role, dims, {});
    const identifier full = layer_ < 0 ? identifier(role) : joined(graph_.layers[layer_].name, role);
    for (const variable& other : table)
      if (other.name == full) return fail(problem::name_used_twice, full.view(), dims, {});
    const value made = add({.kind = kind, .dims = dims});
    if (fan_in == 0) fan_in = dims.rank > 0 ? dims[0] : 1;
    if (fan_out == 0) fan_out = dims.rank > 1 ? dims[dims.rank - 1] : 1;
    table.push_back({full, made.index(), fan_in, fan_out, start});
    return made;
  }

  graph graph_;
  std::int32_t layer_ = -1;
  std::int32_t loop_ = -1;
  std::int32_t recompute_ = 0;
  std::uint32_t streams_ = 0;
  bool training_ = true;
};

constexpr shape ops::value::dims() const { return owner_->at(index_).dims; }

}  // namespace vivace::inline VIVACE_TARGET
