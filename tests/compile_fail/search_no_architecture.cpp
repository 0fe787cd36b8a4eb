// expect: the architecture is none of the space
#include <vivace/search/nas_bench_201.hpp>

namespace search = vivace::search;

using space = search::nas_bench_201<vivace::image{1, 8, 8}, vivace::classes{3}, search::cell_skeleton{2, 1, 2}>;

int main() { search::fixed_network<space, search::architecture{1, 2, 3, 4, 5, 0}> network; }
