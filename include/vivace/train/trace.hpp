#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// One epoch of a training.
struct epoch_record {
  int epoch = 0;                                                    ///< from 0
  double train_loss = 0;                                            ///< mean over the epoch's samples
  double val_loss = std::numeric_limits<double>::quiet_NaN();       ///< NaN without validation
  double val_accuracy = std::numeric_limits<double>::quiet_NaN();   ///< in [0, 1]; NaN without validation or labels
  double rate = 0;                                                  ///< factor of the schedule at the epoch's end
  double seconds = 0;                                               ///< of training, without validation
};

/// One batch of a training. The loss is that of the forward pass, before the batch's update.
struct batch_record {
  int epoch = 0;
  int batch = 0;
  int size = 0;
  double loss = 0;
};

/// What a training leaves behind: losses of batches and epochs. As a range it is the epochs' mean training losses, which
/// is what the estimators of training speed consume.
class trace {
 public:
  std::vector<epoch_record> epochs;
  std::vector<batch_record> batches;

  /// Iterates over the epochs' mean training losses.
  class iterator {
   public:
    using value_type = double;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    explicit iterator(const epoch_record* at) : at_(at) {}
    double operator*() const { return at_->train_loss; }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    iterator operator++(int) { return iterator(at_++); }
    bool operator==(const iterator&) const = default;

   private:
    const epoch_record* at_ = nullptr;
  };
  [[nodiscard]] iterator begin() const { return iterator(epochs.data()); }
  [[nodiscard]] iterator end() const { return iterator(epochs.data() + epochs.size()); }
  [[nodiscard]] std::size_t size() const { return epochs.size(); }
  /// Seconds of training, without validation.
  [[nodiscard]] double seconds() const {
    double total = 0;
    for (const epoch_record& one : epochs) total += one.seconds;
    return total;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
