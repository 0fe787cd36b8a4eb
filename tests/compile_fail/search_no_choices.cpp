// expect: a space needs 1 to 64 choices
#include <array>

#include <vivace/search/random_search.hpp>

struct space {
  static constexpr std::array<vivace::search::choice, 0> choices{};
  static vivace::value build(vivace::builder& graph, const vivace::search::architecture&);
};

int main() { return static_cast<int>(vivace::search::count<space>()); }
