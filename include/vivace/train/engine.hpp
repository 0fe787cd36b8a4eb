#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/core/buffer.hpp>
#include <vivace/data/columns.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/exec/instance.hpp>
#include <vivace/optim/optimiser.hpp>
#include <vivace/train/callback.hpp>
#include <vivace/train/metrics.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What a trainer is made of, once the types of its policies have done their work.
template <class Real>
struct engine_setup : network_plans<Real> {
  parallel lanes;
  std::uint64_t seed = 0;
  const void* optimiser = nullptr;
  void (*set_optimiser)(const void*, const step_position&, double* to) = nullptr;
  const void* schedule = nullptr;
  double (*rate_factor)(const void*, double epoch) = nullptr;
  double clipping = 0;  ///< value of the setting "clipping", if the graph has one
  step_device<Real>* device = nullptr;  ///< runs the plans; null: the host does
};

/// Where a training stands, apart from the values of its variables.
struct training_progress {
  int epoch = 0;            ///< epochs done
  std::int64_t step = 0;    ///< steps done
  std::uint64_t seed = 0;
  trace history;
};

/// The loss is not finite: training stopped at that batch.
class divergence_error : public error {
  using error::error;
};

/// The training loop. It knows no network and no policy by type, so it is compiled once for each precision.
template <class Real>
class training_engine : public training_state {
 public:
  explicit training_engine(const engine_setup<Real>& setup);
  ~training_engine() override;

  [[nodiscard]] variables<Real>& values() { return values_; }
  [[nodiscard]] const variables<Real>& values() const { return values_; }
  [[nodiscard]] training_progress& progress() { return progress_; }
  [[nodiscard]] const training_progress& progress() const { return progress_; }
  [[nodiscard]] int batch_size() const { return setup_.training_plan.batch; }
  [[nodiscard]] const engine_setup<Real>& setup() const { return setup_; }

  /// Says that samples are named arrays side by side, until called with none.
  /// @throws error if an input has no array of its name and width
  void use_columns(std::span<const data::columns::column> columns);

  /// Says how many classes the labels of the samples to come have.
  /// @throws error if the network has fewer: a label would point past the end of a row of scores, or of a table
  void check_classes(int classes) const;

  /// Trains until `epoch_count` epochs are done, counting those done before.
  /// @param loader what gives out the batches
  /// @param evaluate_now called after each epoch if there is validation data
  /// @throws divergence_error if the loss is not finite
  template <data::batch_stream<Real> Batches, class Evaluate>
  const trace& fit(Batches& loader, int epoch_count, std::span<const callback_handle> callbacks,
                   Evaluate&& evaluate_now) {
    check(setup_.training_graph, loader);
    epochs = epoch_count;
    batches = static_cast<int>(loader.batches());
    stop = false;
    reserve_records();
    const std::vector<std::shared_ptr<void>> pins = pinned(loader);
    notify(callbacks, training_event::begin);
    while (progress_.epoch < epoch_count && !stop) {
      run_epoch(loader, callbacks);
      evaluate_now(progress_.history.epochs.back());
      ++progress_.epoch;
      notify(callbacks, training_event::epoch);
    }
    notify(callbacks, training_event::end);
    return progress_.history;
  }

  /// One step on a batch: forward, backward, update.
  /// @return the batch's loss before the update
  /// @throws error if the batch is empty or larger than planned, or lacks what an input takes
  Real step(const data::batch_view<Real>& given, double epoch_position) {
    set_inputs(train_, given, nullptr);
    check_labels(given);
    start_step(given.size, epoch_position);
    return train_.loss();
  }

  /// Loss and, with labels, accuracy over all samples of a loader that does not shuffle.
  evaluation evaluate(data::loader<Real>& loader);

