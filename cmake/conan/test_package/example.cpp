#include <vivace/core/random.hpp>

int main() { return vivace::random_stream(1, 2).uniform(3) < 1 ? 0 : 1; }
