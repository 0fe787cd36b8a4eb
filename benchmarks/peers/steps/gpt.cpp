#include "stepper.hpp"

namespace peers {

struct gpt {
  static constexpr auto graph = vv::language_model(vv::gpt{});
};

made make_gpt(const settings& with) { return make_stepper<gpt, 8, vv::adam>(with); }

}  // namespace peers
