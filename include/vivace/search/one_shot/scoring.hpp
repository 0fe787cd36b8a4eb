#pragma once
#include <cmath>
#include <limits>
#include <string>

#include <vivace/data/loader.hpp>
#include <vivace/search/one_shot/supernet.hpp>

/// @file
/// Scores of a supernet's sub-networks; lower is better. They leave the supernet as it is.

namespace vivace::inline VIVACE_TARGET::search {

/// The sum of the training losses of a sub-network that starts from the weights it inherits, with a fresh optimiser of
/// the supernet's kind at a constant rate. The first loss is that before any update; the weights are discarded.
struct inherited_tse {
  int batches = 0;  ///< minibatches to train for; 0: an epoch
  double rate = 0.001;

  /// @param from gives every candidate the same minibatches in the same order, from its first epoch on
  /// @return +infinity if a loss is not finite
  /// @throws error if a setting is out of range, or the architecture or the data do not fit
  template <class Supernet>
  double operator()(const Supernet& net, const architecture& of, data::loader<typename Supernet::real>& from) const {
    if (batches < 0 || !(rate > 0))
      throw error("a sub-network cannot be scored with this setting", "inherited_tse",
                  std::to_string(batches) + " batches, rate " + std::to_string(rate),
                  "at least 1 batch, or 0 for an epoch, and a rate above 0");
    if (from.size() < 1)
      throw error("the data set is empty", "inherited_tse", "no samples", "at least one sample");
    auto fresh = net.how();
    fresh.rate = rate;
    auto candidate = net.candidate(of, fresh);
    net.copy_to(candidate.values());
    const std::int64_t wanted = batches > 0 ? batches : from.batches();
    double total = 0;
    int epoch = 0;
    from.start_epoch(epoch);
    for (std::int64_t done = 0; done < wanted; ++done) {
      const auto* next = from.next();
      if (next == nullptr) {
        from.start_epoch(++epoch);
        next = from.next();
      }
      total += static_cast<double>(candidate.step(*next));
      if (!std::isfinite(total)) return std::numeric_limits<double>::infinity();
    }
    return total;
  }
};

/// One minus the accuracy of a sub-network with the weights it inherits: the baseline.
struct inherited_error {
  /// @throws error if the architecture or the data do not fit
  template <class Supernet, data::source<typename Supernet::real> Source>
  double operator()(const Supernet& net, const architecture& of, const Source& set) const {
    auto candidate = net.candidate(of, net.how());
    net.copy_to(candidate.values());
    const double accuracy = candidate.evaluate(set).accuracy;
    return std::isfinite(accuracy) ? 1 - accuracy : std::numeric_limits<double>::infinity();
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
