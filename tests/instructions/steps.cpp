// Takes training steps and nothing else: `steps tiny|mlp COUNT`. count.py counts its instructions.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <vivace/core/random.hpp>
#include <vivace/nn/blocks.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;

namespace {

struct tiny {
  static constexpr auto graph = vv::regressor(vv::features{16}, vv::targets{1}, vv::mlp<32, 1>{});
};
struct mlp {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};

template <class Net, int Batch>
int run(int steps, int width) {
  const vv::random_stream random(1, 1);
  std::vector<float> features(static_cast<std::size_t>(Batch * width)), targets(Batch);
  std::vector<std::int32_t> labels(Batch);
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(random.uniform(i));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 10);
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = features[i];
  vv::trainer trainer{Net{}, vv::batch<Batch>, vv::sgd{.rate = 0.01}};
  float loss = 0;
  for (int step = 0; step < steps; ++step)
    loss = trainer.step(
        {.features = features.data(), .labels = labels.data(), .targets = targets.data(), .size = Batch});
  return loss >= 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string network = argc == 3 ? argv[1] : "";
  if (network == "tiny") return run<tiny, 32>(std::atoi(argv[2]), 16);
  if (network == "mlp") return run<mlp, 64>(std::atoi(argv[2]), 784);
  std::fputs("usage: steps tiny|mlp COUNT\n", stderr);
  return 2;
}
