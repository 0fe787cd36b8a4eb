#pragma once
/// @file
/// Batches of samples in a random order that is a function of seed and epoch, prepared ahead by a thread if asked.
#include <algorithm>
#include <array>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A batch that lies in memory of the loader.
template <class Real>
struct batch_view {
  const Real* features = nullptr;        ///< [size, sample_shape]
  const std::int32_t* labels = nullptr;  ///< [size], or null if the source has none
  const Real* targets = nullptr;         ///< [size, target_size], or null if the source has none
  int size = 0;                          ///< samples; the last batch of an epoch may be short
  std::int64_t position = 0;             ///< place of the first sample in the order of the epoch
};

/// What gives out the batches of an epoch, one after another, such as `loader`. A trainer can train on it.
///
/// - start_epoch(epoch): goes to the beginning of an epoch; epochs are asked for in ascending order, from any one on.
/// - next(): the next batch, valid until the next call of start_epoch() or next(); null at the end of the epoch. Every
///   sample comes once an epoch, unless a short last batch is left out. Batches have batch_size() samples, but for a
///   short last one; positions ascend from 0 on.
/// - size(): samples of an epoch, batches(): batches of an epoch.
/// - sample_shape(), target_size(), labelled(): as in the source; batches have labels or targets accordingly.
/// - memory(), if it has one: where features lie, as long as the stream lives. Devices copy batches from there at once.
///
/// The law suite tests/data/laws.hpp checks a model against this text.
template <class Batches, class Real = float>
concept batch_stream = requires(Batches& from, const Batches& fixed, int epoch) {
  from.start_epoch(epoch);
  { from.next() } -> std::same_as<const batch_view<Real>*>;
  { fixed.size() } -> std::convertible_to<std::int64_t>;
  { fixed.batches() } -> std::convertible_to<std::int64_t>;
  { fixed.batch_size() } -> std::convertible_to<int>;
  { fixed.sample_shape() } -> std::convertible_to<shape>;
  { fixed.target_size() } -> std::convertible_to<int>;
  { fixed.labelled() } -> std::convertible_to<bool>;
};

/// Whether a background thread prepares batches while the last one is used. The bits are the same.
enum class prefetch : std::uint8_t {
  automatic,  ///< if a batch is large enough to be worth the waking of a thread
  on,
  off
};

/// Settings of a loader.
struct loader_options {
  bool shuffle = true;     ///< a new random order every epoch; else the order of the source
  bool drop_last = false;  ///< leave a short last batch out
  data::prefetch prefetch = data::prefetch::automatic;
};

/// Where a loader stands. A loader of the same source, seed and options that seeks here goes on with the same batches.
struct loader_state {
  int epoch = 0;
  std::int64_t position = 0;  ///< samples of this epoch that were given out
  constexpr bool operator==(const loader_state&) const = default;
};

namespace detail {

/// A source and a transform behind function pointers, so that all that follows is compiled once for each Real.
template <class Real>
struct feed {
  using fill = void (*)(const void* object, std::span<const std::uint32_t> indices, Real* features,
                        std::int32_t* labels, Real* targets);
  using change = void (*)(const void* object, Real* sample, const shape& of, const sample_key& key);

  std::shared_ptr<const void> source, transform;
  fill gather = nullptr;
  change apply = nullptr;  ///< null: no transform
  std::int64_t size = 0;
  shape sample;
  int target_size = 0;
  bool labelled = false;

  template <class Source, class Transform>
  static feed of(Source set, Transform change_of) {
    feed made;
    made.size = static_cast<std::int64_t>(set.size());
    made.sample = set.sample_shape();
    if constexpr (labelled_source<Source>) made.labelled = set.classes() > 0;
    if constexpr (target_source<Source, Real>) made.target_size = set.target_size();
    made.gather = [](const void* object, std::span<const std::uint32_t> indices, Real* features, std::int32_t* labels,
                     Real* targets) {
      const Source& from = *static_cast<const Source*>(object);
      from.gather(indices, features);
      if constexpr (labelled_source<Source>)
        if (labels != nullptr) from.gather_labels(indices, labels);
      if constexpr (target_source<Source, Real>)
        if (targets != nullptr) from.gather_targets(indices, targets);
    };
    made.source = std::make_shared<const Source>(std::move(set));
    if constexpr (!std::same_as<Transform, no_transform>) {
      made.apply = [](const void* object, Real* sample, const shape& of, const sample_key& key) {
        (*static_cast<const Transform*>(object))(sample, of, key);
      };
      made.transform = std::make_shared<const Transform>(std::move(change_of));
    }
    return made;
  }
};

}  // namespace detail

