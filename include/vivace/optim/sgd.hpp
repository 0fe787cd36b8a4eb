#pragma once
#include <vivace/optim/optimiser.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Stochastic gradient descent: p -= rate * (g + weight_decay * p).
struct sgd {
  using family = optimiser_family;
  double rate = 0.1;
  double weight_decay = 0;
  bool operator==(const sgd&) const = default;

  static constexpr int settings = 2;
  constexpr void set(const step_position& where, double* to) const {
    to[0] = rate * where.rate_factor;
    to[1] = 1 - to[0] * weight_decay;
  }
  static constexpr void update(update_builder& make, value parameter, value gradient) {
    const value step = gradient * make.setting(0);
    const value kept = parameter * make.setting(1);
    make.update(parameter, kept - step);
  }
};

/// SGD with momentum: v = momentum * v + g + weight_decay * p, p -= rate * v; with Nesterov's look-ahead
/// p -= rate * (g + weight_decay * p + momentum * v) (Sutskever et al., ICML 2013, in the form of the frameworks).
struct sgd_momentum {
  using family = optimiser_family;
  double rate = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
  bool operator==(const sgd_momentum&) const = default;

  static constexpr int settings = 4;
  constexpr void set(const step_position& where, double* to) const {
    to[0] = rate * where.rate_factor * (nesterov ? 1 : 0);         // weight of the gradient
    to[1] = rate * where.rate_factor * (nesterov ? momentum : 1);  // weight of the velocity
    to[2] = momentum;
    to[3] = weight_decay;
  }
  static constexpr void update(update_builder& make, value parameter, value gradient) {
    const value velocity = make.state("velocity");
    const value decay = parameter * make.setting(3);
    const value push = gradient + decay;
    const value kept = velocity * make.setting(2);
    const value next = kept + push;
    const value by_gradient = push * make.setting(0);
    const value by_velocity = next * make.setting(1);
    const value step = by_gradient + by_velocity;
    make.update(velocity, next);
    make.update(parameter, parameter - step);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
