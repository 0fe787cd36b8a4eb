// expect: channels_do_not_match.*conv2d
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/compiled.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 3, 8, 8});
    const vv::value weight = make.parameter("weight", {5, 4, 3, 3});
    return sum(convolve(x, weight, {}));
  });
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