  /// Runs the model forward on one batch; `prediction(name)` then holds the results.
  /// Without labels or targets the loss means nothing.
  /// @throws error if the batch is empty or larger than planned, or has no features
  void forward(const data::batch_view<Real>& given) {
    set_inputs(predict_, given, blank_.data());
    forward_on_inputs(given.size);
  }
  [[nodiscard]] tensor<const Real> prediction(std::string_view name = "prediction") const {
    return predict_.output(name);
  }
  [[nodiscard]] std::size_t prediction_arena_bytes() const { return predict_.arena_bytes(); }

  void keep_weights() override;
  void restore_weights() override;
  [[nodiscard]] const trace& history() const override { return progress_.history; }

 private:
  using clock = std::chrono::steady_clock;

  /// Room for the records to come (of a very long training, for the first million), so that none is made in a step.
  void reserve_records();

  template <class Batches>
  void run_epoch(Batches& loader, std::span<const callback_handle> callbacks);

  /// Lets a device copy batches from where the loader has them, for as long as what is returned lives.
  template <class Batches>
  [[nodiscard]] std::vector<std::shared_ptr<void>> pinned(const Batches& loader) const {
    std::vector<std::shared_ptr<void>> result;
    if constexpr (requires { loader.memory(); })
      if (setup_.device != nullptr)
        for (const std::span<const std::byte> range : loader.memory()) result.push_back(setup_.device->pin(range));
    return result;
  }

  /// True if the next step may be started before the loss of one is known: on a device, if no callback wants more of a
  /// batch than its record.
  [[nodiscard]] bool may_run_ahead(std::span<const callback_handle> callbacks) const;

  [[noreturn]] void fail(double loss) const;

  void notify(std::span<const callback_handle> callbacks, training_event event) {
    for (const callback_handle& one : callbacks) one(event, *this);
  }

  void set_scalars(double epoch_position);

  /// Labels are places in a row of scores, or in a table: how many of them there are, the least of all.
  void find_label_room();
  /// @throws error if a label of a batch that the caller made is none of the network's classes
  void check_labels(const data::batch_view<Real>& given) const;

  void start_step(int samples_given, double epoch_position) {
    set_scalars(epoch_position);
    train_({.lanes = setup_.lanes,
            .seed = setup_.seed,
            .step = static_cast<std::uint32_t>(progress_.step),
            .samples = samples_given});
    ++progress_.step;
  }
  void forward_on_inputs(int samples_given) {
    predict_({.lanes = setup_.lanes, .seed = setup_.seed, .step = 0, .samples = samples_given});
  }

  /// A loader's batch: with columns each input takes its own.
  void set_loaded(instance<Real>& run, const data::batch_view<Real>& given) {
    if (columns_.empty())
      set_inputs(run, given, nullptr);
    else
      set_columns(run, given);
  }

  /// The first input takes the features, the second the targets; labels take labels.
  /// @param missing stands in for labels or targets that are not given; null: they must be
  void set_inputs(instance<Real>& run, const data::batch_view<Real>& given, const void* missing);

  void set_columns(instance<Real>& run, const data::batch_view<Real>& given);

  /// @throws error if the loader's samples are not what the graph's inputs are
  template <class Batches>
  void check(const graph_view& graph, const Batches& loader) const;

  /// Of labels and targets; features are always given.
  static std::size_t bytes_of_blank(const graph_view& graph, int samples_planned);

  [[nodiscard]] bool has_predictions() const;

  /// Where an input's numbers lie in a sample, and room for those of a batch.
  struct column {
    std::int64_t offset = 0;
    std::int64_t width = 0;
    std::vector<Real> values;
  };

  engine_setup<Real> setup_;
  variables<Real> values_;
  instance<Real> train_, predict_;
  training_progress progress_;
  std::vector<double> scalars_;
  buffer blank_;  // zeros in place of labels and targets that a prediction has not
  std::vector<column> columns_;
  std::int32_t label_room_ = (std::numeric_limits<std::int32_t>::max)();
  std::int64_t row_ = 0;  // numbers of a sample, those of columns that no input takes included
  std::vector<Real> kept_, kept_states_;
};

