#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vivace/search/differentiable/mixed_network.hpp>
#include <vivace/search/differentiable/mixture.hpp>
#include <vivace/search/one_shot/supernet.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// What the architecture parameters follow: the gradient of the training loss, summed over `steps` steps of the weights
/// on a copy, weights held constant in each (first order). DARTS-TSE and DrNAS-TSE.
struct by_training_speed {
  int steps = 100;  ///< of a group; the last group of an epoch may be shorter
  int warm_up = 0;  ///< epochs in which only weights are trained
};

/// What the architecture parameters follow: before each step of the weights, the gradient of the loss on a minibatch of
/// other samples. First-order DARTS.
template <class Source>
struct by_validation {
  Source set;
  int warm_up = 0;
};
template <class Source>
by_validation(Source) -> by_validation<Source>;
template <class Source>
by_validation(Source, int) -> by_validation<Source>;

/// Random streams of differentiable searches: start values, samples of mixtures.
inline constexpr std::uint32_t differentiable_stream = 0x0E5A'4000;

/// The weights of a stage of a differentiable search, its architecture parameters, and the graphs that run on them.
template <one_shot_space Space, class Real, optimiser Optimiser, class Kernels>
struct relaxed_stage {
  using network = mixed_network<Space>;

  network of;
  graph model;
  parameter_table table;
  flat_parameters<Real, Optimiser, Kernels> weights;
  flat_parameters<Real, adam, Kernels> architecture;
  shared_gradient<Real, Kernels> by_both, by_weights, by_mixture;

  /// @throws error if the network has a mistake
  relaxed_stage(network definition, std::int32_t batch, const Optimiser& how, const adam& how_of_architecture,
                std::uint64_t seed)
      : of(std::move(definition)),
        model(checked(model_graph(of, true))),
        table(model, mixture_name),
        weights(table.size(), how),
        architecture(network::edges * network::operations, how_of_architecture),
        by_both(model, batch),
        by_weights(model, batch, [](std::string_view name) { return name != mixture_name; }),
        by_mixture(model, batch, [](std::string_view name) { return name == mixture_name; }) {
    table.initialise(weights.data(), seed);
  }

  /// Takes over what another stage has of the parameters: of larger tensors the leading block.
  void adopt(const relaxed_stage& other) {
    std::copy_n(other.architecture.data(), architecture.size(), architecture.data());
    for (const auto& to : table.entries())
      if (const auto* from = other.table.find(to.of.name.view()))
        copy_block(other.weights.data() + from->offset, from->dims, weights.data() + to.offset, to.dims, 0);
  }

 private:
  static graph checked(graph from) {
    if (from.mistake.what != problem::none) throw explain(from.mistake);
    return from;
  }
  static std::int64_t size_behind(const shape& dims, int axis) {
    std::int64_t size = 1;
    for (int d = axis + 1; d < dims.rank; ++d) size *= dims[d];
    return size;
  }
  static void copy_block(const Real* from, const shape& small_dims, Real* to, const shape& dims, int axis) {
    if (axis == dims.rank) {
      *to = *from;
      return;
    }
    for (int i = 0; i < small_dims[axis] && i < dims[axis]; ++i)
      copy_block(from + i * size_behind(small_dims, axis), small_dims, to + i * size_behind(dims, axis), dims,
                 axis + 1);
  }
};

/// A supernet whose edges pass on weighted sums of their operations: differentiable architecture search.
///
/// Made of a space, a mixture and the policies of a trainer, which are those of the weights. The architecture
/// parameters, a row an edge for all cells, start from 1e-3 * N(0, 1).
/// @code
/// vv::search::relaxed_supernet net{space{}, vv::search::softmax_mixture{}, vv::batch<64>,
///                                  vv::sgd_momentum{.rate = 0.025, .weight_decay = 5e-4, .nesterov = true}};
/// net.fit(data.train, vv::search::by_training_speed{.steps = 100}, vv::epochs{50});
/// const auto found = net.found();
/// @endcode
template <one_shot_space Space, mixture Mixture, policy... Policies>
class relaxed_supernet {
  using chosen = selection<sub_network<Space>, Policies...>;
  static_assert(!is_on_device<typename chosen::executor>,
                "vivace: a supernet is trained on the CPU; give serial{}, threads{} or tbb{}");
  static_assert(!chosen::clipping::active && !chosen::shares && !std::is_same_v<typename chosen::precision, bf16>,
                "vivace: a supernet takes no clipping, no shared loader and no bf16");
  using kernels = typename chosen::kernels::table;
  using network = mixed_network<Space>;

