#pragma once
/// @file
/// Samples in memory: owned or borrowed, stored as bytes, float or double, seen through an index.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/source.hpp>
#include <vivace/io/element.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Types that features and targets may be stored as.
template <class Value>
concept stored_value = std::same_as<Value, float> || std::same_as<Value, double> || std::same_as<Value, std::uint8_t>;

/// Numbers of one stored type that lie one after another in memory of somebody else: any contiguous range of float,
/// double or std::uint8_t that outlives the call (a std::vector, a std::span, an xtensor array, not a temporary).
class values_view {
 public:
  values_view() = default;
  template <class Range>
  requires std::ranges::borrowed_range<Range> && std::ranges::contiguous_range<Range> &&
      stored_value<std::remove_cvref_t<std::ranges::range_reference_t<Range>>>
      values_view(Range&& range)  // NOLINT: a range of numbers is a view of numbers
      : data_(std::ranges::data(range)),
        count_(static_cast<std::int64_t>(std::ranges::size(range))),
        type_(io::element_of<std::remove_cvref_t<std::ranges::range_reference_t<Range>>>) {}

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] io::element type() const { return type_; }

  /// Writes scale * value + offset for `count` values from `first` on.
  template <std::floating_point Real>
  void convert(std::int64_t first, std::int64_t count, double scale, double offset, Real* to) const {
    switch (type_) {
      case io::element::u8:
        return convert_from<std::uint8_t>(first, count, scale, offset, to);
      case io::element::f64:
        return convert_from<double>(first, count, scale, offset, to);
      default:
        return convert_from<float>(first, count, scale, offset, to);
    }
  }

 private:
  template <class Stored, class Real>
  void convert_from(std::int64_t first, std::int64_t count, double scale, double offset, Real* __restrict to) const {
    const Stored* __restrict from = static_cast<const Stored*>(data_) + first;
    if (scale == 1 && offset == 0) {
      for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<Real>(from[i]);
      return;
    }
    const Real factor = static_cast<Real>(scale), shift = static_cast<Real>(offset);
    constexpr int block = 16;  // a fixed count, so that -O2 vectorises too
    std::int64_t done = 0;
    for (; done + block <= count; done += block, to += block, from += block)
      for (int i = 0; i < block; ++i) to[i] = factor * static_cast<Real>(from[i]) + shift;
    for (std::int64_t i = 0; i < count - done; ++i) to[i] = factor * static_cast<Real>(from[i]) + shift;
  }

  const void* data_ = nullptr;
  std::int64_t count_ = 0;
  io::element type_ = io::element::f32;
};

/// Samples in memory: features [samples, sample_shape], and labels [samples], or targets [samples, target_size], or
/// neither. A model of `source`, `labelled_source` and `target_source`.
///
/// A data set is a handle: copies, subsets and splits share the samples, and owned samples live as long as the last
/// of them. Borrowed samples must outlive every data set made from them, unless keep() hands over a share.
class dataset {
 public:
  dataset() = default;

  /// Labelled samples in memory of somebody else, not copied.
  /// @param features values of all samples, one sample after another, row-major
  /// @param sample   shape of one sample, without the batch
  /// @param labels   one class a sample
  /// @param classes  number of classes; 0: one more than the largest label
  /// @throws error   if the sizes do not fit together or a label is outside of [0, classes)
  static dataset borrow(values_view features, const shape& sample, std::span<const std::int32_t> labels,
                        int classes = 0) {
    dataset set = borrow(features, sample);
    set.set_labels(labels, classes);
    return set;
  }
  /// Samples with targets [samples, target_size] in memory of somebody else, not copied.
  static dataset borrow(values_view features, const shape& sample, values_view targets, int target_size = 1) {
    dataset set = borrow(features, sample);
    set.set_targets(targets, target_size);
    return set;
  }
  /// Samples without labels in memory of somebody else, not copied.
  static dataset borrow(values_view features, const shape& sample) {
    dataset set;
    set.set_features(features, sample);
    return set;
  }

  /// Labelled samples; the parameters are those of borrow().
  template <stored_value Stored>
  static dataset own(std::vector<Stored> features, const shape& sample, std::vector<std::int32_t> labels,
                     int classes = 0) {
    const auto kept = std::make_shared<const owned<Stored, std::int32_t>>(std::move(features), std::move(labels));
    return borrow(kept->features, sample, kept->second, classes).keep(kept);
  }
  /// Samples with targets [samples, target_size].
  template <stored_value Stored, std::floating_point Target>
  static dataset own(std::vector<Stored> features, const shape& sample, std::vector<Target> targets,
                     int target_size = 1) {
    const auto kept = std::make_shared<const owned<Stored, Target>>(std::move(features), std::move(targets));
    return borrow(kept->features, sample, kept->second, target_size).keep(kept);
  }
  /// Samples without labels.
  template <stored_value Stored>
  static dataset own(std::vector<Stored> features, const shape& sample) {
    return own(std::move(features), sample, std::vector<float>{}, 0);
  }

