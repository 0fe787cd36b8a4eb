#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/core/errors.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policy: a pool of std::thread, for programs without oneTBB and for the thread sanitizer.
struct threads {
  using family = executor_family;
  int count = 2;  ///< threads at work, the caller among them; at least 1
  bool operator==(const threads&) const = default;

  /// The pool. Workers sleep between regions; whoever is awake takes the next task. Threads that call at the same time
  /// take turns.
  class executor {
   public:
    /// @throws error if the count is not 1 to 1024, or the system has no more threads to give
    explicit executor(const threads& policy) {
      if (policy.count < 1 || policy.count > 1024)
        throw error("an executor cannot have so many threads", "threads", std::to_string(policy.count),
                    "1 to 1024");
      try {
        for (int i = 1; i < policy.count; ++i) workers_.emplace_back([this] { work(); });
      } catch (const std::exception& refusal) {
        const std::size_t got = workers_.size() + 1;
        finish();
        throw error("the system gives no more threads", "threads",
                    std::to_string(got) + " of " + std::to_string(policy.count) + " (" + refusal.what() + ")",
                    "a smaller count; more than the machine has cores gain nothing");
      }
    }
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    ~executor() { finish(); }

    [[nodiscard]] parallel lanes() {
      if (workers_.empty()) return {};
      return {this,
              [](void* self, std::int64_t tasks, parallel::task call, void* body) {
                static_cast<executor*>(self)->run({tasks, call, body});
              },
              static_cast<int>(workers_.size()) + 1};
    }

   private:
    struct region {
      std::int64_t tasks = 0;
      parallel::task call = nullptr;
      void* body = nullptr;
    };

    void run(const region& wanted) {
      if (inside_body()) {
        for (std::int64_t index = 0; index < wanted.tasks; ++index) wanted.call(wanted.body, index);
        return;
      }
      const std::lock_guard turn(turn_);
      caller_ = std::this_thread::get_id();
      {
        const std::lock_guard lock(mutex_);
        region_ = wanted;
        next_ = 0;
        open_ = true;
      }
      wake_.notify_all();
      take_tasks(wanted);
      std::unique_lock lock(mutex_);
      open_ = false;  // a worker that wakes only now is not waited for
      done_.wait(lock, [this] { return busy_ == 0; });
      caller_ = std::thread::id();
      if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

    [[nodiscard]] bool inside_body() const {
      const std::thread::id self = std::this_thread::get_id();
      if (caller_ == self) return true;
      for (const std::thread& worker : workers_)
        if (worker.get_id() == self) return true;
      return false;
    }

    void take_tasks(const region& current) {
      try {
        for (std::int64_t index = next_++; index < current.tasks; index = next_++) current.call(current.body, index);
      } catch (...) {
        next_ = current.tasks;
        const std::lock_guard lock(mutex_);
        if (failure_ == nullptr) failure_ = std::current_exception();
      }
    }

    void work() {
      std::unique_lock lock(mutex_);
      for (;;) {
        wake_.wait(lock, [&] { return stop_ || (open_ && next_ < region_.tasks); });
        if (stop_) return;
        const region current = region_;
        ++busy_;
        lock.unlock();
        take_tasks(current);
        lock.lock();
        if (--busy_ == 0) done_.notify_one();
      }
    }

    void finish() {
      {
        const std::lock_guard lock(mutex_);
        stop_ = true;
      }
      wake_.notify_all();
      for (std::thread& worker : workers_) worker.join();
    }

    std::mutex turn_;   // held by the thread whose region runs
    std::mutex mutex_;  // guards what follows, less the atomics
    std::condition_variable wake_, done_;
    std::atomic<std::thread::id> caller_{};
    std::atomic<std::int64_t> next_ = 0;
    region region_;
    std::exception_ptr failure_;
    int busy_ = 0;       // workers in the region
    bool open_ = false;  // workers may join the region
    bool stop_ = false;
    std::vector<std::thread> workers_;
  };
};

}  // namespace vivace::inline VIVACE_TARGET
