#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <set>
#include <vivace/data/dataset.hpp>

#include "../io/files.hpp"
#include "laws.hpp"

namespace data = vivace::data;
using data::dataset;
using files::contains;

namespace {

/// A minimal model of data::source, as somebody outside the library would write it.
struct ramp {
  [[nodiscard]] int size() const { return 5; }
  [[nodiscard]] vivace::shape sample_shape() const { return {3}; }
  void gather(std::span<const std::uint32_t> indices, float* features) const {
    for (const std::uint32_t index : indices) {
      if (index >= 5) throw vivace::error("there is no such sample");
      for (int i = 0; i < 3; ++i) *features++ = static_cast<float>(10 * index) + static_cast<float>(i);
    }
  }
};

std::vector<float> iota(int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
  return values;
}

template <class Real>
std::vector<Real> gathered(const dataset& set, std::vector<std::uint32_t> indices) {
  std::vector<Real> values(indices.size() * static_cast<std::size_t>(set.sample_shape().size()));
  set.gather(std::span<const std::uint32_t>(indices), values.data());
  return values;
}

template <class Call>
std::string refusal(Call&& call) {
  return files::message_of<vivace::error>(call);
}

}  // namespace

static_assert(data::source<ramp> && !data::source<ramp, double> && !data::labelled_source<ramp>);
static_assert(data::source<dataset> && data::source<dataset, double>);
static_assert(data::labelled_source<dataset> && data::target_source<dataset, double>);
static_assert(!std::is_constructible_v<data::values_view, std::vector<float>>, "temporaries must not be borrowed");
static_assert(std::is_constructible_v<data::values_view, std::span<const float>>);
static_assert(!std::is_constructible_v<data::values_view, std::vector<int>&>);

TEST_CASE("dataset: a minimal source of somebody else obeys the laws") { laws::check_source(ramp{}); }

TEST_CASE("dataset: owned and borrowed samples of every stored type obey the laws") {
  laws::check_source(dataset::own(iota(21), {3}, std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 4}));
  laws::check_source<double>(dataset::own(std::vector<std::uint8_t>(34, 200), {17}, std::vector<double>{1, 2}));
  const std::vector<double> values(30, 0.1);
  laws::check_source<double>(dataset::borrow(values, {2, 1, 5}));
  laws::check_source(dataset{});
}

TEST_CASE("dataset: borrowing copies nothing and gathers in any order") {
  std::vector<float> features = iota(12);
  const std::array<std::int32_t, 4> labels = {3, 1, 2, 1};
  const dataset set = dataset::borrow(features, {1, 3}, labels);
  CHECK(set.size() == 4);
  CHECK(set.classes() == 4);
  CHECK(set.target_size() == 0);
  CHECK(set.sample_shape() == vivace::shape{1, 3});
  CHECK(gathered<float>(set, {2, 0}) == std::vector<float>{6, 7, 8, 0, 1, 2});
  features[6] = 60;
  CHECK(gathered<double>(set, {2}) == std::vector<double>{60, 7, 8});
  CHECK(set.label(2) == 2);
}

TEST_CASE("dataset: bytes are scaled when they are given out") {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 2 * 19; ++i) bytes.push_back(static_cast<std::uint8_t>(7 * i));
  const dataset set = dataset::own(bytes, {19}, std::vector<std::int32_t>{0, 1}).scaled(1 / 255.0, -0.5);
  const auto values = gathered<double>(set, {1});
  for (std::size_t i = 0; i < 19; ++i) CHECK(values[i] == doctest::Approx(bytes[19 + i] / 255.0 - 0.5));
  CHECK(gathered<float>(set.scaled(1, 0), {0})[3] == 21.0F);
}

TEST_CASE("dataset: targets") {
  const dataset set = dataset::own(iota(6), {2}, std::vector<float>{1, 2, 3, 4, 5, 6}, 2);
  CHECK(set.target_size() == 2);
  CHECK(set.classes() == 0);
  const std::array<std::uint32_t, 2> indices = {2, 0};
  std::array<double, 4> targets{};
  set.gather_targets(std::span<const std::uint32_t>(indices), targets.data());
  CHECK(targets == std::array<double, 4>{5, 6, 1, 2});
}

