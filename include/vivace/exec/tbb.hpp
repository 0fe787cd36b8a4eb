#pragma once
#include <string>
#include <vector>

#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>
#include <vivace/exec/tbb_headers.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policy: oneTBB, in an arena of our own that never takes more threads than it is given.
struct tbb {
  using family = executor_family;
  int threads = 0;  ///< 0: as many as the machine has
  bool operator==(const tbb&) const = default;

  /// What a trainer keeps: the arena.
  class executor {
   public:
    /// @throws error if the number of threads is not 0 to 1024
    explicit executor(const tbb& policy) : arena_(checked(policy)), slots_(std::size_t(arena_.max_concurrency())) {}
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;

    [[nodiscard]] parallel lanes() {
      if (arena_.max_concurrency() == 1) return {};
      return {this,
              [](void* self, std::int64_t tasks, parallel::task call, void* body) {
                static_cast<executor*>(self)->run(tasks, call, body);
              },
              arena_.max_concurrency()};
    }

   private:
    /// One thread's place in the arena.
    struct alignas(alignment) slot {
      bool in_body = false;
    };
    /// Marks a thread's place while it runs a body.
    class in_body {
     public:
      explicit in_body(slot& own) : own_(own) { own_.in_body = true; }
      in_body(const in_body&) = delete;
      in_body& operator=(const in_body&) = delete;
      ~in_body() { own_.in_body = false; }

     private:
      slot& own_;
    };

    static int checked(const tbb& policy) {
      if (policy.threads < 0 || policy.threads > 1024)
        throw error("an executor cannot have so many threads", "tbb", std::to_string(policy.threads),
                    "1 to 1024, or 0 for as many as the machine has");
      return policy.threads > 0 ? policy.threads : ::tbb::task_arena::automatic;
    }

    /// The calling thread's place; to be called in the arena.
    slot& own_slot() { return slots_[static_cast<std::size_t>(::tbb::this_task_arena::current_thread_index())]; }

    void run(std::int64_t tasks, parallel::task call, void* body) {
      arena_.execute([&] {
        const auto some = [&](std::int64_t first, std::int64_t last) {
          for (std::int64_t index = first; index != last; ++index) call(body, index);
        };
        if (own_slot().in_body) return some(0, tasks);
        // A context of its own: a group of the caller's that is cancelled must not take tasks away from us.
        ::tbb::task_group_context alone(::tbb::task_group_context::isolated);
        ::tbb::parallel_for(
            ::tbb::blocked_range<std::int64_t>(0, tasks, 1),
            [&](const ::tbb::blocked_range<std::int64_t>& range) {
              slot& own = own_slot();
              // Only a body that waits for tasks of its own in oneTBB finds its place marked here.
              if (own.in_body) return some(range.begin(), range.end());
              const in_body mark(own);
              some(range.begin(), range.end());
            },
            ::tbb::simple_partitioner{}, alone);
      });
    }

    ::tbb::task_arena arena_;
    std::vector<slot> slots_;
  };
};

}  // namespace vivace::inline VIVACE_TARGET
