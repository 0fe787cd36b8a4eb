#pragma once
/// @file
/// Where training losses stop telling candidates apart: once a network fits its data, they all approach zero.
#include <iterator>
#include <limits>
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/estimate/baselines.hpp>
#include <vivace/estimate/estimator.hpp>
#include <vivace/estimate/tse.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The largest number of epochs at which training losses may rank: `share` of the first epoch at which the training
/// loss of any of some sampled candidates falls below `below`. The largest int if none does.
/// @param traces range of ranges: mean training losses of the epochs
/// @throws error if share is not in (0, 1]
template <class Traces>
[[nodiscard]] constexpr int overfit_limit(Traces&& traces, double below = 0.1, double share = 0.9) {
  if (!(share > 0 && share <= 1))
    detail::refuse_setting("overfit_limit, share", std::to_string(share), "above 0, to 1");
  constexpr int none = (std::numeric_limits<int>::max)();
  int first = none;
  for (auto&& trace : traces) {
    int epoch = 1;
    for (const auto& loss : trace) {
      if (epoch >= first) break;
      if (static_cast<double>(loss) < below) {
        first = epoch;
        break;
      }
      ++epoch;
    }
  }
  return first == none ? none : static_cast<int>(share * first + 1e-9);  // 0.7 * 10 may be a little less than 7
}

/// Scores by training losses up to `limit` epochs, and by validation losses beyond. All candidates of a ranking share
/// one limit (see overfit_limit) and one number of epochs, so the two kinds of score never meet.
///
/// It takes two series: `guard(training, validation)`, `guard(trace)`, or a stream whose `add` takes both losses.
/// A number of either series that is not finite makes the score +infinity.
template <trace_estimator Estimator = tse, trace_estimator Fallback = early_stopped>
struct overfit_guard {
  Estimator estimator{};
  Fallback fallback{};
  int limit = (std::numeric_limits<int>::max)();  ///< epochs

  template <loss_stream Speed, loss_stream Late>
  class both {
   public:
    constexpr both(Speed speed, Late late, int limit) : speed_(speed), late_(late), limit_(limit) {}
    constexpr void add(double training, double validation) {
      if (epochs_ <= limit_) ++epochs_;  // counting further would say no more
      failed_ = failed_ || !detail::is_finite(training) || !detail::is_finite(validation);
      speed_.add(training);
      late_.add(validation);
    }
    [[nodiscard]] constexpr double value() const {
      return failed_ ? detail::worst_score : epochs_ <= limit_ ? speed_.value() : late_.value();
    }

   private:
    Speed speed_;
    Late late_;
    int limit_;
    long long epochs_ = 0;
    bool failed_ = false;
  };

  [[nodiscard]] constexpr auto stream() const { return both(estimator.stream(), fallback.stream(), limit); }
  /// @throws error if one series is longer than the other
  template <number_range Training, number_range Validation>
  [[nodiscard]] constexpr double operator()(Training&& training, Validation&& validation) const {
    auto result = stream();
    auto left = std::ranges::begin(training);
    auto right = std::ranges::begin(validation);
    long long epochs = 0;
    for (; left != std::ranges::end(training) && right != std::ranges::end(validation); ++left, ++right, ++epochs)
      result.add(static_cast<double>(*left), static_cast<double>(*right));
    if (left != std::ranges::end(training) || right != std::ranges::end(validation))
      throw error("the series are not of one length", "overfit_guard",
                  (left != std::ranges::end(training) ? "more training than validation losses, of which there are "
                                                      : "more validation than training losses, of which there are ") +
                      std::to_string(epochs),
                  "a training and a validation loss for each epoch");
    return result.value();
  }
  template <detailed_trace Trace>
  [[nodiscard]] constexpr double operator()(Trace&& trace) const {
    auto result = stream();
    for (const auto& epoch : trace.epochs)
      result.add(static_cast<double>(epoch.train_loss), static_cast<double>(epoch.val_loss));
    return result.value();
  }
  bool operator==(const overfit_guard&) const = default;
};

}  // namespace vivace::inline VIVACE_TARGET
