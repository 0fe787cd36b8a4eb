#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/nn/blocks.hpp>
#include <vivace/search/space.hpp>

/// @file
/// The space of NAS-Bench-201 (Dong and Yang, ICLR 2020): one cell of four nodes and six edges, five operations an
/// edge.

namespace vivace::inline VIVACE_TARGET::search {

/// Operations of an edge, in the benchmark's order.
enum class cell_op { none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3 };

/// What surrounds the cells: a convolution, three stages of cells with `width`, 2 `width` and 4 `width` channels, and
/// between them residual blocks that halve the image. The defaults are the benchmark's.
struct cell_skeleton {
  int width = 16;
  int cells = 5;        ///< of each stage
  int stem_stride = 1;  ///< 2 halves the image at once
};

namespace detail {

/// ReLU, convolution that keeps the image (or halves it), batch normalisation.
struct relu_conv_norm {
  static constexpr bool is_block = true;
  int filters = 1;
  int kernel = 3;
  int stride = 1;
  constexpr value operator()(value input) const {
    return chain{relu{},
                 conv2d{.filters = filters, .kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false},
                 batch_norm{}}(input);
  }
};

/// 2x2 average pooling that rounds up like a 3x3 convolution of stride 2 does, then a 1x1 convolution.
struct pooled_shortcut {
  static constexpr std::string_view label = "pooled_shortcut";
  int filters = 1;
  constexpr value operator()(value input) const {
    const shape dims = input.dims();
    if (dims.rank != 4) return input.owner().fail(problem::wrong_rank, label, dims, {});
    window frame;
    for (int d = 0; d < 2; ++d) {
      frame.kernel[d] = frame.stride[d] = 2;
      frame.padding[d] = static_cast<std::int16_t>(dims[2 + d] % 2);
    }
    const value smaller = ops::pool(op::avg_pool, input, frame);
    return conv2d{.filters = filters, .kernel = 1, .bias = false}(smaller);
  }
};

/// Residual block that halves the image.
struct reduction_block {
  static constexpr bool is_block = true;
  int filters = 1;
  constexpr value operator()(value input) const {
    const value halved = relu_conv_norm{filters, 3, 2}(input);
    const value deep = relu_conv_norm{filters, 3, 1}(halved);
    const value shortcut = apply(pooled_shortcut{filters}, input);
    return shortcut + deep;
  }
};

}  // namespace detail

/// The cell of an architecture of six choices: node i is the sum over its incoming edges; the edges in order are 0->1;
/// 0->2, 1->2; 0->3, 1->3, 2->3. It keeps the shape of its input.
struct nas_bench_201_cell {
  static constexpr bool is_block = true;
  architecture of;

  constexpr value operator()(value input) const {
    value nodes[4]{input};
    int edge = 0;
    for (int i = 1; i < 4; ++i)
      for (int source = 0; source < i; ++source) {
        const value term = along(static_cast<cell_op>(of[edge++]), nodes[source], input);
        if (!term.exists()) continue;
        nodes[i] = nodes[i].exists() ? nodes[i] + term : term;
      }
    return nodes[3].exists() ? nodes[3] : zeros(input);
  }

 private:
  static constexpr value zeros(value like) { return ops::broadcast(like.owner().constant(0), like.dims()); }

  /// What an edge passes on; no value stands for zeros.
  static constexpr value along(cell_op kind, value from, value like) {
    const int channels = like.dims()[1];
    if (kind == cell_op::none) return {};
    if (!from.exists()) {  // batch normalisation still shifts zeros
      if (kind == cell_op::skip_connect || kind == cell_op::avg_pool_3x3) return {};
      from = zeros(like);
    }
    if (kind == cell_op::skip_connect) return from;
    if (kind == cell_op::avg_pool_3x3) return apply(avg_pool{.size = 3, .stride = 1, .padding = 1}, from);
    return detail::relu_conv_norm{channels, kind == cell_op::nor_conv_1x1 ? 1 : 3}(from);
  }
};

/// NAS-Bench-201's space on images. Its text form is the benchmark's,
/// "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|".
template <image From, classes To, cell_skeleton Skeleton = cell_skeleton{}>
struct nas_bench_201 {
  static_assert(Skeleton.width > 0 && Skeleton.cells > 0 && Skeleton.stem_stride > 0,
                "vivace: what: a skeleton needs a width, cells and a stride of at least 1");
  static constexpr std::string_view names[] = {"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"};
  static constexpr choice edge(std::string_view name) {
    return {name, {names[0], names[1], names[2], names[3], names[4]}};
  }
  static constexpr choice choices[] = {edge("0-1"), edge("0-2"), edge("1-2"), edge("0-3"), edge("1-3"), edge("2-3")};

