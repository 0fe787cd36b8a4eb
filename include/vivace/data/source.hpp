#pragma once
/// @file
/// What a data set is to the rest of the library. A type of your own that fits `source` can be loaded and trained on.
#include <concepts>
#include <cstdint>
#include <span>

#include <vivace/config.hpp>
#include <vivace/core/shape.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A set of samples of one shape that can be copied out in any order, as numbers of type Real.
///
/// - size(): number of samples, 0 or more and below 2^32; it never changes.
/// - sample_shape(): shape of one sample, without the batch: every extent is above zero.
/// - gather(indices, features): writes the samples of the given indices one after another, row-major, to
///   features[indices.size()][sample_shape().size()]. Indices may repeat. The same index gives the same numbers
///   always. Throws vivace::error if an index is not below size(), or if a sample cannot be read.
/// - All of these may be called from several threads at once.
/// - Copies are cheap and equal: a source is a handle to samples. (The loader keeps a copy.)
///
/// The law suite tests/data/laws.hpp checks a model against this text.
template <class Source, class Real = float>
concept source = std::copy_constructible<Source> &&
    requires(const Source& set, std::span<const std::uint32_t> indices, Real* features) {
  { set.size() } -> std::convertible_to<std::int64_t>;
  { set.sample_shape() } -> std::convertible_to<shape>;
  set.gather(indices, features);
};

/// A source whose samples have a class.
///
/// - classes(): number of classes; 0 says that this set has no labels after all.
/// - gather_labels(indices, labels): writes one label in [0, classes()) an index. Not called if classes() is 0.
template <class Source>
concept labelled_source = requires(const Source& set, std::span<const std::uint32_t> indices, std::int32_t* labels) {
  { set.classes() } -> std::convertible_to<int>;
  set.gather_labels(indices, labels);
};

/// A source whose samples have numbers to be predicted.
///
/// - target_size(): numbers a sample; 0 says that this set has no targets after all.
/// - gather_targets(indices, targets): writes targets[indices.size()][target_size()]. Not called if that is 0.
template <class Source, class Real = float>
concept target_source = requires(const Source& set, std::span<const std::uint32_t> indices, Real* targets) {
  { set.target_size() } -> std::convertible_to<int>;
  set.gather_targets(indices, targets);
};

/// A source that says `static constexpr bool in_memory = true`: gather() only copies numbers, so that nothing is gained
/// by keeping what it wrote.
template <class Source>
concept in_memory_source = requires {
  requires Source::in_memory;
};

}  // namespace vivace::inline VIVACE_TARGET::data
