#include <doctest/doctest.h>

#include <string>
#include <vivace/core/fixed_string.hpp>

namespace vv = vivace;

namespace {
template <vv::fixed_string<7> Text>
constexpr std::size_t length = Text.view().size();
}

TEST_CASE("fixed_string: keeps text up to its capacity and cuts the rest") {
  constexpr vv::fixed_string<5> shorter("abc");
  constexpr vv::fixed_string<5> exact("abcde");
  constexpr vv::fixed_string<5> longer("abcdefgh");
  static_assert(shorter.view() == "abc" && exact.view() == "abcde" && longer.view() == "abcde");
  static_assert(exact == longer && !(shorter == exact));
  CHECK(vv::identifier(std::string(100, 'x')).view() == std::string(31, 'x'));
}

TEST_CASE("fixed_string: empty text") {
  static_assert(vv::identifier().empty() && vv::identifier("").empty() && !vv::identifier("a").empty());
  static_assert(vv::identifier().view().empty());
  static_assert(vv::identifier("") == vv::identifier());
}

TEST_CASE("fixed_string: stands in a template argument") {
  static_assert(length<"four"> == 4 && length<"much too long"> == 7);
}
