#pragma once
#include <atomic>
#include <bit>
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Deals the parts of a workspace to the tasks at work. A task gets the first part that is free, so that tasks that
/// run one after another find theirs in the cache.
class slots {
 public:
  static constexpr int most = 64;  ///< tasks at work, at most

  /// Holds a part as long as it lives.
  class place {
   public:
    explicit place(slots& from) : from_(from), number_(from.take()) {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { from_.taken_.fetch_and(~(std::uint64_t{1} << number_), std::memory_order_release); }
    [[nodiscard]] int number() const { return number_; }

   private:
    slots& from_;
    int number_;
  };

 private:
  int take() {
    std::uint64_t seen = taken_.load(std::memory_order_relaxed);
    for (;;) {
      const int free = std::countr_one(seen);
      const std::uint64_t wanted = seen | std::uint64_t{1} << free;
      if (taken_.compare_exchange_weak(seen, wanted, std::memory_order_acquire, std::memory_order_relaxed)) return free;
    }
  }
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace vivace::inline VIVACE_TARGET::kernel
