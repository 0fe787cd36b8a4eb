#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>
#include <vivace/data/dataset.hpp>
#include <vivace/data/loader.hpp>

#include "../io/files.hpp"

namespace data = vivace::data;
using data::prefetch;

namespace {

data::dataset numbered(int count, int width = 3) {
  std::vector<float> features;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < width; ++j) features.push_back(static_cast<float>(100 * i + j));
    labels.push_back(i);
  }
  return data::dataset::own(std::move(features), {1, 1, width}, std::move(labels), count > 0 ? count : 1);
}

/// Everything that an epoch gives, in a row.
struct record {
  std::vector<float> features;
  std::vector<std::int32_t> labels, sizes;
  std::vector<std::int64_t> positions;
  bool operator==(const record&) const = default;
};

record rest(data::loader<float>& batches) {
  record all;
  const auto width = batches.sample_shape().size();
  while (const auto* batch = batches.next()) {
    all.features.insert(all.features.end(), batch->features, batch->features + batch->size * width);
    all.labels.insert(all.labels.end(), batch->labels, batch->labels + batch->size);
    all.sizes.push_back(batch->size);
    all.positions.push_back(batch->position);
  }
  return all;
}

/// A source that fails on one sample as long as the switch is on.
struct brittle {
  std::shared_ptr<std::atomic<bool>> broken = std::make_shared<std::atomic<bool>>(true);
  [[nodiscard]] int size() const { return 10; }
  [[nodiscard]] vivace::shape sample_shape() const { return {1}; }
  void gather(std::span<const std::uint32_t> indices, float* features) const {
    for (const std::uint32_t index : indices) {
      if (index == 5 && *broken) throw vivace::error("sample 5 cannot be read");
      *features++ = static_cast<float>(index);
    }
  }
};

/// A source that takes its time.
struct slow : brittle {
  slow() { *broken = false; }
  void gather(std::span<const std::uint32_t> indices, float* features) const {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    brittle::gather(indices, features);
  }
};

}  // namespace

TEST_CASE("loader: an epoch gives every sample once, in an order of its own") {
  for (const auto ahead : {prefetch::off, prefetch::on}) {
    data::loader<float> batches{numbered(23), 5, 1, {.prefetch = ahead}};
    CHECK(batches.prefetches() == (ahead == prefetch::on));
    CHECK(batches.batches() == 5);
    const record first = rest(batches);
    CHECK(first.sizes == std::vector<std::int32_t>{5, 5, 5, 5, 3});
    CHECK(first.positions == std::vector<std::int64_t>{0, 5, 10, 15, 20});
    CHECK(std::set<std::int32_t>(first.labels.begin(), first.labels.end()).size() == 23);
    for (std::size_t i = 0; i < 23; ++i)
      CHECK(first.features[3 * i + 2] == static_cast<float>(100 * first.labels[i] + 2));
    CHECK(batches.next() == nullptr);
    batches.start_epoch(1);
    CHECK(rest(batches).labels != first.labels);
    batches.start_epoch(0);
    CHECK(rest(batches) == first);
  }
}

TEST_CASE("loader: the order is the stated one") {
  data::loader<float> batches{numbered(23), 7, 42};
  batches.start_epoch(3);
  std::vector<std::uint32_t> order(23);
  for (std::uint32_t i = 0; i < 23; ++i) order[i] = i;
  data::shuffle(order, {42, data::shuffle_stream, 3});
  const record all = rest(batches);
  CHECK(std::equal(order.begin(), order.end(), all.labels.begin(), all.labels.end(),
                   [](std::uint32_t index, std::int32_t label) { return static_cast<std::int32_t>(index) == label; }));
}

TEST_CASE("loader: prefetch and resumption at any batch change no bit") {
  const auto change = data::compose(data::random_crop{1}, data::random_flip{});
  const auto set = numbered(41, 7);
  data::loader<float> plain{set, 4, 9, {.prefetch = prefetch::off}, change};
  data::loader<float> ahead{set, 4, 9, {.prefetch = prefetch::on}, change};
  for (int epoch = 0; epoch < 3; ++epoch) {
    plain.start_epoch(epoch);
    ahead.start_epoch(epoch);
    CHECK(rest(plain) == rest(ahead));
  }
  for (int stop = 0; stop <= 11; ++stop) {
    plain.start_epoch(2);
    for (int i = 0; i < stop; ++i) plain.next();
    const data::loader_state state = plain.state();
    CHECK(state == data::loader_state{2, (std::min)(4 * stop, 41)});
    data::loader<float> resumed{set, 4, 9, {.prefetch = stop % 2 == 0 ? prefetch::on : prefetch::off}, change};
    resumed.seek(state);
    CHECK(resumed.state() == state);
    CHECK(rest(resumed) == rest(plain));
  }
}

