// Strategies, on tables of results in place of training.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>

#include <doctest/doctest.h>
#include <vivace/estimate/baselines.hpp>
#include <vivace/estimate/tse.hpp>
#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/search/live_table.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/search/random_search.hpp>
#include <vivace/search/regularised_evolution.hpp>
#include <vivace/search/successive_halving.hpp>
#include <vivace/search/tpe.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

using space = search::nas_bench_201<vv::image{1, 8, 8}, vv::classes{3}, search::cell_skeleton{2, 1, 2}>;

/// A smooth landscape with its lowest point at cell 3 3 3 3 3 3.
double level(const search::architecture& of) {
  double sum = 0.5;
  for (int i = 0; i < 6; ++i) sum += (1 + 0.1 * i) * std::abs(of[i] - 3);
  return sum;
}
vv::trace table(const search::architecture& of, int epochs) {
  vv::trace made;
  for (int epoch = 0; epoch < epochs; ++epoch)
    made.epochs.push_back({.epoch = epoch,
                           .train_loss = level(of) / (1 + epoch),
                           .val_loss = level(of),
                           .val_accuracy = 1 / (1 + level(of)),
                           .rate = 0,
                           .seconds = 0.25});
  return made;
}

bool same(const search::result& one, const search::result& other) {
  if (one.history.size() != other.history.size() || !(one.best == other.best) || one.score != other.score ||
      one.epochs != other.epochs)
    return false;
  for (std::size_t i = 0; i < one.history.size(); ++i)
    if (!(one.history[i].of == other.history[i].of) || one.history[i].score != other.history[i].score ||
        one.history[i].epochs != other.history[i].epochs)
      return false;
  return true;
}

std::string scratch(const char* name) {
  const auto path = std::filesystem::temp_directory_path() / ("vivace_search_" + std::to_string(::getpid()) + name);
  std::filesystem::remove(path);
  return path.string();
}
std::string content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

int differences(const search::architecture& one, const search::architecture& other) {
  int count = 0;
  for (int i = 0; i < one.size(); ++i) count += one[i] != other[i] ? 1 : 0;
  return count;
}

template <class Strategy>
void check_determinism(const Strategy& how) {
  const vv::budget limit{.epochs = 2, .queries = 90};
  const auto alone = how(table, vv::tse{}, limit, vv::seed{4});
  CHECK(alone.history.size() <= 90);
  CHECK(same(alone, how(table, vv::tse{}, limit, vv::seed{4}, vv::threads{.count = 3})));
  CHECK(same(alone, how(table, vv::tse{}, limit, vv::tbb{.threads = 2}, vv::seed{4})));
  CHECK(!same(alone, how(table, vv::tse{}, limit, vv::seed{5})));
}

/// Stops by an exception after some evaluations.
struct dying {
  mutable int left;
  vv::trace operator()(const search::architecture& of, int epochs) const {
    if (left-- == 0) throw vv::error("the power fails");
    return table(of, epochs);
  }
};

template <class Strategy>
void check_resuming(const Strategy& how) {
  const std::string whole_path = scratch("_whole.csv"), path = scratch("_log.csv");
  const vv::budget limit{.epochs = 2, .queries = 60};
  const auto whole = how(table, vv::tse{}, limit, vv::seed{4}, search::write_log{whole_path});
  for (const int life : {7, 0, 30}) {
    const std::size_t before = std::filesystem::exists(path) ? content(path).size() : 0;
    CHECK_THROWS_WITH_AS(how(dying{life}, vv::tse{}, limit, vv::seed{4}, search::write_log{path}), "the power fails",
                         vv::error);
    CHECK(content(path).size() >= before);
  }
  int evaluated = 0;
  const auto counted = [&](const search::architecture& of, int epochs) {
    ++evaluated;
    return table(of, epochs);
  };
  const auto resumed = how(counted, vv::tse{}, limit, vv::seed{4}, search::write_log{path});
  CHECK(same(whole, resumed));
  CHECK(evaluated == static_cast<int>(whole.history.size()) - 37);
  CHECK(content(path) == content(whole_path));
  // A finished search is not evaluated again.
  CHECK(same(whole, how(dying{0}, vv::tse{}, limit, vv::seed{4}, search::write_log{path})));
  // Another one is refused, and the file left alone.
  CHECK_THROWS_WITH_AS(how(table, vv::tse{}, limit, vv::seed{5}, search::write_log{path}),
                       doctest::Contains("the log is of another search"), vv::file_error);
  CHECK_THROWS_WITH_AS(how(table, vv::early_stopped{}, limit, vv::seed{4}, search::write_log{path}),
                       doctest::Contains("scored by the same estimator"), vv::file_error);
  CHECK(content(path) == content(whole_path));
}

}  // namespace

