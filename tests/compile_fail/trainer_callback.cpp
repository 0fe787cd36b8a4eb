// expect: on_begin, on_batch, on_epoch and on_end take training_state
#include <vivace/data/dataset.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};
struct mistaken {
  void on_epoch(vivace::training_state&) {}
  void on_batch(int) {}
};

int main() {
  vivace::trainer trainer{net{}};
  trainer.fit(vivace::data::dataset{}, vivace::epochs{1}, mistaken{});
}