 public:
  using real = typename chosen::real;
  using stage = relaxed_stage<Space, real, typename chosen::optimiser, kernels>;
  static constexpr int batch_limit = chosen::batch_policy::value;
  static constexpr int edges = network::edges, operations = network::operations;

  /// @throws error if the network has a mistake, or its channels cannot be shared out so
  explicit relaxed_supernet(const Space&, const Mixture& how = {}, const Policies&... policies)
      : mixture_(how),
        seed_(select_policy<seed_family>(seed{}, policies...).value),
        optimiser_(select_policy<optimiser_family>(sgd{}, policies...)),
        schedule_(select_policy<schedule_family>(constant_rate{}, policies...)),
        executor_(select_policy<executor_family>(serial{}, policies...)),
        stage_(make_stage(network::all(), how.channel_share)),
        logits_(size()),
        weights_(size()) {
    const random_stream random(seed_, differentiable_stream);
    for (std::size_t i = 0; i < size(); ++i)
      stage_->architecture.data()[i] = static_cast<real>(1e-3 * normal(random, i));
  }

  /// Searches until so many epochs of this stage are done: groups of minibatches, each first rolled out on a copy of
  /// the weights, then trained on with the new architecture parameters.
  /// @return losses of the weights' steps
  /// @throws error if a setting or the data do not fit, divergence_error if a loss is not finite
  template <data::source<real> Source>
  const trace& fit(const Source& set, const by_training_speed& how, const epochs& limit) {
    check_group("by_training_speed.steps", how.steps, 1);
    check_group("by_training_speed.warm_up", how.warm_up, 0);
    check_source<real>(stage_->model, set);
    data::loader<real> batches(set, batch_limit, seed_);
    for (int epoch = epochs_done(); epoch < limit.count; ++epoch) {
      epoch_sum sum(epoch);
      for (data::loader_state at{epoch, 0}; at.position < batches.size(); at = batches.state()) {
        if (epoch >= how.warm_up) architecture_step(rollout(batches, at, how.steps));
        for_group(batches, at, how.steps, [&](const data::batch_view<real>& batch, double position) {
          sum.add(static_cast<double>(weight_step(batch, position)), batch.size, history_);
        });
      }
      sum.finish(schedule_.factor(epoch + 1), history_);
    }
    return history_;
  }

  /// Searches until so many epochs of this stage are done, alternating steps of architecture parameters and weights.
  template <data::source<real> Source, data::source<real> Validation>
  const trace& fit(const Source& set, const by_validation<Validation>& how, const epochs& limit) {
    check_group("by_validation.warm_up", how.warm_up, 0);
    check_source<real>(stage_->model, set);
    check_source<real>(stage_->model, how.set);
    data::loader<real> batches(set, batch_limit, seed_), others(how.set, batch_limit, seed_ + 1);
    const auto taken = stage_->architecture.steps();
    others.seek(static_cast<int>(taken / others.batches()), taken % others.batches() * batch_limit);
    const auto next_other = [&] {
      if (const auto* batch = others.next()) return batch;
      others.start_epoch(others.state().epoch + 1);
      return others.next();
    };
    for (int epoch = epochs_done(); epoch < limit.count; ++epoch) {
      epoch_sum sum(epoch);
      for_group(batches, {epoch, 0}, batches.batches(), [&](const data::batch_view<real>& batch, double position) {
        if (epoch >= how.warm_up) architecture_step(gradient(*next_other()));
        sum.add(static_cast<double>(weight_step(batch, position)), batch.size, history_);
      });
      sum.finish(schedule_.factor(epoch + 1), history_);
    }
    return history_;
  }

  /// The architecture of the operations with the largest parameter.
  [[nodiscard]] search::architecture found() const {
    auto result = search::architecture::first_of(edges);
    for (int edge = 0; edge < edges; ++edge) result[edge] = static_cast<std::uint8_t>(ranked(edge)[0]);
    return result;
  }

