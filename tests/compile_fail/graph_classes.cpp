// expect: classes_do_not_match.*classifier
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/compiled.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph = vv::classifier(vv::features{20}, vv::classes{10}, vv::dense{16}, vv::relu{}, vv::dense{9});
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
