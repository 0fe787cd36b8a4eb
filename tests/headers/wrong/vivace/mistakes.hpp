#include <vector>  // wrong: a header starts with #pragma once
#include <iostream>  // wrong: too heavy for every user to compile

#define SIZE 3  // wrong: only config.hpp defines macros

namespace vivace {  // wrong: the namespace is vivace::inline VIVACE_TARGET

using namespace std;  // wrong: using namespace in a header reaches its users

static int counter = 0;       // wrong: static at namespace scope gives each file its own copy
static void count();          // wrong: static at namespace scope gives each file its own copy
constexpr int million = 1'000'000;  // wrong: a constant at namespace scope is inline constexpr

namespace {  // wrong: an anonymous namespace gives each file its own copy
int hidden();
}

inline int next() {
  static int last = 0;  // wrong: no static state in functions
  static constexpr int step = 1;
  return last += step;
}

template <class Element>
struct alignas(64) registry : std::vector<Element> {
  static inline int instances = 0;  // wrong: no static state in classes
  static constexpr int limit = 4;
  static int size() { return limit; }
  static_assert(limit == 4, "static text in namespace { quotes }");
};

template <class T>  // wrong: other code defines a macro T: rename it, or write (std::max)(a, b)
inline T larger(const T& one);  // wrong: other code defines a macro T: rename it, or write (std::max)(a, b)
inline int positive(int one) { return std::max(one, 0); }  // wrong: other code defines a macro max: rename it, or write (std::max)(a, b)
inline int negative(int one) { return (std::min)(one, 0); }
inline const char* text() { return R"(namespace { static int T)"; }

inline constexpr auto fine = [](int value) { return value; };
constexpr int square(int value = 2) { return value * value; }

}  // namespace vivace
