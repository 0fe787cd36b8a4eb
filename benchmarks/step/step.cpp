// One training step of each network: time, samples a second, share of the arithmetic done.
#include <benchmark/benchmark.h>

#include <vivace/vivace.hpp>

namespace vv = vivace;

struct tiny {
  static constexpr auto graph = vv::classifier(vv::features{16}, vv::classes{2}, vv::mlp<32, 2>{});
};
struct mlp {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};
struct lenet {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};
struct resnet {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};

/// Steps on one batch of random numbers. Range: threads, 1 meaning the serial executor.
template <class Net, int Batch, class Optimiser>
void step(benchmark::State& state) {
  constexpr vv::shape dims = vv::model_graph(Net::graph, true).nodes[0].dims;
  static_assert(dims.per_sample());
  std::vector<float> features(static_cast<std::size_t>(dims.size() * Batch));
  std::vector<std::int32_t> labels(Batch);
  const vv::random_stream random(1, 1);
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(random.uniform(i));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 2);
  const vv::data::batch_view<float> batch{
      .features = features.data(), .labels = labels.data(), .targets = nullptr, .size = Batch, .position = 0};
  vv::trainer trainer{Net{}, vv::batch<Batch>, Optimiser{}, vv::tbb{.threads = static_cast<int>(state.range(0))}};
  for (int warm = 0; warm < 3; ++warm) trainer.step(batch);
  for (auto _ : state) benchmark::DoNotOptimize(trainer.step(batch));
  state.SetItemsProcessed(state.iterations() * Batch);
}

BENCHMARK(step<tiny, 32, vv::sgd>)->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(step<mlp, 64, vv::sgd_momentum>)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(step<mlp, 64, vv::adamw>)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(step<mlp, 128, vv::adamw>)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(step<lenet, 128, vv::adamw>)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(step<resnet, 128, vv::sgd_momentum>)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
