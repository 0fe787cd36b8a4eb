#pragma once
#include <cmath>
#include <string>

#include <vivace/exec/serial.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/optim/schedule.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/train/compiled.hpp>
#include <vivace/train/engine.hpp>
#include <vivace/train/planned.hpp>

namespace vivace::inline VIVACE_TARGET {

/// How many epochs fit() trains, counting those of a resumed training.
struct epochs {
  int count = 1;
};

/// Samples of a batch that fit() trains on, at most the compile-time batch, which is the default.
struct batch_of {
  int samples = 0;
};

/// Data that fit() evaluates the network on after each epoch.
template <class Source>
struct validation {
  Source set;
};
template <class Source>
validation(Source) -> validation<Source>;

/// A change of each sample that fit() makes anew in each epoch, such as data::random_flip{}.
template <class Transform>
struct augment {
  Transform change;
};
template <class Transform>
augment(Transform) -> augment<Transform>;

/// Policy: fit() is given its data, and nobody shares them. The default; data::shared_loader is another.
struct plain_loader {
  using family = loading_family;
  bool operator==(const plain_loader&) const = default;
};

template <class Type>
inline constexpr bool is_validation = false;
template <class Source>
inline constexpr bool is_validation<validation<Source>> = true;
template <class Type>
inline constexpr bool is_augment = false;
template <class Transform>
inline constexpr bool is_augment<augment<Transform>> = true;

/// The kernels that go with an executor, if no others are given.
template <class Executor>
struct executor_kernels {
  using type = fast_kernels;
};
template <class Executor>
  requires requires { typename Executor::kernels; }
struct executor_kernels<Executor> {
  using type = typename Executor::kernels;
};

/// The types that policies select.
template <class Net, class... Policies>
struct selection {
  template <class Family>
  static constexpr bool at_most_one = members_of_family<Family, Policies...> <= 1;
  static_assert(at_most_one<batch_family>, "vivace: two batch sizes are given; keep one");
  static_assert(at_most_one<optimiser_family>, "vivace: two optimisers are given; keep one");
  static_assert(at_most_one<executor_family>, "vivace: two executors are given (serial, threads, tbb, cuda); keep one");
  static_assert(at_most_one<kernels_family>, "vivace: two sets of kernels are given; keep one");
  static_assert(at_most_one<precision_family>, "vivace: two precisions are given (f32, tf32, bf16, f64); keep one");
  static_assert(at_most_one<seed_family>, "vivace: two seeds are given; keep one");
  static_assert(at_most_one<schedule_family>, "vivace: two schedules are given; keep one");
  static_assert(at_most_one<clipping_family>, "vivace: two clippings are given; keep one");
  static_assert(at_most_one<loading_family>, "vivace: two shared loaders are given; keep one");

