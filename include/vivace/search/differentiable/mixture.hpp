#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <span>

#include <vivace/optim/adam.hpp>
#include <vivace/search/differentiable/gamma.hpp>

/// @file
/// How an edge weighs its operations by its architecture parameters: as exp(l) / sum of exp(l), where each operation's
/// logit l depends on its own parameter alone, and perhaps on chance.

namespace vivace::inline VIVACE_TARGET::search {

/// How the weights of operations follow from architecture parameters.
/// - logit(a, u): the logit of an operation whose parameter is `a`, and its derivative by `a`; u is uniform in (0, 1),
///   drawn anew for each operation at each forward pass;
/// - channel_share, optimiser, weight_decay: as below.
template <class Type>
concept mixture = requires(const Type& self, double number) {
  { Type::logit(number, number) } -> std::same_as<log_sample>;
  { self.channel_share } -> std::convertible_to<int>;
  { self.weight_decay } -> std::convertible_to<double>;
  { self.optimiser } -> std::convertible_to<adam>;
};

/// DARTS (Liu et al., ICLR 2019): weights are the softmax of the architecture parameters.
struct softmax_mixture {
  int channel_share = 1;                          ///< 1/channel_share of the channels pass the operations
  adam optimiser = {.rate = 3e-4, .beta1 = 0.5};  ///< of the architecture parameters
  double weight_decay = 1e-3;                     ///< added to their gradient, times the parameter
  static log_sample logit(double a, double) { return {a, 1}; }
};

/// DrNAS (Chen et al., ICLR 2021): weights are a sample of the Dirichlet distribution with concentration elu(a) + 1,
/// one an edge at each forward pass: gamma samples, divided by their sum.
struct dirichlet_mixture {
  int channel_share = 4;
  adam optimiser = {.rate = 3e-4, .beta1 = 0.5};
  double weight_decay = 1e-3;
  static log_sample logit(double a, double u) {
    const double concentration = a > 0 ? a + 1 : (std::max)(std::exp(a), 1e-100);
    const log_sample drawn = log_gamma_quantile(concentration, u);
    return {drawn.value, drawn.slope * (std::min)(concentration, 1.0)};  // d elu(a) / da = min(1, e^a)
  }
};

/// Makes logits weights that add up to 1.
inline void normalise(std::span<const log_sample> logits, std::span<double> weights) {
  double top = logits[0].value, sum = 0;
  for (const log_sample& one : logits) top = (std::max)(top, one.value);
  for (std::size_t i = 0; i < logits.size(); ++i) sum += weights[i] = std::exp(logits[i].value - top);
  for (double& one : weights) one /= sum;
}

/// The gradient by the architecture parameters, from that by the weights.
/// @param to the gradient is added to it
inline void add_gradient(std::span<const log_sample> logits, std::span<const double> weights,
                         std::span<const double> by_weights, std::span<double> to) {
  double mean = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) mean += weights[i] * by_weights[i];
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (weights[i] > 0) to[i] += logits[i].slope * weights[i] * (by_weights[i] - mean);
}

}  // namespace vivace::inline VIVACE_TARGET::search
