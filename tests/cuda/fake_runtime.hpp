#pragma once
// A CUDA runtime made of host memory, for tests of the executor: it knows the functions that vivace/exec/cuda.hpp calls.
// Work is queued and runs as late as the rules allow, copies to the device, if asked, as early: so a wait that is missing
// shows, since what should have been waited for has not happened.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include <doctest/doctest.h>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>

namespace fake {

struct queue;

/// A point in a queue: how often it was recorded, and how often the queue has come there.
struct mark {
  queue* in = nullptr;
  int recorded = 0, reached = 0;
};
/// One thing to do: wait for a mark, or work.
struct entry {
  std::function<void()> work;
  mark* until = nullptr;
  int count = 0;
};
struct graph {
  struct node {
    std::function<void()> work;
    std::vector<std::size_t> waits_for;
  };
  std::vector<node> nodes;

  /// Runs all nodes, whenever there is a choice the one that was recorded last, so that what does not wait for what it
  /// should comes too early, or any of them.
  void run() {
    const bool latest_first = ++runs % 2 == 0;
    std::vector<bool> done(nodes.size());
    for (std::size_t left = nodes.size(); left > 0; --left) {
      std::vector<std::size_t> ready;
      for (std::size_t n = 0; n < nodes.size(); ++n) {
        const auto& before = nodes[n].waits_for;
        if (!done[n] && std::all_of(before.begin(), before.end(), [&](std::size_t other) { return done[other]; }))
          ready.push_back(n);
      }
      const std::size_t next = latest_first ? ready.back() : ready[random() % ready.size()];
      nodes[next].work();
      done[next] = true;
    }
  }
  int runs = 0;
  std::minstd_rand random;
};
struct queue {
  std::deque<entry> entries;
  graph* capturing = nullptr;
  std::vector<cudaGraphNode_t> next_waits_for;  ///< what is recorded next; a node's handle is one more than its number
  bool invalid = false;  ///< what is recorded

  void add(std::function<void()> work) {
    if (capturing == nullptr) return entries.push_back({std::move(work)});
    graph::node made{std::move(work), {}};
    for (const cudaGraphNode_t one : next_waits_for) made.waits_for.push_back(reinterpret_cast<std::size_t>(one) - 1);
    capturing->nodes.push_back(std::move(made));
    next_waits_for = {reinterpret_cast<cudaGraphNode_t>(capturing->nodes.size())};
  }
  void run_one() {
    entry next = std::move(entries.front());
    entries.pop_front();
    if (next.until != nullptr)
      while (next.until->reached < next.count) next.until->in->run_one();
    else
      next.work();
  }
  void run_all() {
    while (!entries.empty()) run_one();
  }
  /// Runs what waits for nothing.
  void run_ready() {
    while (!entries.empty() && (entries.front().until == nullptr || entries.front().until->reached >= entries.front().count))
      run_one();
  }
};

/// What the tests want to know, and say.
struct machine {
  int devices = 1;
  bool early_copies = false;  ///< copies to the device run as early as the rules allow
  cudaError_t answer = cudaSuccess;  ///< of the question how many devices there are
  cudaError_t last = cudaSuccess;    ///< what cudaGetLastError says and forgets
  bool refuses_graphs = false;       ///< recorded steps cannot be made ready
  int kernels_in_capture = -1;       ///< so many can be recorded until one fails; -1: any number
  int capturing = 0, disturbed_captures = 0;  ///< steps that are being recorded; calls that would have ended them
  int captures = 0, launches = 0, kernels = 0, allocations = 0;
  std::map<const void*, std::size_t> pinned;  ///< memory of the host that the device reads by itself
  bool refuses_pins = false;
  int pins = 0, copies_from_pinned = 0;
  int library_calls = 0, spoilt_workspaces = 0;
  int side_by_side = 0;  ///< recorded nodes that do not wait for the one recorded before
  std::int64_t live = 0;  ///< pieces of memory
  std::set<void*> device_memory;
};
inline machine& the() {
  static machine one;
  return one;
}
/// One thread at a time does anything here.
class alone {
 public:
  alone() : lock_(mutex()) {}

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};
/// An answer that the runtime remembers.
inline cudaError_t failed(cudaError_t with) { return the().last = with; }
/// What waits for a whole device, and so ends what any thread records.
inline void waits_for_device() {
  if (the().capturing > 0) ++the().disturbed_captures;
}
inline queue& of(cudaStream_t stream) { return *reinterpret_cast<queue*>(stream); }
inline mark& of(cudaEvent_t event) { return *reinterpret_cast<mark*>(event); }

/// Queues works of the device's kernels on a stream of this machine.
struct launch {
  template <class Work>
  static void run(const Work& work, std::int64_t blocks, const vivace::step_context& context) {
    const auto& device = vivace::gpu::stream_context::of(context);
    if (device.sizing) return;
    const alone now;
    queue& on = of(static_cast<cudaStream_t>(device.stream));
    if (on.capturing != nullptr && the().kernels_in_capture >= 0 && the().kernels_in_capture-- == 0) {
      on.invalid = true;
      throw vivace::error("a kernel could not be started", "cuda", "a test", "another test");
    }
    on.add([work, blocks] {
      ++the().kernels;
      vivace::gpu::host_launch::run(work, blocks, {});
    });
  }
  static const std::uint64_t* seed(const vivace::step_context& context) {
    return vivace::gpu::stream_context::of(context).seed;
  }
  static const std::uint32_t* step(const vivace::step_context& context) {
    return vivace::gpu::stream_context::of(context).step;
  }
  /// A library that works on its workspace in two kernels. It solves some products, and leaves other problems to ours.
  template <class Problem>
  static bool solved_by_library(const Problem& problem, const vivace::step_context& context) {
    auto& device = vivace::gpu::stream_context::of(context);
    if (!device.vendor) return false;
    device.want(1000);
    const bool solves = solved_by_us(problem);
    if (device.sizing) return solves;
    const alone now;
    queue& on = of(static_cast<cudaStream_t>(device.stream));
    auto* const own = static_cast<std::int32_t*>(device.workspace);
    const int mine = ++the().library_calls;
    on.add([=] { std::fill_n(own, 250, mine); });
    on.add([=] { the().spoilt_workspaces += std::count(own, own + 250, mine) == 250 ? 0 : 1; });
    if constexpr (requires { problem.k; })
      if (solves) vivace::gpu::multiply<launch>(problem, vivace::gpu::no_program{}, context);
    return solves;
  }

 private:
  template <class Problem>
  static bool solved_by_us(const Problem& problem) {
    if constexpr (requires { problem.k; }) return problem.bias == nullptr && (problem.m + problem.n + problem.k) % 2 == 0;
    return false;
  }
};

/// What all tests leave behind.
struct clean_machine {
  clean_machine() { the() = {}; }
  ~clean_machine() {
    CHECK(the().live == 0);
    CHECK(the().spoilt_workspaces == 0);
    CHECK(the().disturbed_captures == 0);
  }
};

}  // namespace fake
