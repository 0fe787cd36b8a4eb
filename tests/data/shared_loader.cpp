#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <vector>
#include <vivace/data/shared_loader.hpp>

#include "../io/files.hpp"
#include "hub_sources.hpp"
#include "laws.hpp"

namespace data = vivace::data;

namespace {

const auto by_feature = [](const data::batch_view<float>& batch, int i) {
  return static_cast<std::int64_t>(batch.features[3 * i]) / 100;
};

/// Adds the epoch and nothing else, to samples of three numbers.
struct add_epoch {
  void operator()(float* sample, const vivace::shape&, const data::sample_key& key) const {
    sample[1] = static_cast<float>(key.epoch);
    sample[2] = static_cast<float>(key.seed);
  }
};

}  // namespace

TEST_CASE("shared_batches: the laws of batch streams, which the plain loader keeps, too") {
  for (const bool drops : {false, true}) {
    data::loader<float> plain{hubs::numbered(103), 10, 1, {.drop_last = drops}};
    laws::check_batches(plain, 3, drops, by_feature);
    for (const int workers : {0, 2}) {
      data::hub hub{hubs::numbered(103), {.seed = 1, .buffer = 4, .workers = workers}};
      data::shared_batches<float> shared{hub, 10, {.epochs = 3, .drop_last = drops}};
      laws::check_batches(shared, 3, drops, by_feature);
      data::shared_batches<float> all_at_once{hub, 1000, {.drop_last = drops}};
      laws::check_batches(all_at_once, 2, drops, by_feature);
    }
  }
  const auto set = data::dataset::own(std::vector<float>{1, 2, 3}, {1}, std::vector<double>{4, 5, 6});
  data::hub<double> hub{set, {.workers = 0}};
  data::shared_batches<double> regression{hub, 2};
  laws::check_batches<double>(regression, 2, false, [](const data::batch_view<double>& batch, int i) {
    CHECK(batch.targets[i] == batch.features[i] + 3);
    return static_cast<std::int64_t>(batch.features[i]);
  });
}

TEST_CASE("shared_batches: labels go with their samples, and subsets are kept") {
  data::hub hub{hubs::numbered(64), {.workers = 1}};
  const auto odd = data::items_where(64, [](std::uint32_t item) { return item % 2 == 1; });
  data::shared_batches<float> batches{hub, 5, {.items = odd}};
  CHECK(batches.size() == 32);
  CHECK(batches.batches() == 7);
  while (const auto* batch = batches.next())
    for (int i = 0; i < batch->size; ++i) {
      CHECK(by_feature(*batch, i) == batch->labels[i]);
      CHECK(batch->labels[i] % 2 == 1);
    }
}

TEST_CASE("shared_batches: features are not copied where they lie in a row") {
  data::hub hub{hubs::numbered(512), {.cache_bytes = 0, .workers = 1, .start_with = 2}, hubs::noise{}};
  data::shared_batches<float> one{hub, 32, {.epochs = 2}}, other{hub, 32, {.epochs = 2}};
  for (int epoch = 0; epoch < 2; ++epoch) {
    one.start_epoch(epoch);
    other.start_epoch(epoch);
    while (const auto* batch = one.next()) {
      const auto* same = other.next();
      REQUIRE(same != nullptr);
      CHECK(same->features == batch->features);
    }
    CHECK(other.next() == nullptr);
  }
  CHECK(one.given() == 32);
  CHECK(one.copied() == 0);
}

TEST_CASE("shared_batches: batches of a job alone lie in a row, whatever their size and who prepares") {
  for (const int workers : {0, 2})
    for (const int size : {7, 64, 100}) {
      data::hub hub{hubs::numbered(1000), {.cache_bytes = 0, .workers = workers}, hubs::noise{}};
      data::shared_batches<float> batches{hub, size, {.epochs = 4}};
      for (int epoch = 0; epoch < 4; ++epoch) {
        batches.start_epoch(epoch);
        while (batches.next() != nullptr) {
        }
      }
      CHECK(batches.given() == 4 * ((1000 + size - 1) / size));
      CHECK(batches.copied() == 0);
    }
}

