#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/interop/machine.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>
#ifdef VIVACE_STEPS_CUDA
#include <vivace/exec/cuda.hpp>
#else
#include <vivace/exec/tbb.hpp>
#endif

// One network, optimiser, batch and precision behind one interface, so that each network is compiled on its own.

namespace peers {

namespace vv = vivace;

struct settings {
  std::string network = "mlp";
  std::string optimiser = "sgd";
  std::string precision = "f32";
  int batch = 64;
  int threads = 1;
  double rate = 0.01;
};

// A program is for a GPU or for the CPU; one for a GPU needs no oneTBB.
#ifdef VIVACE_STEPS_CUDA
inline constexpr bool on_gpu = true;
using executor = vv::cuda;
inline executor executor_of(const settings&) { return {}; }
inline bool available() { return vv::cuda_available(); }
using pins = std::unique_ptr<vv::gpu::pinned_range>;
/// Numbers that the device reads where they lie, as PyTorch's side has them.
inline pins pinned(const std::vector<float>& numbers) {
  return numbers.empty() ? nullptr : std::make_unique<vv::gpu::pinned_range>(std::as_bytes(std::span(numbers)));
}
#else
inline constexpr bool on_gpu = false;
using executor = vv::tbb;
inline executor executor_of(const settings& with) { return {.threads = with.threads}; }
inline bool available() { return true; }
struct pins {};
inline pins pinned(const std::vector<float>&) { return {}; }
#endif

class stepper {
 public:
  virtual ~stepper() = default;
  /// One step on the same batch as ever; returns the loss before the update.
  virtual double step() = 0;
  /// Back to the start.
  virtual void restart() = 0;
  /// Floating-point operations and bytes of a step.
  [[nodiscard]] virtual vv::cost work() const = 0;
  /// The threads that it runs on.
  [[nodiscard]] virtual vv::parallel lanes() const = 0;
  /// Writes parameters and the batch for the peers.
  virtual void write(const std::string& path) const = 0;
};

/// A batch of random numbers, for whatever inputs a network has.
struct random_batch {
  explicit random_batch(const vv::graph_view& graph, int samples) {
    const vv::random_stream numbers(7, 1);
    std::uint64_t at = 0;
    std::int32_t classes = 1;
    for (const vv::node& one : graph.nodes)
      if (one.kind == vv::op::cross_entropy) {
        const vv::shape scores = graph.nodes[one.operand[0]].dims;
        classes = scores[scores.rank - 1];
      }
    for (const vv::port& input : graph.inputs) {
      const vv::node& found = graph.nodes[input.node];
      const auto size = static_cast<std::size_t>(found.dims.size_at(samples));
      if (found.kind == vv::op::labels) {
        if (!labels.empty()) continue;  // a language model's tokens are their own targets here
        labels.resize(size);
        label_dims = found.dims.at(samples);
        for (auto& label : labels) label = static_cast<std::int32_t>(numbers.uniform(at++) * classes);
      } else {
        auto& to = features.empty() ? features : targets;
        (features.empty() ? feature_dims : target_dims) = found.dims.at(samples);
        to.resize(size);
        for (auto& value : to) value = static_cast<float>(2 * numbers.uniform(at++) - 1);
      }
    }
  }
  std::vector<float> features, targets;
  std::vector<std::int32_t> labels;
  vv::shape feature_dims, target_dims, label_dims;
};

/// On the CPU the compiler plans a network; for a GPU, which interprets programs, the start of the program does.
template <class Net>
constexpr auto network_of() {
  if constexpr (on_gpu)
    return Net::graph;
  else
    return Net{};
}

template <class Net, int Batch, class Optimiser, class Precision>
class trainer_stepper : public stepper {
 public:
  explicit trainer_stepper(const settings& with)
      : trainer_(network_of<Net>(), vv::batch<Batch>, Optimiser{.rate = with.rate}, executor_of(with), Precision{},
                 vv::seed{3}),
        batch_(trainer_.engine().setup().training_graph, Batch),
        pins_(pinned(batch_.features)),
        view_{.features = batch_.features.empty() ? nullptr : batch_.features.data(),
              .labels = batch_.labels.empty() ? nullptr : batch_.labels.data(),
              .targets = batch_.targets.empty() ? nullptr : batch_.targets.data(),
              .size = Batch} {
    trainer_.engine().keep_weights();
  }
  double step() override { return static_cast<double>(trainer_.step(view_)); }
  void restart() override {
    trainer_.engine().restore_weights();
    trainer_.engine().progress().step = 0;
  }
  [[nodiscard]] vv::cost work() const override {
    return vv::interop::step_cost(trainer_.engine().setup().training_graph, Batch);
  }
  [[nodiscard]] vv::parallel lanes() const override { return trainer_.engine().setup().lanes; }
  void write(const std::string& path) const override {
    const auto& values = trainer_.values();
    std::vector<vv::io::tensor_view> tensors;
    const auto extents = [](const vv::shape& dims) { return vv::io::extents(dims.extent, dims.extent + dims.rank); };
    for (int p = 0; p < values.parameter_count(); ++p) {
      const auto one = values.parameter(p);
      // The format may reorder: the number in front keeps the network's order.
      const std::string name = "parameter." + std::to_string(1000 + p) + "." + std::string(one.name);
      tensors.emplace_back(name, std::span<const float>(one.data, static_cast<std::size_t>(one.dims.size())),
                           extents(one.dims));
    }
    const auto add = [&](const char* name, const auto& numbers, const vv::shape& dims) {
      if (!numbers.empty()) tensors.emplace_back(name, std::span(numbers), extents(dims));
    };
    add("batch.features", batch_.features, batch_.feature_dims);
    add("batch.targets", batch_.targets, batch_.target_dims);
    add("batch.labels", batch_.labels, batch_.label_dims);
    vv::io::write_safetensors(path, tensors, {});
  }

