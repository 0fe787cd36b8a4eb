// Trains on data that lie in Eigen's matrices, without copying them, and looks at the weights as Eigen's matrices.
#include <cmath>
#include <cstdio>

#include <vivace/interop/eigen.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;

// A network for two moons: two features, two classes.
struct small_network {
  static constexpr auto graph = vv::classifier(vv::features{2}, vv::classes{2}, vv::dense{16}, vv::tanh{},
                                               vv::dense{16}, vv::tanh{}, vv::dense{2});
};

int main() {
  constexpr int samples = 2000;
  // Eigen stores columns one after another, so each column is a sample: [features, samples].
  Eigen::MatrixXf points = 0.1F * Eigen::MatrixXf::Random(2, samples);
  Eigen::VectorXi moon(samples);
  for (int i = 0; i < samples; ++i) {
    const float angle = 3.14159265F * static_cast<float>(i % 100) / 100;
    moon(i) = i / 100 % 2;
    points(0, i) += moon(i) == 0 ? std::cos(angle) : 1 - std::cos(angle);
    points(1, i) += moon(i) == 0 ? std::sin(angle) : 0.5F - std::sin(angle);
  }
  // The data set refers to both arrays: they must live as long as it does.
  // Samples in the rows of an Eigen::RowMajor matrix go through samples_in_rows.
  const auto parts = vv::data::split(vv::interop::samples_in_columns(points, moon), 0.8, 1);

  vv::trainer trainer{small_network{}, vv::batch<32>, vv::adam{.rate = 1e-2}, vv::seed{1}};
  trainer.fit(parts.first, vv::epochs{20});
  const double accuracy = trainer.evaluate(parts.second).accuracy;
  std::printf("accuracy on new points: %.1f %%\n", 100 * accuracy);

  // A parameter as a matrix [inputs, outputs]: a view, so writing to it changes the network.
  const auto weight = vv::interop::as_eigen(trainer.values().find("0.dense.weight"));
  std::printf("weights of the first layer: %d x %d, norm %.3f\n", static_cast<int>(weight.rows()),
              static_cast<int>(weight.cols()), static_cast<double>(weight.norm()));
  return accuracy > 0.95 ? 0 : 1;
}
