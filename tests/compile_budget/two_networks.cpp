// mlp.cpp with a second network.
#include <vivace/vivace.hpp>

namespace vv = vivace;

template <int Width>
struct net {
  static constexpr auto graph = vv::classifier(vv::features{784}, vv::classes{10}, vv::mlp<Width, 256, 10>{});
};

template <int Width>
double accuracy(const vv::data::train_and_test& data) {
  vv::trainer trainer{net<Width>{}, vv::batch<128>, vv::sgd_momentum{}, vv::tbb{}};
  trainer.fit(data.train, vv::epochs{1});
  return trainer.evaluate(data.test).accuracy;
}

int main() {
  const auto data = vv::data::rendered_shapes(128, 128, 1);
  return accuracy<512>(data) + accuracy<384>(data) > 0 ? 0 : 1;
}