  static constexpr bool in_memory = true;

  /// Number of samples.
  [[nodiscard]] std::int64_t size() const { return view_ ? static_cast<std::int64_t>(view_->size()) : stored_; }
  /// Shape of one sample, without the batch.
  [[nodiscard]] const shape& sample_shape() const { return sample_; }
  /// Number of classes; 0 without labels.
  [[nodiscard]] int classes() const { return classes_; }
  /// Targets a sample; 0 without targets.
  [[nodiscard]] int target_size() const { return target_size_; }
  /// Names of the classes; empty if none were given.
  [[nodiscard]] std::span<const std::string> class_names() const {
    return names_ ? std::span<const std::string>(*names_) : std::span<const std::string>{};
  }
  /// Label of a sample. @throws error if there are no labels or no such sample
  [[nodiscard]] std::int32_t label(std::uint32_t index) const {
    require(classes_ > 0, "labels");
    return labels_[static_cast<std::size_t>(row(index))];
  }

  /// Copies samples to features[indices.size()][sample_shape().size()]. @throws error if an index is not below size()
  template <std::floating_point Real>
  void gather(std::span<const std::uint32_t> indices, Real* features) const {
    const std::int64_t width = sample_.size();
    for (const std::uint32_t index : indices) {
      features_.convert(row(index) * width, width, scale_, offset_, features);
      features += width;
    }
  }
  /// Copies labels to labels[indices.size()]. @throws error if there are none, or an index is not below size()
  void gather_labels(std::span<const std::uint32_t> indices, std::int32_t* labels) const {
    require(classes_ > 0, "labels");
    for (const std::uint32_t index : indices) *labels++ = labels_[static_cast<std::size_t>(row(index))];
  }
  /// Copies targets to targets[indices.size()][target_size()]. @throws error if there are none, or an index is not
  /// below size()
  template <std::floating_point Real>
  void gather_targets(std::span<const std::uint32_t> indices, Real* targets) const {
    require(target_size_ > 0, "targets");
    for (const std::uint32_t index : indices) {
      targets_.convert(row(index) * target_size_, target_size_, 1, 0, targets);
      targets += target_size_;
    }
  }

  /// The same samples, given out as scale * stored + offset (applied to what is stored, not to an earlier scaling).
  [[nodiscard]] dataset scaled(double scale, double offset) const {
    dataset set = *this;
    set.scale_ = scale;
    set.offset_ = offset;
    return set;
  }
  /// The same samples, with names for the classes. @throws error unless there is one name a class
  [[nodiscard]] dataset named(std::vector<std::string> names) const {
    if (static_cast<int>(names.size()) != classes_)
      throw error("the names do not fit the classes", "data set", std::to_string(names.size()) + " names",
                  std::to_string(classes_) + " names, one a class");
    dataset set = *this;
    set.names_ = std::make_shared<const std::vector<std::string>>(std::move(names));
    return set;
  }
  /// The same samples, holding a share of whatever owns their memory.
  [[nodiscard]] dataset keep(std::shared_ptr<const void> owner) const {
    dataset set = *this;
    set.owner_ = std::move(owner);
    return set;
  }