TEST_CASE("strategies: one seed gives one search, for any number of threads") {
  check_determinism(search::random_search<space>{});
  check_determinism(search::regularised_evolution<space>{.population = 20, .draws = 5});
  check_determinism(search::tpe<space>{});
  check_determinism(search::successive_halving<space>{});
}

TEST_CASE("strategies: a search goes on from its log, bit for bit") {
  check_resuming(search::random_search<space>{});
  check_resuming(search::regularised_evolution<space>{.population = 20, .draws = 5});
  check_resuming(search::tpe<space>{.starts = 10});
  check_resuming(search::successive_halving<space>{});
}

TEST_CASE("strategies: a longer search continues a shorter one") {
  const std::string path = scratch("_long.csv");
  const search::regularised_evolution<space> how{.population = 10};
  how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 30}, search::write_log{path});
  const auto resumed = how(dying{20}, vv::tse{}, vv::budget{.epochs = 1, .queries = 50}, search::write_log{path});
  CHECK(same(resumed, how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 50})));
}

TEST_CASE("regularised evolution: as the algorithm says") {
  const search::regularised_evolution<space> how{.population = 15, .draws = 4, .in_flight = 1};
  const auto found = how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 200}, vv::seed{2});
  REQUIRE(found.history.size() == 200);
  CHECK(found.epochs == 200);
  for (std::size_t i = 15; i < 200; ++i) {  // each child is one edge away from a member of the newest 15
    int nearest = 6;
    for (std::size_t j = i - 15; j < i; ++j)
      nearest = (std::min)(nearest, differences(found.history[i].of, found.history[j].of));
    CHECK(nearest <= 1);
  }
  // Selection: children come from better parents than the average member.
  CHECK(found.score < 2);
  const auto chance = search::random_search<space>{}(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 200});
  CHECK(found.score < chance.score);
}

TEST_CASE("regularised evolution: draws of one member leave no selection, ties go to the first") {
  // With as many results equal, the parent is the member drawn first.
  const auto flat = [](const search::architecture&, int) {
    vv::trace made;
    made.epochs.push_back({.epoch = 0, .train_loss = 1});
    return made;
  };
  const auto found = search::regularised_evolution<space>{.population = 5}(flat, vv::tse{}, vv::budget{1, 20});
  CHECK(found.best == found.history[0].of);
}

TEST_CASE("strategies: initial points are shared, evaluated first and not counted") {
  std::vector<search::architecture> points;
  for (std::uint64_t i = 0; i < 10; ++i) points.push_back(search::at<space>(i * 1000));
  const auto check = [&](const auto& how) {
    const auto found = how(table, vv::tse{}, vv::budget{.epochs = 2, .queries = 25}, search::initial{points});
    REQUIRE(found.history.size() == 35);
    for (std::size_t i = 0; i < 10; ++i) CHECK(found.history[i].of == points[i]);
  };
  check(search::random_search<space>{});
  check(search::regularised_evolution<space>{.population = 12});
  check(search::tpe<space>{});
  const auto halved = search::successive_halving<space>{}(table, vv::tse{}, vv::budget{1, 13}, search::initial{points});
  CHECK(halved.history.size() == 10 + 9 + 3 + 1);
  CHECK(halved.history.back().epochs == 9);
}

TEST_CASE("TPE: prefers what was good") {
  const auto found = search::tpe<space>{.in_flight = 1}(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 120});
  const auto chance = search::random_search<space>{}(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 120});
  double mean_found = 0, mean_chance = 0;
  for (std::size_t i = 60; i < 120; ++i) {
    mean_found += found.history[i].score / 60;
    mean_chance += chance.history[i].score / 60;
  }
  CHECK(mean_found < 0.7 * mean_chance);
}

TEST_CASE("successive halving: rungs") {
  const auto found =
      search::successive_halving<space>{.eta = 3}(table, vv::tse{}, vv::budget{.epochs = 2, .queries = 40});
  REQUIRE(found.history.size() == 40);  // 27 + 9 + 3 + 1
  CHECK(found.epochs == 27 * 2 + 9 * 6 + 3 * 18 + 54);
  CHECK(found.best == found.history[39].of);
  double ninth = 0;
  int better = 0;
  for (std::size_t i = 27; i < 36; ++i) ninth = (std::max)(ninth, level(found.history[i].of));
  for (std::size_t i = 0; i < 27; ++i) better += level(found.history[i].of) < ninth ? 1 : 0;
  CHECK(better <= 8);
  // The best of the last rung wins, though scores of earlier rungs, over fewer epochs, are lower.
  CHECK(found.history[39].epochs == 54);
  const auto small =
      search::successive_halving<space>{.eta = 2}(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 2});
  CHECK(small.history.size() == 1);
  // The largest first rung that fits, of large budgets too.
  for (const int eta : {2, 3, 7})
    for (int queries = 1; queries < 200; ++queries) {
      const search::successive_halving<space> how{.eta = eta};
      int size = queries, all = 0;
      for (bool fits = false; !fits; fits = all <= queries, size -= fits ? 0 : 1) {
        all = 0;
        for (int rung = size; rung > 0; rung /= eta) all += rung;
      }
      CHECK(how.queries(vv::budget{.epochs = 1, .queries = queries}) == all);
    }
  constexpr int most = std::numeric_limits<int>::max();
  CHECK(search::successive_halving<space>{.eta = 2}.queries(vv::budget{.epochs = 1, .queries = most}) == most);
}

