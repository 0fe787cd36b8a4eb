// expect: the hub prepares other numbers than the trainer computes with
#include <vivace/data/dataset.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};

int main() {
  const vivace::data::hub hub{vivace::data::dataset{}};
  vivace::trainer trainer{net{}, vivace::f64{}, vivace::data::shared_loader{hub}};
  trainer.fit(vivace::epochs{1});
}
