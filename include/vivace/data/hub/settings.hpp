#pragma once
/// @file
/// What hubs and their jobs are made with, and what they give out.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/data/sample_pool.hpp>
#include <vivace/data/sharing/cache.hpp>
#include <vivace/data/sharing/rounds.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Settings of a hub.
struct hub_options {
  std::uint64_t seed = 0;  ///< of the orders of all jobs and of the transforms that they share
  /// Who draws in a round. Only lockstep repeats itself whatever the threads do; see the guide.
  round_mode mode = round_mode::participants;
  std::uint64_t max_lead = any_lead;  ///< samples that a job may be ahead of the slowest
  /// Prepared samples that are kept for jobs that come later. None are where preparation only copies from memory: the
  /// source is an in_memory_source, such as dataset, and has no shared transform.
  std::uint64_t cache_bytes = std::uint64_t{256} << 20;
  eviction policy = eviction::reference_count;
  /// Whether a job may get the same prepared sample in several epochs: for preparation that is not random. Without a
  /// shared transform it always may.
  bool repeat = false;
  bool substitute = false;  ///< class-preserving substitution; see share_options
  /// Samples drawn ahead for each job, and at least four batches; they are shared, too. 0: 1024, or as many as 64 MiB
  /// hold. It is how far equally fast jobs may get apart for moments without preparing anything twice.
  int buffer = 0;
  int window = 64;     ///< samples in preparation at once
  int workers = -1;    ///< threads that prepare; -1: as many as the machine has; 0: jobs prepare while they wait
  int start_with = 0;  ///< nothing is drawn before so many jobs have joined
  std::shared_ptr<std::pmr::memory_resource> memory = {};  ///< where prepared samples lie; null: on the heap
};

/// Settings of a job.
struct job_options {
  std::optional<std::vector<std::uint32_t>> items = {};  ///< the job's subset, see items_where(); nothing: all
  int epochs = 0;          ///< after which nothing more is drawn for the job; 0: it draws ahead until it leaves
  std::uint64_t seed = 0;  ///< of the transforms that are not shared
  int place = 0;           ///< order of the jobs that a hub starts with; ties: as they joined
  bool drop_last = false;  ///< leave a short last batch out
};

/// What a hub has done so far.
struct hub_statistics {
  std::uint64_t preparations = 0;  ///< samples that were drawn and had to be prepared
  std::uint64_t deliveries = 0;    ///< samples drawn, of all jobs
  std::uint64_t failures = 0;      ///< preparations that threw
  std::uint64_t cached_bytes = 0;  ///< samples kept for later
  std::uint64_t memory_bytes = 0;  ///< all prepared samples, those of buffers and batches too
  int jobs = 0;                    ///< that have joined and not left

  /// Deliveries that needed no preparation of their own.
  [[nodiscard]] double hit_rate() const {
    return deliveries == 0 ? 0 : 1 - static_cast<double>(preparations) / static_cast<double>(deliveries);
  }
};

/// A prepared sample. It is immutable, and shared by all who hold it.
template <std::floating_point Real>
class prepared_sample {
 public:
  /// Room for a sample of `width` features, and targets behind them.
  prepared_sample(std::shared_ptr<sample_pool> pool, std::int64_t width)
      : pool_(std::move(pool)), block_(pool_->take()), width_(width) {}
  prepared_sample(const prepared_sample&) = delete;
  prepared_sample& operator=(const prepared_sample&) = delete;
  ~prepared_sample() { pool_->give_back(block_.number); }

  /// [sample_shape]
  [[nodiscard]] const Real* features() const { return static_cast<const Real*>(block_.data); }
  /// [target_size]; right behind the features
  [[nodiscard]] const Real* targets() const { return features() + width_; }
  /// -1 without labels.
  [[nodiscard]] std::int32_t label() const { return label_; }

  [[nodiscard]] Real* features() { return static_cast<Real*>(block_.data); }
  [[nodiscard]] Real* targets() { return features() + width_; }
  void set_label(std::int32_t label) { label_ = label; }

 private:
  std::shared_ptr<sample_pool> pool_;
  sample_pool::block block_;
  std::int64_t width_;
  std::int32_t label_ = -1;
};

/// A sample on its way to a job.
template <std::floating_point Real>
struct delivery {
  std::uint32_t item = 0;     ///< index in the hub's data set
  std::uint32_t version = 0;  ///< how often the item was prepared before
  std::shared_ptr<const prepared_sample<Real>> sample;
};

/// Indices below `count` that fulfil a condition: a subset of a data set.
template <std::predicate<std::uint32_t> Condition>
std::vector<std::uint32_t> items_where(std::int64_t count, Condition&& wanted) {
  std::vector<std::uint32_t> items;
  for (std::int64_t index = 0; index < count; ++index)
    if (wanted(static_cast<std::uint32_t>(index))) items.push_back(static_cast<std::uint32_t>(index));
  return items;
}
/// Indices of the keys that fulfil a condition; item i has the key keys[i]: its label, its time, the name of its file.
template <class Keys, class Condition>
requires requires(const Keys& keys, Condition& wanted) {
  { wanted(keys[keys.size()]) } -> std::convertible_to<bool>;
}
std::vector<std::uint32_t> items_where(const Keys& keys, Condition&& wanted) {
  return items_where(static_cast<std::int64_t>(keys.size()),
                     [&](std::uint32_t index) { return static_cast<bool>(wanted(keys[index])); });
}

}  // namespace vivace::inline VIVACE_TARGET::data
