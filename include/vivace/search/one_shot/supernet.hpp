#pragma once
#include <chrono>
#include <cmath>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <vivace/search/one_shot/parameters.hpp>
#include <vivace/search/one_shot/samplers.hpp>
#include <vivace/train/trainer.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Random streams of one-shot searches.
inline constexpr std::uint32_t one_shot_stream = 0x0E5A'0000;

/// The seconds, losses and samples of an epoch in the making.
class epoch_sum {
 public:
  explicit epoch_sum(int epoch) : epoch_(epoch) {}
  /// @throws divergence_error if the loss is not finite
  void add(double loss, int samples, trace& history) {
    if (!std::isfinite(loss))
      throw divergence_error("the loss is not finite, training stops",
                             "epoch " + std::to_string(epoch_) + ", batch " + std::to_string(batch_),
                             std::to_string(loss), "a lower rate, or inputs without NaN");
    history.batches.push_back({epoch_, batch_++, samples, loss});
    total_ += loss * samples;
    samples_ += samples;
  }
  void finish(double rate_factor, trace& history) const {
    history.epochs.push_back({.epoch = epoch_,
                              .train_loss = total_ / static_cast<double>(samples_),
                              .rate = rate_factor,
                              .seconds = std::chrono::duration<double>(clock::now() - start_).count()});
  }

 private:
  using clock = std::chrono::steady_clock;
  clock::time_point start_ = clock::now();
  double total_ = 0;
  std::int64_t samples_ = 0;
  int epoch_, batch_ = 0;
};

/// A network whose sub-networks share weights: one-shot architecture search.
///
/// Made of a space and the policies of a trainer: batch<64>, an optimiser, a schedule, an executor, a precision, a
/// seed. A step plans the sampled paths anew, adds up the gradient of their mean loss and updates all parameters once;
/// those that no path of the step uses have a gradient of zero.
/// @code
/// vv::search::supernet net{space{}, vv::batch<64>, vv::sgd_momentum{.rate = 0.025}, vv::cosine{.epochs = 100}};
/// net.fit(data.train, vv::search::fair_nas<space>{}, vv::epochs{100});
/// const double score = vv::search::inherited_tse{.batches = 50}(net, of, batches);
/// @endcode
template <one_shot_space Space, policy... Policies>
class supernet {
  using chosen = selection<sub_network<Space>, Policies...>;
  static_assert(!is_on_device<typename chosen::executor>,
                "vivace: a supernet is trained on the CPU; give serial{}, threads{} or tbb{}");
  static_assert(!chosen::clipping::active && !chosen::shares && !std::is_same_v<typename chosen::precision, bf16>,
                "vivace: a supernet takes no clipping, no shared loader and no bf16");
  using kernels = typename chosen::kernels::table;

 public:
  using space = Space;
  using real = typename chosen::real;
  using optimiser = typename chosen::optimiser;
  static constexpr int batch_limit = chosen::batch_policy::value;

  /// @throws error if a network of the space has a mistake
  explicit supernet(const Space&, const Policies&... policies)
      : seed_(select_policy<seed_family>(seed{}, policies...)),
        kernels_(select_policy<kernels_family>(fast_kernels{}, policies...)),
        schedule_(select_policy<schedule_family>(constant_rate{}, policies...)),
        executor_(select_policy<executor_family>(serial{}, policies...)),
        whole_(checked(model_graph(detail::whole_network<Space>{}, true))),
        table_(whole_),
        weights_(table_.size(), select_policy<optimiser_family>(sgd{}, policies...)),
        gradient_(static_cast<std::size_t>(table_.size())) {
    table_.initialise(weights_.data(), seed_.value);
  }
  supernet(const supernet&) = delete;
  supernet& operator=(const supernet&) = delete;

