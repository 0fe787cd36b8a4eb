#pragma once
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// max(x, 0).
struct relu {
  static constexpr std::string_view label = "relu";
  constexpr value operator()(value input) const { return ops::relu(input); }
};

/// x where positive, else slope * x.
struct leaky_relu {
  static constexpr std::string_view label = "leaky_relu";
  double slope = 0.01;
  constexpr value operator()(value input) const {
    const value scaled = input * slope;
    return ops::where(ops::step(input), input, scaled);
  }
};

/// x where positive, else alpha * (e^x - 1) (Clevert et al., ICLR 2016); alpha is the slope at 0.
struct elu {
  static constexpr std::string_view label = "elu";
  double alpha = 1;
  constexpr value operator()(value input) const {
    const value below = ops::exp(ops::minimum(input, 0));  // e^x of a large x would be infinite, and its gradient NaN
    return ops::where(ops::step(input), input, ops::affine(below, alpha, -alpha));
  }
};

/// x / 2 * (1 + erf(x / sqrt(2))) (Hendrycks and Gimpel, 2016).
struct gelu {
  static constexpr std::string_view label = "gelu";
  constexpr value operator()(value input) const {
    constexpr double half_root = 0.70710678118654752440;
    const value share = ops::affine(ops::erf(input * half_root), 0.5, 0.5);
    return input * share;
  }
};

/// x * sigmoid(x) (Ramachandran et al., 2017).
struct silu {
  static constexpr std::string_view label = "silu";
  constexpr value operator()(value input) const { return input * ops::sigmoid(input); }
};

/// 1 / (1 + e^-x).
struct sigmoid {
  static constexpr std::string_view label = "sigmoid";
  constexpr value operator()(value input) const { return ops::sigmoid(input); }
};

/// Hyperbolic tangent.
struct tanh {
  static constexpr std::string_view label = "tanh";
  constexpr value operator()(value input) const { return ops::tanh(input); }
};

/// Softmax over the last axis.
struct softmax {
  static constexpr std::string_view label = "softmax";
  constexpr value operator()(value input) const { return ops::softmax(input); }
};

/// In training, zeroes each element with probability `rate` and scales the others by 1 / (1 - rate) (Srivastava et al.,
/// JMLR 2014); in prediction, nothing.
struct dropout {
  static constexpr std::string_view label = "dropout";
  double rate = 0.5;  ///< below 1
  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    if (!graph.training() || rate <= 0) return ops::affine(input, 1, 0);
    if (!(rate < 1)) return graph.fail(problem::extent_must_be_positive, label, input.dims(), {});
    return input * ops::dropout_mask(input, rate, graph.new_stream());
  }
};

}  // namespace vivace::inline VIVACE_TARGET
