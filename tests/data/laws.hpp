#pragma once
// Laws of the concepts of vivace/data: run a model of your own through them, inside a doctest test case.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <thread>
#include <vector>
#include <vivace/core/errors.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace laws {

/// Laws of vivace::data::source<Source, Real>, and of labelled_source and target_source if they apply.
template <class Real = float, class Source>
void check_source(const Source& set) {
  static_assert(vivace::data::source<Source, Real>);
  const auto size = static_cast<std::int64_t>(set.size());
  const vivace::shape sample = set.sample_shape();
  REQUIRE(size >= 0);
  REQUIRE(size < std::int64_t{1} << 32);
  for (int d = 0; d < sample.rank; ++d) REQUIRE(sample[d] > 0);
  const auto width = static_cast<std::size_t>(sample.size());

  const auto gather = [&](const Source& from, const std::vector<std::uint32_t>& indices) {
    std::vector<Real> features(indices.size() * width + 1, Real(-77.5));
    from.gather(std::span<const std::uint32_t>(indices), features.data());
    CHECK_MESSAGE(features.back() == Real(-77.5), "gather writes what it was asked for and no more");
    features.pop_back();
    return features;
  };
  const auto same_bits = [](const std::vector<Real>& one, const std::vector<Real>& other) {
    return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(Real)) == 0;
  };

  CHECK(gather(set, {}).empty());
  if (size > 0) {
    // Ends, middle and a repetition.
    const auto last = static_cast<std::uint32_t>(size - 1);
    const std::vector<std::uint32_t> indices = {last, 0, last / 2, 0};
    const std::vector<Real> together = gather(set, indices);
    CHECK_MESSAGE(same_bits(together, gather(set, indices)), "gather repeats itself");
    CHECK_MESSAGE(same_bits(together, gather(Source(set), indices)), "copies are equal");
    std::vector<Real> one_by_one;
    for (const std::uint32_t index : indices)
      for (const Real value : gather(set, {index})) one_by_one.push_back(value);
    CHECK_MESSAGE(same_bits(together, one_by_one), "gathering many is gathering each");

    std::vector<Real> left(together.size()), right(together.size());
    std::thread other([&] { set.gather(std::span<const std::uint32_t>(indices), left.data()); });
    set.gather(std::span<const std::uint32_t>(indices), right.data());
    other.join();
    CHECK_MESSAGE((same_bits(together, left) && same_bits(together, right)), "threads do not disturb one another");
  }
  CHECK_THROWS_AS(gather(set, {static_cast<std::uint32_t>(size)}), vivace::error);

  std::vector<std::uint32_t> all(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint32_t>(i);
  if constexpr (vivace::data::labelled_source<Source>) {
    const int classes = set.classes();
    REQUIRE(classes >= 0);
    if (classes > 0) {
      std::vector<std::int32_t> labels(all.size(), -1);
      set.gather_labels(std::span<const std::uint32_t>(all), labels.data());
      bool in_range = true;
      for (const std::int32_t label : labels) in_range = in_range && label >= 0 && label < classes;
      CHECK_MESSAGE(in_range, "labels lie in [0, classes)");
    }
  }
  if constexpr (vivace::data::target_source<Source, Real>) {
    const int target_size = set.target_size();
    REQUIRE(target_size >= 0);
    if (target_size > 0) {
      const auto count = all.size() * static_cast<std::size_t>(target_size);
      std::vector<Real> one(count + 1, Real(-77.5)), two = one;
      set.gather_targets(std::span<const std::uint32_t>(all), one.data());
      set.gather_targets(std::span<const std::uint32_t>(all), two.data());
      CHECK_MESSAGE(same_bits(one, two), "targets repeat themselves");
      CHECK_MESSAGE(one.back() == Real(-77.5), "gather_targets writes what it was asked for and no more");
    }
  }
}

/// Laws of vivace::data::transform<Transform, Real> on samples of a shape that the transform works on.
template <class Real = float, class Transform>
void check_transform(const Transform& change, const vivace::shape& of) {
  static_assert(vivace::data::transform<Transform, Real>);
  const auto width = static_cast<std::size_t>(of.size());
  const auto apply = [&](const Transform& how, const vivace::data::sample_key& key) {
    std::vector<Real> sample(width + 2, Real(-77.5));
    for (std::size_t i = 0; i < width; ++i) sample[i + 1] = static_cast<Real>(i * i % 31) / 31;
    how(sample.data() + 1, of, key);
    CHECK_MESSAGE((sample.front() == Real(-77.5) && sample.back() == Real(-77.5)), "writes to the sample alone");
    return sample;
  };
  const auto same_bits = [](const std::vector<Real>& one, const std::vector<Real>& other) {
    return std::memcmp(one.data(), other.data(), one.size() * sizeof(Real)) == 0;
  };
  for (std::uint32_t index = 0; index < 20; ++index) {
    const vivace::data::sample_key key{7, index % 3, index, index % 2};
    const std::vector<Real> first = apply(change, key);
    (void)apply(change, {8, 1, index + 1, 0});
    CHECK_MESSAGE(same_bits(first, apply(change, key)), "the same key gives the same bits, whatever came between");
    CHECK_MESSAGE(same_bits(first, apply(Transform(change), key)), "copies are equal");
    std::vector<Real> elsewhere;
    std::thread other([&] { elsewhere = apply(change, key); });
    CHECK_MESSAGE(same_bits(first, apply(change, key)), "threads do not disturb one another");
    other.join();
    CHECK_MESSAGE(same_bits(first, elsewhere), "any thread gives the same bits");
  }
}

/// Laws of vivace::data::batch_stream<Batches, Real>, over some epochs.
/// @param name name(batch, i): what tells the sample at place i of a batch from all others, below `names`
/// @param drops whether a short last batch is left out
template <class Real = float, class Batches, class Name>
void check_batches(Batches& batches, int epochs, bool drops, Name&& name) {
  static_assert(vivace::data::batch_stream<Batches, Real>);
  const std::int64_t size = batches.size(), at_once = batches.batch_size();
  REQUIRE(at_once > 0);
  CHECK(batches.batches() == (drops ? size / at_once : (size + at_once - 1) / at_once));
  for (int epoch = 0; epoch < epochs; ++epoch) {
    batches.start_epoch(epoch);
    std::set<std::int64_t> names;
    std::int64_t position = 0, count = 0;
    while (const vivace::data::batch_view<Real>* batch = batches.next()) {
      ++count;
      CHECK_MESSAGE(batch->position == position, "positions ascend");
      const std::int64_t expected = size - position < at_once ? size - position : at_once;
      CHECK_MESSAGE(batch->size == expected, "batches are full, less the last one");
      REQUIRE(batch->size > 0);
      CHECK(batch->features != nullptr);
      CHECK((batch->labels != nullptr) == batches.labelled());
      CHECK((batch->targets != nullptr) == (batches.target_size() > 0));
      for (int i = 0; i < batch->size; ++i)
        CHECK_MESSAGE(names.insert(name(*batch, i)).second, "no sample comes twice in an epoch");
      position += batch->size;
    }
    CHECK(count == batches.batches());
    CHECK_MESSAGE(position == (drops ? size / at_once * at_once : size), "an epoch is complete");
    CHECK_MESSAGE(batches.next() == nullptr, "an epoch that is over stays so");
  }
}

}  // namespace laws
