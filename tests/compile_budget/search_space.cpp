// A search space with the training of its architectures.
#include <vivace/search.hpp>
#include <vivace/vivace.hpp>

namespace vv = vivace;

using space = vv::search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}>;

int main() {
  const auto data = vv::data::rendered_shapes(128, 128, 1);
  const auto cell = vv::search::at<space>(1);
  vv::trainer trainer{vv::search::network<space>{cell}, vv::batch<64>, vv::sgd_momentum{}};
  trainer.fit(data.train, vv::epochs{1});
  return trainer.evaluate(data.test).accuracy > 0 ? 0 : 1;
}
