// Rounds: modes, leads, epochs, order of an epoch, errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/rounds.hpp>
#include <vivace/data/sharing/tree.hpp>

#include "sharing_statistics.hpp"

namespace data = vivace::data;
using data::round_mode;

namespace {

std::vector<std::uint32_t> range(std::uint32_t first, std::uint32_t end) {
  std::vector<std::uint32_t> items;
  for (std::uint32_t i = first; i < end; ++i) items.push_back(i);
  return items;
}

/// The orders in which jobs get their items, as they come: one list an epoch.
using orders = std::vector<std::vector<std::vector<std::uint32_t>>>;

/// Plays `ticks` rounds; at each, ready(tick) want an item. Jobs begin the next epoch at once.
template <class Model, class Ready>
orders play(data::round_sampler<Model>& sampler, int jobs, int ticks, Ready&& ready) {
  orders seen(static_cast<std::size_t>(jobs));
  for (int tick = 0; tick < ticks; ++tick) {
    for (int job = 0; job < jobs; ++job)
      if (data::contains(sampler.open_jobs(), job) && !data::contains(sampler.active(), job)) {
        sampler.begin_epoch(job);
        seen[static_cast<std::size_t>(job)].emplace_back();
      }
    for (const data::pick& one : sampler.round(static_cast<data::job_set>(ready(tick))))
      data::for_each_job(one.takers, [&](int job) { seen[static_cast<std::size_t>(job)].back().push_back(one.item); });
  }
  return seen;
}

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const vivace::error& failure) {
    return failure.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE_TEMPLATE("rounds: every item once an epoch, whatever the mode", Model, data::dependent_cells,
                   data::dependent_tree, data::pairwise_cells, data::independent_cells) {
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep}) {
    data::round_sampler<Model> sampler(60, {.seed = 4, .mode = mode});
    const std::vector<std::vector<std::uint32_t>> subsets = {range(0, 40), range(20, 60), range(0, 60), {59}};
    for (const auto& subset : subsets) sampler.open(subset);
    data::random_source coins(1);
    const orders seen = play(sampler, 4, 2000, [&](int) { return coins.bits() & 15; });
    for (std::size_t job = 0; job < 4; ++job) {
      for (std::size_t epoch = 0; epoch + 1 < seen[job].size(); ++epoch) {
        std::vector<std::uint32_t> sorted = seen[job][epoch];
        std::sort(sorted.begin(), sorted.end());
        CHECK(sorted == subsets[job]);
      }
      CHECK(seen[job].size() > (mode == round_mode::lockstep ? 1 : 10));
    }
  }
}

TEST_CASE_TEMPLATE("rounds: every order of a short epoch is equally likely, whatever the schedule", Model,
                   data::dependent_cells, data::dependent_tree, data::pairwise_cells) {
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep})
    for (int schedule = 0; schedule < 4; ++schedule) {
      std::vector<std::map<std::vector<std::uint32_t>, double>> counts(3);
      data::round_sampler<Model> sampler(6, {.seed = 77, .mode = mode});
      sampler.open({0, 1, 2, 3});
      sampler.open(schedule == 1 ? std::vector<std::uint32_t>{0, 1, 2, 3} : std::vector<std::uint32_t>{1, 2, 3});
      sampler.open(schedule == 2 ? std::vector<std::uint32_t>{4, 5} : std::vector<std::uint32_t>{0, 2, 4, 5});
      data::random_source coins(2);
      const orders seen = play(sampler, 3, 60'000, [&](int tick) -> data::job_set {
        if (schedule == 0) return 7;
        if (schedule == 1) return tick % 2 == 0 ? 7 : 5;                                 // one at half speed
        if (schedule == 2) return tick % 7 < 3 && mode != round_mode::lockstep ? 3 : 7;  // one stalls
        return mode == round_mode::lockstep ? 7 : coins.bits() & 7;
      });
      for (std::size_t job = 0; job < 3; ++job) {
        for (std::size_t epoch = 0; epoch + 1 < seen[job].size(); ++epoch) ++counts[job][seen[job][epoch]];
        std::size_t orders_of_epoch = 1;
        for (std::size_t i = 2; i <= sampler.items(static_cast<int>(job)).size(); ++i) orders_of_epoch *= i;
        std::vector<double> all;
        for (const auto& [order, count] : counts[job]) all.push_back(count);
        CAPTURE(schedule);
        CAPTURE(job);
        REQUIRE(all.size() == orders_of_epoch);
        if (all.size() > 1) CHECK(statistics::uneven(all) < statistics::limit);
      }
    }
}

