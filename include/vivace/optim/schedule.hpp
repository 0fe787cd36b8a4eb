#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A schedule: the factor on the optimiser's rate as a function of the epoch, a fraction inside one.
template <class Type>
concept schedule = policy<Type> && in_family<Type, schedule_family> && requires(const Type& self, double epoch) {
  { self.factor(epoch) } -> std::convertible_to<double>;
};

/// Refuses a setting of a schedule. A schedule asks each time: its settings are open to change.
/// @throws error unless `sound`
constexpr void check_schedule(bool sound, const char* where, double got, const char* needs) {
  if (!sound) throw error("a schedule cannot have this setting", where, std::to_string(got), needs);
}

/// Default policy: the rate stays.
struct constant_rate {
  using family = schedule_family;
  bool operator==(const constant_rate&) const = default;
  [[nodiscard]] constexpr double factor(double) const { return 1; }
};

/// Policy: the rate is multiplied by `gamma` every `every` epochs.
struct step_decay {
  using family = schedule_family;
  double every = 10;   ///< epochs, above 0
  double gamma = 0.1;  ///< at least 0
  bool operator==(const step_decay&) const = default;
  /// @throws error if a setting is out of its range
  [[nodiscard]] double factor(double epoch) const {
    check_schedule(every > 0, "step_decay.every", every, "a number of epochs above 0");
    check_schedule(gamma >= 0 && std::isfinite(gamma), "step_decay.gamma", gamma, "a factor of at least 0");
    return std::pow(gamma, std::floor(epoch / every));
  }
};

/// Policy: a linear warm-up from 0, then half a cosine down to `floor` at `epochs`, where it stays (Loshchilov and
/// Hutter, ICLR 2017).
struct cosine {
  using family = schedule_family;
  double epochs = 10;  ///< warm-up included; above it
  double warm_up = 0;  ///< epochs, at least 0
  double floor = 0;    ///< factor at the end, at least 0
  bool operator==(const cosine&) const = default;
  /// @throws error if a setting is out of its range
  [[nodiscard]] double factor(double epoch) const {
    check_schedule(warm_up >= 0, "cosine.warm_up", warm_up, "a number of epochs, or 0 for none");
    check_schedule(epochs > warm_up, "cosine.epochs", epochs, "a number of epochs above that of the warm-up");
    check_schedule(floor >= 0 && std::isfinite(floor), "cosine.floor", floor, "a factor of at least 0");
    if (epoch < warm_up) return epoch / warm_up;
    const double done = (std::min)(1.0, (epoch - warm_up) / (epochs - warm_up));
    return floor + (1 - floor) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
  }
};

/// Policy: a linear warm-up from 0 over `epochs`, then constant.
struct warm_up {
  using family = schedule_family;
  double epochs = 1;  ///< at least 0; 0: none
  bool operator==(const warm_up&) const = default;
  /// @throws error if a setting is out of its range
  [[nodiscard]] constexpr double factor(double epoch) const {
    check_schedule(epochs >= 0, "warm_up.epochs", epochs, "a number of epochs, or 0 for none");
    return epoch < epochs ? epoch / epochs : 1;
  }
};

/// Policy: from 1/`start` up to 1 in the first `rise` of the training, then down to 1/(start * end) at `epochs`, where
/// it stays; both along half a cosine (Smith and Topin, 2019, in the form of the frameworks).
struct one_cycle {
  using family = schedule_family;
  double epochs = 10;  ///< above 0
  double rise = 0.3;   ///< at least 0, below 1
  double start = 25;   ///< above 0
  double end = 1e4;    ///< above 0
  bool operator==(const one_cycle&) const = default;
  /// @throws error if a setting is out of its range
  [[nodiscard]] double factor(double epoch) const {
    check_schedule(epochs > 0, "one_cycle.epochs", epochs, "a number of epochs above 0");
    check_schedule(rise >= 0 && rise < 1, "one_cycle.rise", rise, "a share of the training: at least 0, below 1");
    check_schedule(start > 0, "one_cycle.start", start, "a divisor above 0");
    check_schedule(end > 0, "one_cycle.end", end, "a divisor above 0");
    const double done = (std::min)(1.0, epoch / epochs);
    const auto blend = [](double from, double to, double share) {
      return to + (from - to) * 0.5 * (1 + std::cos(3.14159265358979323846 * share));
    };
    return done < rise ? blend(1 / start, 1, done / rise) : blend(1, 1 / (start * end), (done - rise) / (1 - rise));
  }
};

}  // namespace vivace::inline VIVACE_TARGET
