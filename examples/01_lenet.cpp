// Trains LeNet on Fashion-MNIST: the architecture is a constant, the training step its compiled form.
// An argument limits the number of training images.
#include <cstdlib>

#include <fmt/core.h>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/vivace.hpp>
namespace vv = vivace;

struct lenet {
  static constexpr auto graph = vv::classifier(
      vv::image{1, 28, 28}, vv::classes{10},
      vv::conv2d{.filters = 16, .kernel = 5, .padding = 2}, vv::relu{}, vv::max_pool{2},
      vv::conv2d{.filters = 32, .kernel = 5, .padding = 2}, vv::relu{}, vv::max_pool{2},
      vv::flatten{}, vv::dense{128}, vv::relu{}, vv::dense{10});
};
static_assert(vv::parameters<lenet> == 215'370 && vv::arena_bytes<lenet, vv::batch<128>, vv::adamw{}> < 64 * vv::MiB);

int main(int count, char** arguments) try {
  const auto data = vv::data::fashion_mnist();
  const auto train = count > 1 ? data.train.take(std::atoll(arguments[1])) : data.train;
  vv::trainer trainer{lenet{}, vv::batch<128>, vv::adamw{.rate = 1e-3}, vv::tbb{.threads = 2}, vv::seed{1}};
  const vv::trace trace = trainer.fit(train, vv::epochs{5}, vv::progress{}, vv::write_csv{"trace.csv"});
  fmt::print("accuracy {:.2f} %, TSE {:.3f}\n", 100 * trainer.evaluate(data.test).accuracy, vv::tse{}(trace));
} catch (const vv::error& failure) {
  fmt::print(stderr, "{}\n", failure.what());
  return 1;
}
