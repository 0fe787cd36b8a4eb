// Trains a regression on data that lie in arrays of xtensor, without copying them.
#include <cstddef>
#include <cstdio>

#include <xtensor/xmath.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xview.hpp>

#include <vivace/interop/xtensor.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;

// Three numbers to one, as a free-form model: the first input takes the features, the second the targets.
struct surrogate {
  static constexpr auto graph = vv::define([](vv::builder& graph) {
    const vv::value x = graph.input("x", {vv::rows, 3});
    const vv::value y = graph.input("y", {vv::rows, 1});
    const auto layers = vv::chain(vv::dense{32}, vv::tanh{}, vv::dense{32}, vv::tanh{}, vv::dense{1});
    const vv::value prediction = layers(x);
    graph.output("prediction", prediction);
    return mean(square(prediction - y));
  });
};

int main() {
  constexpr std::size_t samples = 2000;
  xt::random::seed(1);
  // Samples lie along the first axis: [samples, features] and [samples].
  const xt::xtensor<double, 2> x = xt::random::rand<double>({samples, std::size_t{3}}, -1, 1);
  const xt::xtensor<double, 1> y =
      xt::sin(3 * xt::view(x, xt::all(), 0)) + xt::view(x, xt::all(), 1) * xt::view(x, xt::all(), 2);
  // The data set refers to both arrays: they must live as long as it does. Doubles are converted batch by batch.
  const auto parts = vv::data::split(vv::interop::samples_of(x, y), 0.8, 1);

  vv::trainer trainer{surrogate{}, vv::batch<32>, vv::adam{.rate = 3e-3}, vv::seed{1}};
  const double before = trainer.evaluate(parts.second).loss;
  trainer.fit(parts.first, vv::epochs{30});
  const double after = trainer.evaluate(parts.second).loss;
  std::printf("mean square error on new points: %.4f, after training %.4f\n", before, after);

  // A parameter as an array: a view, so writing to it changes the network.
  const auto bias = vv::interop::as_xtensor(trainer.values().find("0.dense.bias"));
  std::printf("largest bias of the first layer: %.3f\n", static_cast<double>(xt::amax(xt::abs(bias))()));
  return after < 0.05 * before ? 0 : 1;
}