TEST_CASE_TEMPLATE("rounds: in a longer epoch every item comes at every place equally often", Model,
                   data::dependent_cells, data::dependent_tree, data::pairwise_cells) {
  constexpr std::size_t size = 40, epochs = 4000;  // 100 epochs a cell
  data::round_sampler<Model> sampler(60, {.seed = 8});
  sampler.open(range(0, size));
  sampler.open(range(20, 60));
  sampler.open(range(0, 60));
  const orders seen = play(sampler, 3, static_cast<int>(size * epochs) + 1, [](int tick) -> data::job_set {
    return tick % 3 == 0 ? 7 : tick % 5 == 0 ? 1 : 3;
  });
  std::vector<double> table(size * size);
  double ascending = 0, neighbours = 0;
  for (std::size_t epoch = 0; epoch < epochs; ++epoch) {
    const auto& order = seen[0][epoch];
    REQUIRE(order.size() == size);
    std::vector<std::size_t> place(size);
    for (std::size_t i = 0; i < size; ++i) {
      ++table[order[i] * size + i];
      place[order[i]] = i;
    }
    for (std::size_t i = 0; i + 1 < size; ++i) ascending += place[i] < place[i + 1] ? 1 : 0;
    neighbours += size - 1;
  }
  const double freedom = static_cast<double>((size - 1) * (size - 1));
  CHECK(statistics::deviate(statistics::chi_square(table) * (size - 1) / size, freedom) < statistics::limit);
  CHECK(statistics::off(ascending / neighbours, 0.5, neighbours / 3) < 4);  // variance of a permutation's ascents: 1/3
}

TEST_CASE("rounds: epochs of a job are independent, jobs at the same place are not") {
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep}) {
    constexpr std::uint32_t size = 2000;
    data::round_sampler<> sampler(size, {.seed = 21, .mode = mode});
    sampler.open(range(0, size));
    sampler.open(range(0, size));
    const orders seen = play(sampler, 2, 2 * size, [](int) { return 3; });
    std::vector<std::vector<double>> places(4, std::vector<double>(size));
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t job = 0; job < 2; ++job)
        for (std::size_t epoch = 0; epoch < 2; ++epoch)
          places[2 * job + epoch][seen[job][epoch][i]] = static_cast<double>(i);
    CHECK(std::abs(statistics::correlation(places[0], places[1])) < 4 / std::sqrt(double{size}));
    CHECK(statistics::correlation(places[0], places[2]) == doctest::Approx(1));
  }
}

TEST_CASE("rounds: the same seed and calls give the same items, another seed others") {
  const auto run = [](std::uint64_t seed, round_mode mode) {
    data::round_sampler<> sampler(300, {.seed = seed, .mode = mode});
    sampler.open(range(0, 200));
    sampler.open(range(100, 300));
    sampler.open(range(50, 250));
    data::random_source coins(3);
    return play(sampler, 3, 1500, [&](int) { return coins.bits() & 7; });
  };
  for (const auto mode : {round_mode::participants, round_mode::queue, round_mode::lockstep}) {
    CHECK(run(1, mode) == run(1, mode));
    CHECK(run(1, mode) != run(2, mode));
  }
}

