// Which of these models will be the best? Training-speed estimates in code that has its own training: plain gradient
// descent on polynomials of different degrees. Nothing of vivace is used but <vivace/estimate.hpp>.
#include <fmt/core.h>

#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/estimate.hpp>
namespace vv = vivace;

struct polynomial {
  int degree;
  double rate;
  std::vector<double> weights = std::vector<double>(static_cast<std::size_t>(degree) + 1, 0.0);

  double operator()(double x) const {
    double value = 0;
    for (int k = degree; k >= 0; --k) value = value * x + weights[static_cast<std::size_t>(k)];
    return value;
  }
  /// One step on one sample; returns the loss before it.
  double learn(double x, double y) {
    const double miss = (*this)(x)-y;
    double power = 1;
    for (double& weight : weights) {
      weight -= rate * miss * power;
      power *= x;
    }
    return miss * miss;
  }
};

double target(double x) { return x * x * x - 0.5 * x; }

int main() {
  constexpr int candidates = 8, epochs = 200, budget = 10;
  const vv::random_stream random(1, 0);
  std::vector<vv::sequence<double>> traces;
  std::vector<double> early, final;
  for (int degree = 0; degree < candidates; ++degree) {
    polynomial model{degree, 0.1};
    auto speed = vv::tse_ema{.gamma = 0.9}.stream();  // the streaming form: a score at any time
    auto& trace = traces.emplace_back();
    for (int epoch = 0; epoch < epochs; ++epoch) {
      vv::epoch_mean mean;
      for (unsigned i = 0; i < 100; ++i) {
        const double x = 2 * random.uniform(i) - 1, noise = 0.05 * (random.uniform(i + 1000) - 0.5);
        mean.add(model.learn(x, target(x) + noise));
      }
      trace.push_back(mean.value());
      speed.add(mean.value());
      if (epoch + 1 == budget) early.push_back(speed.value());
    }
    double test_loss = 0;
    for (unsigned i = 2000; i < 2500; ++i) {
      const double x = 2 * random.uniform(i) - 1, miss = model(x) - target(x);
      test_loss += miss * miss / 500;
    }
    final.push_back(test_loss);
    fmt::print("degree {}: TSE-EMA after {} epochs {:.4f}, test loss after {} {:.5f}\n", degree, budget, early.back(),
               epochs, test_loss);
  }
  const auto sums = vv::scores(vv::tse{}, traces, budget);  // the batch form, at an equal budget
  fmt::print("Spearman with the test loss: TSE-EMA {:.2f}, TSE {:.2f}\n", vv::spearman{}(early, final),
             vv::spearman{}(sums, final));
  fmt::print("the best by TSE loses {:.5f} to the best of all\n", vv::top_k_regret{}(sums, final));
}
