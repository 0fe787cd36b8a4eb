#pragma once
/// @file
/// Batches from a hub: for a trainer, or without one.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/policy.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A job of a hub whose samples come in batches: what `loader` is for data of one's own. A model of batch_stream.
///
/// Features are not copied where samples lie one after another in memory and nothing is left to do to them. Not for
/// use by several threads at once.
/// @code
/// data::hub hub{set, {.seed = 1}, costly{}};
/// data::shared_batches<float> batches{hub, 128, {.epochs = 5}};
/// for (int epoch = 0; epoch < 5; ++epoch) {
///   batches.start_epoch(epoch);
///   while (const auto* batch = batches.next()) step(*batch);
/// }
/// @endcode
template <std::floating_point Real, joint_sampler Model = dependent_cells>
class shared_batches {
 public:
  /// Joins a hub.
  /// @param batch_size samples a batch, above zero
  /// @param change     applied to each sample for this job alone, behind what the hub does
  /// @throws error if the batch size is not above zero, or the hub does not take the job
  template <data::transform<Real> Transform = no_transform>
  shared_batches(const hub<Real, Model>& from, int batch_size, const job_options& options = {}, Transform change = {})
      : hub_(from), job_(from.join(checked(options, batch_size))), options_(options), batch_size_(batch_size) {
    options_.items.reset();
    own_[0] = from.own_change();
    own_[1] = detail::own_change<Real>::of(std::move(change), from.chain());
    const auto samples = static_cast<std::size_t>((std::min)(std::int64_t{batch_size_}, size()));
    if (labelled()) labels_ = buffer(samples * sizeof(std::int32_t));
    targets_ = buffer(samples * static_cast<std::size_t>(target_size()) * sizeof(Real));
  }

