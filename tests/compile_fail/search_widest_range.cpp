// expect: no width of the range meets the budget, its lower end included
#include <vivace/nn/activations.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/search/generate.hpp>

struct family {
  static constexpr auto of(int width) {
    return vivace::classifier(vivace::features{16}, vivace::classes{4}, vivace::dense{width}, vivace::dense{4});
  }
};

int main() { return vivace::search::widest<family, vivace::search::parameter_count{}, 20, 1, 300>; }
