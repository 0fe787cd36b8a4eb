#pragma once
/// @file
/// Training-speed estimates: Ru, Lyle, Schut, Fil, van der Wilk, Gal, "Speedy Performance Estimation for Neural
/// Architecture Search", NeurIPS 2021. The network that learns faster is predicted to generalise better.
///
/// All of them are functors over the mean training losses m(1), ..., m(T) of the epochs, lower is better:
///   - `estimator(losses)` takes any range of numbers, or a trace;
///   - `estimator.stream()` gives an object with `add(loss)` and `value()`.
/// A loss that is not finite makes the score +infinity, the worst. Scores are compared at equal T, with the same
/// schedule, batch size, loss and order of data. For losses of batches see epoch_mean.hpp.
#include <string>

#include <vivace/config.hpp>
#include <vivace/estimate/estimator.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Training-speed estimate: the sum of the epochs' mean training losses, 0 for no epoch.
struct tse {
  static constexpr loss_series reads = loss_series::training;

  [[nodiscard]] constexpr auto stream() const { return detail::checked_stream(detail::discounted_sum{}); }
  /// @param losses mean training loss of each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const tse&) const = default;
};

/// TSE-E: the sum over the last `epochs` epochs; what came before is burn-in. Where there are fewer, all of them.
/// @throws error if epochs is below 1
struct tse_e {
  static constexpr loss_series reads = loss_series::training;
  int epochs = 1;

  [[nodiscard]] constexpr auto stream() const {
    if (epochs < 1) detail::refuse_setting("tse_e{.epochs}", std::to_string(epochs), "1 or more");
    return detail::checked_stream(detail::sum_of_newest{.limit = epochs});
  }
  /// @param losses mean training loss of each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const tse_e&) const = default;
};

/// TSE-EMA: the discounted sum of gamma^(T-t) * m(t). Not divided by the sum of the weights, which would change no
/// order at an equal T. The paper swept gamma over 0.9, 0.95, 0.99 and 0.999.
/// @throws error if gamma is outside of [0, 1]
struct tse_ema {
  static constexpr loss_series reads = loss_series::training;
  double gamma = 0.999;

  [[nodiscard]] constexpr auto stream() const {
    if (!(gamma >= 0 && gamma <= 1)) detail::refuse_setting("tse_ema{.gamma}", std::to_string(gamma), "0 to 1");
    return detail::checked_stream(detail::discounted_sum{.factor = gamma});
  }
  /// @param losses mean training loss of each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const tse_ema&) const = default;
};

/// The moving average of the authors' released code, which is not the paper's formula: m(1) at first, then
/// (1 - weight) * average + weight * m(t). With most of the weight on the newest loss it is close to tse_e{1}.
/// Of no epoch it is +infinity.
/// @throws error if weight is outside of [0, 1]
struct tse_ema_released {
  static constexpr loss_series reads = loss_series::training;
  double weight = 0.9;  ///< of the newest loss

  [[nodiscard]] constexpr auto stream() const {
    if (!(weight >= 0 && weight <= 1))
      detail::refuse_setting("tse_ema_released{.weight}", std::to_string(weight), "0 to 1");
    return detail::checked_stream(average{.weight = weight});
  }
  /// @param losses mean training loss of each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const tse_ema_released&) const = default;

 private:
  struct average {
    double weight;
    double value_so_far = detail::worst_score;
    constexpr void add(double loss) {
      value_so_far = value_so_far == detail::worst_score ? loss : (1 - weight) * value_so_far + weight * loss;
    }
    [[nodiscard]] constexpr double value() const { return value_so_far; }
  };
};

}  // namespace vivace::inline VIVACE_TARGET