// Members of more than a few lines stand outside of the class, where they are not inline: vivace::precompiled has them.

template <class Real>
training_engine<Real>::training_engine(const engine_setup<Real>& setup)
    : setup_(setup),
      values_(setup.training_graph, setup.training_plan),
      train_(setup.training_graph, setup.training_plan, setup.kernels, values_, setup.device),
      predict_(setup.prediction_graph, setup.prediction_plan, setup.kernels, values_, setup.device),
      scalars_(static_cast<std::size_t>(setup.training_graph.settings.size()) + 1),
      blank_(bytes_of_blank(setup.prediction_graph, setup.prediction_plan.batch)) {
  progress_.seed = setup.seed;
  find_label_room();
  values_.initialise(setup.seed);
}

template <class Real>
training_engine<Real>::~training_engine() = default;

template <class Real>
void training_engine<Real>::use_columns(std::span<const data::columns::column> columns) {
  columns_.clear();
  row_ = 0;
  for (const auto& one : columns) row_ += one.width;
  if (columns.empty()) return;
  const graph_view& graph = setup_.training_graph;
  for (const port& input : graph.inputs) {
    const std::int64_t width = graph.nodes[input.node].dims.size();
    const data::columns::column* found = nullptr;
    for (const auto& one : columns)
      if (one.name == input.name.view()) found = &one;
    if (found == nullptr || found->width != width || graph.nodes[input.node].kind == op::labels)
      throw error("the columns do not fit the network", "input " + std::string(input.name.view()),
                  found == nullptr ? "no column of this name" : std::to_string(found->width) + " numbers a sample",
                  std::to_string(width) + " numbers a sample");
    columns_.push_back({found->offset, width, std::vector<Real>(static_cast<std::size_t>(width * batch_size()))});
  }
}

template <class Real>
void training_engine<Real>::check_classes(int classes) const {
  if (classes > label_room_)
    throw error("the data set has more classes than the network", "labels", std::to_string(classes) + " classes",
                "at most " + std::to_string(label_room_));
}

template <class Real>
evaluation training_engine<Real>::evaluate(data::loader<Real>& loader) {
  check(setup_.prediction_graph, loader);
  evaluation result;
  double total = 0;
  std::int64_t right = 0;
  bool labelled = false;
  loader.start_epoch(0);
  while (const auto* given = loader.next()) {
    set_loaded(predict_, *given);
    forward_on_inputs(given->size);
    total += static_cast<double>(predict_.loss()) * given->size;
    result.samples += given->size;
    if (given->labels == nullptr || !has_predictions()) continue;
    labelled = true;
    const tensor<const Real> scores = predict_.output("prediction");
    result.classes = scores.dims[scores.dims.rank - 1];
    const auto classes = static_cast<std::size_t>(result.classes);
    if (result.confusion.empty()) result.confusion.resize(classes * classes, 0);
    for (int i = 0; i < given->size; ++i) {
      const int guess = largest(scores.data + std::int64_t{i} * result.classes, result.classes);
      if (guess == given->labels[i]) ++right;
      ++result.confusion[static_cast<std::size_t>(given->labels[i]) * classes + static_cast<std::size_t>(guess)];
    }
  }
  if (result.samples > 0) result.loss = total / static_cast<double>(result.samples);
  if (labelled) result.accuracy = static_cast<double>(right) / static_cast<double>(result.samples);
  return result;
}

template <class Real>
void training_engine<Real>::keep_weights() {
  const Real* from = values_.parameters();
  kept_.assign(from, from + setup_.training_plan.parameter_size);
  const Real* state = values_.states();
  kept_states_.assign(state, state + setup_.training_plan.state_size);
}

template <class Real>
void training_engine<Real>::restore_weights() {
  if (kept_.empty()) return;
  std::copy(kept_.begin(), kept_.end(), values_.parameters());
  std::copy(kept_states_.begin(), kept_states_.end(), values_.states());
}