  /// The next batch, or null at the end of the epoch. It stays valid until the next call of a member that is not const.
  /// @throws error if a sample could not be prepared, with its index and the reason; the next call tries again
  const batch_view<Real>* next() {
    if (!kept_) {
      if (at_end(job_.position())) return nullptr;
      samples_ = job_.take(batch_size_);
      kept_ = true;
    }
    const std::span<const delivery<Real>> samples = samples_;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (labelled()) labels_.template as<std::int32_t>()[i] = samples[i].sample->label();
      if (target_size() > 0)
        std::copy_n(samples[i].sample->targets(), target_size(),
                    targets_.template as<Real>() + static_cast<std::ptrdiff_t>(i) * target_size());
    }
    view_ = {features_of(samples), labels_.template as<std::int32_t>(), targets_.template as<Real>(),
             static_cast<int>(samples.size()), job_.position() - static_cast<std::int64_t>(samples.size())};
    kept_ = false;
    return &view_;
  }

  /// Goes to the beginning of an epoch: of the first one, or from an epoch to the next, which need not be at its end.
  /// @param epoch what transforms of the job alone take it for
  /// @throws error if it is negative, or the job has had all its epochs
  void start_epoch(int epoch) {
    if (epoch < 0)
      throw error("a loader cannot go there", "shared loading", "epoch " + std::to_string(epoch),
                  "an epoch of 0 or more");
    kept_ = false;
    const std::int64_t rest = size() - job_.position();
    if (options_.drop_last && rest > 0 && rest < batch_size_) (void)job_.take(batch_size_);
    if (job_.position() > 0) job_.next_epoch();
    epoch_ = epoch;
  }

  /// Samples of an epoch, including those of a dropped last batch.
  [[nodiscard]] std::int64_t size() const { return job_.size(); }
  /// Batches of an epoch.
  [[nodiscard]] std::int64_t batches() const {
    return options_.drop_last ? size() / batch_size_ : (size() + batch_size_ - 1) / batch_size_;
  }
  [[nodiscard]] int batch_size() const { return batch_size_; }
  [[nodiscard]] const shape& sample_shape() const { return hub_.sample_shape(); }
  /// Targets a sample; 0 without targets.
  [[nodiscard]] int target_size() const { return hub_.target_size(); }
  [[nodiscard]] bool labelled() const { return hub_.labelled(); }
  /// Batches given out, and those of them whose features were copied.
  [[nodiscard]] std::int64_t given() const { return given_; }
  [[nodiscard]] std::int64_t copied() const { return copied_; }
  [[nodiscard]] const hub<Real, Model>& from() const { return hub_; }

 private:
  static const job_options& checked(const job_options& options, int batch_size) {
    if (batch_size < 1)
      throw error("the batch size is out of range", "shared loading", std::to_string(batch_size), "one sample or more");
    return options;
  }
  [[nodiscard]] bool at_end(std::int64_t position) const {
    return position + (options_.drop_last ? batch_size_ : 1) > size();
  }

  const Real* features_of(std::span<const delivery<Real>> samples) {
    const std::int64_t width = sample_shape().size();
    const Real* const first = samples.front().sample->features();
    bool in_a_row = own_[0].apply == nullptr && own_[1].apply == nullptr;
    for (std::size_t i = 1; in_a_row && i < samples.size(); ++i)
      in_a_row = samples[i].sample->features() == first + static_cast<std::int64_t>(i) * width;
    ++given_;
    if (in_a_row) return first;
    ++copied_;
    if (features_.data() == nullptr)
      features_ =
          buffer(static_cast<std::size_t>((std::min)(std::int64_t{batch_size_}, size()) * width) * sizeof(Real));
    Real* to = features_.template as<Real>();
    for (const delivery<Real>& one : samples) {
      std::copy_n(one.sample->features(), width, to);
      for (const auto& own : own_)
        if (own.apply != nullptr) change(own, one.item, to);
      to += width;
    }
    return features_.template as<Real>();
  }
  void change(const detail::own_change<Real>& own, std::uint32_t item, Real* sample) const {
    try {
      own.apply(own.object.get(), sample, sample_shape(),
                {options_.seed, static_cast<std::uint32_t>(epoch_), item, own.place});
    } catch (const std::exception& reason) {
      throw error("a sample could not be prepared", "item " + std::to_string(item), reason.what(),
                  "a transform of the job that can serve it");
    }
  }

  hub<Real, Model> hub_;
  hub_job<Real, Model> job_;
  job_options options_;
  int batch_size_, epoch_ = 0;
  detail::own_change<Real> own_[2];  // the hub's, the job's
  buffer features_, labels_, targets_;
  batch_view<Real> view_;
  std::span<const delivery<Real>> samples_;
  bool kept_ = false;  // the samples are still to be given out: a transform threw
  std::int64_t given_ = 0, copied_ = 0;
};

/// Policy of a trainer: fit() trains on the samples of a hub, together with all others that do. fit() then takes no
/// data set, and joins anew each time.
/// @code
/// vv::data::hub hub{data.train, {.seed = 1}, costly{}};
/// vv::trainer trainer{lenet{}, vv::batch<128>, vv::adamw{}, vv::data::shared_loader{hub}};
/// trainer.fit(vv::epochs{5}, vv::validation{data.test});  // in a thread of its own, beside others
/// @endcode
template <std::floating_point Real, joint_sampler Model = dependent_cells>
struct shared_loader {
  using family = loading_family;
  using real = Real;
  hub<Real, Model> from;
  job_options options = {};  ///< fit() sets the epochs, and the seed if that is 0

  explicit shared_loader(hub<Real, Model> of, job_options settings = {})
      : from(std::move(of)), options(std::move(settings)) {}

  /// What fit() reads.
  template <data::transform<Real> Transform>
  [[nodiscard]] shared_batches<Real, Model> open(int batch_size, int epochs, std::uint64_t seed,
                                                 Transform change) const {
    job_options settings = options;
    settings.epochs = epochs;
    if (settings.seed == 0) settings.seed = seed;
    return {from, batch_size, settings, std::move(change)};
  }
};

}  // namespace vivace::inline VIVACE_TARGET::data
