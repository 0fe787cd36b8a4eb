#include "stepper.hpp"

namespace peers {

struct lenet5 {
  static constexpr auto graph =
      vv::classifier(vv::image{1, 28, 28}, vv::classes{10},                                             //
                     vv::conv2d{.filters = 6, .kernel = 5, .padding = 2}, vv::relu{}, vv::max_pool{2},  //
                     vv::conv2d{.filters = 16, .kernel = 5}, vv::relu{}, vv::max_pool{2},               //
                     vv::flatten{}, vv::dense{120}, vv::relu{}, vv::dense{84}, vv::relu{}, vv::dense{10});
};
struct lenet {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};

made make_lenet5(const settings& with) { return make_stepper<lenet5, 64, vv::sgd>(with); }
made make_lenet(const settings& with) { return make_stepper<lenet, 64, vv::sgd>(with); }

}  // namespace peers
