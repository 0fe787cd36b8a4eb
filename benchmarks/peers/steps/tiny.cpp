#include "stepper.hpp"

namespace peers {

struct tiny {
  static constexpr auto graph = vv::regressor(vv::features{16}, vv::targets{1}, vv::mlp<32, 1>{});
};

made make_tiny(const settings& with) {
  if (made rehearsed = make_gpu_stepper<tiny>(with)) return rehearsed;  // a GPU's rows on the CPU, to try the driver
  return make_stepper<tiny, 32, vv::sgd, vv::adam>(with);
}

}  // namespace peers
