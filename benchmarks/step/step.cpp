// One training step of each network: time and share of the machine's limits, on one thread and on two.
#include <vivace/interop/google_benchmark.hpp>
#include <vivace/vivace.hpp>

namespace vv = vivace;

struct tiny {
  static constexpr auto graph = vv::regressor(vv::features{16}, vv::targets{1}, vv::mlp<32, 1>{});
};
struct mlp {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};
struct lenet {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};
struct resnet {
  static constexpr auto graph = vv::classifier(vv::image{3, 32, 32}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};
struct gpt {
  static constexpr auto graph = vv::language_model(vv::gpt{});
};

int main(int argc, char** argv) {
  vv::interop::benchmarks all(argc, argv);
  all.step("tiny/sgd", tiny{}, vv::batch<32>, vv::sgd{.rate = 1e-3});
  const auto on_one_and_two = [&](const char* name, auto net, auto batch, auto optimiser) {
    all.step(std::string(name) + "/1 thread", net, batch, optimiser);
    all.step(std::string(name) + "/2 threads", net, batch, optimiser, vv::tbb{.threads = 2});
  };
  on_one_and_two("mlp 64/sgd_momentum", mlp{}, vv::batch<64>, vv::sgd_momentum{.rate = 1e-3});
  on_one_and_two("mlp 64/adamw", mlp{}, vv::batch<64>, vv::adamw{});
  on_one_and_two("mlp 128/adamw", mlp{}, vv::batch<128>, vv::adamw{});
  on_one_and_two("lenet 128/adamw", lenet{}, vv::batch<128>, vv::adamw{});
  on_one_and_two("resnet20 128/sgd_momentum", resnet{}, vv::batch<128>, vv::sgd_momentum{.rate = 1e-3});
  all.step("resnet20 128/sgd_momentum, bf16/1 thread", resnet{}, vv::batch<128>, vv::sgd_momentum{.rate = 1e-3}, vv::bf16{});
  on_one_and_two("gpt 8/adam", gpt{}, vv::batch<8>, vv::adam{.rate = 1e-4});
  return all.run();
}
