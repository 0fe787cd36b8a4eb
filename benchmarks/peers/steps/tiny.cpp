#include "stepper.hpp"

namespace peers {

struct tiny {
  static constexpr auto graph = vv::regressor(vv::features{16}, vv::targets{1}, vv::mlp<32, 1>{});
};

made make_tiny(const settings& with) { return make_stepper<tiny, 32, vv::sgd, vv::adam>(with); }

}  // namespace peers