  /// Begins a stage anew with the best operations of each edge and another share of channels. Weights are kept, in
  /// wider tensors as the leading block, the rest of which starts anew; so are the architecture parameters. Both
  /// optimisers start afresh, and epochs are counted from 0.
  /// @throws error if there are not as many operations, or the channels cannot be shared out so
  void next_stage(int best_operations, int channel_share) {
    check_group("next_stage, operations", best_operations, 1);
    operation_mask kept(static_cast<std::size_t>(edges), 0);
    for (int edge = 0; edge < edges; ++edge) {
      const std::vector<int> order = ranked(edge);
      if (static_cast<int>(order.size()) < best_operations)
        throw error("an edge has not as many operations", "next_stage", std::to_string(order.size()),
                    std::to_string(best_operations) + ": ask for fewer");
      for (int k = 0; k < best_operations; ++k)
        kept[static_cast<std::size_t>(edge)] |= std::uint32_t{1} << order[static_cast<std::size_t>(k)];
    }
    auto next = make_stage(std::move(kept), channel_share);
    next->adopt(*stage_);
    stage_ = std::move(next);
    history_ = {};
  }

  /// @name Parts of a search
  /// @{

  /// The architecture parameters [edges, operations]; they may be written.
  [[nodiscard]] std::span<real> architecture_parameters() { return {stage_->architecture.data(), size()}; }
  /// Weights and graphs of this stage.
  [[nodiscard]] stage& now() { return *stage_; }
  [[nodiscard]] const trace& history() const { return history_; }
  /// The weights of operations [edges, operations] in the last forward pass.
  [[nodiscard]] std::span<const double> mixture_weights() const { return weights_; }

  /// The loss on a batch.
  real loss(const data::batch_view<real>& batch) { return forward(stage_->by_mixture, batch); }
  /// The gradient of the loss by the architecture parameters.
  std::vector<double> gradient(const data::batch_view<real>& batch) {
    std::vector<double> result(size());
    expect_finite(forward(stage_->by_mixture, batch));
    add_architecture_gradient(stage_->by_mixture, result);
    return result;
  }
  /// One step of the weights. @return the loss before it
  real weight_step(const data::batch_view<real>& batch, double epoch_position = 0) {
    const real before = forward(stage_->by_weights, batch);
    update_weights(stage_->by_weights, epoch_position);
    return before;
  }
  /// One step of the architecture parameters.
  void architecture_step(std::span<const double> gradient) {
    std::vector<real> whole(size());
    const real* const a = stage_->architecture.data();
    for (std::size_t i = 0; i < size(); ++i)
      whole[i] = static_cast<real>(gradient[i] + mixture_.weight_decay * static_cast<double>(a[i]));
    stage_->architecture.step(whole.data(), 1, executor_.lanes());
  }
  /// The sum of the gradients by the architecture parameters over the steps of a group. Weights and what their
  /// optimiser keeps are afterwards what they were, bit for bit.
  /// @param from  gives the minibatches from `at` on, to the end of the epoch at most
  /// @throws divergence_error if a loss is not finite
  std::vector<double> rollout(data::loader<real>& from, const data::loader_state& at, int steps) {
    std::vector<double> total(size());
    const auto kept = stage_->weights.keep();
    try {
      for_group(from, at, steps, [&](const data::batch_view<real>& batch, double position) {
        expect_finite(forward(stage_->by_both, batch));
        add_architecture_gradient(stage_->by_both, total);
        update_weights(stage_->by_both, position);
      });
    } catch (...) {
      stage_->weights.restore(kept);
      throw;
    }
    stage_->weights.restore(kept);
    return total;
  }
  /// @}

 private:
  static constexpr std::size_t size() { return static_cast<std::size_t>(edges) * static_cast<std::size_t>(operations); }
  [[nodiscard]] int epochs_done() const { return static_cast<int>(history_.epochs.size()); }

  static void check_group(const char* where, int got, int least) {
    if (got < least)
      throw error("a differentiable search cannot have this setting", where, std::to_string(got),
                  "at least " + std::to_string(least));
  }
  static void expect_finite(real loss) {
    if (!std::isfinite(loss))
      throw divergence_error("the loss is not finite, the search stops", "gradient of the architecture",
                             std::to_string(loss), "a lower rate, or inputs without NaN");
  }

