// Ridge regression as a free-form model: any expression of inputs and parameters can be trained.
#include <fmt/core.h>
#include <vivace/vivace.hpp>
namespace vv = vivace;

struct ridge {
  static constexpr auto graph = vv::define([](vv::builder& g) {
    auto x = g.input("x", {vv::rows, 13}), y = g.input("y", {vv::rows, 1});
    auto w = g.parameter("w", {13, 1});
    return mean(square(matmul(x, w) - y)) + 1e-3 * sum(square(w));
  });
};

int main() {
  const vv::random_stream uniform(1, 0);
  std::vector<float> x, y;
  for (unsigned i = 0; i < 1000; ++i) {  // y = 1 x_1 + 2 x_2 + ... + 13 x_13, and noise
    float sum = static_cast<float>(uniform.uniform(i + 13'000) - 0.5);
    for (unsigned j = 0; j < 13; ++j) {
      x.push_back(static_cast<float>(2 * uniform.uniform(13 * i + j) - 1));
      sum += static_cast<float>(j + 1) * x.back();
    }
    y.push_back(sum);
  }
  vv::trainer trainer{ridge{}, vv::batch<100>, vv::sgd{.rate = 0.5}};
  const vv::trace trace = trainer.fit(vv::data::dataset::own(x, {13}, y), vv::epochs{20});
  fmt::print("loss {:.3f}, the weights 1 to 13:", trace.epochs.back().train_loss);
  for (int j = 0; j < 13; ++j) fmt::print(" {:.2f}", trainer.values().find("w").data[j]);
  fmt::print("\n");
}
