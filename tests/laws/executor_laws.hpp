#pragma once
// Laws of an executor policy (see vivace/core/parallel.hpp): run one of your own through them, inside a doctest test
// case.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

namespace laws {

namespace detail {

/// Counts how often each task ran; says whether all did once.
class tally {
 public:
  explicit tally(std::int64_t tasks) : count_(tasks), ran_(new std::atomic<int>[static_cast<std::size_t>(tasks) + 1]) {
    for (std::int64_t i = 0; i <= tasks; ++i) ran_[static_cast<std::size_t>(i)] = 0;
  }
  void operator()(std::int64_t task) {
    if (task < 0 || task >= count_)
      strays_++;
    else
      ran_[static_cast<std::size_t>(task)]++;
  }
  [[nodiscard]] bool each_once() const {
    bool once = strays_ == 0;
    for (std::int64_t i = 0; i < count_; ++i) once = once && ran_[static_cast<std::size_t>(i)] == 1;
    return once;
  }
  [[nodiscard]] bool none_twice() const {
    bool fine = strays_ == 0;
    for (std::int64_t i = 0; i < count_; ++i) fine = fine && ran_[static_cast<std::size_t>(i)] <= 1;
    return fine;
  }

 private:
  std::int64_t count_;
  std::unique_ptr<std::atomic<int>[]> ran_;
  std::atomic<int> strays_ = 0;
};

inline bool each_once(const vivace::parallel& lanes, std::int64_t tasks) {
  tally ran(tasks);
  lanes(tasks, [&](std::int64_t task) { ran(task); });
  return ran.each_once();
}

/// Notes how many are inside at once.
class crowd {
 public:
  void visit() {
    const int now = ++inside_;
    int most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));  // time for others to come
    --inside_;
  }
  [[nodiscard]] int most() const { return most_; }

 private:
  std::atomic<int> inside_ = 0, most_ = 0;
};

}  // namespace detail

/// Every task once, whatever their number; tasks that write apart need no lock.
inline void check_tasks(const vivace::parallel& lanes) {
  for (const std::int64_t tasks : {0, 1, 2, 3, 7, 64, 1000, 50000}) CHECK(detail::each_once(lanes, tasks));
  lanes(-3, [](std::int64_t) { FAIL("no task is asked for"); });
  std::vector<std::int64_t> squares(5000);
  lanes(5000, [&](std::int64_t task) { squares[static_cast<std::size_t>(task)] = task * task; });
  bool written = true;
  for (std::int64_t task = 0; task < 5000; ++task)
    written = written && squares[static_cast<std::size_t>(task)] == task * task;
  CHECK_MESSAGE(written, "what tasks write is there when the region ends");
}

/// An exception reaches the caller; the executor lives on.
inline void check_exceptions(const vivace::parallel& lanes) {
  for (const std::int64_t tasks : {1, 2, 100}) {
    for (const std::int64_t bad : {std::int64_t{0}, tasks / 2, tasks - 1}) {
      detail::tally ran(tasks);
      std::string text;
      try {
        lanes(tasks, [&](std::int64_t task) {
          ran(task);
          if (task == bad) throw std::runtime_error("task " + std::to_string(task));
        });
      } catch (const std::runtime_error& found) {
        text = found.what();
      }
      CHECK(text == "task " + std::to_string(bad));
      CHECK(ran.none_twice());
      CHECK(detail::each_once(lanes, tasks));
    }
  }
  for (int again = 0; again < 50; ++again) {
    std::atomic<int> at_work = 0;
    CHECK_THROWS_AS(lanes(64,
                          [&](std::int64_t task) {
                            ++at_work;
                            std::this_thread::yield();
                            --at_work;
                            throw task;
                          }),
                    std::int64_t);
    CHECK_MESSAGE(at_work == 0, "when the exception arrives no body is at work any more");
  }
  CHECK(detail::each_once(lanes, 1000));
}

