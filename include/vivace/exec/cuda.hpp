#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vivace/core/errors.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>
#include <vivace/exec/cuda_recorder.hpp>
#include <vivace/exec/cuda_runtime.hpp>
#include <vivace/exec/device.hpp>
#include <vivace/exec/waits.hpp>
#include <vivace/kernel/cuda/cuda.hpp>

/// @file
/// Steps on a CUDA device. Any C++20 compiler takes this header; the kernels come from a .cu file of the program, which
/// includes <vivace/kernel/cuda/library.hpp> and needs nothing else.

namespace vivace::inline VIVACE_TARGET {

namespace gpu {

/// Workspaces of libraries that recorded commands take turns with.
inline constexpr int workspace_count = 4;

/// What the plans of one model share on a device: streams, libraries' handles and their workspace.
class shared_device {
 public:
  shared_device(int number, bool libraries, bool tensor_float, bool captures, bool overlaps)
      : captures_(captures), overlaps_(overlaps), number_(number) {
    use();
    main_ = std::make_unique<stream>();
    copies_ = std::make_unique<stream>();
    context_.stream = *main_;
    context_.vendor = libraries;
    context_.tensor_float = tensor_float;
  }
  shared_device(const shared_device&) = delete;
  shared_device& operator=(const shared_device&) = delete;
  ~shared_device() {
    const std::lock_guard lock(setup_mutex);
    use_quietly();
    context_.end_libraries();
    workspaces_.clear();
  }
  /// Makes the device this thread's.
  void use_quietly() const noexcept {
    if (cudaSetDevice(number_) != cudaSuccess) cudaGetLastError();
  }
  void use() const { check(cudaSetDevice(number_), "the device cannot be used"); }
  [[nodiscard]] stream& main() { return *main_; }
  [[nodiscard]] stream& copies() { return *copies_; }
  [[nodiscard]] stream_context& context() { return context_; }
  [[nodiscard]] const stream_context& context() const { return context_; }
  [[nodiscard]] bool captures() const { return captures_; }
  /// True if commands that do not wait for each other may run side by side.
  [[nodiscard]] bool overlaps() const { return captures_ && overlaps_; }
  /// Makes room for what kernels asked for. Steps that were recorded before keep what they were recorded with.
  void grow_workspace() {
    if (context_.wanted_bytes <= context_.workspace_bytes) return;
    const std::size_t bytes = (context_.wanted_bytes + 255) / 256 * 256;
    workspaces_.emplace_back(overlaps() ? bytes * workspace_count : bytes);
    context_.workspace_bytes = bytes;
    choose_workspace(0);
  }
  /// Gives commands that are queued from now on one of several workspaces.
  void choose_workspace(int which) {
    if (!workspaces_.empty())
      context_.workspace = workspaces_.back().as<std::byte>(context_.workspace_bytes * static_cast<std::size_t>(which));
  }

 private:
  bool captures_, overlaps_;
  int number_;
  std::unique_ptr<stream> main_, copies_;
  std::vector<device_memory> workspaces_;
  stream_context context_;
};

/// A plan bound to a device. Two slots take turns: while the step of one runs, the other's inputs are copied.
template <class Real>
class cuda_plan final : public device_plan<Real> {
 public:
  cuda_plan(shared_device& device, const graph_view& from, const plan_view& steps, const kernel_table<Real>& kernels,
            Real* parameters, Real* states)
      : device_(device),
        graph_(from),
        plan_(steps),
        arena_(static_cast<std::size_t>(steps.arena_size) * sizeof(Real)),
        layout_(from, steps.batch),
        pinned_(layout_.inputs.size()),
        losses_(64 * 2) {
    if (device_.overlaps()) waits_ = std::make_unique<command_waits>(waits_of(steps, kernels.keeps_order));
    for (slot& one : slots_) {
      one.host = std::make_unique<pinned_memory>(layout_.bytes);
      one.device = device_memory(layout_.bytes);
      const step_memory<Real> memory{parameters, states, arena_.template as<Real>(),
                                     one.device.template as<Real>(step_layout::settings)};
      one.run = std::make_unique<bound_plan<Real>>(steps, kernels, memory);
      for (const std::size_t offset : layout_.inputs) one.inputs.push_back(one.device.template as<void*>(offset));
    }
  }
  ~cuda_plan() override {
    device_.use_quietly();
    cudaStreamSynchronize(device_.copies());  // before memory that they use is given back
    cudaStreamSynchronize(device_.main());
    cudaGetLastError();  // a step that failed has said so, or nobody wants to know
  }

