// expect: (one_shot_space.*constraints not satisfied|constraints not satisfied.*one_shot_space)
#include <vivace/search/one_shot.hpp>
#include <vivace/search/width_depth.hpp>

namespace search = vivace::search;

using space = search::mlp_space<vivace::features{4}, vivace::classes{3}>;

int main() { search::supernet<space, vivace::sgd> net{space{}, vivace::sgd{}}; }
