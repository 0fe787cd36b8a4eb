// expect: a search takes policies, validation, augment, initial, write_log and callbacks
#include <vivace/estimate.hpp>
#include <vivace/search.hpp>

namespace search = vivace::search;

using space = search::mlp_space<vivace::features{4}, vivace::classes{3}>;

int main() {
  search::random_search<space>{}(vivace::data::dataset{}, vivace::tse{}, vivace::budget{}, vivace::epochs{3});
}