  void run(const step_context& context, const void* const* inputs, const Real* settings) override {
    device_.use();
    turn_ = 1 - turn_;
    slot& own = slots_[turn_];
    own.copied.wait();  // the copy before the last one has left the host's memory
    const bool direct = find_pinned(inputs, context.samples);
    fill(own, context, inputs, settings);
    own.done.hold(device_.copies());  // the step before the last one has read the device's memory
    copy(own, inputs, context.samples, direct);
    own.copied.record(device_.copies());
    own.copied.hold(device_.main());
    const struct leaving {
      event* copied;
      ~leaving() {
        if (copied != nullptr) copied->finish();  // the caller may change what was copied from where it lay
      }
    } left{direct ? &own.copied : nullptr};
    start(own, context.samples);
    own.done.record(device_.main());
  }
  [[nodiscard]] std::int64_t missing(const void* const* inputs) const override { return slots_[0].run->missing(inputs); }
  [[nodiscard]] Real loss() override { return loss_at(turn_); }
  [[nodiscard]] Real earlier_loss() override { return loss_at(1 - turn_); }
  void fetch(const location& from, std::int64_t elements, Real* to) override {
    device_.use();
    const Real* place = slots_[turn_].run->at(from);
    if (place == nullptr)
      throw error("this output is an input as it came", "cuda", "no memory of the plan's",
                  "an output that the network computes");
    device_.main().copy(to, place, static_cast<std::size_t>(elements) * sizeof(Real), cudaMemcpyDeviceToHost);
    device_.main().wait();
  }
  [[nodiscard]] std::size_t bytes() const override { return arena_.bytes() + 2 * layout_.bytes; }

 private:
  /// What is copied to the device for a step: seed and step, settings, inputs.
  struct step_layout {
    static constexpr std::size_t seed = 0, step = 8, settings = 256;  ///< offsets
    std::vector<std::size_t> inputs, sizes;                           ///< offsets; bytes of a sample
    std::vector<bool> batched;
    std::size_t bytes = 0;
    step_layout(const graph_view& from, std::int32_t batch) {
      bytes = settings + static_cast<std::size_t>(from.settings.size()) * sizeof(Real);
      for (const port& input : from.inputs) {
        const node& as = from.nodes[input.node];
        const std::size_t element = as.kind == op::labels ? sizeof(std::int32_t) : sizeof(Real);
        bytes = (bytes + 255) / 256 * 256;
        inputs.push_back(bytes);
        sizes.push_back(static_cast<std::size_t>(as.dims.size()) * element);
        batched.push_back(as.dims.per_sample());
        bytes += static_cast<std::size_t>(as.dims.size_at(batch)) * element;
      }
      bytes = (bytes + 255) / 256 * 256;
    }
  };
  struct slot {
    std::unique_ptr<pinned_memory> host;
    device_memory device;
    std::unique_ptr<bound_plan<Real>> run;
    std::vector<const void*> inputs;  ///< on the device
    event copied, done;
    struct of_size {
      bool ran = false;
      std::vector<bool> wants_workspace;  ///< of each command, what libraries say
      captured_step recorded;
    };
    std::map<std::int32_t, of_size> sizes;  ///< by samples; a new entry is the only allocation
  };

  Real loss_at(int turn) {
    slots_[turn].done.wait();
    return *loss_of(turn);
  }
  [[nodiscard]] Real* loss_of(int turn) const { return losses_.template as<Real>(static_cast<std::size_t>(turn) * 64); }

  void fill(slot& own, const step_context& context, const void* const* inputs, const Real* settings) {
    *own.host->template as<std::uint64_t>(step_layout::seed) = context.seed;
    *own.host->template as<std::uint32_t>(step_layout::step) = context.step;
    for (int i = 0; i < graph_.settings.size(); ++i)
      own.host->template as<Real>(step_layout::settings)[i] = settings[i];
    for (std::size_t i = 0; i < layout_.inputs.size(); ++i) {
      if (inputs[i] != nullptr && !pinned_[i])
        std::memcpy(own.host->template as<void>(layout_.inputs[i]), inputs[i], bytes_of(i, context.samples));
    }
  }

  /// Notes which inputs the device copies from where they lie. True if there are any.
  bool find_pinned(const void* const* inputs, std::int32_t samples) {
    bool any = false;
    for (std::size_t i = 0; i < layout_.inputs.size(); ++i) {
      const std::size_t bytes = bytes_of(i, samples);
      pinned_[i] = inputs[i] != nullptr && bytes >= pinned_range::worthwhile && pinned_range::contains(inputs[i], bytes);
      any = any || pinned_[i];
    }
    return any;
  }
  [[nodiscard]] std::size_t bytes_of(std::size_t input, std::int32_t samples) const {
    return layout_.sizes[input] * (layout_.batched[input] ? static_cast<std::size_t>(samples) : 1);
  }