  /// Trains until so many epochs are done, counting those of earlier calls.
  /// @return losses of all epochs and batches: the mean over the paths, before the update
  /// @throws error if the data do not fit the network, divergence_error if the loss is not finite
  template <data::source<real> Source, path_sampler Sampler>
  const trace& fit(const Source& set, const Sampler& sampled, const epochs& limit) {
    check_source<real>(whole_, set);
    data::loader<real> batches(set, batch_limit, seed_.value);
    for (int epoch = static_cast<int>(history_.epochs.size()); epoch < limit.count; ++epoch) {
      epoch_sum sum(epoch);
      batches.start_epoch(epoch);
      while (const auto* next = batches.next()) {
        const double done = static_cast<double>(next->position) / static_cast<double>(batches.size());
        const random_stream random(seed_.value, one_shot_stream, static_cast<std::uint32_t>(weights_.steps()));
        sum.add(static_cast<double>(step(*next, sampled(random), epoch + done)), next->size, history_);
      }
      sum.finish(schedule_.factor(epoch + 1), history_);
    }
    return history_;
  }

  /// One step on the mean loss of paths.
  /// @param epoch_position where the schedule stands
  /// @return the mean loss before the update
  /// @throws error if there is no path, one is none of the space, or the batch does not fit
  real step(const data::batch_view<real>& batch, std::span<const path> paths, double epoch_position = 0) {
    if (paths.empty()) throw error("a step needs at least one path", "supernet", "0 paths", "1 or more");
    std::fill(gradient_.begin(), gradient_.end(), real(0));
    const real share = real(1) / static_cast<real>(paths.size());
    real loss = 0;
    for (const path& one : paths) loss += share * add_gradient(batch, one, share);
    weights_.step(gradient_.data(), schedule_.factor(epoch_position), executor_.lanes());
    return loss;
  }

  /// Copies to the variables of a sub-network the weights that it inherits.
  void copy_to(variables<real>& to) const { table_.copy(weights_.data(), to); }
  /// A trainer of a sub-network that inherits its weights once copy_to() was called on its values().
  /// @throws error if the architecture is none of the space
  template <class Optimiser>
  [[nodiscard]] auto candidate(const architecture& of, const Optimiser& how) const {
    const path everywhere{{of}};
    check<Space>(everywhere);
    return trainer{sub_network<Space>{everywhere},
                   typename chosen::batch_policy{},
                   how,
                   kernels_,
                   typename chosen::precision{},
                   seed_};
  }

  /// Names and places of the parameters.
  [[nodiscard]] const parameter_table& table() const { return table_; }
  /// All parameters, and what the optimiser keeps of each.
  [[nodiscard]] const auto& weights() const { return weights_; }
  [[nodiscard]] auto& weights() { return weights_; }
  /// The gradient of the last step, at the places of the table.
  [[nodiscard]] std::span<const real> gradient() const { return gradient_; }
  [[nodiscard]] const optimiser& how() const { return weights_.how(); }
  [[nodiscard]] const trace& history() const { return history_; }

 private:
  static graph checked(graph from) {
    if (from.mistake.what != problem::none) throw explain(from.mistake);
    return from;
  }
  real add_gradient(const data::batch_view<real>& batch, const path& of, real share) {
    check<Space>(of);
    shared_gradient<real, kernels> run(model_graph(sub_network<Space>{of}, true), batch_limit);
    table_.copy(weights_.data(), run.values());
    const real loss = run(
        batch, {.lanes = executor_.lanes(), .seed = seed_.value, .step = static_cast<std::uint32_t>(weights_.steps())});
    run.add_to(gradient_.data(), table_, share);
    return loss;
  }

  seed seed_;
  typename chosen::kernels kernels_;
  typename chosen::schedule schedule_;
  typename chosen::executor::executor executor_;
  graph whole_;
  parameter_table table_;
  flat_parameters<real, optimiser, kernels> weights_;
  std::vector<real> gradient_;
  trace history_;
};

template <class Space, class... Policies>
supernet(Space, Policies...) -> supernet<Space, Policies...>;

}  // namespace vivace::inline VIVACE_TARGET::search
