#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <utility>
#include <vector>

#include <vivace/core/errors.hpp>
#include <vivace/exec/cuda_runtime.hpp>
#include <vivace/exec/waits.hpp>

namespace vivace::inline VIVACE_TARGET::gpu {

/// Records commands on a stream so that each waits for those that it must, and not for all that were recorded before it.
class command_recorder {
 public:
  /// @param on a stream that is being recorded
  command_recorder(cudaStream_t on, const command_waits& waits) : on_(on), waits_(waits) {}

  /// Records what run() queues.
  /// @param besides another command that it waits for; -1: none
  template <class Run>
  void operator()(std::int32_t command, std::int32_t besides, const Run& run) {
    const bool goes_on = last_ >= 0 && waits_.in_loop(last_) && waits_.in_loop(command);
    if (!goes_on) {
      next_.clear();
      for (const std::int32_t one : waits_.of(command)) wait_for(one);
      if (besides >= 0) wait_for(besides);
      set_next();
    }
    run();
    last_ = command;
    if (ends_.size() <= static_cast<std::size_t>(command)) ends_.resize(static_cast<std::size_t>(command) + 1);
    ends_[static_cast<std::size_t>(command)] = recorded_last();
  }
  /// What is recorded next waits for one command.
  void go_on_behind(std::int32_t command) {
    next_.clear();
    wait_for(command);
    set_next();
  }

 private:
  /// What the runtime calls nodes of the recorded graph, and what it knows of edges from them.
  struct points {
    std::vector<cudaGraphNode_t> nodes;
    std::vector<cudaGraphEdgeData> edges;
    void clear() { nodes.clear(), edges.clear(); }
  };

  void wait_for(std::int32_t command) {
    const points& end = ends_[static_cast<std::size_t>(command)];
    for (std::size_t i = 0; i < end.nodes.size(); ++i) {
      bool known = false;
      for (const cudaGraphNode_t other : next_.nodes) known = known || other == end.nodes[i];
      if (known) continue;
      next_.nodes.push_back(end.nodes[i]);
      next_.edges.push_back(end.edges[i]);
    }
  }
  void set_next() {
    check(cudaStreamUpdateCaptureDependencies(on_, next_.nodes.data(), next_.edges.data(), next_.nodes.size(),
                                              cudaStreamSetCaptureDependencies),
          "the order of a recorded step cannot be said");
  }
  [[nodiscard]] points recorded_last() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaGraphNode_t* nodes = nullptr;
    const cudaGraphEdgeData* edges = nullptr;
    std::size_t count = 0;
    check(cudaStreamGetCaptureInfo(on_, &status, nullptr, nullptr, &nodes, &edges, &count),
          "what was recorded cannot be asked for");
    if (status != cudaStreamCaptureStatusActive)
      throw error("a step cannot be recorded", "cuda", "a recording that something else has ended",
                  "no call in another thread that waits for a whole device, as cudaDeviceSynchronize does");
    points result;
    for (std::size_t i = 0; i < count; ++i) {
      result.nodes.push_back(nodes[i]);
      result.edges.push_back(edges == nullptr ? cudaGraphEdgeData{} : edges[i]);
    }
    return result;
  }

  cudaStream_t on_;
  const command_waits& waits_;
  std::vector<points> ends_;  ///< of each command
  points next_;
  std::int32_t last_ = -1;
};

}  // namespace vivace::inline VIVACE_TARGET::gpu
