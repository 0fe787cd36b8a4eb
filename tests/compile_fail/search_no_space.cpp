// expect: (search_space.*constraints not satisfied|constraints not satisfied.*search_space)
#include <vivace/search/random_search.hpp>

struct not_a_space {
  static constexpr vivace::search::choice choices[] = {{"width", {8, 16}}};
};

int main() { vivace::search::random_search<not_a_space> how; }
