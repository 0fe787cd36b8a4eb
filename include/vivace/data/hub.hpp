#pragma once
/// @file
/// Jobs of one process that share the preparation of one data set: each joins, and gets its samples in an order of its
/// own.
#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/columns.hpp>
#include <vivace/data/hub/core.hpp>
#include <vivace/data/hub/settings.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

template <std::floating_point Real, joint_sampler Model>
class hub_job;

/// One data set for any number of jobs of a process, up to max_jobs at once. Jobs join and leave at any time, each with
/// its own subset, pace and shuffle; their orders are drawn together, so that they mostly want the same sample at the
/// same time, and what is prepared for one is handed to all that want it.
///
/// A handle: copies are the same hub, and it lives as long as one of them or a job. For any number of threads.
/// @code
/// data::hub hub{set, {.seed = 1}, data::compose(costly{}, data::per_job(data::random_flip{}))};
/// auto job = hub.join({.epochs = 1});
/// while (!job.take(64).empty()) ...
/// @endcode
template <std::floating_point Real = float, joint_sampler Model = dependent_cells>
class hub {
 public:
  using real = Real;
  using job = hub_job<Real, Model>;

  /// Prepares with threads of its own, as many as the options say, and those of jobs that wait.
  /// @param set    where samples come from; kept as a copy, which is a handle
  /// @param change applied to each sample; from a mark per_job() on, for each job anew
  /// @throws error if a setting is out of range or the data set is empty
  template <class Source, data::transform<Real> Transform = no_transform>
  requires(!std::same_as<Source, hub>) && data::source<Source, Real>  // in this order: the second asks for copies
  explicit hub(Source set, const hub_options& options = {}, Transform change = {})
      : core_(std::make_shared<core>(detail::hub_feed<Real>::of(std::move(set), std::move(change)), options, nullptr,
                                     parallel{})) {}
  /// Prepares on an executor, such as tbb{.threads = 2}, in place of workers.
  template <data::source<Real> Source, data::transform<Real> Transform, class Executor>
  requires in_family<Executor, executor_family> hub(Source set, const hub_options& options, Transform change,
                                                    const Executor& policy) {
    const auto executor = std::make_shared<typename Executor::executor>(policy);
    core_ = std::make_shared<core>(detail::hub_feed<Real>::of(std::move(set), std::move(change)), options, executor,
                                   executor->lanes());
  }

  /// Adds a job, in the middle of the others' epochs too. Its first epoch begins at once, or when the hub starts.
  /// @throws error if the subset is empty, names an item twice or one that there is not; or max_jobs have joined
  [[nodiscard]] job join(const job_options& options = {}) const { return job(core_, options); }

  /// Samples of the data set.
  [[nodiscard]] std::int64_t size() const { return feed().shared.size; }
  [[nodiscard]] const shape& sample_shape() const { return feed().shared.sample; }
  /// Targets a sample; 0 without targets.
  [[nodiscard]] int target_size() const { return feed().shared.target_size; }
  [[nodiscard]] bool labelled() const { return feed().shared.labelled; }
  /// 0 without labels.
  [[nodiscard]] int classes() const { return feed().classes; }
  /// The label of every sample: keys for items_where(). @throws error if there are none
  [[nodiscard]] std::vector<std::int32_t> labels() const {
    if (!labelled())
      throw error("the data set has no labels", "shared loading", "samples without labels", "a labelled data set");
    const auto all = items_where(size(), [](std::uint32_t) { return true; });
    std::vector<std::int32_t> found(all.size());
    feed().read_labels(feed().shared.source.get(), all, found.data());
    return found;
  }
  /// The arrays that samples are made of, if the data set is data::columns.
  [[nodiscard]] std::span<const columns::column> column_list() const { return feed().parts; }
  [[nodiscard]] const hub_options& options() const { return core_->options(); }
  [[nodiscard]] hub_statistics statistics() const { return core_->statistics(); }
  /// The transform from the first mark on, and the number of transforms with and without a mark: for whoever serves
  /// jobs.
  [[nodiscard]] const detail::own_change<Real>& own_change() const { return feed().own; }
  [[nodiscard]] std::uint32_t chain() const { return feed().chain; }

