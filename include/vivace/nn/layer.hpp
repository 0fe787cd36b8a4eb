#pragma once
#include <concepts>
#include <string_view>
#include <utility>

#include <vivace/graph/ops.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A layer: anything that takes a value to a value. A constant `label` names it in tables and messages. A type with
/// `static constexpr bool is_block = true` is no line of the table itself; the layers it applies are.
template <class Type>
concept layer = requires(const Type& self, value input) {
  { self(input) } -> std::same_as<value>;
};

/// True, or a compile error that says what a layer is.
template <class... Types>
constexpr bool layers_only() {
  static_assert((layer<Types> && ...),
                "vivace: one of these is no layer: a layer is an object, such as relu{}, whose type has `constexpr value "
                "operator()(value) const`");
  return (layer<Types> && ...);
}

/// Applies a layer as the next line of the architecture's table. Layers inside a block are applied with it.
template <layer Layer>
constexpr value apply(const Layer& self, value input) {
  builder& graph = input.owner();
  if constexpr (requires { Layer::is_block; }) {
    return self(input);
  } else {
    if constexpr (requires { Layer::label; })
      graph.begin_layer(Layer::label);
    else
      graph.begin_layer("layer");
    const value output = self(input);
    graph.end_layer(output);
    return output;
  }
}

/// A layer and its place in a chain.
template <int Index, class Layer>
struct chain_link {
  Layer self;
};

/// The layers of a chain, side by side as base classes.
template <class Indices, class... Layers>
struct chain_links;
/// The same, with the places spelt out.
template <int... Index, class... Layers>
struct chain_links<std::integer_sequence<int, Index...>, Layers...> : chain_link<Index, Layers>... {
  constexpr value operator()(value input) const {
    ((input = apply(static_cast<const chain_link<Index, Layers>&>(*this).self, input)), ...);
    return input;
  }
};

/// Layers one after another. A flat pack: the name of its type grows with the number of layers and nothing else does.
template <layer... Layers>
struct chain : chain_links<std::make_integer_sequence<int, static_cast<int>(sizeof...(Layers))>, Layers...> {
  static constexpr bool is_block = true;
  constexpr explicit chain(const Layers&... layers)
      : chain_links<std::make_integer_sequence<int, static_cast<int>(sizeof...(Layers))>, Layers...>{{layers}...} {}
};

/// Flattens all but the first axis: [batch, ...] to [batch, features].
struct flatten {
  static constexpr std::string_view label = "flatten";
  constexpr value operator()(value input) const {
    const shape dims = input.dims();
    if (dims.rank < 1 || dims[0] >= 0)
      return input.owner().fail(problem::wrong_rank, label, dims, {rows, 1});
    const std::int32_t samples = -dims[0];
    return ops::reshape(input, {dims[0], dims.size() / samples});
  }
};

}  // namespace vivace::inline VIVACE_TARGET