/// A region inside a body runs on the body's thread, in order.
inline void check_nesting(const vivace::parallel& lanes) {
  constexpr std::int64_t outer = 40, inner = 30;
  detail::tally ran(outer * inner);
  std::atomic<int> strangers = 0, unordered = 0;
  lanes(outer, [&](std::int64_t row) {
    const std::thread::id self = std::this_thread::get_id();
    std::int64_t next = 0;
    lanes(inner, [&](std::int64_t column) {
      if (std::this_thread::get_id() != self) ++strangers;
      if (column != next++) ++unordered;
      lanes(2, [&](std::int64_t third) {
        if (third == 0) ran(row * inner + column);
      });
    });
  });
  CHECK(ran.each_once());
  CHECK(strangers == 0);
  CHECK(unordered == 0);

  std::atomic<int> caught = 0;
  lanes(outer, [&](std::int64_t) {
    try {
      lanes(inner, [](std::int64_t task) {
        if (task == 3) throw std::runtime_error("inner");
      });
    } catch (const std::runtime_error&) {
      ++caught;
    }
  });
  CHECK_MESSAGE(caught == outer, "an inner exception is the body's to catch");
  CHECK_THROWS_AS(
      lanes(outer, [&](std::int64_t) { lanes(inner, [](std::int64_t) { throw std::runtime_error("inner"); }); }),
      std::runtime_error);
  CHECK(detail::each_once(lanes, 1000));
}

/// No more bodies at work than threads are given, with one caller and with several.
inline void check_thread_count(const vivace::parallel& lanes, int given) {
  CHECK(lanes.threads() == given);
  detail::crowd bodies;
  lanes(300, [&](std::int64_t) { bodies.visit(); });
  CHECK(bodies.most() >= 1);
  CHECK(bodies.most() <= given);
}

/// Several threads may use one executor at once. (A serial one has no state, so its callers just run side by side.)
inline void check_callers(const vivace::parallel& lanes, int given) {
  constexpr int callers = 4, rounds = 50;
  std::atomic<int> good = 0, caught = 0;
  detail::crowd bodies;
  std::vector<std::thread> users;
  for (int user = 0; user < callers; ++user)
    users.emplace_back([&, user] {
      for (int round = 0; round < rounds; ++round) {
        if (detail::each_once(lanes, 100 + user)) ++good;
        lanes(5, [&](std::int64_t) { bodies.visit(); });
        try {
          lanes(20, [&](std::int64_t task) {
            if (task == 7) throw user;
          });
        } catch (const int whose) {
          if (whose == user) ++caught;
        }
      }
    });
  for (std::thread& user : users) user.join();
  CHECK(good == callers * rounds);
  CHECK_MESSAGE(caught == callers * rounds, "an exception goes to the caller whose body threw it");
  if (given > 1) CHECK(bodies.most() <= given);
}

/// Thousands of regions, small and large, with and without a pause.
inline void check_reuse(const vivace::parallel& lanes) {
  std::int64_t wrong = 0;
  for (int region = 0; region < 5000; ++region) {
    const std::int64_t tasks = region % 9;
    std::atomic<std::int64_t> total = 0;
    lanes(tasks, [&](std::int64_t task) { total += task + 1; });
    if (total != tasks * (tasks + 1) / 2) ++wrong;
    if (region % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(wrong == 0);
}

/// All laws of an executor policy.
/// @param given threads that the policy asks for
template <class Policy>
void check_executor(const Policy& policy, int given) {
  static_assert(vivace::policy<Policy> && vivace::in_family<Policy, vivace::executor_family>);
  CHECK(policy == Policy(policy));
  for (int made = 0; made < 20; ++made) {  // made and not used, and used once
    typename Policy::executor executor(policy);
    if (made % 2 == 1) CHECK(detail::each_once(executor.lanes(), 8));
  }
  typename Policy::executor executor(policy);
  const vivace::parallel lanes = executor.lanes();
  check_tasks(lanes);
  check_exceptions(lanes);
  check_nesting(lanes);
  check_thread_count(lanes, given);
  check_callers(lanes, given);
  check_reuse(lanes);
}

}  // namespace laws