  std::unique_ptr<stage> make_stage(operation_mask kept, int channel_share) const {
    check_group("channel_share", channel_share, 1);
    return std::make_unique<stage>(network{std::move(kept), channel_share}, batch_limit, optimiser_, mixture_.optimiser,
                                   seed_);
  }

  /// Operations of an edge that are in the running, the best first.
  [[nodiscard]] std::vector<int> ranked(int edge) const {
    std::vector<int> order;
    for (int k = 0; k < operations; ++k)
      if (stage_->of.has(edge, k)) order.push_back(k);
    const real* const a = stage_->architecture.data() + edge * operations;
    std::sort(order.begin(), order.end(),
              [&](int left, int right) { return a[left] != a[right] ? a[left] > a[right] : left < right; });
    return order;
  }

  /// Calls visit(batch, epoch position) with up to `steps` minibatches.
  template <class Visit>
  static void for_group(data::loader<real>& from, const data::loader_state& at, std::int64_t steps, Visit&& visit) {
    from.seek(at);
    for (std::int64_t k = 0; k < steps; ++k) {
      const auto* batch = from.next();
      if (batch == nullptr) return;
      visit(*batch, at.epoch + static_cast<double>(batch->position) / static_cast<double>(from.size()));
    }
  }

  /// Draws weights of operations and runs a graph. @return the loss
  real forward(shared_gradient<real, kernels>& run, const data::batch_view<real>& batch) {
    mix();
    stage_->table.copy(stage_->weights.data(), run.values());
    const auto table = run.values().find(mixture_name);
    for (std::size_t i = 0; i < size(); ++i) table.data[i] = static_cast<real>(weights_[i]);
    return run(batch, {.lanes = executor_.lanes(), .seed = seed_, .step = forwards_++});
  }
  void mix() {
    const random_stream random(seed_, differentiable_stream + 1, forwards_);
    const real* const a = stage_->architecture.data();
    std::fill(weights_.begin(), weights_.end(), 0);
    for (int edge = 0; edge < edges; ++edge) {
      log_sample logit[choice::max_options];
      double weight[choice::max_options];
      std::size_t count = 0;
      for (int k = 0; k < operations; ++k) {
        if (!stage_->of.has(edge, k)) continue;
        const auto i = static_cast<std::size_t>(edge * operations + k);
        const double uniform = (random.bits(i) + 0.5) * 0x1p-32;
        logit[count++] = logits_[i] = Mixture::logit(static_cast<double>(a[i]), uniform);
      }
      normalise({logit, count}, {weight, count});
      for (int k = operations - 1; k >= 0; --k)
        if (stage_->of.has(edge, k)) weights_[static_cast<std::size_t>(edge * operations + k)] = weight[--count];
    }
  }
  /// From the gradient by the weights of operations in the last pass. An operation that is out has weight 0.
  void add_architecture_gradient(shared_gradient<real, kernels>& run, std::vector<double>& to) const {
    const real* const given = run.gradient(mixture_name).data;
    const std::vector<double> by_weights(given, given + size());
    for (std::size_t first = 0; first < size(); first += operations)
      add_gradient(std::span(logits_).subspan(first, operations), std::span(weights_).subspan(first, operations),
                   std::span(by_weights).subspan(first, operations), std::span(to).subspan(first, operations));
  }
  void update_weights(shared_gradient<real, kernels>& run, double epoch_position) {
    std::vector<real> gradient(static_cast<std::size_t>(stage_->table.size()));
    run.add_to(gradient.data(), stage_->table, real(1));
    stage_->weights.step(gradient.data(), schedule_.factor(epoch_position), executor_.lanes());
  }

  Mixture mixture_;
  std::uint64_t seed_;
  typename chosen::optimiser optimiser_;
  typename chosen::schedule schedule_;
  typename chosen::executor::executor executor_;
  std::unique_ptr<stage> stage_;
  std::vector<log_sample> logits_;
  std::vector<double> weights_;
  std::uint32_t forwards_ = 0;
  trace history_;
};

template <class Space, class Mixture, class... Policies>
relaxed_supernet(Space, Mixture, Policies...) -> relaxed_supernet<Space, Mixture, Policies...>;

}  // namespace vivace::inline VIVACE_TARGET::search
