// expect: FairNAS needs a space with as many operations on each edge
#include <vivace/search/one_shot.hpp>

namespace search = vivace::search;

struct space {
  static constexpr search::choice choices[] = {{"first", {"skip", "tanh"}}, {"second", {"skip", "tanh", "relu"}}};
  static vivace::value build(vivace::builder& graph, const search::architecture&);
  struct sharing {
    static constexpr int cells = 1;
    static vivace::value operation(int option, vivace::value from, const search::parameter_scope& scope);
  };
};

int main() { search::fair_nas<space> sampler; }
