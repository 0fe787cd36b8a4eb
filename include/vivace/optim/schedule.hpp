#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>

#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A schedule: the factor on the optimiser's rate as a function of the epoch, a fraction inside one.
template <class Type>
concept schedule = policy<Type> && in_family<Type, schedule_family> && requires(const Type& self, double epoch) {
  { self.factor(epoch) } -> std::convertible_to<double>;
};

/// Default policy: the rate stays.
struct constant_rate {
  using family = schedule_family;
  bool operator==(const constant_rate&) const = default;
  [[nodiscard]] constexpr double factor(double) const { return 1; }
};

/// Policy: the rate is multiplied by `gamma` every `every` epochs.
struct step_decay {
  using family = schedule_family;
  double every = 10;
  double gamma = 0.1;
  bool operator==(const step_decay&) const = default;
  [[nodiscard]] double factor(double epoch) const { return std::pow(gamma, std::floor(epoch / every)); }
};

/// Policy: a linear warm-up, then half a cosine down to `floor` at `epochs` (Loshchilov and Hutter, ICLR 2017).
struct cosine {
  using family = schedule_family;
  double epochs = 10;
  double warm_up = 0;  ///< epochs
  double floor = 0;    ///< factor at the end
  bool operator==(const cosine&) const = default;
  [[nodiscard]] double factor(double epoch) const {
    if (epoch < warm_up) return epoch / warm_up;
    const double done = (std::min)(1.0, (epoch - warm_up) / (std::max)(epochs - warm_up, 1e-9));
    return floor + (1 - floor) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
  }
};

/// Policy: a linear warm-up over `epochs`, then constant.
struct warm_up {
  using family = schedule_family;
  double epochs = 1;
  bool operator==(const warm_up&) const = default;
  [[nodiscard]] constexpr double factor(double epoch) const { return epoch < epochs ? epoch / epochs : 1; }
};

/// Policy: from 1/`start` up to 1 in the first `rise` of the training, then down to 1/(start * end), both along half a
/// cosine (Smith and Topin, 2019, in the form of the frameworks).
struct one_cycle {
  using family = schedule_family;
  double epochs = 10;
  double rise = 0.3;
  double start = 25;
  double end = 1e4;
  bool operator==(const one_cycle&) const = default;
  [[nodiscard]] double factor(double epoch) const {
    const double done = (std::min)(1.0, epoch / epochs);
    const auto blend = [](double from, double to, double share) {
      return to + (from - to) * 0.5 * (1 + std::cos(3.14159265358979323846 * share));
    };
    return done < rise ? blend(1 / start, 1, done / rise) : blend(1, 1 / (start * end), (done - rise) / (1 - rise));
  }
};

}  // namespace vivace::inline VIVACE_TARGET
