#pragma once
// Laws of vivace::trace_estimator: run a model of your own through them, inside a doctest test case.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <list>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/estimate/estimator.hpp>

namespace laws {

/// Laws of vivace::trace_estimator<Estimator>. The losses are positive, as most losses are.
template <class Estimator>
void check_trace_estimator(const Estimator& estimator) {
  static_assert(vivace::trace_estimator<Estimator>);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto same_bits = [](double one, double other) { return std::memcmp(&one, &other, sizeof one) == 0; };

  std::vector<std::vector<double>> traces(8);
  for (std::uint32_t which = 0; which < 8; ++which) {
    const vivace::random_stream random(1, which);
    for (std::uint32_t epoch = 0; epoch < 12; ++epoch)
      traces[which].push_back((1 + which % 3) / (1.0 + epoch) + 0.3 * random.uniform(epoch));
  }
  const auto score_of = [&](const std::vector<double>& losses) { return static_cast<double>(estimator(losses)); };

  CHECK_MESSAGE(!std::isnan(score_of({})), "of no loss, the score is a number or infinite");
  CHECK_MESSAGE(same_bits(score_of({}), estimator.stream().value()), "the batch form of no loss is a new stream");
  for (const std::vector<double>& losses : traces) {
    auto stream = estimator.stream();
    std::vector<double> prefix;
    for (const double loss : losses) {
      auto copy = stream;
      const double before = stream.value();
      copy.add(loss);
      (void)copy.value();
      CHECK_MESSAGE(same_bits(before, stream.value()), "a copy is on its own, and value() changes nothing");
      stream.add(loss);
      prefix.push_back(loss);
      CHECK_MESSAGE(same_bits(stream.value(), copy.value()), "copies are equal");
      CHECK_MESSAGE(same_bits(stream.value(), score_of(prefix)), "the stream is the batch form, bit for bit");
      CHECK_MESSAGE(std::isfinite(stream.value()), "finite losses have a finite score");
    }
    CHECK_MESSAGE(same_bits(score_of(losses), score_of(losses)), "an estimator keeps nothing");
    CHECK_MESSAGE(same_bits(score_of(losses), Estimator(estimator)(losses)), "copies of the estimator are equal");
    CHECK_MESSAGE(same_bits(score_of(losses), estimator(std::list<double>(losses.begin(), losses.end()))),
                  "the container does not matter");
  }

  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity})
    for (std::size_t place = 0; place < 5; ++place) {
      std::vector<double> losses = {5, 4, 3, 2, 1};
      losses[place] = bad;
      auto stream = estimator.stream();
      for (const double loss : losses) stream.add(loss);
      CHECK_MESSAGE(score_of(losses) == infinity, "a loss that is not finite is the worst of all");
      for (int epoch = 0; epoch < 50; ++epoch) stream.add(0.5);
      CHECK_MESSAGE(stream.value() == infinity, "and stays so");
    }

  for (const std::vector<double>& one : traces)
    for (const std::vector<double>& other : traces) {
      std::vector<double> one_scaled = one, other_scaled = other;  // by a power of two: without rounding
      for (double& loss : one_scaled) loss *= 4;
      for (double& loss : other_scaled) loss *= 4;
      CHECK_MESSAGE((score_of(one) < score_of(other)) == (score_of(one_scaled) < score_of(other_scaled)),
                    "a factor on all losses changes no order");
    }
  for (std::size_t length = 1; length < 12; ++length)
    CHECK_MESSAGE(score_of(std::vector<double>(length, 0.5)) <= score_of(std::vector<double>(length, 0.75)),
                  "of two constant curves the higher is not the better");
}

}  // namespace laws