  /// The given samples, in that order, which may repeat. @throws error if an index is not below size()
  [[nodiscard]] dataset subset(std::span<const std::uint32_t> indices) const {
    std::vector<std::uint32_t> rows_of_view;
    rows_of_view.reserve(indices.size());
    for (const std::uint32_t index : indices) rows_of_view.push_back(static_cast<std::uint32_t>(row(index)));
    dataset set = *this;
    set.view_ = std::make_shared<const std::vector<std::uint32_t>>(std::move(rows_of_view));
    return set;
  }
  /// The first `count` samples. @throws error if there are fewer
  [[nodiscard]] dataset take(std::int64_t count) const {
    if (count < 0 || count > size())
      throw error("the data set is too small", "take", std::to_string(size()) + " samples",
                  "a count from 0 to that, not " + std::to_string(count));
    std::vector<std::uint32_t> indices(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(i);
    return subset(indices);
  }

  /// Looks at every number once. @throws error naming the first sample with a feature or target that is not finite
  void check_finite() const {
    std::vector<double> values(static_cast<std::size_t>((std::max)(sample_.size(), std::int64_t{target_size_})));
    const auto look = [&](std::uint32_t index, std::int64_t count, const char* kind) {
      for (std::int64_t i = 0; i < count; ++i)
        if (!std::isfinite(values[static_cast<std::size_t>(i)]))
          throw error(std::string("a ") + kind + " is not finite", "sample " + std::to_string(index),
                      std::to_string(values[static_cast<std::size_t>(i)]) + " at position " + std::to_string(i),
                      "finite numbers: repair or drop the sample");
    };
    for (std::uint32_t index = 0; index < size(); ++index) {
      gather(std::span(&index, 1), values.data());
      look(index, sample_.size(), "feature");
      if (target_size_ == 0) continue;
      gather_targets(std::span(&index, 1), values.data());
      look(index, target_size_, "target");
    }
  }

 private:
  template <class Stored, class Second>
  struct owned {
    owned(std::vector<Stored> first, std::vector<Second> other)
        : features(std::move(first)), second(std::move(other)) {}
    std::vector<Stored> features;
    std::vector<Second> second;
  };

  void set_features(values_view features, const shape& sample) {
    std::int64_t width = 1;
    for (int d = 0; d < sample.rank; ++d) {
      if (sample[d] <= 0)
        throw error("the shape of a sample has an extent that is not above zero", "dimension " + std::to_string(d),
                    std::to_string(sample[d]), "the shape of one sample, without the batch");
      if (width > (std::numeric_limits<std::int32_t>::max)() / sample[d])
        throw error("the shape of a sample is too large", "dimension " + std::to_string(d), std::to_string(sample[d]),
                    "less than 2^31 values a sample");
      width *= sample[d];
    }
    if (features.count() % width != 0)
      throw error("the features do not fill whole samples", "data set", std::to_string(features.count()) + " values",
                  "a multiple of " + std::to_string(width) + ", the size of a sample");
    stored_ = features.count() / width;
    if (stored_ > (std::numeric_limits<std::uint32_t>::max)())
      throw error("the data set is too large", "data set", std::to_string(stored_) + " samples", "less than 2^32");
    features_ = features;
    sample_ = sample;
  }

  void set_labels(std::span<const std::int32_t> labels, int classes) {
    if (static_cast<std::int64_t>(labels.size()) != stored_)
      throw error("the labels do not fit the samples", "data set", std::to_string(labels.size()) + " labels",
                  std::to_string(stored_) + ", one a sample");
    constexpr int most = (std::numeric_limits<std::int32_t>::max)();
    const int bound = classes > 0 ? classes : most;  // so that the largest label can be counted
    std::int32_t largest = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] < 0 || labels[i] >= bound)
        throw error("a label is outside of the classes", "sample " + std::to_string(i),
                    "label " + std::to_string(labels[i]), "a label from 0 to " + std::to_string(bound - 1));
      largest = (std::max)(largest, labels[i]);
    }
    labels_ = labels;
    classes_ = classes > 0 ? classes : largest + 1;
  }

  void set_targets(values_view targets, int target_size) {
    if (target_size < 0 || targets.count() != stored_ * target_size)
      throw error("the targets do not fit the samples", "data set", std::to_string(targets.count()) + " values",
                  std::to_string(stored_) + " samples times " + std::to_string(target_size) + " values");
    targets_ = targets;
    target_size_ = target_size;
  }

  [[nodiscard]] std::int64_t row(std::uint32_t index) const {
    if (index >= size())
      throw error("there is no such sample", "data set", "index " + std::to_string(index),
                  "an index below " + std::to_string(size()));
    return view_ ? std::int64_t{(*view_)[index]} : std::int64_t{index};
  }
  static void require(bool present, const char* what) {
    if (!present)
      throw error(std::string("the data set has no ") + what, "data set", std::string("samples without ") + what,
                  std::string("a data set made with ") + what);
  }

  values_view features_, targets_;
  std::span<const std::int32_t> labels_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const std::vector<std::uint32_t>> view_;
  std::shared_ptr<const std::vector<std::string>> names_;
  shape sample_;
  std::int64_t stored_ = 0;
  double scale_ = 1, offset_ = 0;
  int classes_ = 0, target_size_ = 0;
};

/// Two data sets that share no sample.
struct two_parts {
  dataset first, second;
};

/// Data to train on and data to judge by.
struct train_and_test {
  dataset train, test;
};

/// Cuts a data set in two at random, copying no sample. Within each part, samples keep their order.
/// @param fraction share of the first part, from 0 to 1; the count is rounded
/// @throws error if the fraction is not from 0 to 1
inline two_parts split(const dataset& set, double fraction, std::uint64_t seed) {
  if (!(fraction >= 0 && fraction <= 1))
    throw error("the fraction of a split is out of range", "split", std::to_string(fraction), "a number from 0 to 1");
  std::vector<std::uint32_t> order(static_cast<std::size_t>(set.size()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
  shuffle(order, {seed, split_stream});
  const auto middle =
      order.begin() + static_cast<std::ptrdiff_t>(std::llround(fraction * static_cast<double>(set.size())));
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {set.subset({order.begin(), middle}), set.subset({middle, order.end()})};
}

}  // namespace vivace::inline VIVACE_TARGET::data
