#pragma once
#include <string_view>

#include <vivace/nn/blocks.hpp>
#include <vivace/search/space.hpp>

/// @file
/// The space of DARTS (Liu et al., ICLR 2019): two cells of four nodes, each of which takes two of the values before it
/// through one operation each. About 1.1e18 pairs of cells.

namespace vivace::inline VIVACE_TARGET::search {

/// What surrounds the cells: a convolution, `cells` cells, those at a third and two thirds of the depth being reduction
/// cells, which halve the image and double the channels. The defaults are those of the search networks.
struct darts_skeleton {
  int width = 16;  ///< channels of a node in the first cells
  int cells = 8;
  int stem_stride = 1;  ///< 2 halves the image at once
};

namespace detail {

/// ReLU, a convolution, batch normalisation.
struct darts_norm_conv {
  static constexpr bool is_block = true;
  conv2d convolution;
  constexpr value operator()(value input) const { return chain{relu{}, convolution, batch_norm{}}(input); }
};

/// Convolution of each channel alone, then 1x1, then batch normalisation; ReLU first.
struct darts_separable {
  static constexpr bool is_block = true;
  int kernel = 3;
  int stride = 1;
  int dilation = 1;
  constexpr value operator()(value input) const {
    const int channels = input.dims()[1];
    return chain{relu{},
                 conv2d{.filters = channels,
                        .kernel = kernel,
                        .stride = stride,
                        .padding = dilation * (kernel / 2),
                        .dilation = dilation,
                        .groups = channels,
                        .bias = false},
                 conv2d{.filters = channels, .kernel = 1, .bias = false}, batch_norm{}}(input);
  }
};

/// The rows and columns from 1 on, with zeros after the last: what the second half of a factorised reduction sees.
struct darts_shift {
  static constexpr std::string_view label = "shift";
  constexpr value operator()(value input) const {
    const shape dims = input.dims();
    for (int d = 2; d < 4; ++d) {
      const value rest = ops::slice(input, d, 1, dims[d] - 1);
      input = ops::pad(rest, d, 0, dims[d]);
    }
    return input;
  }
};

/// Halves an image without losing its odd pixels: ReLU, two 1x1 convolutions of stride 2, the second on the shifted
/// image, side by side, batch normalisation.
struct darts_reduce {
  static constexpr bool is_block = true;
  int filters = 2;
  constexpr value operator()(value input) const {
    const value active = apply(relu{}, input);
    const value even = apply(conv2d{.filters = filters - filters / 2, .kernel = 1, .stride = 2, .bias = false}, active);
    if (filters < 2) return apply(batch_norm{}, even);
    const value shifted = apply(darts_shift{}, active);
    const value odd = apply(conv2d{.filters = filters / 2, .kernel = 1, .stride = 2, .bias = false}, shifted);
    const value both = ops::concatenate(even, odd, 1);
    return apply(batch_norm{}, both);
  }
};

inline constexpr std::string_view darts_operations[] = {"skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3",
                                                        "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"};

constexpr value darts_operation(int kind, value input, int stride) {
  switch (kind) {
    case 0:
      return stride == 1 ? input : darts_reduce{input.dims()[1]}(input);
    case 1:
      return apply(max_pool{.size = 3, .stride = stride, .padding = 1}, input);
    case 2:
      return apply(avg_pool{.size = 3, .stride = stride, .padding = 1}, input);
    case 3:
    case 4:
      return darts_separable{kind == 3 ? 3 : 5}(darts_separable{kind == 3 ? 3 : 5, stride}(input));
    default:
      return darts_separable{kind == 5 ? 3 : 5, stride, 2}(input);
  }
}

/// Choices of a cell: which pair of inputs the nodes 1 to 3 take (node 0 has but one pair), then the operations.
inline constexpr int darts_cell_choices = 3 + 8;
/// Pairs of inputs, those of the cell being 0 and 1; node i has the first (i + 2)(i + 1) / 2 of them to choose from.
inline constexpr int darts_pairs[10][2] = {{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3},
                                           {2, 3}, {0, 4}, {1, 4}, {2, 4}, {3, 4}};

/// A cell: its choices start at `first`; the results of the last two cells come in.
constexpr value darts_cell(const architecture& of, int first, value older, value last, int channels, bool halves) {
  value nodes[6];
  if (older.dims()[2] != last.dims()[2])  // a reduction lies between the two
    nodes[0] = darts_reduce{channels}(older);
  else
    nodes[0] = darts_norm_conv{{.filters = channels, .kernel = 1, .bias = false}}(older);
  nodes[1] = darts_norm_conv{{.filters = channels, .kernel = 1, .bias = false}}(last);
  for (int i = 0; i < 4; ++i) {
    const int pair = i == 0 ? 0 : of[first + i - 1];
    value terms[2];
    for (int side = 0; side < 2; ++side) {
      const int source = darts_pairs[pair][side];
      const int kind = of[first + 3 + 2 * i + side];
      terms[side] = darts_operation(kind, nodes[source], halves && source < 2 ? 2 : 1);
    }
    nodes[i + 2] = terms[0] + terms[1];
  }
  value all = nodes[2];
  for (int i = 3; i < 6; ++i) all = ops::concatenate(all, nodes[i], 1);
  return all;
}

}  // namespace detail

/// DARTS's space on images: the choices of the normal cell, then those of the reduction cell.
template <image From, classes To, darts_skeleton Skeleton = darts_skeleton{}>
struct darts {
  static_assert(Skeleton.width > 0 && Skeleton.cells > 0 && Skeleton.stem_stride > 0,
                "vivace: what: a skeleton needs a width, cells and a stride of at least 1");
  static constexpr choice operation(std::string_view name) {
    constexpr auto& all = detail::darts_operations;
    return {name, {all[0], all[1], all[2], all[3], all[4], all[5], all[6]}};
  }
  static constexpr choice choices[] = {{"normal.1", {"01", "02", "12"}},
                                       {"normal.2", {"01", "02", "12", "03", "13", "23"}},
                                       {"normal.3", {"01", "02", "12", "03", "13", "23", "04", "14", "24", "34"}},
                                       operation("normal.0.a"),
                                       operation("normal.0.b"),
                                       operation("normal.1.a"),
                                       operation("normal.1.b"),
                                       operation("normal.2.a"),
                                       operation("normal.2.b"),
                                       operation("normal.3.a"),
                                       operation("normal.3.b"),
                                       {"reduction.1", {"01", "02", "12"}},
                                       {"reduction.2", {"01", "02", "12", "03", "13", "23"}},
                                       {"reduction.3", {"01", "02", "12", "03", "13", "23", "04", "14", "24", "34"}},
                                       operation("reduction.0.a"),
                                       operation("reduction.0.b"),
                                       operation("reduction.1.a"),
                                       operation("reduction.1.b"),
                                       operation("reduction.2.a"),
                                       operation("reduction.2.b"),
                                       operation("reduction.3.a"),
                                       operation("reduction.3.b")};
  static_assert(sizeof(choices) / sizeof(choice) == 2 * detail::darts_cell_choices);

  static constexpr value build(builder& graph, const architecture& of) { return classifier(From, To, body{of})(graph); }

 private:
  struct body {
    static constexpr bool is_block = true;
    architecture of;
    constexpr value operator()(value input) const {
      const auto first =
          conv2d{.filters = 3 * Skeleton.width, .stride = Skeleton.stem_stride, .padding = 1, .bias = false};
      value last = chain{first, batch_norm{}}(input);
      value before_last = last;
      int channels = Skeleton.width;
      for (int cell = 0; cell < Skeleton.cells; ++cell) {
        const bool halves = cell > 0 && (cell == Skeleton.cells / 3 || cell == 2 * Skeleton.cells / 3);
        if (halves) channels *= 2;
        const value next =
            detail::darts_cell(of, halves ? detail::darts_cell_choices : 0, before_last, last, channels, halves);
        before_last = last;
        last = next;
      }
      return chain{global_avg_pool{}, dense{To.count}}(last);
    }
  };
};

}  // namespace vivace::inline VIVACE_TARGET::search
