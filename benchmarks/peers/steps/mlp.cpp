#include "stepper.hpp"

namespace peers {

struct mlp {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};

made make_mlp(const settings& with) {
  if (made at_64 = make_stepper<mlp, 64, vv::sgd, vv::adam>(with)) return at_64;
  return make_stepper<mlp, 128, vv::sgd, vv::adam>(with);
}

}  // namespace peers
