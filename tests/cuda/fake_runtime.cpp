#include "fake_runtime.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

#include <vivace/kernel/cuda/cuda.hpp>

extern "C" {
cudaError_t cudaGetDeviceCount(int* count) {
  const fake::alone now;
  *count = fake::the().devices;
  return fake::the().answer == cudaSuccess ? cudaSuccess : fake::failed(fake::the().answer);
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetLastError() {
  const fake::alone now;
  return std::exchange(fake::the().last, cudaSuccess);
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInsufficientDriver ? "CUDA driver version is insufficient for CUDA runtime version"
                                              : "an error";
}
cudaError_t cudaMalloc(void** to, std::size_t bytes) {
  const fake::alone now;
  fake::waits_for_device();
  if (bytes > std::size_t{1} << 32) return fake::failed(cudaErrorMemoryAllocation);
  *to = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*to, 0x7f, bytes);
  ++fake::the().allocations;
  ++fake::the().live;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  const fake::alone now;
  fake::waits_for_device();
  std::free(data);
  --fake::the().live;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** to, std::size_t bytes) { return cudaMalloc(to, bytes); }
cudaError_t cudaFreeHost(void* data) { return cudaFree(data); }
cudaError_t cudaHostRegister(void* data, std::size_t bytes, unsigned) {
  const fake::alone now;
  fake::waits_for_device();
  if (bytes == 0 || fake::the().refuses_pins || !fake::the().pinned.emplace(data, bytes).second)
    return fake::failed(cudaErrorInvalidValue);
  ++fake::the().pins;
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* data) {
  const fake::alone now;
  fake::waits_for_device();
  return fake::the().pinned.erase(data) == 1 ? cudaSuccess : fake::failed(cudaErrorInvalidValue);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* to, const void* data) {
  const fake::alone now;
  const auto* const at = static_cast<const std::byte*>(data);
  to->type = cudaMemoryTypeUnregistered;
  for (const auto& [begin, bytes] : fake::the().pinned)
    if (begin <= data && at < static_cast<const std::byte*>(begin) + bytes) to->type = cudaMemoryTypeHost;
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t) {
  const fake::alone now;
  std::memset(data, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* to, unsigned) {
  const fake::alone now;
  *to = reinterpret_cast<cudaStream_t>(new fake::queue);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const fake::alone now;
  delete &fake::of(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const fake::alone now;
  if (stream != cudaStreamPerThread) fake::of(stream).run_all();  // there, work is done at once
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* to, unsigned) {
  const fake::alone now;
  *to = reinterpret_cast<cudaEvent_t>(new fake::mark);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const fake::alone now;
  delete &fake::of(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const fake::alone now;
  fake::mark& one = fake::of(event);
  one.in = &fake::of(stream);
  const int count = ++one.recorded;
  one.in->entries.push_back({[&one, count] { one.reached = count; }});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const fake::alone now;
  fake::mark& one = fake::of(event);
  while (one.reached < one.recorded) one.in->run_one();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const fake::alone now;
  fake::mark& one = fake::of(event);
  if (one.recorded > 0) fake::of(stream).entries.push_back({nullptr, &one, one.recorded});
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const fake::alone now;
  cudaPointerAttributes source{};
  cudaPointerGetAttributes(&source, from);
  fake::the().copies_from_pinned += source.type == cudaMemoryTypeHost ? 1 : 0;
  fake::of(stream).add([=] { std::memcpy(to, from, bytes); });
  if (fake::the().early_copies && kind == cudaMemcpyHostToDevice) fake::of(stream).run_ready();
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const fake::alone now;
  ++fake::the().captures;
  ++fake::the().capturing;
  fake::of(stream).capturing = new fake::graph;
  fake::of(stream).next_waits_for.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* to) {
  const fake::alone now;
  --fake::the().capturing;
  *to = reinterpret_cast<cudaGraph_t>(std::exchange(fake::of(stream).capturing, nullptr));
  return std::exchange(fake::of(stream).invalid, false) ? fake::failed(cudaErrorStreamCaptureInvalidated) : cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*,
                                     cudaGraph_t*, const cudaGraphNode_t** nodes, const cudaGraphEdgeData** edges,
                                     std::size_t* count) {
  const fake::alone now;
  const fake::queue& on = fake::of(stream);
  *status = on.capturing == nullptr ? cudaStreamCaptureStatusNone : cudaStreamCaptureStatusActive;
  *nodes = on.next_waits_for.data();
  static const std::vector<cudaGraphEdgeData> plain(64);
  *edges = plain.data();
  *count = on.next_waits_for.size();
  return cudaSuccess;
}
cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t stream, cudaGraphNode_t* nodes, const cudaGraphEdgeData*,
                                                std::size_t count, unsigned flags) {
  const fake::alone now;
  fake::queue& on = fake::of(stream);
  if (on.capturing == nullptr || flags != cudaStreamSetCaptureDependencies) return fake::failed(cudaErrorInvalidValue);
  on.next_waits_for.assign(nodes, nodes + count);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* to, cudaGraph_t from, unsigned long long) {
  const fake::alone now;
  if (fake::the().refuses_graphs) return fake::failed(cudaErrorMemoryAllocation);
  *to = reinterpret_cast<cudaGraphExec_t>(new fake::graph(*reinterpret_cast<fake::graph*>(from)));
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const fake::alone now;
  delete reinterpret_cast<fake::graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  const fake::alone now;
  fake::waits_for_device();
  delete reinterpret_cast<fake::graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  const fake::alone now;
  ++fake::the().launches;
  fake::graph& recorded = *reinterpret_cast<fake::graph*>(graph);
  for (std::size_t n = 1; n < recorded.nodes.size(); ++n) {
    const std::vector<std::size_t>& waits_for = recorded.nodes[n].waits_for;
    if (std::find(waits_for.begin(), waits_for.end(), n - 1) == waits_for.end()) ++fake::the().side_by_side;
  }
  fake::of(stream).add([&recorded] { recorded.run(); });
  return cudaSuccess;
}
}  // extern "C"

namespace vivace::inline VIVACE_TARGET::gpu {
template <class Real>
const launcher_table<Real>& device_launchers() {
  static constexpr launcher_table<Real> table = all_launchers<fake::launch, Real>();
  return table;
}
template const launcher_table<float>& device_launchers<float>();
template const launcher_table<double>& device_launchers<double>();
}  // namespace vivace::inline VIVACE_TARGET::gpu
