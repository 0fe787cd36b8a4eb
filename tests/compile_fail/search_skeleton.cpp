// expect: a skeleton needs a width, cells and a stride of at least 1
#include <vivace/search/nas_bench_201.hpp>

namespace search = vivace::search;

using space = search::nas_bench_201<vivace::image{1, 8, 8}, vivace::classes{3}, search::cell_skeleton{.width = 0}>;

int main() { return static_cast<int>(search::count<space>()); }
