#pragma once
#include <cstddef>
#include <cstdint>

#include <vivace/kernel/call.hpp>

/// @file
/// How kernels are written and started.
///
/// A kernel is a *work*: a value that is copied to the device, with
///   static constexpr int threads;        // of a block
///   struct state;                        // what a thread keeps from phase to phase
///   int phases() const;                  // between two phases the threads of a block meet
///   std::size_t scratch() const;         // bytes of memory that a block shares
///   void operator()(int phase, position at, state&, std::byte* shared) const;
/// All of it is `__host__ __device__`: a device runs the threads of a block side by side, a test one after another,
/// phase by phase. So the index logic of every kernel is tested without a device.
///
/// A *launch* says where works run: device_launch (device_launch.hpp) or host_launch (host_launch.hpp).

namespace vivace::inline VIVACE_TARGET::gpu {

/// Where a thread is.
struct position {
  std::uint32_t block = 0;
  std::uint32_t thread = 0;
};

/// The state of works whose threads keep nothing.
struct nothing {};

/// What launches for a device need of it; step_context::device points to one.
struct stream_context {
  void* stream = nullptr;                 ///< where kernels are queued
  const std::uint64_t* seed = nullptr;    ///< in device memory, so that a captured step can be run again
  const std::uint32_t* step = nullptr;
  bool sizing = false;                    ///< nothing is started: kernels only say what workspace they want
  bool vendor = true;                     ///< products and convolutions by the vendor's libraries, if they are there
  bool tensor_float = false;              ///< products may round their operands to 10 bits of mantissa
  void* workspace = nullptr;              ///< of the vendor's libraries, in device memory
  std::size_t workspace_bytes = 0;
  std::size_t wanted_bytes = 0;           ///< the most that was asked for
  bool wants_workspace = false;           ///< set when any is asked for
  int taken = 0, refused = 0;             ///< different problems that libraries solve, and that they have no way for
  /// A library's handle and what goes with it, made when it is first used.
  struct library {
    void* handle = nullptr;
    void (*destroy)(void*) = nullptr;
  };
  library products, convolutions;

  stream_context() = default;
  stream_context(const stream_context&) = delete;
  stream_context& operator=(const stream_context&) = delete;
  ~stream_context() { end_libraries(); }
  void end_libraries() {
    for (library* one : {&products, &convolutions}) {
      if (one->handle != nullptr) one->destroy(one->handle);
      *one = {};
    }
  }
  /// Notes how much workspace a command wants.
  void want(std::size_t bytes) {
    wanted_bytes = bytes > wanted_bytes ? bytes : wanted_bytes;
    wants_workspace = wants_workspace || bytes > 0;
  }
  [[nodiscard]] static stream_context& of(const step_context& context) {
    return *static_cast<stream_context*>(context.device);
  }
};

/// Values of single precision alone are stored in bfloat16: of others nobody wants it, and it costs registers.
template <class Real>
inline constexpr bool stores_narrow = sizeof(Real) == sizeof(float);

/// Elements that a thread handles at once: 16 bytes of them.
template <class Real>
inline constexpr int width_of = 16 / static_cast<int>(sizeof(Real));

/// Neighbouring elements, read and written at once.
template <class Real, int Width>
struct alignas(sizeof(Real) * Width) packet {
  Real value[Width];
};

}  // namespace vivace::inline VIVACE_TARGET::gpu