template <class Real>
void training_engine<Real>::reserve_records() {
  constexpr std::size_t most = 1 << 20;
  const auto left = static_cast<std::size_t>((std::max)(epochs - progress_.epoch, 0));
  trace& records = progress_.history;
  records.epochs.reserve(records.epochs.size() + (std::min)(left, most));
  records.batches.reserve(records.batches.size() + (std::min)(left * static_cast<std::size_t>(batches), most));
}

template <class Real>
template <class Batches>
void training_engine<Real>::run_epoch(Batches& loader, std::span<const callback_handle> callbacks) {
  const clock::time_point start = clock::now();
  clock::duration outside{};  // spent in callbacks
  epoch = progress_.epoch;
  batch = 0;
  samples = 0;
  mean_loss = 0;
  double total = 0;
  const auto note = [&](int size, double loss) {
    if (!std::isfinite(loss)) fail(loss);
    progress_.history.batches.push_back({epoch, batch, size, loss});
    total += loss * size;
    samples += size;
    ++batch;
    mean_loss = total / static_cast<double>(samples);
    if (callbacks.empty()) return;
    const clock::time_point before = clock::now();
    seconds = std::chrono::duration<double>(before - start - outside).count();
    notify(callbacks, training_event::batch);
    outside += clock::now() - before;
  };
  const bool ahead = may_run_ahead(callbacks);
  int waiting = 0;  // samples of a step whose loss is read once the next has been started
  loader.start_epoch(epoch);
  while (const auto* next = loader.next()) {
    const double done = static_cast<double>(next->position) / static_cast<double>(loader.size());
    set_loaded(train_, *next);
    start_step(next->size, epoch + done);
    if (!ahead)
      note(next->size, static_cast<double>(train_.loss()));
    else if (const int before = std::exchange(waiting, next->size); before > 0) {
      const auto loss = static_cast<double>(train_.earlier_loss());
      if (!std::isfinite(loss)) --progress_.step;  // the step that has been started since does not count
      note(before, loss);
    }
  }
  if (waiting > 0) note(waiting, static_cast<double>(train_.loss()));
  epoch_record record{.epoch = epoch, .train_loss = mean_loss};
  record.rate = setup_.rate_factor(setup_.schedule, epoch + 1);
  record.seconds = seconds = std::chrono::duration<double>(clock::now() - start - outside).count();
  progress_.history.epochs.push_back(record);
}

template <class Real>
bool training_engine<Real>::may_run_ahead(std::span<const callback_handle> callbacks) const {
  for (const callback_handle& one : callbacks)
    if (one.acts_on_batches) return false;
  return train_.runs_ahead();
}

template <class Real>
void training_engine<Real>::fail(double loss) const {
  throw divergence_error("the loss is not finite, training stops",
                         "epoch " + std::to_string(epoch) + ", batch " + std::to_string(batch), std::to_string(loss),
                         "a lower rate, clip_norm, or inputs without NaN; the last checkpoint is untouched");
}

template <class Real>
void training_engine<Real>::set_scalars(double epoch_position) {
  const graph_view& graph = setup_.training_graph;
  setup_.set_optimiser(setup_.optimiser, {progress_.step, setup_.rate_factor(setup_.schedule, epoch_position)},
                       scalars_.data());
  for (int i = 0; i < graph.settings.size(); ++i)
    train_.settings()[i] = static_cast<Real>(
        graph.settings[i].name.view() == "clipping" ? setup_.clipping : scalars_[static_cast<std::size_t>(i)]);
}

template <class Real>
void training_engine<Real>::find_label_room() {
  const graph_view& graph = setup_.training_graph;
  for (const node& one : graph.nodes) {
    if (one.kind != op::cross_entropy && one.kind != op::take_rows) continue;
    const shape& dims = graph.nodes[one.operand[0]].dims;
    label_room_ = (std::min)(label_room_, one.kind == op::take_rows ? dims[0] : dims[dims.rank - 1]);
  }
}