  /// Queues the copy to the device: all at once, or what there is of each input.
  /// @param direct some inputs are copied from where they lie
  void copy(slot& own, const void* const* inputs, std::int32_t samples, bool direct) {
    const auto part = [&](std::size_t offset, std::size_t bytes, const void* from) {
      device_.copies().copy(own.device.template as<void>(offset), from, bytes, cudaMemcpyHostToDevice);
    };
    const auto staged = [&](std::size_t offset) { return own.host->template as<void>(offset); };
    if (samples == plan_.batch && !direct) return part(0, layout_.bytes, staged(0));
    part(0, layout_.inputs.empty() ? layout_.bytes : layout_.inputs[0], staged(0));
    for (std::size_t i = 0; i < layout_.inputs.size(); ++i)
      part(layout_.inputs[i], bytes_of(i, samples), pinned_[i] ? inputs[i] : staged(layout_.inputs[i]));
  }

  /// Starts the step. A number of samples that comes for the first time is run command by command, which lets libraries
  /// load what they need; the second time it is recorded.
  void start(slot& own, std::int32_t samples) {
    auto& [ran, wants_workspace, recorded] = own.sizes[samples];
    stream_context& context = device_.context();
    context.seed = own.device.template as<std::uint64_t>(step_layout::seed);
    context.step = own.device.template as<std::uint32_t>(step_layout::step);
    const step_context with{.samples = samples, .device = &context};
    const auto queue_all = [&] {
      (*own.run)(with, own.inputs.data());
      copy_loss(own);
    };
    if (!ran) {
      const std::lock_guard lock(setup_mutex);  // libraries are made
      wants_workspace.assign(static_cast<std::size_t>(plan_.commands.size()), false);
      context.sizing = true;
      try {
        run_and_note(own, with, wants_workspace);
      } catch (...) {
        context.sizing = false;
        throw;
      }
      context.sizing = false;
      device_.grow_workspace();
      run_and_note(own, with, wants_workspace);  // a library may still find that it cannot do what it said
      copy_loss(own);
      ran = true;
      return;
    }
    if (!recorded.exists() && device_.captures()) {
      const std::lock_guard lock(setup_mutex);
      recorded.capture(device_.main(), [&] {
        if (!device_.overlaps()) return queue_all();
        record_side_by_side(own, with, wants_workspace);
      });
    }
    if (recorded.exists())
      recorded.launch(device_.main());
    else
      queue_all();
  }

  void copy_loss(slot& own) {
    if (const Real* loss = own.run->at(plan_.loss); loss != nullptr)
      device_.main().copy(loss_of(turn_), loss, sizeof(Real), cudaMemcpyDeviceToHost);
  }

  /// Runs command by command, and notes which ones want a workspace.
  void run_and_note(slot& own, const step_context& with, std::vector<bool>& wants_workspace) {
    stream_context& context = device_.context();
    (*own.run)(with, own.inputs.data(), [&](std::int32_t command, const auto& run) {
      context.wants_workspace = false;
      run();
      if (context.wants_workspace) wants_workspace[static_cast<std::size_t>(command)] = true;
    });
  }

  /// Records each command behind those that it waits for. Commands with a workspace take turns with some of them.
  void record_side_by_side(slot& own, const step_context& with, const std::vector<bool>& wants_workspace) {
    command_recorder record(device_.main(), *waits_);
    std::int32_t user[workspace_count];
    std::fill_n(user, workspace_count, -1);
    int next = 0;
    std::int32_t makes_loss = -1;
    (*own.run)(with, own.inputs.data(), [&](std::int32_t command, const auto& run) {
      std::int32_t before = -1;
      if (wants_workspace[static_cast<std::size_t>(command)]) {
        before = std::exchange(user[next], command);
        device_.choose_workspace(next);
        next = (next + 1) % workspace_count;
      }
      record(command, before, run);
      if (stores_loss(plan_.commands[command])) makes_loss = command;
    });
    device_.choose_workspace(0);
    if (makes_loss >= 0) record.go_on_behind(makes_loss);
    copy_loss(own);
  }
  [[nodiscard]] bool stores_loss(const command& one) const {
    if (one.out.at == plan_.loss) return true;
    for (std::int32_t s = one.first_store; s < one.first_store + one.stores; ++s)
      if (plan_.stores[s].to == plan_.loss) return true;
    return false;
  }

  shared_device& device_;
  graph_view graph_;
  plan_view plan_;
  std::unique_ptr<command_waits> waits_;  ///< if commands may run side by side
  device_memory arena_;
  step_layout layout_;
  std::vector<bool> pinned_;  ///< inputs of this step that the device copies from where they lie
  pinned_memory losses_;
  slot slots_[2];
  int turn_ = 0;
};

/// A device as `instance` sees it.
template <class Real>
class cuda_device final : public step_device<Real> {
 public:
  template <class... Settings>
  explicit cuda_device(const Settings&... settings) : device_(settings...) {}

