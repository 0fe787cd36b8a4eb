// expect: problem::wrong_rank, 2, .*"2\.dense".*-1, 16, 26, 26
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/compiled.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::conv2d{.filters = 16},
                                               vv::relu{}, vv::dense{10});
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
