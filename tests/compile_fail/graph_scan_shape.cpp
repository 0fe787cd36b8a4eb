// expect: carried_shape_changes.*scan.*7.*3
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/scan.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/compiled.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 5, 3});
    const vv::value weight = make.parameter("weight", {3, 7});
    vv::value state = vv::ops::broadcast(make.constant(0), {vv::rows, 3});
    return mean(scan(x, 1, state, [&](vv::value part, vv::value& carried) {
      return carried = matmul(part + carried, weight);
    }));
  });
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