TEST_CASE("loader: augmentation differs between epochs and not between batch sizes") {
  const auto set = numbered(16, 7);
  data::loader<float> one{set, 16, 9, {.shuffle = false}, data::random_crop{3}};
  data::loader<float> other{set, 3, 9, {.shuffle = false}, data::random_crop{3}};
  const record first = rest(one);
  CHECK(rest(other).features == first.features);
  one.start_epoch(1);
  CHECK(rest(one).features != first.features);
}

TEST_CASE("loader: options and odd sizes") {
  data::loader<float> dropping{numbered(23), 5, 1, {.drop_last = true, .prefetch = prefetch::on}};
  CHECK(dropping.batches() == 4);
  CHECK(rest(dropping).sizes == std::vector<std::int32_t>{5, 5, 5, 5});
  data::loader<float> in_order{numbered(3), 100, 1, {.shuffle = false}};
  CHECK(rest(in_order).labels == std::vector<std::int32_t>{0, 1, 2});
  data::loader<float> nothing{numbered(0), 4, 1, {.prefetch = prefetch::on}};
  CHECK(nothing.batches() == 0);
  CHECK(nothing.next() == nullptr);
  data::loader<float> too_few{numbered(3), 4, 1, {.drop_last = true}};
  CHECK(too_few.next() == nullptr);

  const auto set = data::dataset::own(std::vector<float>{1, 2, 3}, {1}, std::vector<double>{4, 5, 6});
  data::loader<double> regression{set, 2, 1, {.shuffle = false}};
  const auto* batch = regression.next();
  REQUIRE(batch != nullptr);
  CHECK(batch->labels == nullptr);
  CHECK(batch->targets[1] == 5.0);
  CHECK(batch->features[1] == 2.0);
}

TEST_CASE("loader: large batches are prefetched without being asked, small ones are not") {
  CHECK_FALSE(data::loader<float>{numbered(64, 3), 64, 1}.prefetches());
  CHECK_FALSE(data::loader<float>{numbered(64, 1024), 64, 1}.prefetches());
  CHECK(data::loader<float>{numbered(64, 1024), 64, 1, {}, data::random_flip{}}.prefetches());
  CHECK(data::loader<float>{numbered(64, 8192), 64, 1}.prefetches());
}

TEST_CASE("loader: what a source throws is thrown by next, after the good batches, until the loader seeks") {
  for (const auto ahead : {prefetch::off, prefetch::on}) {
    const brittle set;
    data::loader<float> batches{set, 2, 1, {.shuffle = false, .prefetch = ahead}};
    REQUIRE(batches.next() != nullptr);
    REQUIRE(batches.next() != nullptr);
    const auto failing = [&] { batches.next(); };
    CHECK(files::message_of<vivace::error>(failing) == "sample 5 cannot be read");
    CHECK(files::message_of<vivace::error>(failing) == "sample 5 cannot be read");
    CHECK(batches.state() == data::loader_state{0, 4});
    *set.broken = false;
    batches.seek(batches.state());
    const auto* batch = batches.next();
    REQUIRE(batch != nullptr);
    CHECK(batch->features[1] == 5.0F);
  }
}

TEST_CASE("loader: stops cleanly at any moment") {
  for (int taken = 0; taken < 4; ++taken) {
    data::loader<float> batches{slow{}, 2, 1, {.prefetch = prefetch::on}};
    for (int i = 0; i < taken; ++i) CHECK(batches.next() != nullptr);
    if (taken % 2 == 1) batches.start_epoch(taken);
  }
  data::loader<float> restless{slow{}, 2, 1, {.prefetch = prefetch::on}};
  for (int epoch = 0; epoch < 10; ++epoch) {
    restless.start_epoch(epoch);
    CHECK(restless.next()->position == 0);
  }
}

TEST_CASE("loader: every refusal says what, where and what to do") {
  const auto text = files::message_of<vivace::error>([] { data::loader<float>(numbered(3), 0, 1); });
  CHECK(files::contains(text,
                        "the batch size is out of range\n  where: loader\n  got:   0\n  needs: one sample or more"));
  data::loader<float> batches{numbered(3), 2, 1};
  const auto far = files::message_of<vivace::error>([&] { batches.seek(1, 4); });
  CHECK(files::contains(far, "got:   epoch 1, position 4\n  needs: an epoch of 0 or more and a position from 0 to 3"));
  CHECK_THROWS_AS(batches.start_epoch(-1), vivace::error);
  CHECK_NOTHROW(batches.seek(1, 3));
  CHECK(batches.next() == nullptr);
}