/// Gives out the batches of an epoch, one after another: an input iterator over shuffled, transformed samples.
///
/// The order of an epoch is the shuffle() of 0, 1, ... by random_stream(seed, shuffle_stream, epoch). Memory is
/// allocated by the constructor and never after. With prefetch a background thread keeps one batch ready; what the
/// source or a transform throws there is thrown by the next() that would have returned that batch. Not for use by
/// several threads at once.
/// @code
/// data::loader<float> batches{set, 128, seed};
/// for (int epoch = 0; epoch < 5; ++epoch) {
///   batches.start_epoch(epoch);
///   while (const auto* batch = batches.next()) step(*batch);
/// }
/// @endcode
template <std::floating_point Real>
class loader {
 public:
  /// @param set        where samples come from; kept as a copy, which is a handle
  /// @param batch_size samples a batch, above zero
  /// @param seed       of the order and of the transforms
  /// @param change     applied to each sample
  /// @throws error if the batch size is not above zero
  template <data::source<Real> Source, data::transform<Real> Transform = no_transform>
  loader(Source set, int batch_size, std::uint64_t seed, const loader_options& options = {}, Transform change = {});
  loader(const loader&) = delete;
  loader& operator=(const loader&) = delete;
  ~loader();

  /// The next batch, or null at the end of the epoch. It stays valid until the next call of a member that is not const.
  /// @throws whatever the source or the transform threw while preparing this batch; the loader then stays at this
  /// batch, and seek() tries again
  const batch_view<Real>* next();

  /// Goes to the beginning of an epoch. @throws error if it is negative
  void start_epoch(int epoch) { seek(epoch, 0); }

  /// Goes to any place of any epoch.
  /// @throws error if the epoch is negative or the position is not from 0 to size()
  void seek(int epoch, std::int64_t position);
  void seek(const loader_state& state) { seek(state.epoch, state.position); }

  /// Where the next batch begins.
  [[nodiscard]] loader_state state() const { return {epoch_, position_}; }
  /// Samples of an epoch, including those of a dropped last batch.
  [[nodiscard]] std::int64_t size() const { return feed_.size; }
  /// Batches of an epoch.
  [[nodiscard]] std::int64_t batches() const {
    return options_.drop_last ? size() / batch_size_ : (size() + batch_size_ - 1) / batch_size_;
  }
  [[nodiscard]] int batch_size() const { return batch_size_; }
  [[nodiscard]] const shape& sample_shape() const { return feed_.sample; }
  /// Targets a sample; 0 without targets.
  [[nodiscard]] int target_size() const { return feed_.target_size; }
  /// True if batches have labels.
  [[nodiscard]] bool labelled() const { return feed_.labelled; }
  /// Where the features of batches lie; the same memory as long as the loader lives.
  [[nodiscard]] std::array<std::span<const std::byte>, 2> memory() const {
    const auto of = [](const buffer& one) { return std::span(one.as<const std::byte>(), one.bytes()); };
    return {of(slots_[0].features), of(slots_[1].features)};
  }
  /// True if a background thread prepares batches.
  [[nodiscard]] bool prefetches() const { return worker_.joinable(); }

 private:
  static constexpr std::uint64_t slot_count = 2;  // one in use, one in preparation
  // Numbers in a batch that are worth the waking of a thread: copied, about 50 microseconds; transformed, more.
  static constexpr std::int64_t worthwhile_copied = 1 << 19, worthwhile_transformed = 1 << 16;

  struct slot {
    buffer features, labels, targets;
    batch_view<Real> view;
  };

  loader(detail::feed<Real> samples, int batch_size, std::uint64_t seed, const loader_options& options);

  [[nodiscard]] bool at_end(std::int64_t position) const {
    return position + (options_.drop_last ? batch_size_ : 1) > size();
  }

  /// Fills a slot with the batch at a position. Only the preparing thread calls it and touches order_.
  void prepare(slot& to, int epoch, std::int64_t position);

  /// The background thread: prepares the batches that follow the seek, as far as slots are free.
  void work(const std::stop_token& stop);

  detail::feed<Real> feed_;
  loader_options options_;
  std::uint64_t seed_;
  int batch_size_;
  slot slots_[slot_count];
  std::vector<std::uint32_t> order_;
  int ordered_epoch_ = -1;

  int epoch_ = 0;
  std::int64_t position_ = 0;  // of the consumer

  // Shared with the thread, under the mutex (epoch_ changes under it too). Batches are counted from the last seek.
  std::mutex mutex_;
  std::condition_variable_any work_;
  std::condition_variable done_;
  std::int64_t start_ = 0;
  std::uint64_t filled_ = 0, taken_ = 0, released_ = 0;
  bool busy_ = false, paused_ = false;
  std::exception_ptr failure_;
  std::jthread worker_;
};

// Members of more than a few lines stand outside of the class, where they are not inline: vivace::precompiled has them.

template <std::floating_point Real>
template <data::source<Real> Source, data::transform<Real> Transform>
loader<Real>::loader(Source set, int batch_size, std::uint64_t seed, const loader_options& options, Transform change)
    : loader(detail::feed<Real>::of(std::move(set), std::move(change)), batch_size, seed, options) {}

