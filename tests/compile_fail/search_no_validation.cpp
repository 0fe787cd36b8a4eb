// expect: this score reads validation losses; give the search validation.set.
#include <vivace/estimate.hpp>
#include <vivace/search.hpp>

namespace search = vivace::search;

using space = search::mlp_space<vivace::features{4}, vivace::classes{3}>;

int main() { search::random_search<space>{}(vivace::data::dataset{}, vivace::early_stopped{}, vivace::budget{}); }
