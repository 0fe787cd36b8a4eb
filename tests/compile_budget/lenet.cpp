// A network and its trainer in one file: what a user's first program costs.
#include <vivace/vivace.hpp>

namespace vv = vivace;

struct net {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};

int main() {
  const auto data = vv::data::rendered_shapes(128, 128, 1);
  vv::trainer trainer{net{}, vv::batch<128>, vv::sgd_momentum{}, vv::tbb{}};
  trainer.fit(data.train, vv::epochs{1});
  return trainer.evaluate(data.test).accuracy > 0 ? 0 : 1;
}
