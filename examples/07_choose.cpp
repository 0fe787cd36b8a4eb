// Which of a few networks will be the best? Each is trained for two epochs on a sixth of the images; the sum of its
// training losses (TSE, the training-speed estimate) ranks it, and the winner is trained on all of them.
// An argument limits the number of training images.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <vivace/data/fashion_mnist.hpp>
#include <vivace/vivace.hpp>
namespace vv = vivace;

/// A convolutional network of the given filters; the compiler makes and plans each of them.
template <int First, int Second, int Hidden>
struct candidate {
  static constexpr auto graph = vv::classifier(
      vv::image{1, 28, 28}, vv::classes{10},
      vv::conv2d{.filters = First, .kernel = 5, .padding = 2}, vv::relu{}, vv::max_pool{2},
      vv::conv2d{.filters = Second, .kernel = 3, .padding = 1}, vv::relu{}, vv::max_pool{2},
      vv::flatten{}, vv::dense{Hidden}, vv::relu{}, vv::dense{10});
};

/// Trains a network and prints what came of it. @returns its score, lower is better
using trial = double (*)(const vv::data::dataset& images, int epochs, const vv::data::dataset* test);

template <class Net>
double trained(const vv::data::dataset& images, int epochs, const vv::data::dataset* test) {
  vv::trainer trainer{Net{}, vv::batch<128>, vv::adamw{.rate = 1e-3}, vv::tbb{}, vv::seed{1}};
  const vv::trace trace = trainer.fit(images, vv::epochs{epochs});
  fmt::print("{:>9} parameters, {:6.1f} s, TSE {:.4f}", vv::parameters<Net>, trace.seconds(), vv::tse{}(trace));
  if (test != nullptr) fmt::print(", test accuracy {:.2f} %", 100 * trainer.evaluate(*test).accuracy);
  fmt::print("\n");
  return vv::tse{}(trace);
}

vv::data::train_and_test images() {
  try {
    return vv::data::fashion_mnist();
  } catch (const vv::file_error& failure) {
    fmt::print("{}\nGenerated pictures take its place.\n", failure.what());
    return vv::data::rendered_shapes(6000, 1000, 1);
  }
}

int main(int count, char** arguments) try {
  const auto data = images();
  const auto train = count > 1 ? data.train.take(std::atoll(arguments[1])) : data.train;
  const trial candidates[] = {trained<candidate<8, 16, 64>>, trained<candidate<16, 16, 64>>,
                              trained<candidate<8, 32, 128>>, trained<candidate<16, 32, 128>>};
  const auto few = train.take(train.size() / 6);
  fmt::print("two epochs of {} images each:\n", few.size());
  std::vector<double> scores;
  for (const trial run : candidates) scores.push_back(run(few, 2, nullptr));
  const auto best = std::min_element(scores.begin(), scores.end()) - scores.begin();
  fmt::print("candidate {} learns fastest; three epochs of {} images:\n", best + 1, train.size());
  candidates[best](train, 3, &data.test);
} catch (const vv::error& failure) {
  fmt::print(stderr, "{}\n", failure.what());
  return 1;
}