  void reserve(std::int64_t parameters, std::int64_t states) override {
    if (parameter_bytes_ + state_bytes_ > 0) return;
    const std::lock_guard lock(setup_mutex);
    device_.use();
    parameter_bytes_ = static_cast<std::size_t>(parameters) * sizeof(Real);
    state_bytes_ = static_cast<std::size_t>(states) * sizeof(Real);
    parameters_ = device_memory(parameter_bytes_);
    states_ = device_memory(state_bytes_);
  }
  [[nodiscard]] std::unique_ptr<device_plan<Real>> bind(const graph_view& from, const plan_view& steps,
                                                        const kernel_table<Real>& kernels) override {
    const std::lock_guard lock(setup_mutex);
    device_.use();
    return std::make_unique<cuda_plan<Real>>(device_, from, steps, kernels, parameters_.template as<Real>(),
                                             states_.template as<Real>());
  }
  void upload(const Real* parameters, const Real* states) override {
    device_.use();
    device_.main().copy(parameters_.template as<void>(), parameters, parameter_bytes_, cudaMemcpyHostToDevice);
    device_.main().copy(states_.template as<void>(), states, state_bytes_, cudaMemcpyHostToDevice);
    device_.main().wait();
  }
  void download(Real* parameters, Real* states) override {
    device_.use();
    device_.main().copy(parameters, parameters_.template as<void>(), parameter_bytes_, cudaMemcpyDeviceToHost);
    device_.main().copy(states, states_.template as<void>(), state_bytes_, cudaMemcpyDeviceToHost);
    device_.main().wait();
  }
  [[nodiscard]] std::shared_ptr<void> pin(std::span<const std::byte> memory) override {
    if (memory.size() < pinned_range::worthwhile) return nullptr;
    device_.use();
    try {
      return std::make_shared<pinned_range>(memory);
    } catch (const error&) {
      return nullptr;  // then it is copied twice
    }
  }
  /// How many different problems the vendor's libraries took and refused so far.
  [[nodiscard]] int taken_by_libraries() const { return device_.context().taken; }
  [[nodiscard]] int refused_by_libraries() const { return device_.context().refused; }

 private:
  device_memory parameters_, states_;
  std::size_t parameter_bytes_ = 0, state_bytes_ = 0;
  shared_device device_;
};

}  // namespace gpu

/// True if there is a CUDA device, with a driver that serves this program.
inline bool cuda_available() {
  int count = 0;
  const bool found = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  if (!found) cudaGetLastError();  // the failure is answered: nobody else should find it
  return found;
}

/// Policy: everything on one CUDA device. The step is recorded once for each batch size and then started as a whole;
/// while it runs, the next batch is copied. One seed gives the same bits twice, and those of a CPU within rounding.
struct cuda {
  using family = executor_family;
  using kernels = device_kernels;  ///< what goes with it, unless a policy of kernels says otherwise
  int device = 0;         ///< which one, as the CUDA runtime counts them
  bool libraries = true;  ///< products and convolutions by cuBLASLt and cuDNN, if the program has them
  bool captures = true;   ///< steps are recorded; otherwise started command by command, to look for faults
  bool overlaps = true;   ///< recorded commands that do not wait for each other may run side by side
  bool operator==(const cuda&) const = default;

  /// What a trainer keeps.
  class executor {
   public:
    /// @throws error if there is no such device, or no driver for it
    explicit executor(const cuda& policy)
        : number_(policy.device), libraries_(policy.libraries), captures_(policy.captures), overlaps_(policy.overlaps) {
      const std::string where = "cuda{.device = " + std::to_string(policy.device) + "}";
      int count = 0;
      if (const cudaError_t result = cudaGetDeviceCount(&count); result != cudaSuccess || count == 0) {
        cudaGetLastError();
        throw error("there is no CUDA device", where, result == cudaSuccess ? "no device" : cudaGetErrorString(result),
                    "a GPU and its driver, or the CPU: tbb{} in place of cuda{}; cuda_available() tells which");
      }
      if (policy.device < 0 || policy.device >= count)
        throw error("there is no such CUDA device", where, std::to_string(count) + " devices",
                    "0 to " + std::to_string(count - 1));
    }
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;

    /// Threads of the host: none but the caller's.
    [[nodiscard]] parallel lanes() { return {}; }
    /// The device, for one precision.
    template <class Precision>
    [[nodiscard]] step_device<typename Precision::real>* device() {
      using real = typename Precision::real;
      constexpr bool tensor_float = requires { requires Precision::tensor_float; };
      auto made = std::make_shared<gpu::cuda_device<real>>(number_, libraries_, tensor_float, captures_, overlaps_);
      device_ = made;
      return made.get();
    }

   private:
    int number_;
    bool libraries_, captures_, overlaps_;
    std::shared_ptr<void> device_;
  };
};

}  // namespace vivace::inline VIVACE_TARGET
