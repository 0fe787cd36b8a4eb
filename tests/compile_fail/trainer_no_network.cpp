// expect: this is no network: a trainer takes an object of a type with
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

struct misspelt {
  static constexpr auto grpah = vivace::classifier(vivace::features{4}, vivace::classes{2}, vivace::dense{2});
};

int main() { vivace::trainer trainer{misspelt{}, vivace::batch<8>}; }
