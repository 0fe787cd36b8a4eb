#pragma once
#include <vivace/optim/optimiser.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Lion (Chen et al., NeurIPS 2023): p -= rate * (sign(b1 m + (1 - b1) g) + weight_decay * p), m = b2 m + (1 - b2) g.
struct lion {
  using family = optimiser_family;
  double rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.1;
  bool operator==(const lion&) const = default;

  static constexpr int settings = 6;
  constexpr void set(const step_position& where, double* to) const {
    to[0] = beta1;
    to[1] = 1 - beta1;
    to[2] = beta2;
    to[3] = 1 - beta2;
    to[4] = rate * where.rate_factor;
    to[5] = 1 - to[4] * weight_decay;
  }
  static constexpr void update(update_builder& make, value parameter, value gradient) {
    const value moment = make.state("m");
    const value kept_now = moment * make.setting(0);
    const value new_now = gradient * make.setting(1);
    const value direction = sign(kept_now + new_now);
    const value step = direction * make.setting(4);
    const value kept = parameter * make.setting(5);
    const value kept_later = moment * make.setting(2);
    const value new_later = gradient * make.setting(3);
    make.update(moment, kept_later + new_later);
    make.update(parameter, kept - step);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
