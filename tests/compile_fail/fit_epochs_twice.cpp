// expect: fit\(\) is given epochs twice; keep one
#include <vivace/data/dataset.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};

int main() {
  vivace::trainer trainer{net{}};
  trainer.fit(vivace::data::dataset{}, vivace::epochs{1}, vivace::epochs{2});
}
