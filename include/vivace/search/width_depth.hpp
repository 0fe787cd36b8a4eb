#pragma once
#include <vivace/nn/blocks.hpp>
#include <vivace/search/space.hpp>

namespace vivace::inline VIVACE_TARGET::search {

namespace detail {

constexpr value activated(int kind, value input) { return kind == 0 ? apply(relu{}, input) : apply(tanh{}, input); }

}  // namespace detail

/// Dense networks of one width: hidden layers, units a layer, activation. Images are flattened first.
template <auto From, classes To>
struct mlp_space {
  static constexpr choice choices[] = {
      {"depth", {1, 2, 3, 4}}, {"width", {16, 32, 64, 128, 256}}, {"activation", {"relu", "tanh"}}};

  static constexpr value build(builder& graph, const architecture& of) { return classifier(From, To, body{of})(graph); }

 private:
  struct body {
    static constexpr bool is_block = true;
    architecture of;
    constexpr value operator()(value input) const {
      if (input.dims().rank > 2) input = apply(flatten{}, input);
      for (int layer = 0; layer < choices[0].number[of[0]]; ++layer) {
        input = apply(dense{choices[1].number[of[1]]}, input);
        input = detail::activated(of[2], input);
      }
      return apply(dense{To.count}, input);
    }
  };
};

/// Convolutional networks of two stages: convolutions a stage, filters of the first stage (the second has twice as
/// many), kernel, units of the dense layer at the end. Each convolution is normalised, each stage halves the image.
template <image From, classes To>
struct cnn_space {
  static constexpr choice choices[] = {
      {"depth", {1, 2, 3}}, {"width", {4, 8, 16, 32}}, {"kernel", {3, 5}}, {"units", {32, 64, 128}}};

  static constexpr value build(builder& graph, const architecture& of) { return classifier(From, To, body{of})(graph); }

 private:
  struct body {
    static constexpr bool is_block = true;
    architecture of;
    constexpr value operator()(value input) const {
      const int width = choices[1].number[of[1]];
      const int kernel = choices[2].number[of[2]];
      for (int stage = 0; stage < 2; ++stage) {
        for (int layer = 0; layer < choices[0].number[of[0]]; ++layer)
          input = chain{conv2d{.filters = width << stage, .kernel = kernel, .padding = kernel / 2, .bias = false},
                        batch_norm{}, relu{}}(input);
        input = apply(max_pool{2}, input);
      }
      return chain{flatten{}, dense{choices[3].number[of[3]]}, relu{}, dense{To.count}}(input);
    }
  };
};

}  // namespace vivace::inline VIVACE_TARGET::search
