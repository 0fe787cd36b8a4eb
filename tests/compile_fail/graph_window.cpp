// expect: window_larger_than_input.*4\.max_pool
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/compiled.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 6, 6}, vv::classes{10}, vv::conv2d{.filters = 4}, vv::relu{}, vv::max_pool{2},
                     vv::conv2d{.filters = 4, .kernel = 2}, vv::max_pool{2}, vv::flatten{}, vv::dense{10});
};

int main() {
  using steps = vv::compiled<wrong, 32, vv::adamw, vv::no_clipping, vv::reference_kernels, float>;
  return static_cast<int>(steps::training_plan.arena_size);
}
