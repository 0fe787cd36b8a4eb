// expect: a search needs a data set, or a function .architecture, epochs. -> trace
#include <vivace/estimate.hpp>
#include <vivace/search.hpp>

namespace search = vivace::search;

using space = search::mlp_space<vivace::features{4}, vivace::classes{3}>;

int main() { search::random_search<space>{}("fashion-mnist", vivace::tse{}, vivace::budget{}); }
