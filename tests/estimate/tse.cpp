#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <list>
#include <span>
#include <vector>
#include <vivace/estimate/tse.hpp>
#include <vivace/train/trace.hpp>

namespace vv = vivace;

TEST_CASE("tse: the sum of a range of losses") {
  CHECK(vv::tse{}(std::vector<double>{1.5, 1, 0.5}) == 3);
  CHECK(vv::tse{}(std::vector<float>{0.5F, 0.25F}) == 0.75);
  CHECK(vv::tse{}(std::list<double>{2}) == 2);
  CHECK(vv::tse{}(std::array<int, 3>{1, 2, 3}) == 6);
  const double losses[] = {4, 3, 2, 1};
  CHECK(vv::tse{}(losses) == 10);
  CHECK(vv::tse{}(std::span(losses).first(2)) == 7);  // the first epochs
  CHECK(vv::tse{}(std::vector<double>{-1, 0.5}) == -0.5);
}

TEST_CASE("tse: no losses, no sum") {
  CHECK(vv::tse{}(std::vector<double>{}) == 0);
  CHECK(vv::tse{}(vv::trace{}) == 0);
}

TEST_CASE("tse: a trace gives its epochs' training losses") {
  vv::trace history;
  history.epochs.push_back({.epoch = 0, .train_loss = 2, .val_loss = 100});
  history.epochs.push_back({.epoch = 1, .train_loss = 0.5});  // without validation
  history.batches.push_back({.epoch = 0, .batch = 0, .size = 3, .loss = 50});
  CHECK(vv::tse{}(history) == 2.5);
}

TEST_CASE("tse: a loss that is not finite is the worst of all") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity})
    for (std::size_t place = 0; place < 3; ++place) {
      std::vector<double> losses = {1, 2, 3};
      losses[place] = bad;
      CHECK(vv::tse{}(losses) == infinity);
    }
  CHECK(vv::tse{}(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}) == infinity);
}
