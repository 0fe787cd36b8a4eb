#pragma once
/// @file
/// A sample on its way: one is being prepared, any number of jobs wait for it.
#include <atomic>
#include <exception>
#include <memory>
#include <utility>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// One prepared version of an item, or the failure to prepare it: written once by whoever prepares it, then read by all
/// who take it. The sample is immutable and never copied.
template <class Sample>
class flight {
 public:
  /// Hands over the sample. Once, and not after fail().
  void complete(std::shared_ptr<const Sample> sample) {
    sample_ = std::move(sample);
    arrive();
  }
  /// Hands over the reason why there is no sample.
  void fail(std::exception_ptr failure) {
    failure_ = std::move(failure);
    arrive();
  }
  [[nodiscard]] bool done() const { return done_.load(std::memory_order_acquire); }
  [[nodiscard]] bool failed() const { return done() && failure_ != nullptr; }

  /// Waits for the sample. @throws what its preparation threw
  [[nodiscard]] const std::shared_ptr<const Sample>& wait() const {
    if (!done()) done_.wait(false, std::memory_order_acquire);
    if (failure_) std::rethrow_exception(failure_);
    return sample_;
  }

 private:
  void arrive() {
    done_.store(true, std::memory_order_release);
    done_.notify_all();
  }

  std::shared_ptr<const Sample> sample_;
  std::exception_ptr failure_;
  std::atomic<bool> done_ = false;
};

}  // namespace vivace::inline VIVACE_TARGET::data
