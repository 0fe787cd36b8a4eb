// expect: a supernet is trained on the CPU; give serial{}, threads{} or tbb{}
#include <vivace/search/one_shot.hpp>

#include "on_device.hpp"

namespace search = vivace::search;

using space = search::nas_bench_201<vivace::image{1, 8, 8}, vivace::classes{3}, search::cell_skeleton{2, 1, 2}>;

int main() { search::supernet net{space{}, vivace::sgd{}, on_device{}}; }