template <class Real>
void training_engine<Real>::check_labels(const data::batch_view<Real>& given) const {
  const graph_view& graph = setup_.training_graph;
  for (const port& input : graph.inputs) {
    if (graph.nodes[input.node].kind != op::labels || given.labels == nullptr) continue;
    for (std::int64_t i = 0; i < graph.nodes[input.node].dims.size_at(given.size); ++i)
      if (given.labels[i] < 0 || given.labels[i] >= label_room_)
        throw error("a label is out of range", "label " + std::to_string(i) + " of a batch",
                    std::to_string(given.labels[i]), "0 to " + std::to_string(label_room_ - 1));
  }
}

template <class Real>
void training_engine<Real>::set_inputs(instance<Real>& run, const data::batch_view<Real>& given, const void* missing) {
  const graph_view& graph = run.structure();
  if (given.size < 1 || given.size > batch_size())
    throw error("the batch does not fit the plan", "batch", std::to_string(given.size) + " samples",
                "1 to " + std::to_string(batch_size()) + ": give the trainer a larger batch<n>, or cut the samples");
  int numbers = 0;
  for (int i = 0; i < graph.inputs.size(); ++i) {
    const void* data = given.labels;
    const bool features = graph.nodes[graph.inputs[i].node].kind != op::labels && numbers++ == 0;
    if (graph.nodes[graph.inputs[i].node].kind != op::labels) data = features ? given.features : given.targets;
    if (data == nullptr && !features) data = missing;
    if (data == nullptr)
      throw error("the batch lacks what the network takes", "input " + std::string(graph.inputs[i].name.view()),
                  "a null pointer", "features, labels and targets as the network has inputs for them");
    run.set_input(i, data);
  }
}

template <class Real>
void training_engine<Real>::set_columns(instance<Real>& run, const data::batch_view<Real>& given) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    column& to = columns_[i];
    for (int sample = 0; sample < given.size; ++sample)
      std::copy_n(given.features + sample * row_ + to.offset, to.width, to.values.data() + sample * to.width);
    run.set_input(static_cast<int>(i), to.values.data());
  }
}

template <class Real>
template <class Batches>
void training_engine<Real>::check(const graph_view& graph, const Batches& loader) const {
  if (loader.size() < 1) throw error("the data set is empty", "data set", "no samples", "at least one sample");
  if (!columns_.empty()) return;
  int numbers = 0;
  for (const port& input : graph.inputs) {
    const shape& dims = graph.nodes[input.node].dims;
    const std::string where = "input " + std::string(input.name.view());
    if (graph.nodes[input.node].kind == op::labels) {
      if (!loader.labelled())
        throw error("the network needs labels", where, "a data set without labels", "a labelled data set");
      continue;
    }
    const std::int64_t got = numbers == 0 ? loader.sample_shape().size() : loader.target_size();
    if (got != dims.size())
      throw error("the data set does not fit the network", where, std::to_string(got) + " numbers a sample",
                  std::to_string(dims.size()) + " numbers a sample");
    ++numbers;
  }
}

template <class Real>
std::size_t training_engine<Real>::bytes_of_blank(const graph_view& graph, int samples_planned) {
  std::int64_t most = 0;
  int numbers = 0;
  for (const port& input : graph.inputs)
    if (graph.nodes[input.node].kind == op::labels || numbers++ > 0)
      most = (std::max)(most, graph.nodes[input.node].dims.size_at(samples_planned));
  return static_cast<std::size_t>(most) * (std::max)(sizeof(Real), sizeof(std::int32_t));
}

template <class Real>
bool training_engine<Real>::has_predictions() const {
  for (const port& output : setup_.prediction_graph.outputs)
    if (output.name.view() == "prediction") return true;
  return false;
}

}  // namespace vivace::inline VIVACE_TARGET
