#pragma once
#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

#include <vivace/nn/model.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/search/space.hpp>

/// @file
/// How the architectures of a space share weights: the parameters of each operation of each edge of each cell have a
/// name of their own, and any choice of operations is a network over some of them.

namespace vivace::inline VIVACE_TARGET::search {

/// An edge of one of the cells that a network repeats.
struct edge_place {
  int cell = 0;
  int edge = 0;
};

/// A prefix of the names of parameters.
struct parameter_scope {
  identifier name;
  constexpr value parameter(builder& graph, std::string_view role, shape dims, initialiser start, std::int32_t fan_in,
                            std::int32_t fan_out) const {
    return graph.parameter(joined(name, role).view(), dims, start, fan_in, fan_out);
  }
};

/// The names of an operation's parameters begin with this: "cell0.edge3.op2".
constexpr parameter_scope scope_of(const edge_place& where, int operation) {
  const auto numbered = [](identifier path, std::string_view word, int number) {
    char text[16]{};
    int length = 0;
    for (const char letter : word) text[length++] = letter;
    int divisor = 1;
    while (number / divisor >= 10) divisor *= 10;
    for (; divisor > 0; divisor /= 10) text[length++] = static_cast<char>('0' + number / divisor % 10);
    return joined(path, {text, static_cast<std::size_t>(length)});
  };
  return {numbered(numbered(numbered({}, "cell", where.cell), "edge", where.edge), "op", operation)};
}

/// The weight-sharing form of a space whose choices are the operations of a cell's edges: a member type `sharing` of
/// the space, or a specialisation. It has
/// - `cells`: how often the network repeats the cell, each time with weights of its own;
/// - `build(graph, along)`: adds the nodes of the network to a builder and returns the loss. `along(place, from)` gives
///   what an edge passes on; a value that does not exist stands for zeros, there and in `from`;
/// - `operation(option, from, scope)`: what an operation makes of an existing value. It names its parameters by the
///   scope, and keeps no state: batch normalisation is always on the batch's statistics. What is not an operation of an
///   edge needs at least one parameter, so that any path has something to train;
/// - if a cell should not be drawn uniformly, `sampled(random)`: a cell drawn as RandNAS wants it.
template <class Space>
struct weight_sharing;
template <class Space>
requires requires { typename Space::sharing; }
struct weight_sharing<Space> : Space::sharing {};

template <class Space>
concept one_shot_space = search_space<Space> && requires(value from, const parameter_scope& scope) {
  { weight_sharing<Space>::cells } -> std::convertible_to<int>;
  { weight_sharing<Space>::operation(0, from, scope) } -> std::same_as<value>;
};

/// Operations by cells: one architecture for all cells, or one for each.
struct path {
  std::vector<architecture> cells;
  [[nodiscard]] const architecture& of(int cell) const {
    return cells[cells.size() == 1 ? 0 : static_cast<std::size_t>(cell)];
  }
};

/// @throws error unless a path has one architecture of the space, or one for each cell
template <one_shot_space Space>
void check(const path& of) {
  const auto cells = static_cast<std::size_t>(weight_sharing<Space>::cells);
  if (of.cells.size() != 1 && of.cells.size() != cells)
    throw error("a path does not fit the supernet", "path", std::to_string(of.cells.size()) + " architectures",
                "1 for all cells, or " + std::to_string(cells));
  for (const architecture& one : of.cells) check(choices_of<Space>(), one);
}

/// The network of a path, over the supernet's names. A definition.
template <one_shot_space Space>
struct sub_network {
  path of;
  value operator()(builder& graph) const {
    return weight_sharing<Space>::build(graph, [this](const edge_place& where, value from) {
      const int option = of.of(where.cell)[where.edge];
      return from.exists() ? weight_sharing<Space>::operation(option, from, scope_of(where, option)) : value{};
    });
  }
};

namespace detail {

/// A network with all operations of all edges: for the table of its parameters.
template <one_shot_space Space>
struct whole_network {
  value operator()(builder& graph) const {
    return weight_sharing<Space>::build(graph, [](const edge_place& where, value from) {
      value total;
      const int options = choices_of<Space>()[static_cast<std::size_t>(where.edge)].options;
      for (int k = 0; k < options && from.exists(); ++k) {
        const value term = weight_sharing<Space>::operation(k, from, scope_of(where, k));
        if (term.exists()) total = total.exists() ? total + term : term;
      }
      return total;
    });
  }
};

/// Batch normalisation that has neither parameters nor running moments.
constexpr value batch_normalised(value from) {
  shape along{1, from.dims()[1]};
  if (from.dims().rank == 4) along = {1, from.dims()[1], 1, 1};
  const value mean = ops::sum_to(from, along, true);
  const value centred = from - mean;
  const value variance = ops::sum_to(ops::square(centred), along, true);
  return normalised(centred, variance, 1e-5);
}

/// Convolution without bias that keeps the image, or with stride 2 halves it.
constexpr value convolved(value from, const parameter_scope& scope, int filters, int kernel, int stride = 1) {
  const shape dims = from.dims();
  if (dims.rank != 4) return from.owner().fail(problem::wrong_rank, "conv2d", dims, {rows, filters, 1, 1});
  const std::int32_t fan_in = dims[1] * kernel * kernel;
  const value weight = scope.parameter(from.owner(), "weight", {filters, dims[1], kernel, kernel}, init::he(), fan_in,
                                       filters * kernel * kernel);
  window frame;
  for (int d = 0; d < 2; ++d) {
    frame.stride[d] = static_cast<std::int16_t>(stride);
    frame.padding[d] = static_cast<std::int16_t>(kernel / 2);
  }
  return ops::convolve(from, weight, frame);
}

}  // namespace detail

/// NAS-Bench-201's supernet: five operations on each edge of each cell, batch normalisation without scale and shift.
template <image From, classes To, cell_skeleton Skeleton>
struct weight_sharing<nas_bench_201<From, To, Skeleton>> {
  static constexpr int cells = 3 * Skeleton.cells;