  using batch_policy = selected_t<batch_family, batch_size<128>, Policies...>;
  using optimiser = selected_t<optimiser_family, sgd, Policies...>;
  using executor = selected_t<executor_family, serial, Policies...>;
  using kernels = selected_t<kernels_family, typename executor_kernels<executor>::type, Policies...>;
  using precision = selected_t<precision_family, f32, Policies...>;
  using real = typename precision::real;
  using schedule = selected_t<schedule_family, constant_rate, Policies...>;
  using clipping = selected_t<clipping_family, no_clipping, Policies...>;
  using loading = selected_t<loading_family, plain_loader, Policies...>;
  static constexpr bool shares = !std::is_same_v<loading, plain_loader>;
  template <template <class, int, class, class, class, class, bool> class Form>
  using form = Form<Net, batch_policy::value, optimiser, clipping, typename kernels::table, real,
                    std::is_same_v<precision, bf16>>;
  /// A tag is planned by the compiler, a definition that is a value when the trainer is made.
  using code = std::conditional_t<network_tag<Net>, form<compiled>, form<planned>>;
};

/// Trains a network.
///
/// Made of a network tag, or of a definition that is a value, and policies in any order: batch<128>, an optimiser, an
/// executor (serial{}, threads{}, tbb{}, cuda{}), a seed, a schedule, clip_norm{}, a precision (f32{}, tf32{}, bf16{},
/// f64{}). A tag is planned by the compiler, a value by the constructor. All memory is allocated by the constructor; a step
/// allocates nothing. One seed gives the same bits for any executor of the CPU and any number of threads; on a device the
/// same bits twice.
/// @code
/// vv::trainer trainer{lenet{}, vv::batch<128>, vv::adamw{.rate = 1e-3}, vv::tbb{.threads = 2}, vv::seed{1}};
/// const vv::trace trace = trainer.fit(data.train, vv::epochs{5}, vv::progress{});
/// @endcode
template <class Net, class... Policies>
class trainer {
  static_assert(network_tag<Net> || definition<Net>,
                "vivace: this is no network: a trainer takes an object of a type with `static constexpr auto graph = "
                "vv::classifier(...)`, or a definition such as vv::classifier(...) itself");
  static_assert((policy<Policies> && ...),
                "vivace: one of these is no policy: a trainer takes batch<n>, an optimiser, an executor and the like, as "
                "objects");
  using chosen = selection<Net, Policies...>;
  using code = typename chosen::code;

 public:
  using real = typename chosen::real;
  static constexpr int batch_limit = chosen::batch_policy::value;

  explicit trainer(const Net& net, const Policies&... policies)
      : code_(net), optimiser_(checked_rate(select_policy<optimiser_family>(sgd{}, policies...))),
        schedule_(select_policy<schedule_family>(constant_rate{}, policies...)),
        executor_(select_policy<executor_family>(serial{}, policies...)),
        loading_(select_policy<loading_family>(plain_loader{}, policies...)), engine_(setup(policies...)) {}
  trainer(const trainer&) = delete;
  trainer& operator=(const trainer&) = delete;

  /// Trains on a data set.
  /// @param settings epochs{n}, batch_of{n}, validation{set}, augment{transform}, and callbacks such as progress{}, in
  /// any order
  /// @return losses of all epochs and batches, those before a resume included
  /// @throws error if the data do not fit the network, the batch is out of range or the loss is not finite
  template <data::source<real> Source, class... Settings>
  trace fit(const Source& set, Settings&&... settings) {
    static_assert(!shares, "vivace: this trainer takes its data from the hub of its shared_loader: call fit() without a data set");
    const int samples = samples_of_all(settings...);
    data::loader<real> batches(set, samples, seed_, {}, transform_of(settings...));
    use_columns_of(set);
    check_classes_of(set);
    return fit_on(batches, [&] { use_columns_of(set); }, settings...);
  }
  /// Trains on the samples of a hub, if the trainer has the policy data::shared_loader. A change in augment{} is for this
  /// trainer alone.
  template <class... Settings>
    requires(selection<Net, Policies...>::shares)
  trace fit(Settings&&... settings) {
    static_assert(std::is_same_v<real, typename chosen::loading::real>, "vivace: the hub prepares other numbers than the trainer computes with; make it a hub<float> or hub<double>");
    const int samples = samples_of_all(settings...);
    const int rest = epochs_of_all(settings...) - engine_.progress().epoch;
    auto batches = loading_.open(samples, rest > 0 ? rest : 1, seed_, transform_of(settings...));
    const auto use_columns = [&] { engine_.use_columns(loading_.from.column_list()); };
    use_columns();
    engine_.check_classes(loading_.from.classes());
    return fit_on(batches, use_columns, settings...);
  }

  /// Loss, accuracy and confusion matrix over a data set.
  template <data::source<real> Source>
  evaluation evaluate(const Source& set) {
    data::loader<real> batches(set, batch_limit, seed_, {.shuffle = false});
    use_columns_of(set);
    check_classes_of(set);
    return engine_.evaluate(batches);
  }

