// expect: no matching .*shape
#include <vivace/core/shape.hpp>

constexpr vivace::shape five_dimensions{vivace::rows, 3, 16, 28, 28};

int main() { return five_dimensions.rank; }
