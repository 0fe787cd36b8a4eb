// expect: a supernet takes no clipping, no shared loader and no bf16
#include <vivace/search/one_shot.hpp>

namespace search = vivace::search;

using space = search::nas_bench_201<vivace::image{1, 8, 8}, vivace::classes{3}, search::cell_skeleton{2, 1, 2}>;

int main() { search::supernet net{space{}, vivace::sgd{}, vivace::clip_norm{1.0}}; }