TEST_CASE("shared_batches: what is marked runs for each job, on copies, as in a plain chain") {
  const auto chain = data::compose(hubs::noise{}, data::per_job(add_epoch{}));
  data::hub hub{hubs::numbered(100), {.seed = 5, .workers = 1, .start_with = 2}, chain};
  data::shared_batches<float> one{hub, 10, {.epochs = 2, .seed = 3}};
  data::shared_batches<float> other{hub, 10, {.epochs = 2, .seed = 4}, data::compose(data::normalise{{1}, {2}})};
  for (int epoch = 7; epoch < 9; ++epoch) {
    one.start_epoch(epoch);
    other.start_epoch(epoch);
    while (const auto* mine = one.next()) {
      const auto* theirs = other.next();
      REQUIRE(theirs != nullptr);
      for (int i = 0; i < mine->size; ++i) {
        CHECK(mine->labels[i] == theirs->labels[i]);
        CHECK((mine->features[3 * i] - 1) / 2 == theirs->features[3 * i]);
        CHECK(mine->features[3 * i + 1] == static_cast<float>(epoch));
        CHECK(mine->features[3 * i + 2] == 3.0F);
        CHECK(theirs->features[3 * i + 2] == 1.5F);
      }
    }
  }
  CHECK(hub.statistics().preparations == 200);
  CHECK(one.copied() == one.given());
}

TEST_CASE("per_job: a chain is cut at the first mark, and every transform keeps its place") {
  using data::compose;
  using data::per_job;
  const auto bits = [](const auto& change, std::uint32_t place) {
    std::vector<float> sample(5, 1.0F);
    change(sample.data(), vivace::shape{5}, data::sample_key{1, 2, 3, place});
    return sample;
  };
  const auto check = [&](const auto& whole, std::uint32_t shared) {
    CHECK(data::detail::shared_links<std::remove_cvref_t<decltype(whole)>> == shared);
    const auto first = data::detail::shared_part(whole);
    const auto second = data::detail::unshared_part(whole);
    std::vector<float> sample = bits(first, 0);
    second(sample.data(), vivace::shape{5}, data::sample_key{1, 2, 3, shared});
    CHECK(sample == bits(whole, 0));
  };
  const hubs::noise a;
  const data::normalise b{{0.5}, {3}};
  check(a, 1);
  check(per_job(a), 0);
  check(compose(a, b, a), 3);
  check(compose(a, b, per_job(a)), 2);
  check(compose(a, per_job(b), a, a), 1);
  check(compose(per_job(a), b), 0);
  check(compose(a, compose(b, per_job(a)), a), 2);
  check(compose(a, compose(per_job(b), a)), 1);
  check(compose(compose(a, b), compose(b, compose(a, per_job(a)))), 4);
  laws::check_transform(per_job(data::random_flip{}), vivace::shape{1, 4, 4});
}

TEST_CASE("shared_batches: failures, of the hub's and of the job's own, can be tried again") {
  const auto set = hubs::counted(20);
  set.seen->broken = 4;
  data::hub hub{set, {.workers = 1}};
  data::shared_batches<float> batches{hub, 20};
  const auto text = files::message_of<vivace::error>([&] { batches.next(); });
  CHECK(files::contains(text, "where: item 4\n  got:   the file is gone"));
  set.seen->broken = -1;
  CHECK(batches.next()->size == 20);
  CHECK(batches.next() == nullptr);

  const auto broken = std::make_shared<bool>(true);
  struct brittle {
    std::shared_ptr<bool> broken;
    void operator()(float*, const vivace::shape&, const data::sample_key& key) const {
      if (*broken && key.sample == 3) throw vivace::error("no");
    }
  };
  data::shared_batches<float> own{hub, 7, {}, brittle{broken}};
  int samples = 0, failures = 0;
  for (;;) try {
      const auto* batch = own.next();
      if (batch == nullptr) break;
      CHECK(batch->position == samples);
      samples += batch->size;
    } catch (const vivace::error& failure) {
      CHECK(files::contains(failure.what(), "where: item 3\n  got:   no\n  needs: a transform of the job"));
      if (++failures == 2) *broken = false;
    }
  CHECK(samples == 20);
  CHECK(failures == 2);

  CHECK(files::contains(files::message_of<vivace::error>([&] { data::shared_batches<float>(hub, 0); }),
                        "the batch size is out of range"));
  CHECK(files::contains(files::message_of<vivace::error>([&] { own.start_epoch(-1); }), "a loader cannot go there"));
}

TEST_CASE("shared_batches: an epoch may be broken off") {
  data::hub hub{hubs::numbered(50), {.workers = 1}};
  data::shared_batches<float> batches{hub, 8};
  for (int epoch = 0; epoch < 5; ++epoch) {
    batches.start_epoch(epoch);
    CHECK(batches.next()->position == 0);
    CHECK(batches.next()->position == 8);
  }
  laws::check_batches(batches, 2, false, by_feature);
}
