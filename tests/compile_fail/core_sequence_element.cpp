// expect: static assertion failed
#include <string>

#include <vivace/core/sequence.hpp>

int main() {
  const vivace::sequence<std::string> names;
  return names.size();
}