TEST_CASE("dataset: subsets and splits share the samples and keep them alive") {
  dataset set = dataset::own(iota(11), {1}, std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const auto [first, second] = data::split(set, 0.7, 5);
  const auto again = data::split(set, 0.7, 5).first;
  const auto other = data::split(set, 0.7, 6).first;
  set = dataset{};
  CHECK(first.size() == 8);
  CHECK(second.size() == 3);
  std::set<std::int32_t> seen;
  bool ordered = true, equal = true, different = false;
  for (std::uint32_t i = 0; i < 8; ++i) {
    seen.insert(first.label(i));
    ordered = ordered && (i == 0 || first.label(i - 1) < first.label(i));
    equal = equal && first.label(i) == again.label(i);
    different = different || first.label(i) != other.label(i);
    CHECK(gathered<float>(first, {i})[0] == static_cast<float>(first.label(i)));
  }
  for (std::uint32_t i = 0; i < 3; ++i) seen.insert(second.label(i));
  CHECK(seen.size() == 11);
  CHECK(ordered);
  CHECK(equal);
  CHECK(different);
  CHECK(first.classes() == 11);
  CHECK(data::split(first, 1, 0).second.size() == 0);
  CHECK(second.take(2).size() == 2);
  CHECK(second.take(2).label(1) == second.label(1));
  const std::array<std::uint32_t, 2> backwards = {2, 1};
  CHECK(second.subset(backwards).label(0) == second.label(2));
  laws::check_source(second);
}

TEST_CASE("dataset: shuffling is the shuffle that the documentation states") {
  std::vector<std::uint32_t> order(257), expected(257);
  for (std::uint32_t i = 0; i < 257; ++i) order[i] = expected[i] = i;
  const vivace::random_stream stream(3, data::shuffle_stream, 9);
  data::shuffle(order, stream);
  for (std::uint32_t i = 256; i > 0; --i) {
    const auto j = stream.below(i, i + 1);
    std::swap(expected[i], expected[j]);
  }
  CHECK(order == expected);
  CHECK(std::set<std::uint32_t>(order.begin(), order.end()).size() == 257);
}

TEST_CASE("dataset: names") {
  const dataset set = dataset::own(iota(2), {1}, std::vector<std::int32_t>{0, 1});
  CHECK(set.class_names().empty());
  CHECK(set.named({"cat", "dog"}).class_names()[1] == "dog");
  CHECK(contains(refusal([&] { (void)set.named({"cat"}); }), "got:   1 names"));
}

TEST_CASE("dataset: every refusal says what, where and what to do") {
  using labels = std::vector<std::int32_t>;
  const auto bad_label = refusal([] { dataset::own(iota(3), {1}, labels{0, 1, 12}, 10); });
  CHECK(contains(bad_label, "a label is outside of the classes\n  where: sample 2\n  got:   label 12"));
  CHECK(contains(bad_label, "needs: a label from 0 to 9"));
  CHECK(contains(refusal([] { dataset::own(iota(2), {1}, labels{0, -1}); }), "where: sample 1\n  got:   label -1"));
  CHECK(contains(refusal([] { dataset::own(iota(2), {1}, labels{0}); }), "the labels do not fit the samples"));
  CHECK(contains(refusal([] {
                   dataset::own(iota(5), {2}, labels{0, 1});
                 }),
                 "got:   5 values\n  needs: a multiple of 2"));
  CHECK(contains(refusal([] { dataset::own(iota(4), {2, 0}, labels{}); }), "where: dimension 1\n  got:   0"));
  CHECK(contains(refusal([] { dataset::own(iota(4), {vivace::rows, 2}, labels{}); }), "without the batch"));
  CHECK(contains(refusal([] { dataset::own(iota(4), {65536, 65536}, labels{}); }), "less than 2^31 values a sample"));
  CHECK(contains(refusal([] { dataset::own(iota(4), {2}, iota(3), 2); }), "the targets do not fit the samples"));
  CHECK(contains(refusal([] { dataset::own(iota(4), {2}, iota(3), 2); }), "needs: 2 samples times 2 values"));
  const dataset set = dataset::own(iota(4), {2});
  CHECK(contains(refusal([&] { gathered<float>(set, {0, 2}); }), "got:   index 2\n  needs: an index below 2"));
  CHECK(contains(refusal([&] { (void)set.label(0); }), "the data set has no labels"));
  std::array<float, 4> out{};
  const std::array<std::uint32_t, 1> zero = {0};
  CHECK(contains(refusal([&] { set.gather_targets(std::span<const std::uint32_t>(zero), out.data()); }),
                 "the data set has no targets"));
  CHECK(contains(refusal([&] { (void)set.take(3); }), "got:   2 samples\n  needs: a count from 0 to that, not 3"));
  CHECK(contains(refusal([&] { (void)data::split(set, 1.5, 1); }), "needs: a number from 0 to 1"));
  CHECK(contains(refusal([&] { (void)data::split(set, std::numeric_limits<double>::quiet_NaN(), 1); }), "nan"));
}

TEST_CASE("dataset: numbers that are not finite are found on request") {
  std::vector<float> features = iota(6), targets = iota(3);
  const dataset set = dataset::borrow(features, {2}, targets);
  CHECK_NOTHROW(set.check_finite());
  targets[1] = std::numeric_limits<float>::infinity();
  CHECK(contains(refusal([&] { set.check_finite(); }), "a target is not finite\n  where: sample 1\n  got:   inf"));
  features[3] = std::numeric_limits<float>::quiet_NaN();
  const auto text = refusal([&] { set.check_finite(); });
  CHECK(contains(text, "a feature is not finite\n  where: sample 1\n  got:   nan at position 1"));
  CHECK(contains(text, "needs: finite numbers: repair or drop the sample"));
}
