#pragma once
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// centred / sqrt(variance + epsilon).
constexpr value normalised(value centred, value variance, double epsilon) {
  const value spread = ops::sqrt(ops::affine(variance, 1, epsilon));
  return centred * ops::reciprocal(spread);
}

/// Batch normalisation of each channel (Ioffe and Szegedy, ICML 2015) of [batch, channels, ...]. In prediction the
/// running moments stand in for the batch's; `momentum` is the share of the old ones that is kept at each step. The running
/// variance follows the batch's, without Bessel's correction.
/// Parameters: scale [channels], shift [channels].
struct batch_norm {
  static constexpr std::string_view label = "batch_norm";
  double momentum = 0.9;
  double epsilon = 1e-5;

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape dims = input.dims();
    if (dims.rank != 2 && dims.rank != 4) return graph.fail(problem::wrong_rank, label, dims, {});
    const std::int32_t channels = dims[1];
    const shape along = dims.rank == 4 ? shape{1, channels, 1, 1} : shape{1, channels};
    const value scale = graph.parameter("scale", {channels}, init::ones);
    const value shift = graph.parameter("shift", {channels}, init::zeros);
    const value running_mean = graph.state("running_mean", {channels}, init::zeros);
    const value running_variance = graph.state("running_variance", {channels}, init::ones);
    value mean = ops::reshape(running_mean, along);
    if (graph.training()) mean = ops::sum_to(input, along, true);
    const value centred = input - mean;
    value variance = ops::reshape(running_variance, along);
    if (graph.training()) {
      variance = ops::sum_to(ops::square(centred), along, true);
      track(graph, running_mean, mean);
      track(graph, running_variance, variance);
    }
    const value unit = normalised(centred, variance, epsilon);
    const value scaled = unit * ops::reshape(scale, along);
    return scaled + ops::reshape(shift, along);
  }

 private:
  constexpr void track(builder& graph, value running, value current) const {
    const value kept = running * momentum;
    const value added = ops::reshape(current, running.dims()) * (1 - momentum);
    graph.update(running, kept + added);
  }
};

/// Layer normalisation over the last axis (Ba et al., 2016). Parameters: scale [features], shift [features].
struct layer_norm {
  static constexpr std::string_view label = "layer_norm";
  double epsilon = 1e-5;

  constexpr value operator()(value input) const {
    builder& graph = input.owner();
    const shape dims = input.dims();
    if (dims.rank < 2) return graph.fail(problem::wrong_rank, label, dims, {});
    const std::int32_t features = dims[dims.rank - 1];
    const shape along = ops::keep_axes(dims, {-1});
    const value scale = graph.parameter("scale", {features}, init::ones);
    const value shift = graph.parameter("shift", {features}, init::zeros);
    const value mean = ops::sum_to(input, along, true);
    const value centred = input - mean;
    const value variance = ops::sum_to(ops::square(centred), along, true);
    const value unit = normalised(centred, variance, epsilon);
    const value scaled = unit * scale;
    return scaled + shift;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
