#include <vivace/vivace.hpp>

namespace vv = vivace;

struct net {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};

int main() {
  const auto data = vv::data::rendered_shapes(256, 64, 1);
  vv::trainer trainer{net{}, vv::batch<64>, vv::adam{}};
  const vv::trace& history = trainer.fit(data.train, vv::epochs{2});
  return history.epochs.back().train_loss < history.epochs.front().train_loss ? 0 : 1;
}
