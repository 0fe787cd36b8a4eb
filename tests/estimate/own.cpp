// The smallest estimator that is written outside of the library: it passes the laws and works where others do.
#include <doctest/doctest.h>

#include <limits>
#include <vector>
#include <vivace/estimate.hpp>

#include "laws.hpp"

namespace vv = vivace;

namespace {

/// The lowest loss so far.
struct lowest {
  static constexpr vv::loss_series reads = vv::loss_series::validation;

  struct running {
    double least = std::numeric_limits<double>::max();
    bool failed = false;
    constexpr void add(double loss) {
      if (!(loss >= -std::numeric_limits<double>::max() && loss <= std::numeric_limits<double>::max())) failed = true;
      if (loss < least) least = loss;
    }
    [[nodiscard]] constexpr double value() const { return failed ? std::numeric_limits<double>::infinity() : least; }
  };

  [[nodiscard]] constexpr running stream() const { return {}; }
  template <class Losses>
  constexpr double operator()(const Losses& losses) const {
    running result;
    for (const double loss : losses) result.add(loss);
    return result.value();
  }
};

struct no_stream {
  [[maybe_unused]] static constexpr vv::loss_series reads = vv::loss_series::training;
  double operator()(const double (&)[2]) const { return 0; }
};

}  // namespace

TEST_CASE("an estimator of one's own passes the laws") { laws::check_trace_estimator(lowest{}); }

TEST_CASE("an estimator of one's own works with scores, guard and statistics") {
  const std::vector<std::vector<double>> traces = {{3, 1, 2}, {4, 4, 3}, {2, 2, 0.5}};
  const auto two = vv::scores(lowest{}, traces, 2);
  CHECK(two[0] == 1);
  CHECK(two[1] == 4);
  CHECK(two[2] == 2);
  CHECK(vv::spearman{}(two, std::vector<double>{10, 30, 20}) == 1);
  constexpr vv::overfit_guard<vv::tse, lowest> guard{.limit = 2};
  CHECK(guard(traces[0], traces[2]) == 0.5);
}

TEST_CASE("what is no estimator is none") {
  static_assert(!vv::trace_estimator<no_stream> && !vv::trace_estimator<int>);
  static_assert(!vv::rank_statistic<vv::tse> && vv::rank_statistic<vv::within_best<vv::kendall>>);
}
