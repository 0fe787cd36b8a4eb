// expect: one of these is no policy: a trainer takes batch<n>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};

int main() { vivace::trainer trainer{net{}, 32}; }