  /// One step on a batch that the caller made; features and labels or targets as the network needs them.
  /// @return the loss before the update
  real step(const data::batch_view<real>& batch) { return engine_.step(batch, engine_.progress().epoch); }

  /// Runs the network forward on up to a batch of samples.
  /// @param features [count, sample shape]
  /// @return the output "prediction" [count, ...], valid until the next call
  tensor<const real> predict(const real* features, int count) {
    engine_.forward({.features = features, .size = count});
    tensor<const real> result = engine_.prediction();
    result.dims = result.dims.at(count);
    return result;
  }

  /// Parameters and states by name; their numbers may be written.
  [[nodiscard]] variables<real>& values() { return engine_.values(); }
  [[nodiscard]] const variables<real>& values() const { return engine_.values(); }
  /// The loop below, which knows no network.
  [[nodiscard]] training_engine<real>& engine() { return engine_; }
  /// Losses of all epochs and batches so far.
  [[nodiscard]] const trace& history() const { return engine_.progress().history; }

 private:
  static constexpr bool shares = chosen::shares;

  template <class... Settings>
  static int epochs_of_all(const Settings&... settings) {
    int count = 1;
    ((count = epochs_of(settings, count)), ...);
    return count;
  }
  template <class... Settings>
  static int samples_of_all(const Settings&... settings) {
    int samples = batch_limit;
    ((samples = samples_of(settings, samples)), ...);
    return samples;
  }
  /// @param use_columns says again what the samples of the batches are, after a validation on others
  template <data::batch_stream<real> Batches, class UseColumns, class... Settings>
  trace fit_on(Batches& batches, UseColumns&& use_columns, Settings&... settings) {
    static_assert((0 + ... + int{std::is_same_v<std::remove_cvref_t<Settings>, epochs>}) <= 1, "vivace: fit() is given epochs twice; keep one");
    static_assert((0 + ... + int{std::is_same_v<std::remove_cvref_t<Settings>, batch_of>}) <= 1, "vivace: fit() is given batch_of twice; keep one");
    static_assert((0 + ... + int{is_validation<std::remove_cvref_t<Settings>>}) <= 1, "vivace: fit() is given validation twice; keep one");
    static_assert((0 + ... + int{is_augment<std::remove_cvref_t<Settings>>}) <= 1,
                  "vivace: fit() is given augment twice; compose the two with data::compose");
    std::vector<callback_handle> callbacks;
    (add_callback(callbacks, settings), ...);
    return engine_.fit(batches, epochs_of_all(settings...), callbacks, [&](epoch_record& record) {
      (validate(settings, record), ...);
      use_columns();
    });
  }

  template <class Setting>
  static int epochs_of(const Setting& setting, int otherwise) {
    if constexpr (std::is_same_v<Setting, epochs>)
      return setting.count;
    else
      return otherwise;
  }
  template <class Setting>
  static int samples_of(const Setting& setting, int otherwise) {
    if constexpr (std::is_same_v<Setting, batch_of>) {
      if (setting.samples < 1 || setting.samples > batch_limit)
        throw error("the batch is out of range", "batch_of", std::to_string(setting.samples),
                    "1 to " + std::to_string(batch_limit) + " samples, the batch that the trainer was compiled for");
      return setting.samples;
    } else {
      return otherwise;
    }
  }
  template <class Setting>
  static void add_callback(std::vector<callback_handle>& to, Setting& setting) {
    using plain = std::remove_cvref_t<Setting>;
    static_assert(std::is_same_v<plain, epochs> || std::is_same_v<plain, batch_of> || is_validation<plain> ||
                      is_augment<plain> || callback<plain>,
                  "vivace: fit() takes epochs, batch_of, validation, augment and callbacks; a callback has on_begin, "
                  "on_batch, on_epoch or on_end, each taking training_state&");
    if constexpr (callback<plain>) to.push_back(callback_handle::to(const_cast<plain&>(setting)));
  }
  template <class Source>
  void check_classes_of(const Source& set) const {
    if constexpr (data::labelled_source<Source>) engine_.check_classes(set.classes());
  }
  template <class Source>
  void use_columns_of(const Source& set) {
    if constexpr (std::is_same_v<Source, data::columns>)
      engine_.use_columns(set.list());
    else
      engine_.use_columns({});
  }
  template <class Setting>
  void validate(const Setting& setting, epoch_record& record) {
    if constexpr (is_validation<std::remove_cvref_t<Setting>>) {
      const evaluation found = evaluate(setting.set);
      if (!std::isfinite(found.loss))
        throw divergence_error("the validation loss is not finite, training stops",
                               "epoch " + std::to_string(record.epoch), std::to_string(found.loss),
                               "validation data without NaN, or a lower rate; the last checkpoint is untouched");
      record.val_loss = found.loss;
      record.val_accuracy = found.accuracy;
    }
  }
  static data::no_transform transform_of() { return {}; }
  template <class First, class... Rest>
  static auto transform_of(const First& first, const Rest&... rest) {
    if constexpr (is_augment<First>)
      return first.change;
    else
      return transform_of(rest...);
  }

