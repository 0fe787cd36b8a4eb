#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstring>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <vivace/core/errors.hpp>

/// @file
/// Owners of what the CUDA runtime makes. Failures become errors.

namespace vivace::inline VIVACE_TARGET::gpu {

/// @throws error with the runtime's words if a call failed
inline void check(cudaError_t result, std::string_view what, std::string_view needs) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // the failure is answered: nobody else should find it
  throw error(what, "cuda", cudaGetErrorString(result), needs);
}
inline void check(cudaError_t result, std::string_view what) {
  check(result, what, "a device that works; an earlier step may have failed there");
}

/// Held while anything of a device is made, recorded or given back: what waits for a whole device, as making or freeing
/// memory or a library's handle may, must not come while another thread records a step.
inline std::recursive_mutex setup_mutex;

/// Owns zeroed bytes of a device.
class device_memory {
 public:
  device_memory() = default;
  /// @throws error if the device has no room for them
  explicit device_memory(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    check(cudaMalloc(&data_, bytes), "the device has no room for " + std::to_string(bytes) + " bytes",
          "a smaller batch or network");
    cudaError_t cleared = cudaMemsetAsync(data_, 0, bytes, cudaStreamPerThread);
    if (cleared == cudaSuccess) cleared = cudaStreamSynchronize(cudaStreamPerThread);
    if (cleared != cudaSuccess) cudaFree(data_);
    check(cleared, "the device's memory cannot be cleared");
  }
  device_memory(device_memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  device_memory& operator=(device_memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~device_memory() {
    if (data_ == nullptr) return;
    const std::lock_guard lock(setup_mutex);
    cudaFree(data_);
  }
  template <class Element>
  [[nodiscard]] Element* as(std::size_t offset = 0) const {
    return reinterpret_cast<Element*>(static_cast<std::byte*>(data_) + offset);
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Owns bytes of the host that a device can read and write while the host does other things.
class pinned_memory {
 public:
  explicit pinned_memory(std::size_t bytes) {
    check(cudaMallocHost(&data_, bytes), "the host has no room for " + std::to_string(bytes) + " bytes that stay in place",
          "more memory, or a smaller batch");
    std::memset(data_, 0, bytes);
  }
  pinned_memory(const pinned_memory&) = delete;
  pinned_memory& operator=(const pinned_memory&) = delete;
  ~pinned_memory() {
    const std::lock_guard lock(setup_mutex);
    cudaFreeHost(data_);
  }
  template <class Element>
  [[nodiscard]] Element* as(std::size_t offset = 0) const {
    return reinterpret_cast<Element*>(static_cast<std::byte*>(data_) + offset);
  }

 private:
  void* data_ = nullptr;
};

/// Makes memory of the host such that devices can read it by themselves, for as long as this lives. A batch there is
/// copied to the device without a stop in between; smaller ones than `worthwhile` are not.
/// @code
/// std::vector<float> features(...);
/// const vv::gpu::pinned_range pinned{std::as_bytes(std::span(features))};
/// @endcode
class pinned_range {
 public:
  /// Bytes of an input from which on a copy of its own is worth its start.
  static constexpr std::size_t worthwhile = 64 * 1024;

  /// @param memory of the caller's, who keeps it longer than this
  /// @throws error if it is empty or pinned already, or cannot be pinned
  explicit pinned_range(std::span<const std::byte> memory) : data_(const_cast<std::byte*>(memory.data())) {
    const std::lock_guard lock(setup_mutex);
    check(cudaHostRegister(data_, memory.size(), cudaHostRegisterDefault), "this memory cannot be kept in place",
          "memory that is not pinned yet, and less of it than the host has");
  }
  pinned_range(const pinned_range&) = delete;
  pinned_range& operator=(const pinned_range&) = delete;
  ~pinned_range() {
    const std::lock_guard lock(setup_mutex);
    if (cudaHostUnregister(data_) != cudaSuccess) cudaGetLastError();
  }

  /// True if a device can read all of some bytes, pinned by this class or in any other way.
  /// @param bytes above zero
  static bool contains(const void* data, std::size_t bytes) {
    return is_pinned(data) && is_pinned(static_cast<const std::byte*>(data) + bytes - 1);
  }

 private:
  static bool is_pinned(const void* data) {
    cudaPointerAttributes found{};
    if (cudaPointerGetAttributes(&found, data) == cudaSuccess) return found.type == cudaMemoryTypeHost;
    cudaGetLastError();
    return false;
  }

  std::byte* data_;
};

/// A point in a stream's work.
class event {
 public:
  event() { check(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "an event cannot be made"); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() { cudaEventDestroy(handle_); }
  void record(cudaStream_t in) { check(cudaEventRecord(handle_, in), "the device refuses work"); }
  /// The host waits; not if nothing was recorded.
  void wait() { check(cudaEventSynchronize(handle_), "a step failed on the device"); }
  /// The same; a failure is left to whoever asks next.
  void finish() noexcept { cudaEventSynchronize(handle_); }
  /// A stream waits.
  void hold(cudaStream_t up) { check(cudaStreamWaitEvent(up, handle_, 0), "the device refuses work"); }

 private:
  cudaEvent_t handle_ = nullptr;
};

class stream {
 public:
  stream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "a stream cannot be made"); }
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    cudaStreamSynchronize(handle_);  // memory that its work uses is given back next
    cudaStreamDestroy(handle_);
  }
  void wait() { check(cudaStreamSynchronize(handle_), "a step failed on the device"); }
  void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, handle_), "a copy could not be started");
  }
  operator cudaStream_t() const { return handle_; }  // NOLINT: a stream is its handle

 private:
  cudaStream_t handle_ = nullptr;
};

/// A step that was recorded once and is started as a whole.
class captured_step {
 public:
  captured_step() = default;
  captured_step(const captured_step&) = delete;
  captured_step& operator=(const captured_step&) = delete;
  ~captured_step() {
    if (handle_ == nullptr) return;
    const std::lock_guard lock(setup_mutex);
    cudaGraphExecDestroy(handle_);
  }
  /// Records what `work` queues on a stream.
  template <class Work>
  void capture(cudaStream_t on, Work&& work) {
    check(cudaStreamBeginCapture(on, cudaStreamCaptureModeThreadLocal), "a step cannot be recorded");
    cudaGraph_t recorded = nullptr;
    try {
      work();
    } catch (...) {
      if (cudaStreamEndCapture(on, &recorded) != cudaSuccess) cudaGetLastError();  // `work` says what is wrong
      if (recorded != nullptr) cudaGraphDestroy(recorded);
      throw;
    }
    check(cudaStreamEndCapture(on, &recorded), "a step cannot be recorded");
    const cudaError_t made = cudaGraphInstantiate(&handle_, recorded, 0);
    cudaGraphDestroy(recorded);
    check(made, "a recorded step cannot be made ready");
  }
  [[nodiscard]] bool exists() const { return handle_ != nullptr; }
  void launch(cudaStream_t on) { check(cudaGraphLaunch(handle_, on), "a step could not be started"); }

 private:
  cudaGraphExec_t handle_ = nullptr;
};

}  // namespace vivace::inline VIVACE_TARGET::gpu