  static constexpr value build(builder& graph, const architecture& of) { return classifier(From, To, body{of})(graph); }

  /// @name Names of cells
  /// @{
  static std::string text(const architecture& of) {
    std::string result;
    int edge_index = 0;
    for (int i = 1; i < 4; ++i) {
      result += i > 1 ? "+|" : "|";
      for (int source = 0; source < i; ++source)
        result += std::string(names[of[edge_index++]]) + '~' + std::to_string(source) + '|';
    }
    return result;
  }
  /// @throws error if the text is none of the form
  static architecture parse(std::string_view from) {
    architecture result = architecture::first_of(6);
    std::string_view rest = from;
    const auto take = [&](std::string_view expected) {
      if (!rest.starts_with(expected)) return false;
      rest.remove_prefix(expected.size());
      return true;
    };
    int edge_index = 0;
    for (int i = 1; i < 4; ++i) {
      bool fits = take(i > 1 ? "+|" : "|");
      for (int source = 0; fits && source < i; ++source) {
        int found = 4;
        while (found >= 0 && !take(std::string(names[found]) + '~' + std::to_string(source) + '|')) --found;
        fits = found >= 0;
        if (fits) result[edge_index++] = static_cast<std::uint8_t>(found);
      }
      if (!fits) break;
    }
    if (edge_index != 6 || !rest.empty())
      detail::refuse_text(from,
                          "the form |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, op being none, skip_connect, "
                          "nor_conv_1x1, nor_conv_3x3 or avg_pool_3x3");
    return result;
  }
  /// The benchmark's canonical string, under which it has 6466 different cells: zeros are followed as far as its rule
  /// does.
  static std::string key(const architecture& of) { return benchmark_string(of, true); }
  /// The same without regard to zeros: skips are replaced by their sources alone. 12751 cells differ.
  static std::string skip_free_key(const architecture& of) { return benchmark_string(of, false); }
  /// Equal for cells that compute the same function where an operation of zeros counts as zeros: 4930 cells differ.
  static std::string function_key(const architecture& of) {
    std::vector<std::string> terms[4]{{"0"}};
    int edge_index = 0;
    for (int i = 1; i < 4; ++i) {
      for (int source = 0; source < i; ++source) {
        const int kind = of[edge_index++];
        if (kind == 0 || terms[source].empty()) continue;
        if (kind == 1)
          terms[i].insert(terms[i].end(), terms[source].begin(), terms[source].end());
        else
          terms[i].push_back('(' + joined_terms(terms[source]) + ")@" + std::string(names[kind]));
      }
    }
    return joined_terms(terms[3]);
  }
  /// True if the output of the cell depends on its input: 15284 cells.
  static constexpr bool connected(const architecture& of) {
    bool reached[4]{true};
    int edge_index = 0;
    for (int i = 1; i < 4; ++i)
      for (int source = 0; source < i; ++source) reached[i] = reached[i] | (reached[source] & (of[edge_index++] != 0));
    return reached[3];
  }
  /// @}

 private:
  struct body {
    static constexpr bool is_block = true;
    architecture of;
    constexpr value operator()(value input) const {
      const auto first = conv2d{.filters = Skeleton.width, .stride = Skeleton.stem_stride, .padding = 1, .bias = false};
      value image = chain{first, batch_norm{}}(input);
      for (int stage = 0; stage < 3; ++stage) {
        if (stage > 0) image = detail::reduction_block{Skeleton.width << stage}(image);
        for (int cell = 0; cell < Skeleton.cells; ++cell) image = nas_bench_201_cell{of}(image);
      }
      return chain{batch_norm{}, relu{}, global_avg_pool{}, dense{To.count}}(image);
    }
  };

  static std::string joined_terms(std::vector<std::string> terms) {
    std::sort(terms.begin(), terms.end());
    std::string result;
    for (const std::string& one : terms) result += (&one == terms.data() ? "" : "+") + one;
    return result;
  }
  static std::string benchmark_string(const architecture& of, bool follow_zeros) {
    std::string nodes[4]{"0"};
    int edge_index = 0;
    for (int i = 1; i < 4; ++i) {
      std::vector<std::string> terms;
      for (int source = 0; source < i; ++source) {
        const int kind = of[edge_index++];
        if (follow_zeros && (kind == 0 || nodes[source] == "#"))
          terms.emplace_back("#");
        else if (kind == 1)
          terms.push_back(nodes[source]);
        else
          terms.push_back('(' + nodes[source] + ")@" + std::string(names[kind]));
      }
      nodes[i] = joined_terms(terms);
    }
    return nodes[3];
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
