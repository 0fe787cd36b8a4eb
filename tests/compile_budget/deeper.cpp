// mlp.cpp with a further layer.
#include <vivace/vivace.hpp>

namespace vv = vivace;

struct net {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<512, 384, 256, 10>{});
};

int main() {
  const auto data = vv::data::rendered_shapes(128, 128, 1);
  vv::trainer trainer{net{}, vv::batch<128>, vv::sgd_momentum{}, vv::tbb{}};
  trainer.fit(data.train, vv::epochs{1});
  return trainer.evaluate(data.test).accuracy > 0 ? 0 : 1;
}
