// expect: network<.*no_parameter
#include <vivace/nn/activations.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct net {
  static constexpr auto graph = vivace::classifier(vivace::features{4}, vivace::classes{4}, vivace::relu{});
};

int main() { vivace::trainer trainer{net{}}; }
