// expect: no match
#include <vivace/core/shape.hpp>
int main() {}
