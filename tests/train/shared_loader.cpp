#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>
#include <vivace/data/shapes.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"

namespace vv = vivace;

namespace {

struct small_net {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::flatten{}, vv::dense{16}, vv::relu{}, vv::dense{10});
};
struct wide_net {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::flatten{}, vv::dense{64}, vv::relu{}, vv::dense{10});
};
struct line {
  static constexpr auto graph = vv::define([](vv::builder& g) {
    const auto x = g.input("x", {vv::rows, 1}), y = g.input("y", {vv::rows, 1});
    const auto w = g.parameter("w", {1, 1});
    return mean(square(matmul(x, w) - y));
  });
};

const vv::data::dataset& shapes() {
  static const auto set = vv::data::rendered_shapes(600, 200, 1);
  return set.train;
}

/// Counts the samples that come by, by what a transform sees.
struct census {
  std::shared_ptr<std::vector<std::atomic<int>>> seen;
  template <class Real>
  void operator()(Real*, const vv::shape&, const vv::data::sample_key& key) const {
    ++(*seen)[key.sample];
  }
};
census census_of(std::size_t items) { return {std::make_shared<std::vector<std::atomic<int>>>(items)}; }
bool each(const census& of, int times) {
  return std::all_of(of.seen->begin(), of.seen->end(), [&](const auto& one) { return one == times; });
}

}  // namespace

TEST_CASE("shared_loader: trainers in threads train on one hub, each on every sample once an epoch") {
  const census prepared = census_of(600), first = census_of(600), second = census_of(600);
  vv::data::hub hub{shapes(), {.seed = 1, .workers = 1, .start_with = 2}, prepared};
  vv::trainer one{small_net{}, vv::batch<32>, vv::adam{.rate = 1e-3}, vv::data::shared_loader{hub}};
  vv::trainer other{wide_net{}, vv::batch<50>, vv::data::shared_loader{hub}, vv::seed{2}};
  std::thread beside([&] { other.fit(vv::epochs{3}, vv::augment{second}); });
  const vv::trace trace = one.fit(vv::epochs{2}, vv::augment{first}, vv::validation{shapes()});
  beside.join();
  CHECK(each(first, 2));
  CHECK(each(second, 3));
  CHECK(trace.size() == 2);
  CHECK(trace.batches.size() == 2 * 19);
  CHECK(trace.epochs[1].train_loss < trace.epochs[0].train_loss);
  CHECK(trace.epochs[1].val_accuracy > 0);
  CHECK(hub.statistics().jobs == 0);
  CHECK(hub.statistics().preparations < 5 * 600);
  // Another fit() goes on where the last one stopped, and joins anew.
  CHECK(one.fit(vv::epochs{3}, vv::augment{first}).size() == 3);
  CHECK(each(first, 3));
}

TEST_CASE("shared_loader: one trainer alone, or several in lockstep, repeat themselves") {
  const auto losses = [](int workers, bool two) {
    vv::data::hub hub{
        shapes(),
        {.seed = 4, .mode = vv::data::round_mode::lockstep, .workers = workers, .start_with = two ? 2 : 0},
        vv::data::random_crop{2}};
    const auto train = [&](int place) {
      vv::trainer trainer{small_net{}, vv::batch<32>, vv::data::shared_loader{hub, {.place = place}}};
      std::vector<double> all;
      for (const auto& batch : trainer.fit(vv::epochs{2}, vv::augment{vv::data::random_flip{}}).batches)
        all.push_back(batch.loss);
      return all;
    };
    std::vector<double> mine, theirs;
    std::thread beside([&] {
      if (two) theirs = train(1);
    });
    mine = train(0);
    beside.join();
    mine.insert(mine.end(), theirs.begin(), theirs.end());
    return mine;
  };
  for (const bool two : {false, true}) {
    const auto first = losses(1, two);
    CHECK(losses(0, two) == first);
    CHECK(losses(2, two) == first);
  }
}

TEST_CASE("shared_loader: columns, subsets, and what does not fit") {
  std::vector<float> xs, ys;
  for (int i = 0; i < 100; ++i) {
    xs.push_back(static_cast<float>(i) / 100);
    ys.push_back(i < 50 ? 2 * xs.back() : -100);
  }
  vv::data::hub hub{vv::data::columns{{"y", ys, 1}, {"x", xs, 1}}, {.workers = 1}};
  const auto half = vv::data::items_where(100, [](std::uint32_t item) { return item < 50; });
  vv::trainer trainer{line{}, vv::batch<10>, vv::sgd{.rate = 0.5}, vv::data::shared_loader{hub, {.items = half}}};
  const vv::trace trace = trainer.fit(vv::epochs{100});
  CHECK(trace.epochs.back().train_loss < 1e-6);

  vv::data::hub pictures{shapes(), {.workers = 1}};
  vv::trainer wrong{line{}, vv::batch<10>, vv::data::shared_loader{pictures}};
  const auto text = files::message_of<vv::error>([&] { wrong.fit(vv::epochs{1}); });
  CHECK(files::contains(text, "the data set does not fit the network"));
  CHECK(pictures.statistics().jobs == 0);
}

TEST_CASE("shared_loader: a sample that fails stops the training that needs it") {
  struct rotten {
    void operator()(float*, const vv::shape&, const vv::data::sample_key& key) const {
      if (key.sample == 123) throw vv::error("a rotten picture");
    }
  };
  vv::data::hub hub{shapes(), {.workers = 1}, rotten{}};
  vv::trainer trainer{small_net{}, vv::batch<32>, vv::data::shared_loader{hub}};
  const auto text = files::message_of<vv::error>([&] { trainer.fit(vv::epochs{1}); });
  CHECK(files::contains(text, "where: item 123\n  got:   a rotten picture"));
  CHECK(hub.statistics().jobs == 0);
}
