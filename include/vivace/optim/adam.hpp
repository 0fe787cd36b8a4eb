#pragma once
#include <cmath>

#include <vivace/optim/optimiser.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019):
/// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
/// p -= rate * (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * p).
struct adamw {
  using family = optimiser_family;
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  bool operator==(const adamw&) const = default;

  static constexpr int settings = 8;
  void set(const step_position& where, double* to) const {
    const double step = static_cast<double>(where.step + 1);
    const double now = rate * where.rate_factor;
    to[0] = beta1;
    to[1] = 1 - beta1;
    to[2] = beta2;
    to[3] = 1 - beta2;
    to[4] = now / (1 - std::pow(beta1, step));
    to[5] = 1 / std::sqrt(1 - std::pow(beta2, step));
    to[6] = 1 - now * weight_decay;
    to[7] = epsilon;
  }
  static constexpr void update(update_builder& make, value parameter, value gradient) {
    const value first = make.state("m");
    const value second = make.state("v");
    const value kept_first = first * make.setting(0);
    const value new_first = gradient * make.setting(1);
    const value m = kept_first + new_first;
    const value kept_second = second * make.setting(2);
    const value new_second = square(gradient) * make.setting(3);
    const value v = kept_second + new_second;
    const value spread = sqrt(v) * make.setting(5);
    const value direction = m / (spread + make.setting(7));
    const value step = direction * make.setting(4);
    const value kept = parameter * make.setting(6);
    make.update(first, m);
    make.update(second, v);
    make.update(parameter, kept - step);
  }
};

/// Adam (Kingma and Ba, ICLR 2015): AdamW without weight decay.
struct adam {
  using family = optimiser_family;
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  bool operator==(const adam&) const = default;

  static constexpr int settings = adamw::settings;
  void set(const step_position& where, double* to) const {
    adamw{.rate = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = epsilon, .weight_decay = 0}.set(where, to);
  }
  static constexpr void update(update_builder& make, value parameter, value gradient) {
    adamw::update(make, parameter, gradient);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
