#include <doctest/doctest.h>

#include <utility>
#include <vivace/core/sequence.hpp>

// Every check is a function that runs twice: by the compiler, which refuses undefined behaviour, and by the program.
#define CHECK_TWICE(check) \
  static_assert(check());  \
  CHECK(check())

namespace {

namespace vv = vivace;
using numbers = vv::sequence<int>;

constexpr numbers counted(int count) {
  numbers result;
  for (int i = 0; i < count; ++i) result.push_back(i);
  return result;
}
constexpr bool holds(const numbers& values, std::initializer_list<int> wanted) {
  if (values.size() != static_cast<int>(wanted.size()) || values.empty() != (wanted.size() == 0)) return false;
  int i = 0;
  for (const int one : wanted)
    if (values[i++] != one) return false;
  return true;
}

constexpr bool grows() {
  const numbers values = counted(1000);
  for (int i = 0; i < 1000; ++i)
    if (values[i] != i) return false;
  return values.size() == 1000 && values.back() == 999 && values.end() - values.begin() == 1000 &&
         values.data() == values.begin();
}
constexpr bool starts_with_values() {
  const numbers none;
  return holds(none, {}) && none.begin() == none.end() && holds(numbers(3), {0, 0, 0}) &&
         holds(numbers(2, 7), {7, 7}) && holds(numbers(0), {});
}
constexpr bool inserts() {
  numbers values = counted(3);
  values.insert(0, 7);
  values.insert(2, 8);
  values.insert(5, 9);
  return holds(values, {7, 0, 8, 1, 2, 9});
}
constexpr bool inserts_into_nothing_and_at_every_capacity() {
  numbers values;
  for (int i = 0; i < 100; ++i) values.insert(0, i);
  for (int i = 0; i < 100; ++i)
    if (values[i] != 99 - i) return false;
  return values.size() == 100;
}
constexpr bool erases() {
  numbers values = counted(5);
  values.erase(4);
  values.erase(0);
  values.erase(1);
  return holds(values, {1, 3});
}
constexpr bool takes_its_own_elements() {
  numbers values = counted(16);  // full: the next one moves the storage that the argument lives in
  values.push_back(values[3]);
  for (int i = 0; i < 60; ++i) values.insert(0, values.back());
  if (values[0] != 3 || values.back() != 3) return false;
  numbers doubled = counted(5);
  doubled.append(doubled);
  if (!holds(doubled, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4})) return false;
  numbers resized = counted(16);
  resized.resize(20, resized[5]);
  return resized[19] == 5 && resized.size() == 20;
}
constexpr bool copies() {
  numbers first = counted(3);
  numbers second = first;
  second[0] = 9;
  if (!holds(first, {0, 1, 2}) || !holds(second, {9, 1, 2})) return false;
  first = second;
  const numbers& same = first;
  first = same;
  if (!holds(first, {9, 1, 2})) return false;
  first = counted(40);
  first = numbers();
  return holds(first, {});
}
constexpr bool moves() {
  numbers first = counted(3);
  numbers second = std::move(first);
  if (!holds(first, {}) || !holds(second, {0, 1, 2})) return false;
  first.push_back(5);  // what was moved from is empty and of use
  if (!holds(first, {5})) return false;
  second = std::move(first);
  numbers& same = second;
  second = std::move(same);
  return holds(second, {5}) && holds(first, {});
}
constexpr bool shrinks_and_grows() {
  numbers values = counted(4);
  values.pop_back();
  values.resize(1);
  values.resize(3, 6);
  if (!holds(values, {0, 6, 6})) return false;
  values.clear();
  values.push_back(2);
  values.reserve(100);
  values.reserve(1);
  return holds(values, {2});
}

struct record {
  int number = 0;
  char letter = 'x';
};

constexpr vv::frozen_sequence<int, 3> frozen(counted(3));
constexpr vv::frozen_sequence<int, 0> frozen_empty;

constexpr bool views() {
  const numbers values = counted(3);
  const vv::sequence_view<int> view = values;
  const vv::sequence_view<int> constant = frozen;
  int total = 0;
  for (const int one : constant) total += one;
  return view.size() == 3 && view[2] == 2 && view.data() == values.data() && total == 3 && !view.empty() &&
         vv::sequence_view<int>{}.empty() && vv::sequence_view<int>(frozen_empty).empty();
}

}  // namespace

TEST_CASE("sequence: grows one by one") { CHECK_TWICE(grows); }
TEST_CASE("sequence: starts with values") { CHECK_TWICE(starts_with_values); }
TEST_CASE("sequence: inserts") {
  CHECK_TWICE(inserts);
  CHECK_TWICE(inserts_into_nothing_and_at_every_capacity);
}
TEST_CASE("sequence: erases") { CHECK_TWICE(erases); }
TEST_CASE("sequence: takes its own elements") { CHECK_TWICE(takes_its_own_elements); }
TEST_CASE("sequence: copies") { CHECK_TWICE(copies); }
TEST_CASE("sequence: moves") { CHECK_TWICE(moves); }
TEST_CASE("sequence: shrinks and grows") { CHECK_TWICE(shrinks_and_grows); }
TEST_CASE("sequence: views and constants") {
  CHECK_TWICE(views);
  vv::sequence<record> records(2);
  records.push_back({4, 'y'});
  CHECK(records[1].letter == 'x');
  CHECK(records.back().number == 4);
}
