#pragma once
/// @file
/// ONNX files (Open Neural Network Exchange), writing only: a model as named nodes between named tensors.
/// Version 8 of the format, version 17 of the operators. The meaning of every operator: https://onnx.ai/onnx/operators.
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/element.hpp>
#include <vivace/io/file.hpp>
#include <vivace/io/protobuf.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Number of an element type in ONNX files.
constexpr int onnx_type(element type) {
  constexpr std::uint8_t numbers[] = {2, 3, 5, 6, 7, 1, 11, 4, 12, 13, 9, 10, 16};  // in the order of element
  return numbers[static_cast<int>(type)];
}

/// A setting of an ONNX node: a whole number or a list of them.
struct onnx_attribute {
  std::string_view name;
  std::vector<std::int64_t> values;
  bool list = true;

  onnx_attribute(std::string_view name_of, std::int64_t value) : name(name_of), values{value}, list(false) {}
  onnx_attribute(std::string_view name_of, std::vector<std::int64_t> list_of)
      : name(name_of), values(std::move(list_of)) {}
};

/// A model under construction. Nodes are added in an order in which each follows those whose results it takes.
class onnx_model {
 public:
  /// Names the extents that are known only when the model runs. -1 is the batch; -128 is 128 rows a sample.
  static std::string symbol(std::int64_t extent) { return extent == -1 ? "batch" : "batch*" + std::to_string(-extent); }

  /// Declares an input, of the body that is under construction if there is one. Extents below zero are symbolic.
  /// @throws error if the name is taken
  void input(const std::string& name, element type, const extents& dimensions) {
    claim(name);
    current().add_message(graph_input, described(name, type, dimensions));
  }
  /// Declares that a tensor, which a node makes, is an output, of the body that is under construction if there is one.
  void output(const std::string& name, element type, const extents& dimensions) {
    current().add_message(graph_output, described(name, type, dimensions));
  }
  /// Starts the body of a loop: inputs, outputs and nodes are the body's until scan(). Bodies may be nested; nodes of a
  /// body may take what is outside of it.
  void begin_body() { bodies_.emplace_back(); }
  /// Ends the body, and adds the loop. The body's inputs are what it carries, then parts of sequences along their first
  /// axis; its outputs are what it carries to the next turn, then what is put together along a new first axis.
  /// @param operands start values of what is carried, then the sequences
  /// @param results  what is carried in the end, then what is put together
  /// @param reverse  from the sequences' ends to their starts
  void scan(const std::vector<std::string>& operands, const std::vector<std::string>& results, std::size_t carried,
            bool reverse) {
    constexpr int type_graph = 5;
    protobuf_message body = std::move(bodies_.back());
    bodies_.pop_back();
    body.add_text(2, "body");
    protobuf_message made;
    for (const std::string& operand : operands) made.add_text(1, operand);
    for (const std::string& result : results) {
      claim(result);
      made.add_text(2, result);
    }
    made.add_text(3, results.empty() ? "" : results.front());
    made.add_text(4, "Scan");
    protobuf_message attribute;
    attribute.add_text(1, "body");
    attribute.add_message(6, body);
    attribute.add_integer(20, type_graph);
    made.add_message(5, attribute);
    add_attribute(made, {"num_scan_inputs", static_cast<std::int64_t>(operands.size() - carried)});
    if (reverse) {
      add_attribute(made, {"scan_input_directions", std::vector<std::int64_t>(operands.size() - carried, 1)});
      add_attribute(made, {"scan_output_directions", std::vector<std::int64_t>(results.size() - carried, 1)});
    }
    current().add_message(graph_node, made);
  }
  /// Adds a tensor of known values. @throws error if the name is taken
  template <file_element Value>
  void constant(const std::string& name, std::span<const Value> values, const extents& dimensions) {
    claim(name);
    protobuf_message tensor;
    for (const std::int64_t extent : dimensions) tensor.add_integer(1, extent);
    tensor.add_integer(2, onnx_type(element_of<Value>));
    tensor.add_text(8, name);
    tensor.add_text(9, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    graph_.add_message(graph_initializer, tensor);
  }
  /// Adds a node with one result.
  /// @param result name of the tensor that it makes
  /// @throws error if that name is taken
  void node(std::string_view kind, std::initializer_list<std::string_view> operands, const std::string& result,
            const std::vector<onnx_attribute>& attributes = {}) {
    claim(result);
    protobuf_message made;
    for (const std::string_view operand : operands) made.add_text(1, operand);
    made.add_text(2, result);
    made.add_text(3, result);
    made.add_text(4, kind);
    for (const onnx_attribute& one : attributes) add_attribute(made, one);
    current().add_message(graph_node, made);
  }
  /// True if a tensor of this name exists.
  [[nodiscard]] bool has(const std::string& name) const { return names_.contains(name); }

  /// Writes the model; the file is replaced as a whole.
  /// @throws file_error if it cannot be written, or exceeds the 2 GiB that the format can hold in one file
  void write(const std::string& path) const {
    protobuf_message graph = graph_;
    graph.add_text(2, "network");
    protobuf_message operators;
    operators.add_text(1, "");
    operators.add_integer(2, 17);
    protobuf_message model;
    model.add_integer(1, 8);
    model.add_text(2, "vivace");
    model.add_text(3, std::to_string(VIVACE_VERSION_MAJOR) + "." + std::to_string(VIVACE_VERSION_MINOR) + "." +
                          std::to_string(VIVACE_VERSION_PATCH));
    model.add_message(7, graph);
    model.add_message(8, operators);
    if (model.bytes().size() > 0x7FFFFFFF)
      throw file_error("the model is too large for an ONNX file", path, std::to_string(model.bytes().size()) + " bytes",
                       "less than 2 GiB: save the parameters as safetensors");
    atomic_file file(path);
    file.write(model.bytes().data(), model.bytes().size());
    file.commit();
  }

 private:
  static constexpr int graph_node = 1, graph_initializer = 5, graph_input = 11, graph_output = 12;

  /// What inputs, outputs and nodes are added to.
  protobuf_message& current() { return bodies_.empty() ? graph_ : bodies_.back(); }
  static void add_attribute(protobuf_message& to, const onnx_attribute& one) {
    constexpr int type_integer = 2, type_integers = 7;
    protobuf_message attribute;
    attribute.add_text(1, one.name);
    for (const std::int64_t value : one.values) attribute.add_integer(one.list ? 8 : 3, value);
    attribute.add_integer(20, one.list ? type_integers : type_integer);
    to.add_message(5, attribute);
  }
  void claim(const std::string& name) {
    if (!names_.insert(name).second)
      throw error("two tensors of an ONNX model have one name", "ONNX model", name,
                  "a name of its own for every tensor");
  }
  static protobuf_message described(const std::string& name, element type, const extents& dimensions) {
    protobuf_message shape;
    for (const std::int64_t extent : dimensions) {
      protobuf_message dimension;
      if (extent < 0)
        dimension.add_text(2, symbol(extent));
      else
        dimension.add_integer(1, extent);
      shape.add_message(1, dimension);
    }
    protobuf_message tensor;
    tensor.add_integer(1, onnx_type(type));
    tensor.add_message(2, shape);
    protobuf_message kind;
    kind.add_message(1, tensor);
    protobuf_message value;
    value.add_text(1, name);
    value.add_message(2, kind);
    return value;
  }

  protobuf_message graph_;
  std::vector<protobuf_message> bodies_;  // under construction, the innermost last
  std::unordered_set<std::string> names_;
};

}  // namespace vivace::inline VIVACE_TARGET::io
