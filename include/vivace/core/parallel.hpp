#pragma once
#include <cstdint>
#include <type_traits>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A handle to whatever runs tasks side by side: it lets kernels be compiled once for every executor.
///
/// The number of tasks is always derived from the size of the problem and never from the number of threads, so that
/// sums are added in the same order, and give the same bits, wherever they run.
class parallel {
 public:
  using task = void (*)(void* body, std::int64_t index);
  using runner = void (*)(void* executor, std::int64_t tasks, task call, void* body);

  /// Runs tasks one after another on the calling thread.
  constexpr parallel() = default;
  constexpr parallel(void* executor, runner run, int threads) : executor_(executor), run_(run), threads_(threads) {}

  /// Calls body(index) for every index in [0, tasks), in any order and possibly at once; returns when all are done.
  ///
  /// What every executor keeps to (tests/laws/executor_laws.hpp):
  /// - A task runs exactly once, unless another one throws: one of the exceptions reaches the caller, tasks that have
  ///   not begun may be left out, and the executor is as good as new.
  /// - A body may call the same handle. This inner region runs on the body's own thread, one task after another; the
  ///   single task of a region of one counts as no body.
  /// - Several threads may call at once. Together they never have more than threads() tasks of one executor at work.
  /// @param tasks number of tasks, each of which should be worth microseconds; none if it is not positive
  template <class Body>
  void operator()(std::int64_t tasks, Body&& body) const {
    using plain = std::remove_reference_t<Body>;
    struct region {
      plain* body;
      std::int64_t last;  // of the tasks, if they come backwards; else -1
      void operator()(std::int64_t index) const { (*body)(last < 0 ? index : last - index); }
    };
    region all{&body, backwards_ ? tasks - 1 : -1};
    if (run_ == nullptr || tasks <= 1) {
      for (std::int64_t index = 0; index < tasks; ++index) all(index);
      return;
    }
    run_(executor_, tasks, [](void* object, std::int64_t index) { (*static_cast<const region*>(object))(index); }, &all);
  }

  /// The same, which begins with the last task: what was worked on last is still in the cache.
  [[nodiscard]] constexpr parallel backwards() const {
    parallel result = *this;
    result.backwards_ = true;
    return result;
  }

  /// Threads that may run tasks; for deciding whether a split is worth its cost, never how to split.
  [[nodiscard]] constexpr int threads() const { return threads_; }

 private:
  void* executor_ = nullptr;
  runner run_ = nullptr;
  int threads_ = 1;
  bool backwards_ = false;
};

}  // namespace vivace::inline VIVACE_TARGET