  /// @throws error if the optimiser has a rate that is negative or no number
  static const typename chosen::optimiser& checked_rate(const typename chosen::optimiser& optimiser) {
    if constexpr (requires { optimiser.rate; })
      if (!(optimiser.rate >= 0) || !std::isfinite(optimiser.rate))
        throw error("an optimiser cannot work at this rate", "rate", std::to_string(optimiser.rate),
                    "a number from 0 on");
    return optimiser;
  }
  static double checked_norm(double norm) {
    if (norm > 0) return norm;
    throw error("gradients cannot be clipped to this norm", "clip_norm", std::to_string(norm), "a norm above 0");
  }

  engine_setup<real> setup(const Policies&... policies) {
    seed_ = select_policy<seed_family>(seed{}, policies...).value;
    engine_setup<real> result{code_.plans(), {}};
    result.lanes = executor_.lanes();
    if constexpr (is_on_device<typename chosen::executor>)
      result.device = executor_.template device<typename chosen::precision>();
    result.seed = seed_;
    result.optimiser = &optimiser_;
    result.set_optimiser = [](const void* self, const step_position& where, double* to) {
      static_cast<const typename chosen::optimiser*>(self)->set(where, to);
    };
    result.schedule = &schedule_;
    result.rate_factor = [](const void* self, double epoch) {
      return static_cast<double>(static_cast<const typename chosen::schedule*>(self)->factor(epoch));
    };
    if constexpr (chosen::clipping::active)
      result.clipping = checked_norm(select_policy<clipping_family>(no_clipping{}, policies...).norm);
    return result;
  }

  [[no_unique_address]] code code_;
  std::uint64_t seed_ = 0;
  typename chosen::optimiser optimiser_;
  typename chosen::schedule schedule_;
  typename chosen::executor::executor executor_;
  [[no_unique_address]] typename chosen::loading loading_;
  training_engine<real> engine_;
};

template <class Net, class... Policies>
trainer(Net, Policies...) -> trainer<Net, Policies...>;

/// Number of trained parameters of a network.
template <network_tag Net>
inline constexpr std::int64_t parameters = [] {
  std::int64_t total = 0;
  const graph model = model_graph(Net::graph, true);
  for (const variable& one : model.parameters) total += model.nodes[one.node].dims.size();
  return total;
}();

/// Bytes that a training step needs under the given policies, for any number of threads: parameters, gradients,
/// optimiser state, activations, workspace.
template <network_tag Net, auto... Policies>
inline constexpr std::int64_t arena_bytes = [] {
  using chosen = selection<Net, std::remove_cvref_t<decltype(Policies)>...>;
  const auto& plan = chosen::code::training_plan;
  return static_cast<std::int64_t>(sizeof(typename chosen::real)) *
         (plan.parameter_size + plan.state_size + plan.arena_size);
}();

}  // namespace vivace::inline VIVACE_TARGET
