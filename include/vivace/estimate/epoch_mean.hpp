#pragma once
/// @file
/// From the losses of batches to the mean losses of epochs, which is what the estimators of training speed take.
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/estimate/estimator.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The mean over an epoch's samples: each batch counts by its samples, so a short last batch counts less.
class epoch_mean {
 public:
  /// @param loss mean loss of a batch, of the forward pass before the batch's update
  /// @param samples in the batch; leave it out where all batches are of one size
  /// @throws error if samples is not above 0
  constexpr void add(double loss, double samples = 1) {
    if (!(samples > 0)) detail::refuse_setting("epoch_mean::add", std::to_string(samples) + " samples", "more than 0");
    total_ += samples * loss;
    samples_ += samples;
  }
  /// The mean so far; +infinity if no batch came, or a loss was not finite.
  [[nodiscard]] constexpr double value() const {
    return samples_ > 0 && detail::is_finite(total_) ? total_ / samples_ : detail::worst_score;
  }

 private:
  double total_ = 0, samples_ = 0;
};

/// Mean losses of the epochs, from records of batches: objects with `epoch`, `size` and `loss`, as vivace::trace holds.
/// @param batches in order, the epoch counting up by one
/// @throws error if an epoch is skipped or comes again, naming the record
template <class Batches>
[[nodiscard]] constexpr sequence<double> epoch_means(Batches&& batches) {
  sequence<double> means;
  epoch_mean mean;
  long long index = 0, first = 0, now = 0;
  for (const auto& batch : batches) {
    const auto epoch = static_cast<long long>(batch.epoch);
    if (index == 0) first = now = epoch;
    if (epoch != now) {
      if (epoch != now + 1)
        throw error("the batches are not in the order of epochs", "batch record " + std::to_string(index),
                    "epoch " + std::to_string(epoch) + " after epoch " + std::to_string(now),
                    "epochs that count up by one, from " + std::to_string(first));
      means.push_back(mean.value());
      mean = {};
      now = epoch;
    }
    mean.add(static_cast<double>(batch.loss), static_cast<double>(batch.size));
    ++index;
  }
  if (index > 0) means.push_back(mean.value());
  return means;
}

}  // namespace vivace::inline VIVACE_TARGET