TEST_CASE("searches: failed candidates are the worst, and counted") {
  const auto failing = [](const search::architecture& of, int epochs) {
    vv::trace made = table(of, epochs);
    if (of[0] != 2) made.epochs.back().train_loss = std::numeric_limits<double>::quiet_NaN();
    return made;
  };
  const auto found = search::random_search<space>{}(failing, vv::tse{}, vv::budget{.epochs = 2, .queries = 40});
  CHECK(found.history.size() == 40);
  CHECK(found.best[0] == 2);
  CHECK(std::isfinite(found.score));
}

TEST_CASE("searches: validation error as a score") {
  const auto found =
      search::random_search<space>{}(table, search::validation_error{}, vv::budget{.epochs = 2, .queries = 9});
  for (const auto& one : found.history) CHECK(one.score == doctest::Approx(1 - 1 / (1 + level(one.of))));
  CHECK(std::isinf(search::validation_error{}(vv::trace{})));
}

TEST_CASE("searches: equal cost, callbacks, settings out of range") {
  CHECK(vv::budget::equal_cost(200, 200, 10).queries == 4000);
  CHECK(vv::budget::equal_cost(20, 200, 7).queries == 560);
  struct counter {
    int calls = 0;
    double last = 1e300;
    void on_result(search::progress_of_search& state) {
      CHECK(static_cast<int>(state.results.size()) == ++calls);
      const double best = state.results[static_cast<std::size_t>(state.best)].score;
      CHECK(best <= last);
      last = best;
      if (calls == 12) state.stop = true;
    }
  } seen;
  const search::random_search<space> how{.in_flight = 1};
  const auto stopped = how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 50}, seen);
  CHECK(seen.calls == 12);
  CHECK(stopped.history.size() == 12);

  std::FILE* const sink = std::tmpfile();
  how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 5}, search::live_table{sink});
  std::rewind(sink);
  std::string shown(2000, '\0');
  shown.resize(std::fread(shown.data(), 1, shown.size(), sink));
  std::fclose(sink);
  CHECK(shown.find("queries") != std::string::npos);
  CHECK(shown.find("5/5") != std::string::npos);
  CHECK(shown.find("~0|+|") != std::string::npos);

  CHECK(how(table, vv::tse{}, vv::budget{.epochs = 1, .queries = 0}).history.empty());
  const auto refused = [](const auto& search_of, const vv::budget& limit, const char* setting) {
    CHECK_THROWS_WITH_AS(search_of(table, vv::tse{}, limit), doctest::Contains(setting), vv::error);
  };
  refused(how, {.epochs = 0, .queries = 1}, "budget.epochs");
  refused(how, {.epochs = 1, .queries = -1}, "budget.queries");
  refused(search::random_search<space>{.in_flight = 0}, {1, 5}, "in_flight");
  refused(search::regularised_evolution<space>{.population = 0}, {1, 5}, "regularised_evolution.population");
  refused(search::regularised_evolution<space>{.draws = 0}, {1, 5}, "regularised_evolution.draws");
  refused(search::tpe<space>{.starts = 0}, {1, 5}, "tpe.starts");
  refused(search::successive_halving<space>{.eta = 1}, {1, 5}, "successive_halving.eta");
}

TEST_CASE("searches: damaged logs are refused") {
  const std::string path = scratch("_damaged.csv");
  const search::random_search<space> how{};
  const vv::budget limit{.epochs = 1, .queries = 4};
  how(table, vv::tse{}, limit, search::write_log{path});
  const std::string good = content(path);
  const auto refused = [&](std::string text, const char* message) {
    std::ofstream(path) << text;
    CHECK_THROWS_WITH_AS(how(table, vv::tse{}, limit, search::write_log{path}), doctest::Contains(message), vv::error);
  };
  refused("", "an empty file");
  refused("search,architecture\n1,2\n", "no such column");
  std::string other = good;
  other.replace(other.find("~0|"), 3, "~7|");
  refused(other, "no architecture of the space");
  other = good;
  other.insert(other.find(",0.25,") + 6, "1;x");
  refused(other, "damaged");
  other = good;
  other.insert(other.find(",0.25,") + 6, "1;");
  refused(other, "as many losses as accuracies");
  CHECK_THROWS_AS(how(table, vv::tse{}, limit, search::write_log{"/nowhere/log.csv"}), vv::file_error);
}
