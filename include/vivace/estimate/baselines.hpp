#pragma once
/// @file
/// What training-speed estimates are compared with (tse.hpp names the paper). The same two forms, lower is better, and
/// a number that is not finite makes the score +infinity. A trace gives the series that the estimator reads.
#include <string>

#include <vivace/config.hpp>
#include <vivace/estimate/estimator.hpp>

namespace vivace::inline VIVACE_TARGET {

/// SoVL: the sum of the validation losses, 0 for no epoch.
struct sum_validation_loss {
  static constexpr loss_series reads = loss_series::validation;

  [[nodiscard]] constexpr auto stream() const { return detail::checked_stream(detail::discounted_sum{}); }
  /// @param losses validation loss after each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const sum_validation_loss&) const = default;
};

/// Early stopping: the validation loss after the last epoch, +infinity for no epoch. For accuracies, hand over the
/// errors, 1 - accuracy. (The callback early_stop ends a training; this one reads a training that was ended.)
struct early_stopped {
  static constexpr loss_series reads = loss_series::validation;

  [[nodiscard]] constexpr auto stream() const { return detail::checked_stream(detail::newest{}); }
  /// @param losses validation loss or error after each epoch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const early_stopped&) const = default;
};

/// TLmini: the training loss of the newest batch alone, +infinity for no batch. The paper correlates it at every step
/// and then averages the correlations over the steps of an epoch.
struct tl_mini {
  static constexpr loss_series reads = loss_series::batch;

  [[nodiscard]] constexpr auto stream() const { return detail::checked_stream(detail::newest{}); }
  /// @param losses training loss of each batch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const tl_mini&) const = default;
};

/// The sum over the first `fraction` of each epoch's batches (rounded down, at least one batch), in the last `epochs`
/// epochs; the epoch that is under way is one of them.
/// @throws error if fraction is not in (0, 1], or batches or epochs is below 1
struct partial_window {
  static constexpr loss_series reads = loss_series::batch;
  double fraction = 0.5;
  int batches = 0;  ///< of an epoch; must be given
  int epochs = 1;

  [[nodiscard]] constexpr auto stream() const {
    if (!(fraction > 0 && fraction <= 1))
      detail::refuse_setting("partial_window{.fraction}", std::to_string(fraction), "above 0, to 1");
    if (batches < 1)
      detail::refuse_setting("partial_window{.batches}", std::to_string(batches), "the number of batches of an epoch");
    if (epochs < 1) detail::refuse_setting("partial_window{.epochs}", std::to_string(epochs), "1 or more");
    const int window = static_cast<int>(fraction * batches + 1e-9);  // 0.29 * 100 is a little less than 29
    return detail::checked_stream(windows{batches, window < 1 ? 1 : window, 0, 0, {.limit = epochs}});
  }
  /// @param losses training loss of each batch: a trace, or any range of numbers
  template <number_range Losses>
  [[nodiscard]] constexpr double operator()(Losses&& losses) const {
    return detail::estimate_all(*this, losses);
  }
  bool operator==(const partial_window&) const = default;

 private:
  struct windows {
    int batches, window;
    int batch;     // the next one's place in its epoch
    double total;  // of the window under way
    detail::sum_of_newest sums;
    constexpr void add(double loss) {
      if (batch < window) total += loss;
      if (batch == 0)
        sums.add(total);
      else
        sums.replace_newest(total);
      if (++batch == batches) {
        batch = 0;
        total = 0;
      }
    }
    [[nodiscard]] constexpr double value() const { return sums.value(); }
  };
};

}  // namespace vivace::inline VIVACE_TARGET
