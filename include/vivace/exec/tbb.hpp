#pragma once
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policy: oneTBB, in an arena of our own that never takes more threads than it is given.
struct tbb {
  using family = executor_family;
  int threads = 0;  ///< 0: as many as the machine has
  bool operator==(const tbb&) const = default;

  class executor {
   public:
    explicit executor(const tbb& policy)
        : arena_(policy.threads > 0 ? policy.threads : ::tbb::task_arena::automatic) {}

    [[nodiscard]] parallel lanes() {
      if (arena_.max_concurrency() == 1) return {};
      return {this,
              [](void* self, std::int64_t tasks, parallel::task call, void* body) {
                static_cast<executor*>(self)->run(tasks, call, body);
              },
              arena_.max_concurrency()};
    }

   private:
    void run(std::int64_t tasks, parallel::task call, void* body) {
      arena_.execute([&] {
        ::tbb::parallel_for(
            ::tbb::blocked_range<std::int64_t>(0, tasks, 1),
            [&](const ::tbb::blocked_range<std::int64_t>& range) {
              for (std::int64_t index = range.begin(); index != range.end(); ++index) call(body, index);
            },
            ::tbb::simple_partitioner{});
      });
    }

    ::tbb::task_arena arena_;
  };
};

}  // namespace vivace::inline VIVACE_TARGET
