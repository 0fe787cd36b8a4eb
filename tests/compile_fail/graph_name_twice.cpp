// expect: name_used_twice.*weight
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
    const vv::value x = make.input("x", {vv::rows, 3});
    const vv::value one = matmul(x, make.parameter("weight", {3, 2}));
    return sum(one * make.parameter("weight", {2}));
  });
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