  template <class Along>
  static constexpr value build(builder& graph, const Along& along) {
    return classifier_definition<image, body<Along>>{From, To, body<Along>{along}}(graph);
  }

  static constexpr value operation(int option, value from, const parameter_scope& scope) {
    switch (static_cast<cell_op>(option)) {
      case cell_op::none:
        return {};
      case cell_op::skip_connect:
        return from;
      case cell_op::avg_pool_3x3:
        return pooled(op::avg_pool, from, 3, 1, 1);
      default:
        return relu_conv_norm(from, scope, from.dims()[1], option == 2 ? 1 : 3);
    }
  }

  /// Operations drawn uniformly, those of a node again while all of them are `none`.
  static architecture sampled(const random_stream& random) {
    architecture result = architecture::first_of(6);
    std::uint64_t position = 0;
    for (int i = 1, first = 0; i < 4; first += i++) {
      bool reached = false;
      while (!reached)
        for (int edge = first; edge < first + i; ++edge) {
          result[edge] = static_cast<std::uint8_t>(random.below(position++, 5));
          reached = reached || result[edge] != 0;
        }
    }
    return result;
  }

 private:
  static constexpr value relu_conv_norm(value from, const parameter_scope& scope, int filters, int kernel,
                                        int stride = 1) {
    const value bent = ops::relu(from);
    return detail::batch_normalised(detail::convolved(bent, scope, filters, kernel, stride));
  }
  /// Halves the image: see detail::reduction_block.
  static constexpr value reduction(value from, int stage, int filters) {
    const auto scope = [&](std::string_view word) {
      return parameter_scope{joined(identifier(stage == 1 ? "reduction1" : "reduction2"), word)};
    };
    const value halved = relu_conv_norm(from, scope("first"), filters, 3, 2);
    const value deep = relu_conv_norm(halved, scope("second"), filters, 3);
    window frame;
    for (int d = 0; d < 2; ++d) {
      frame.kernel[d] = frame.stride[d] = 2;
      frame.padding[d] = static_cast<std::int16_t>(from.dims()[2 + d] % 2);
    }
    const value smaller = ops::pool(op::avg_pool, from, frame);
    const value shortcut = detail::convolved(smaller, scope("shortcut"), filters, 1);
    return shortcut + deep;
  }

  template <class Along>
  struct body {
    const Along& along;

    constexpr value operator()(value input) const {
      builder& graph = input.owner();
      const parameter_scope stem{identifier("stem")}, head{identifier("head")};
      value from = detail::batch_normalised(detail::convolved(input, stem, Skeleton.width, 3, Skeleton.stem_stride));
      for (int stage = 0, number = 0; stage < 3; ++stage) {
        if (stage > 0) from = reduction(from, stage, Skeleton.width << stage);
        for (int i = 0; i < Skeleton.cells; ++i) from = cell(number++, from);
      }
      const value bent = ops::relu(detail::batch_normalised(from));
      const value features = ops::mean(bent, {2, 3});
      const std::int32_t width = features.dims()[1];
      const value weight = head.parameter(graph, "weight", {width, To.count}, init::he(), width, To.count);
      const value product = ops::matmul(features, weight);
      return product + head.parameter(graph, "bias", {To.count}, init::zeros, width, To.count);
    }

   private:
    constexpr value cell(int number, value input) const {
      value nodes[4]{input};
      int edge = 0;
      for (int i = 1; i < 4; ++i)
        for (int source = 0; source < i; ++source) {
          const value term = along(edge_place{number, edge++}, nodes[source]);
          if (!term.exists()) continue;
          nodes[i] = nodes[i].exists() ? nodes[i] + term : term;
        }
      if (nodes[3].exists()) return nodes[3];
      return ops::broadcast(input.owner().constant(0), input.dims());
    }
  };
};

}  // namespace vivace::inline VIVACE_TARGET::search