TEST_CASE("rounds: who takes part") {
  const auto sampler_of = [](round_mode mode, std::uint64_t lead = data::any_lead) {
    data::round_sampler<> sampler(100, {.seed = 1, .mode = mode, .max_lead = lead});
    for (int job = 0; job < 3; ++job) {
      sampler.open(range(0, 100));
      sampler.begin_epoch(job);
    }
    return sampler;
  };
  const auto served = [](data::round_sampler<>& sampler, data::job_set ready) {
    data::job_set jobs = 0;
    for (const data::pick& one : sampler.round(ready)) jobs |= one.takers;
    return jobs;
  };
  SUBCASE("participants: those who are ready, and nobody waits") {
    auto sampler = sampler_of(round_mode::participants);
    CHECK(served(sampler, 2) == 2);
    CHECK(served(sampler, 5) == 5);
    CHECK(served(sampler, 0) == 0);
    CHECK(sampler.remaining(0) == 99);
    CHECK(sampler.waiting(0) == (sampler.needs(0)));
  }
  SUBCASE("queue: the others find the same items later") {
    auto sampler = sampler_of(round_mode::queue);
    std::vector<std::uint32_t> first, second;
    for (int i = 0; i < 10; ++i) first.push_back(sampler.round(1)[0].item);
    CHECK(sampler.queue(1).size() == 10);
    CHECK(data::contains(sampler.waiting(first[0]), 1));
    CHECK_FALSE(data::contains(sampler.needs(first[0]), 1));
    for (int i = 0; i < 10; ++i) second.push_back(sampler.round(2)[0].item);
    CHECK(first == second);
    CHECK(sampler.queue(1).empty());
    CHECK(sampler.queue(2).size() == 10);
    CHECK(sampler.remaining(2) == 100);
  }
  SUBCASE("lockstep: all or none") {
    auto sampler = sampler_of(round_mode::lockstep);
    CHECK(served(sampler, 3) == 0);
    CHECK(served(sampler, 7) == 7);
    sampler.close(2);
    CHECK(served(sampler, 3) == 3);
  }
  SUBCASE("a lead is bounded, but by jobs in an epoch alone") {
    auto sampler = sampler_of(round_mode::participants, 2);
    CHECK(served(sampler, 1) == 1);
    CHECK(served(sampler, 3) == 3);
    CHECK(served(sampler, 1) == 0);
    CHECK(served(sampler, 3) == 2);
    CHECK(served(sampler, 6) == 6);
    CHECK(served(sampler, 3) == 1);
    CHECK(served(sampler, 3) == 0);
    CHECK(served(sampler, 7) == 7);  // two ahead of where the slowest stands after the round
  }
}

TEST_CASE("rounds: a job comes and goes at any time, and its number comes back") {
  data::round_sampler<> sampler(100, {.seed = 1, .mode = round_mode::queue});
  CHECK(sampler.open(range(0, 50)) == 0);
  CHECK(sampler.open(range(0, 100)) == 1);
  sampler.begin_epoch(0);
  sampler.begin_epoch(1);
  for (int i = 0; i < 20; ++i) (void)sampler.round(1);
  CHECK(sampler.queue(1).size() == 20);
  sampler.close(1);
  for (std::uint32_t item = 0; item < 100; ++item) CHECK_FALSE(data::contains(sampler.waiting(item), 1));
  CHECK(sampler.open({5, 3, 4}) == 1);
  sampler.begin_epoch(1);
  CHECK(sampler.epochs(1) == 1);
  int got = 0;
  while (data::contains(sampler.active(), 1)) got += static_cast<int>(sampler.round(2).size());
  CHECK(got == 3);
  CHECK(sampler.round(2).empty());
}

TEST_CASE("rounds: wrong calls are told what is wrong") {
  data::round_sampler<> sampler(10);
  CHECK(message_of([&] { sampler.open({}); }).find("no items") != std::string::npos);
  CHECK(message_of([&] { sampler.open({1, 2, 1}); }).find("item 1") != std::string::npos);
  CHECK(message_of([&] { sampler.open({1, 10}); }).find("items below 10") != std::string::npos);
  CHECK(message_of([&] { sampler.begin_epoch(0); }).find("no such job") != std::string::npos);
  CHECK(message_of([&] { sampler.begin_epoch(-1); }).find("no such job") != std::string::npos);
  CHECK(message_of([&] { sampler.close(64); }).find("no such job") != std::string::npos);
  CHECK(message_of([&] { data::round_sampler<> large(data::max_items + 1); }).find("too large") != std::string::npos);
  sampler.open({1, 2});
  sampler.begin_epoch(0);
  (void)sampler.round(1);
  CHECK(message_of([&] { sampler.begin_epoch(0); }).find("1 items left") != std::string::npos);
  for (int job = 1; job < data::max_jobs; ++job) sampler.open({1});
  CHECK(message_of([&] { sampler.open({1}); }).find("too many jobs") != std::string::npos);
  CHECK(sampler.round(~data::job_set{0}).size() == 1);  // jobs without an epoch draw nothing
}
