#pragma once
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Two-dimensional convolution with a square kernel: [batch, channels, height, width] to [batch, filters, ...].
/// Parameters: weight [filters, channels / groups, kernel, kernel], bias [filters].
struct conv2d {
  static constexpr std::string_view label = "conv2d";
  int filters = 1;
  int kernel = 3;
  int stride = 1;
  int padding = 0;
  int dilation = 1;
  int groups = 1;
  bool bias = true;
  initialiser weight_init = init::he();
  initialiser bias_init = init::zeros;

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape dims = input.dims();
    if (dims.rank != 4) return graph.fail(problem::wrong_rank, label, dims, {rows, filters, 1, 1});
    if (filters < 1 || kernel < 1 || stride < 1 || padding < 0 || dilation < 1)
      return graph.fail(problem::extent_must_be_positive, label, dims, {filters, kernel, stride, dilation});
    if (groups < 1 || dims[1] % groups != 0 || filters % groups != 0)
      return graph.fail(problem::groups_do_not_divide_channels, label, dims, {filters, groups});
    const std::int32_t channels = dims[1] / groups;
    const std::int32_t fan_in = channels * kernel * kernel;
    const std::int32_t fan_out = filters / groups * kernel * kernel;
    const value weight =
        graph.parameter("weight", {filters, channels, kernel, kernel}, weight_init, fan_in, fan_out);
    window frame;
    for (int d = 0; d < 2; ++d) {
      frame.stride[d] = static_cast<std::int16_t>(stride);
      frame.padding[d] = static_cast<std::int16_t>(padding);
      frame.dilation[d] = static_cast<std::int16_t>(dilation);
    }
    frame.groups = groups;
    const value product = ops::convolve(input, weight, frame);
    if (!bias) return product;
    const value shift = graph.parameter("bias", {filters}, bias_init, fan_in, fan_out);
    return product + ops::reshape(shift, {filters, 1, 1});
  }
};

}  // namespace vivace::inline VIVACE_TARGET
