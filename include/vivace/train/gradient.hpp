#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <vivace/exec/instance.hpp>
#include <vivace/exec/serial.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/train/compiled.hpp>

/// @file
/// Loss and gradient of a network as a function, for code that has an optimiser of its own.

namespace vivace::inline VIVACE_TARGET {

/// An input by name: numbers of the function's precision [samples, ...], or int32 for labels.
struct named_input {
  enum class kind : std::uint8_t { f32, f64, labels };
  std::string_view name;
  const void* data = nullptr;
  kind type = kind::f32;

  named_input(std::string_view input, const float* numbers) : name(input), data(numbers) {}
  named_input(std::string_view input, const double* numbers) : name(input), data(numbers), type(kind::f64) {}
  named_input(std::string_view input, const std::int32_t* labels) : name(input), data(labels), type(kind::labels) {}
};

/// The loss of a network and its gradients, without updates.
template <class Net>
struct gradient_graph_of {
  constexpr graph operator()() const { return gradient_graph(thawed(frozen_graph_of<model_of<Net, true>>)); }
};

/// Computes the loss of a network and its gradient again and again; makes its memory once.
/// @code
/// vv::gradient_function<ridge, vv::batch_size<64>, vv::f64> f;
/// const double loss = f({{"x", xs}, {"y", ys}}, 64, parameters, gradient);
/// @endcode
template <network_tag Net, policy... Policies>
class gradient_function {
  using kernels = typename selected_t<kernels_family, fast_kernels, Policies...>::table;
  using executor = selected_t<executor_family, serial, Policies...>;
  static constexpr int batch_limit = selected_t<batch_family, batch_size<128>, Policies...>::value;
  static_assert(!is_on_device<executor>, "vivace: gradients as functions are computed on the CPU; give serial{}, threads{} or tbb{}");
  static_assert(network_fits<mistake_of<Net>>);
  static constexpr const auto& graph_ = frozen_graph_of<gradient_graph_of<Net>>;
  static constexpr const auto& plan_ = frozen_plan_of<plan_of<gradient_graph_of<Net>, batch_limit, kernels>>;
  static constexpr kernel_needs needs_ = needs_of<kernels>(plan_);

 public:
  using real = typename selected_t<precision_family, f32, Policies...>::real;

  gradient_function()
    requires(sizeof...(Policies) > 0)
  : gradient_function(Policies{}...) {}
  explicit gradient_function(const Policies&... policies)
      : executor_(select_policy<executor_family>(serial{}, policies...)), values_(graph_, plan_),
        run_(graph_, plan_, kernels_for<kernels, real, needs_>(), values_) {
    values_.initialise(select_policy<seed_family>(seed{}, policies...).value);
  }

  /// @param inputs     every input of the network by name, each `samples` long
  /// @param samples    at most the batch of the policies
  /// @param parameters all parameters one after another, in the order of the network's table, without gaps
  /// @param gradient   receives the gradient in the same layout
  /// @return the loss
  /// @throws error if an input has no name in the network or there are too many samples
  real operator()(std::initializer_list<named_input> inputs, int samples, const real* parameters, real* gradient) {
    if (samples < 1 || samples > batch_limit)
      throw error("the number of samples is out of range", "value_and_gradient", std::to_string(samples),
                  "1 to " + std::to_string(batch_limit) + "; a larger batch is a policy: batch<n>");
    for (const named_input& one : inputs) {
      const int position = run_.input(one.name);
      check_type(one, run_.structure().nodes[run_.structure().inputs[position].node].kind == op::labels);
      run_.set_input(position, one.data);
    }
    for (int p = 0; p < values_.parameter_count(); ++p) {
      const auto entry = values_.parameter(p);
      for (std::int64_t i = 0; i < entry.dims.size(); ++i) entry.data[i] = *parameters++;
    }
    run_({.lanes = executor_.lanes(), .samples = samples});
    for (int p = 0; p < values_.parameter_count(); ++p) {
      const tensor<const real> part = run_.output(p);
      for (std::int64_t i = 0; i < part.dims.size(); ++i) *gradient++ = part.data[i];
    }
    return run_.loss();
  }

  /// The start values of the parameters, in the layout that the call takes.
  void start(real* parameters) const {
    for (int p = 0; p < values_.parameter_count(); ++p) {
      const auto entry = values_.parameter(p);
      for (std::int64_t i = 0; i < entry.dims.size(); ++i) *parameters++ = entry.data[i];
    }
  }

 private:
  static void check_type(const named_input& given, bool labels) {
    constexpr auto numbers = sizeof(real) == sizeof(double) ? named_input::kind::f64 : named_input::kind::f32;
    constexpr const char* names[] = {"float", "double", "std::int32_t"};
    const auto needs = labels ? named_input::kind::labels : numbers;
    if (given.type != needs)
      throw error("an input is of another type", "input " + std::string(given.name),
                  names[static_cast<int>(given.type)], names[static_cast<int>(needs)]);
  }

  typename executor::executor executor_;
  variables<real> values_;
  instance<real> run_;
};

/// The same in one call, which makes its memory anew each time.
/// @param policies batch<n> (as large as `samples` at least), f64{}, an executor; their defaults are a trainer's
template <network_tag Net, class Real, policy... Policies>
Real value_and_gradient(std::initializer_list<named_input> inputs, int samples, const Real* parameters, Real* gradient,
                        const Policies&... policies) {
  using precision = std::conditional_t<sizeof(Real) == sizeof(double), f64, f32>;
  return gradient_function<Net, precision, Policies...>(precision{}, policies...)(inputs, samples, parameters,
                                                                                  gradient);
}

}  // namespace vivace::inline VIVACE_TARGET
