#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policy: a pool of std::thread, for programs without oneTBB and for the thread sanitizer.
struct threads {
  using family = executor_family;
  int count = 2;  ///< threads at work, the caller among them; at least 1
  bool operator==(const threads&) const = default;

  /// The pool. Workers sleep between regions; whoever is awake takes the next task.
  class executor {
   public:
    explicit executor(const threads& policy) {
      for (int i = 1; i < policy.count; ++i) workers_.emplace_back([this] { work(); });
    }
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    ~executor() {
      {
        const std::lock_guard lock(mutex_);
        stop_ = true;
      }
      wake_.notify_all();
      for (std::thread& worker : workers_) worker.join();
    }

    [[nodiscard]] parallel lanes() {
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
      {
        const std::lock_guard lock(mutex_);
        region_ = wanted;
        next_ = 0;
        busy_ = static_cast<int>(workers_.size());
        failure_ = nullptr;
        ++generation_;
      }
      wake_.notify_all();
      take_tasks(wanted);
      std::unique_lock lock(mutex_);
      done_.wait(lock, [this] { return busy_ == 0; });
      if (failure_ != nullptr) std::rethrow_exception(failure_);
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
      std::uint64_t seen = 0;
      for (;;) {
        region current;
        {
          std::unique_lock lock(mutex_);
          wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
          if (stop_) return;
          seen = generation_;
          current = region_;
        }
        take_tasks(current);
        const std::lock_guard lock(mutex_);
        if (--busy_ == 0) done_.notify_one();
      }
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::atomic<std::int64_t> next_ = 0;
    region region_;
    std::exception_ptr failure_;
    std::uint64_t generation_ = 0;
    int busy_ = 0;
    bool stop_ = false;
    std::vector<std::thread> workers_;
  };
};

}  // namespace vivace::inline VIVACE_TARGET
