// expect: (throw-expression|must be initialized by a constant expression)
#include <vivace/search/space.hpp>

constexpr vivace::search::choice none("width", std::initializer_list<int>{});

int main() { return none.options; }