template <std::floating_point Real>
loader<Real>::loader(detail::feed<Real> samples, int batch_size, std::uint64_t seed, const loader_options& options)
    : feed_(std::move(samples)), options_(options), seed_(seed), batch_size_(batch_size) {
  if (batch_size_ < 1)
    throw error("the batch size is out of range", "loader", std::to_string(batch_size_), "one sample or more");
  const std::int64_t most = (std::min)(std::int64_t{batch_size_}, size());
  const std::int64_t numbers = most * feed_.sample.size();
  const bool threaded = options_.prefetch == prefetch::on ||
                        (options_.prefetch == prefetch::automatic &&
                         numbers >= (feed_.apply != nullptr ? worthwhile_transformed : worthwhile_copied));
  for (slot& one : std::span(slots_, threaded ? slot_count : 1)) {
    one.features = buffer(static_cast<std::size_t>(numbers) * sizeof(Real));
    if (feed_.labelled) one.labels = buffer(static_cast<std::size_t>(most) * sizeof(std::int32_t));
    one.targets = buffer(static_cast<std::size_t>(most * feed_.target_size) * sizeof(Real));
  }
  order_.resize(static_cast<std::size_t>(size()));
  if (threaded) worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

template <std::floating_point Real>
loader<Real>::~loader() = default;  // stops and joins the thread first: it is the last member

template <std::floating_point Real>
const batch_view<Real>* loader<Real>::next() {
  if (!prefetches()) {
    if (at_end(position_)) return nullptr;
    prepare(slots_[0], epoch_, position_);
    position_ += slots_[0].view.size;
    return &slots_[0].view;
  }
  std::unique_lock lock(mutex_);
  if (released_ < taken_) {  // the batch that the caller held
    released_ = taken_;
    work_.notify_one();
  }
  if (at_end(position_)) return nullptr;
  done_.wait(lock, [&] { return filled_ > taken_ || failure_; });
  if (filled_ == taken_) std::rethrow_exception(failure_);
  const batch_view<Real>& view = slots_[taken_++ % slot_count].view;
  position_ += view.size;
  return &view;
}

template <std::floating_point Real>
void loader<Real>::seek(int epoch, std::int64_t position) {
  if (epoch < 0 || position < 0 || position > size())
    throw error("a loader cannot go there", "loader",
                "epoch " + std::to_string(epoch) + ", position " + std::to_string(position),
                "an epoch of 0 or more and a position from 0 to " + std::to_string(size()));
  std::unique_lock lock(mutex_);
  paused_ = true;
  done_.wait(lock, [&] { return !busy_; });
  epoch_ = epoch;
  position_ = start_ = position;
  filled_ = taken_ = released_ = 0;
  failure_ = nullptr;
  paused_ = false;
  work_.notify_one();
}

template <std::floating_point Real>
void loader<Real>::prepare(slot& to, int epoch, std::int64_t position) {
  if (ordered_epoch_ != epoch) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::uint32_t>(i);
    if (options_.shuffle) shuffle(order_, {seed_, shuffle_stream, static_cast<std::uint32_t>(epoch)});
    ordered_epoch_ = epoch;
  }
  const std::int64_t count = (std::min)(std::int64_t{batch_size_}, size() - position);
  const auto indices = std::span<const std::uint32_t>(order_).subspan(static_cast<std::size_t>(position),
                                                                      static_cast<std::size_t>(count));
  Real* const features = to.features.template as<Real>();
  feed_.gather(feed_.source.get(), indices, features, to.labels.template as<std::int32_t>(),
               to.targets.template as<Real>());
  if (feed_.apply != nullptr) {
    const std::int64_t width = feed_.sample.size();
    for (std::int64_t i = 0; i < count; ++i)
      feed_.apply(feed_.transform.get(), features + i * width, feed_.sample,
                  {seed_, static_cast<std::uint32_t>(epoch), indices[static_cast<std::size_t>(i)]});
  }
  to.view = {features, to.labels.template as<std::int32_t>(), to.targets.template as<Real>(), static_cast<int>(count),
             position};
}

template <std::floating_point Real>
void loader<Real>::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto next_position = [&] { return start_ + static_cast<std::int64_t>(filled_) * batch_size_; };
  const auto has_work = [&] {
    return !paused_ && !failure_ && filled_ - released_ < slot_count && !at_end(next_position());
  };
  while (work_.wait(lock, stop, has_work)) {
    slot& to = slots_[filled_ % slot_count];
    const int epoch = epoch_;
    const std::int64_t position = next_position();
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      prepare(to, epoch, position);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    failure_ = failure;
    if (!failure) ++filled_;
    done_.notify_one();
  }
}

}  // namespace vivace::inline VIVACE_TARGET::data