 private:
  // Mutable: its engine is not const.
  mutable vv::trainer<decltype(network_of<Net>()), vv::batch_size<Batch>, Optimiser, executor, Precision, vv::seed>
      trainer_;
  random_batch batch_;
  pins pins_;
  vv::data::batch_view<float> view_;
};

using made = std::unique_ptr<stepper>;

template <class Policy>
constexpr std::string_view name_of() {
  if constexpr (std::is_same_v<Policy, vv::sgd>) return "sgd";
  if constexpr (std::is_same_v<Policy, vv::sgd_momentum>) return "momentum";
  if constexpr (std::is_same_v<Policy, vv::adam>) return "adam";
  if constexpr (std::is_same_v<Policy, vv::f32>) return "f32";
  if constexpr (std::is_same_v<Policy, vv::tf32>) return "tf32";
  if constexpr (std::is_same_v<Policy, vv::bf16>) return "bf16";
}

/// Null if something else is asked for.
template <class Net, int Batch, class Optimiser, class Precision>
made make_if(const settings& with) {
  if (with.batch != Batch || with.optimiser != name_of<Optimiser>() || with.precision != name_of<Precision>())
    return nullptr;
  return std::make_unique<trainer_stepper<Net, Batch, Optimiser, Precision>>(with);
}

/// A network as it is measured on a GPU; null if this is none of these rows.
template <class Net>
made make_gpu_stepper(const settings& with) {
  made result;
  const auto consider = [&]<int Batch, class... Precisions>() {
    return (static_cast<bool>(result = make_if<Net, Batch, vv::adam, Precisions>(with)) || ...);
  };
  if (!consider.template operator()<128, vv::f32, vv::tf32, vv::bf16>())
    consider.template operator()<1024, vv::f32, vv::tf32, vv::bf16>();
  return result;
}

/// A network at one batch under each optimiser that it is measured with on the CPU; null if this is none of them. In a
/// program for a GPU: its rows there.
template <class Net, int Batch, class... Optimisers>
made make_stepper(const settings& with) {
  if constexpr (on_gpu) {
    return make_gpu_stepper<Net>(with);
  } else {
    made result;
    (void)(static_cast<bool>(result = make_if<Net, Batch, Optimisers, vv::f32>(with)) || ...);
    return result;
  }
}

made make_tiny(const settings& with);
made make_mlp(const settings& with);
made make_lenet5(const settings& with);
made make_lenet(const settings& with);
made make_resnet20(const settings& with);
made make_gpt(const settings& with);

}  // namespace peers
