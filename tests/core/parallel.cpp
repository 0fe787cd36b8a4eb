#include <doctest/doctest.h>

#include <cstdint>
#include <vector>
#include <vivace/core/parallel.hpp>

namespace {

namespace vv = vivace;

/// An executor that is a counter: runs tasks backwards.
struct backwards {
  int regions = 0;
  vv::parallel lanes() {
    return {this,
            [](void* self, std::int64_t tasks, vv::parallel::task call, void* body) {
              ++static_cast<backwards*>(self)->regions;
              while (tasks > 0) call(body, --tasks);
            },
            3};
  }
};

}  // namespace

TEST_CASE("parallel: without an executor tasks run in order") {
  std::vector<std::int64_t> seen;
  const vv::parallel lanes;
  lanes(4, [&](std::int64_t task) { seen.push_back(task); });
  lanes(0, [&](std::int64_t) { seen.push_back(-1); });
  lanes(-5, [&](std::int64_t) { seen.push_back(-1); });
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(lanes.threads() == 1);
}

TEST_CASE("parallel: hands regions of two tasks and more to the executor") {
  backwards executor;
  const vv::parallel lanes = executor.lanes();
  std::vector<std::int64_t> seen;
  lanes(3, [&](std::int64_t task) { seen.push_back(task); });
  CHECK(seen == std::vector<std::int64_t>{2, 1, 0});
  lanes(1, [&](std::int64_t task) { seen.push_back(task); });
  lanes(0, [&](std::int64_t task) { seen.push_back(task); });
  CHECK(seen.size() == 4);
  CHECK(executor.regions == 1);
  CHECK(lanes.threads() == 3);
}

TEST_CASE("parallel: the body is called in place, not copied") {
  struct counting {
    int calls = 0;
    counting() = default;
    counting(const counting&) = delete;
    void operator()(std::int64_t) { ++calls; }
  };
  backwards executor;
  counting body;
  executor.lanes()(5, body);
  vv::parallel{}(5, body);
  CHECK(body.calls == 10);
  int total = 0;
  const auto constant = [&](std::int64_t task) { total += static_cast<int>(task); };
  executor.lanes()(5, constant);
  CHECK(total == 10);
}

TEST_CASE("parallel: backwards, every task is the one that mirrors it") {
  std::vector<std::int64_t> seen;
  const auto note = [&](std::int64_t task) { seen.push_back(task); };
  vv::parallel{}.backwards()(3, note);
  CHECK(seen == std::vector<std::int64_t>{2, 1, 0});
  backwards executor;
  const vv::parallel turned = executor.lanes().backwards();
  seen.clear();
  turned(3, note);
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2});  // of an executor that goes backwards itself
  CHECK(turned.threads() == 3);
  seen.clear();
  turned(1, note);
  turned(0, note);
  CHECK(seen == std::vector<std::int64_t>{0});
}
