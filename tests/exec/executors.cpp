// The laws on executors that need no oneTBB; also run under the thread sanitizer.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vivace/core/errors.hpp>
#include <vivace/exec/serial.hpp>
#include <vivace/exec/threads.hpp>

#include "../laws/executor_laws.hpp"

namespace vv = vivace;

namespace {

/// A minimal executor of a user's own: one new thread a region, which takes the odd tasks.
struct odd_and_even {
  using family = vv::executor_family;
  bool operator==(const odd_and_even&) const = default;
  struct executor {
    explicit executor(const odd_and_even&) {}
    vv::parallel lanes() {
      return {this,
              [](void* self, std::int64_t tasks, vv::parallel::task call, void* body) {
                static_cast<executor*>(self)->run(tasks, call, body);
              },
              2};
    }
    void run(std::int64_t tasks, vv::parallel::task call, void* body) {
      const auto some = [&](std::int64_t first, std::int64_t step, std::exception_ptr& failure) {
        try {
          for (std::int64_t task = first; task < tasks; task += step) call(body, task);
        } catch (...) {
          failure = std::current_exception();
        }
      };
      std::exception_ptr failure[2];
      const std::unique_lock turn(busy_, std::try_to_lock);
      if (!turn.owns_lock()) {
        some(0, 1, failure[0]);
      } else {
        std::thread odd([&] { some(1, 2, failure[1]); });
        some(0, 2, failure[0]);
        odd.join();
      }
      for (const std::exception_ptr& one : failure)
        if (one != nullptr) std::rethrow_exception(one);
    }
    std::mutex busy_;
  };
};

}  // namespace

TEST_CASE("serial keeps the laws of executors") { laws::check_executor(vv::serial{}, 1); }

TEST_CASE("threads keep the laws of executors: 1") { laws::check_executor(vv::threads{1}, 1); }
TEST_CASE("threads keep the laws of executors: 2") { laws::check_executor(vv::threads{2}, 2); }
TEST_CASE("threads keep the laws of executors: 8") { laws::check_executor(vv::threads{8}, 8); }

TEST_CASE("an executor of a user's own keeps the laws that it promises") {
  odd_and_even::executor executor{odd_and_even{}};
  laws::check_tasks(executor.lanes());
  laws::check_exceptions(executor.lanes());
}

TEST_CASE("threads: several are at work at once") {
  vv::threads::executor executor(vv::threads{2});
  std::atomic<int> met = 0;
  executor.lanes()(2, [&](std::int64_t) {  // ends only if both tasks run side by side
    ++met;
    while (met < 2) std::this_thread::yield();
  });
  CHECK(met == 2);
}

TEST_CASE("threads: a count that cannot be is refused") {
  for (const int count : {0, -1, 1000000}) {
    std::string text;
    try {
      vv::threads::executor refused(vv::threads{count});
    } catch (const vv::error& found) {
      text = found.what();
    }
    CHECK(text.find("cannot have so many threads") != std::string::npos);
    CHECK(text.find("got:   " + std::to_string(count)) != std::string::npos);
  }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if !defined(SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("threads: a system without threads to give is reported, and no thread is left behind") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  long pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  REQUIRE(std::fscanf(file, "%ld", &pages) == 1);
  std::fclose(file);
  // Room for the stacks of a few threads.
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(pages) * 4096 + (rlim_t{100} << 20);
  REQUIRE(setrlimit(RLIMIT_AS, &low) == 0);
  std::string text;
  try {
    vv::threads::executor refused(vv::threads{1000});
  } catch (const vv::error& found) {
    text = found.what();
  }
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK(text.find("the system gives no more threads") != std::string::npos);
  CHECK(text.find("of 1000") != std::string::npos);
  vv::threads::executor executor(vv::threads{4});
  CHECK(laws::detail::each_once(executor.lanes(), 100));
}
#endif
