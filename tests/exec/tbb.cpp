// The laws on oneTBB. The thread sanitizer's run leaves test cases with "tbb" in their names out.
#include <doctest/doctest.h>

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>

#include <string>
#include <vivace/core/errors.hpp>
#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>

#include "../laws/executor_laws.hpp"

namespace vv = vivace;

TEST_CASE("tbb keeps the laws of executors: 1") { laws::check_executor(vv::tbb{1}, 1); }
TEST_CASE("tbb keeps the laws of executors: 2") { laws::check_executor(vv::tbb{2}, 2); }
TEST_CASE("tbb keeps the laws of executors: 8") {
  const ::tbb::global_control more(::tbb::global_control::max_allowed_parallelism, 8);
  laws::check_executor(vv::tbb{8}, 8);
}
TEST_CASE("tbb: 0 is as many as the machine has") {
  vv::tbb::executor executor(vv::tbb{});
  laws::check_executor(vv::tbb{}, executor.lanes().threads());
}

TEST_CASE("tbb: a count that cannot be is refused") {
  for (const int count : {-1, 1000000}) {
    std::string text;
    try {
      vv::tbb::executor refused(vv::tbb{count});
    } catch (const vv::error& found) {
      text = found.what();
    }
    CHECK(text.find("cannot have so many threads") != std::string::npos);
    CHECK(text.find("got:   " + std::to_string(count)) != std::string::npos);
  }
}

TEST_CASE("tbb: a cancelled group of the caller's takes no tasks away") {
  vv::tbb::executor executor(vv::tbb{2});
  std::atomic<int> ran = 0;
  ::tbb::task_group_context group;
  ::tbb::parallel_for(
      0, 1,
      [&](int) {
        group.cancel_group_execution();
        executor.lanes()(100, [&](std::int64_t) { ++ran; });
      },
      ::tbb::simple_partitioner{}, group);
  CHECK(ran == 100);
}

TEST_CASE("tbb: regions inside oneTBB algorithms, and oneTBB algorithms inside bodies") {
  vv::tbb::executor executor(vv::tbb{2}), other(vv::tbb{2});
  const vv::parallel lanes = executor.lanes();
  std::atomic<int> wrong = 0;
  ::tbb::parallel_for(0, 50, [&](int) {
    if (!laws::detail::each_once(lanes, 20)) ++wrong;
  });
  std::atomic<int> ran = 0;
  lanes(50, [&](std::int64_t) {
    ::tbb::parallel_for(0, 20, [&](int) {
      if (!laws::detail::each_once(lanes, 3)) ++wrong;
      ++ran;
    });
    if (!laws::detail::each_once(other.lanes(), 5)) ++wrong;  // another executor's arena
  });
  CHECK(ran == 1000);
  CHECK(wrong == 0);
  vv::threads::executor pool(vv::threads{2});
  pool.lanes()(20, [&](std::int64_t) {
    if (!laws::detail::each_once(lanes, 10)) ++wrong;
  });
  lanes(20, [&](std::int64_t) {
    if (!laws::detail::each_once(pool.lanes(), 10)) ++wrong;
  });
  CHECK(wrong == 0);
}
