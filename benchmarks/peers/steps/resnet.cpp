#include "stepper.hpp"

namespace peers {

struct resnet20 {
  static constexpr auto graph = vv::classifier(vv::image{3, 32, 32}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};

made make_resnet20(const settings& with) { return make_stepper<resnet20, 128, vv::sgd_momentum>(with); }

}  // namespace peers
