// expect: takes its data from the hub of its shared_loader
#include <vivace/data/dataset.hpp>
#include <vivace/data/shared_loader.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};

int main() {
  const vivace::data::dataset set;
  vivace::trainer trainer{net{}, vivace::data::shared_loader{vivace::data::hub{set}}};
  trainer.fit(set, vivace::epochs{1});
}
