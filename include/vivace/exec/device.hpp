#pragma once
#include <cstddef>
#include <memory>
#include <span>

#include <vivace/exec/step.hpp>

/// @file
/// The door to devices with memory of their own: what `instance` and `variables` ask of one. Nothing here knows CUDA.

namespace vivace::inline VIVACE_TARGET {

/// A plan bound to a device's memory.
template <class Real>
class device_plan {
 public:
  virtual ~device_plan() = default;
  /// Queues a run of the plan. What `inputs` and `settings` point to may be changed once it returns.
  /// @param context its `samples` is 1 to the plan's batch
  virtual void run(const step_context& context, const void* const* inputs, const Real* settings) = 0;
  /// The first input that the plan reads and whose pointer is null; -1 if there is none.
  [[nodiscard]] virtual std::int64_t missing(const void* const* inputs) const = 0;
  /// The loss of the last run; waits for it.
  [[nodiscard]] virtual Real loss() = 0;
  /// The loss of the run before the last one, which may go on meanwhile.
  [[nodiscard]] virtual Real earlier_loss() = 0;
  /// Copies what lies at a place after the last run; waits for it.
  virtual void fetch(const location& from, std::int64_t elements, Real* to) = 0;
  /// Bytes of the device's memory that are this plan's own.
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

/// A device that runs the plans of one model: it holds parameters and states, which the plans share.
template <class Real>
class step_device {
 public:
  virtual ~step_device() = default;
  /// Makes room for parameters and states; the first call counts.
  virtual void reserve(std::int64_t parameters, std::int64_t states) = 0;
  /// Binds a plan. Views stay valid as long as the plan lives.
  [[nodiscard]] virtual std::unique_ptr<device_plan<Real>> bind(const graph_view& from, const plan_view& steps,
                                                                const kernel_table<Real>& kernels) = 0;
  /// Copies parameters and states to the device, or from there once all runs are done.
  virtual void upload(const Real* parameters, const Real* states) = 0;
  virtual void download(Real* parameters, Real* states) = 0;
  /// Lets the device read memory of the host by itself for as long as what is returned lives: batches there are then
  /// copied once. Null if that is not to be had, or not worth it.
  [[nodiscard]] virtual std::shared_ptr<void> pin(std::span<const std::byte>) { return nullptr; }
};

}  // namespace vivace::inline VIVACE_TARGET