 private:
  using core = detail::hub_core<Real, Model>;
  [[nodiscard]] const detail::hub_feed<Real>& feed() const { return core_->feed(); }

  std::shared_ptr<core> core_;
};

/// A job of a hub: takes samples in the order of its epochs, each of its items once an epoch. It leaves when it goes.
/// For one thread at a time, less close().
template <std::floating_point Real, joint_sampler Model>
class hub_job {
  using core = detail::hub_core<Real, Model>;

 public:
  hub_job(hub_job&&) noexcept = default;
  hub_job& operator=(hub_job&& other) noexcept {
    if (this != &other) {
      leave();
      core_ = std::move(other.core_);
      options_ = std::move(other.options_);
      member_ = std::move(other.member_);
      held_ = std::move(other.held_);
      position_ = other.position_;
      epoch_ = other.epoch_;
    }
    return *this;
  }
  ~hub_job() { leave(); }

  /// The next samples of the epoch, or what is left of it: none at its end. Waits until they are prepared, and prepares
  /// some itself if there is nothing else to do. Whoever copies the pointers may keep samples for as long as he likes.
  /// @returns samples that stay valid until the next call of a member that is not const
  /// @throws error if one of them could not be prepared, with its index and the reason; the job stays where it is, and
  /// the next call tries again. Also if close() was called
  std::span<const delivery<Real>> take(int count) {
    const std::size_t next = next_count(count);
    held_.clear();
    if (next == 0) return {};
    core_->take(*member_, next, held_);
    position_ += static_cast<std::int64_t>(next);
    return held_;
  }
  /// Waits until take(count) would return at once, for about so long at most. @returns whether it would
  bool wait_for(int count, std::chrono::milliseconds limit) {
    const std::size_t next = next_count(count);
    return next == 0 || core_->wait_until(*member_, next, std::chrono::steady_clock::now() + limit);
  }
  /// Goes to the beginning of the next epoch; what is left of this one is not given out.
  /// @throws error if it was the last one of job_options::epochs
  void next_epoch() {
    const int epochs = options_.epochs;
    if (epochs > 0 && epoch_ + 1 >= epochs)
      throw error("a job has no more epochs", "shared loading", "the end of epoch " + std::to_string(epoch_ + 1),
                  "a job that joins for more than " + std::to_string(epochs));
    if (position_ < size()) {
      job_options rest = options_;
      if (epochs > 0) rest.epochs = epochs - epoch_ - 1;
      leave();
      member_ = core_->join(rest);
    }
    held_.clear();
    position_ = 0;
    ++epoch_;
  }
  /// Makes take() throw, now and later; the only member that another thread may call.
  void close() { core_->close(*member_); }

  /// Samples of an epoch.
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(member_->size); }
  /// Samples of this epoch that were taken, and epochs that were ended.
  [[nodiscard]] std::int64_t position() const { return position_; }
  [[nodiscard]] int epoch() const { return epoch_; }

 private:
  friend class hub<Real, Model>;
  hub_job(std::shared_ptr<core> of, const job_options& options)
      : core_(std::move(of)), options_(options), member_(core_->join(options)) {}

  [[nodiscard]] std::size_t next_count(int count) const {
    if (count < 1)
      throw error("a job asks for too few samples", "shared loading", std::to_string(count), "one sample or more");
    return static_cast<std::size_t>((std::min)(std::int64_t{count}, size() - position_));
  }
  void leave() {
    if (member_) core_->leave(*member_);
    member_ = nullptr;
  }

  std::shared_ptr<core> core_;
  job_options options_;
  std::unique_ptr<typename core::member> member_;
  std::vector<delivery<Real>> held_;
  std::int64_t position_ = 0;
  int epoch_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::data
