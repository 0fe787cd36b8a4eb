#pragma once
/// @file
/// What an estimator of training speed is: the concept, and what the estimators of this folder share.
#include <bit>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/sequence.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Which losses of a training an estimator is made for.
enum class loss_series {
  training,    ///< mean training loss of each epoch
  validation,  ///< validation loss after each epoch
  batch        ///< training loss of each batch, before the batch's update
};

/// Numbers that a loop can run over once: a vector, an array, a span, a view, a trace.
template <class Range>
concept number_range = requires(Range& values) {
  std::ranges::end(values);
  requires std::convertible_to<decltype(*std::ranges::begin(values)), double>;
};

/// A training that holds more than one series, as vivace::trace does. Estimators take the series that they read.
template <class Range>
concept detailed_trace = requires(Range& training) {
  static_cast<double>(std::ranges::begin(training.epochs)->val_loss);
  static_cast<double>(std::ranges::begin(training.batches)->loss);
};

/// An estimate that grows with the training: `add` takes the next loss, `value` gives the estimate so far.
template <class Stream>
concept loss_stream = std::copyable<Stream> && requires(Stream& stream, const Stream& fixed, double loss) {
  stream.add(loss);
  { fixed.value() } -> std::same_as<double>;
};

/// A functor from the losses of a training to a score by which candidates are ranked. Its contract:
///   - lower is better; scores are compared at an equal number of losses only;
///   - `estimator(losses)` is `stream()` with every loss added in order, bit for bit;
///   - `stream()` begins anew, and streams are independent of one another;
///   - a loss that is not finite makes the score +infinity, the worst, for good; no score is ever NaN;
///   - a positive factor on all losses changes no order; of two constant curves the higher is not the better;
///   - `reads` names the series it is made for: given a detailed_trace, that is the series it takes.
/// tests/estimate/laws.hpp checks a model of it, tests/estimate/own.cpp has the smallest one.
template <class Estimator>
concept trace_estimator = std::copy_constructible<Estimator> &&
    requires(const Estimator& estimator, const double (&losses)[2]) {
  { estimator.stream() } -> loss_stream;
  { estimator(losses) } -> std::same_as<double>;
  { Estimator::reads } -> std::convertible_to<loss_series>;
};

namespace detail {

inline constexpr double worst_score = std::numeric_limits<double>::infinity();

/// By its bits, so that -ffast-math cannot take the question away.
constexpr bool is_finite(double value) { return (std::bit_cast<std::uint64_t>(value) >> 52 & 0x7FF) != 0x7FF; }

[[noreturn]] inline void refuse_setting(const char* setting, const std::string& got, const char* needs) {
  throw error("a setting is out of its range", setting, got, needs);
}

/// Adds to a rule the answer to losses that are not finite.
template <class Rule>
class checked_stream {
 public:
  constexpr explicit checked_stream(const Rule& rule) : rule_(rule) {}
  constexpr void add(double loss) {
    if (is_finite(loss))
      rule_.add(loss);
    else
      failed_ = true;
  }
  [[nodiscard]] constexpr double value() const {
    if (failed_) return worst_score;
    const double result = rule_.value();
    return is_finite(result) ? result : worst_score;
  }

 private:
  Rule rule_;
  bool failed_ = false;
};

/// Rule: the sum of what came, each older loss discounted by a factor an addition.
struct discounted_sum {
  double factor = 1;
  double total = 0;
  constexpr void add(double loss) { total = factor * total + loss; }
  [[nodiscard]] constexpr double value() const { return total; }
};

/// Rule: the newest loss. Of no loss nothing is known, which is the worst.
struct newest {
  double loss = worst_score;
  constexpr void add(double value) { loss = value; }
  [[nodiscard]] constexpr double value() const { return loss; }
};

/// Rule: the sum of the newest `limit` values, added from the oldest to the newest.
struct sum_of_newest {
  int limit = 1;
  int oldest = 0;
  sequence<double> kept{};
  constexpr void add(double value) {
    if (kept.size() < limit) {
      kept.push_back(value);
    } else {
      kept[oldest] = value;
      oldest = (oldest + 1) % limit;
    }
  }
  constexpr void replace_newest(double value) { kept[oldest == 0 ? kept.size() - 1 : oldest - 1] = value; }
  [[nodiscard]] constexpr double value() const {
    double total = 0;
    for (int i = oldest; i < kept.size(); ++i) total += kept[i];
    for (int i = 0; i < oldest; ++i) total += kept[i];
    return total;
  }
};

/// Adds the first `limit` losses of a series to a stream, and returns how many there were.
template <loss_series Series, class Stream, class Losses>
constexpr long long add_losses(Stream& stream, Losses& losses, long long limit) {
  long long count = 0;
  const auto take = [&](double loss) {
    stream.add(loss);
    return ++count < limit;
  };
  if constexpr (Series == loss_series::validation && detailed_trace<Losses>) {
    for (const auto& epoch : losses.epochs)
      if (!take(static_cast<double>(epoch.val_loss))) break;
  } else if constexpr (Series == loss_series::batch && detailed_trace<Losses>) {
    for (const auto& batch : losses.batches)
      if (!take(static_cast<double>(batch.loss))) break;
  } else {
    for (const auto& loss : losses)
      if (!take(static_cast<double>(loss))) break;
  }
  return count;
}

/// The batch form of an estimator.
template <class Estimator, class Losses>
constexpr double estimate_all(const Estimator& estimator, Losses& losses) {
  auto stream = estimator.stream();
  add_losses<Estimator::reads>(stream, losses, (std::numeric_limits<long long>::max)());
  return stream.value();
}

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET
