#include <doctest/doctest.h>

#include <string>
#include <vivace/core/errors.hpp>

namespace vv = vivace;

TEST_CASE("error: says what, where, got and needs, a line each") {
  const vv::error found("too hot", "the kettle", "101 degrees", "at most 100");
  CHECK(std::string(found.what()) ==
        "vivace: too hot\n  where: the kettle\n  got:   101 degrees\n  needs: at most 100");
  CHECK(std::string(vv::error("plain").what()) == "plain");
}

TEST_CASE("error: a failure of a file is caught as any failure") {
  CHECK_THROWS_AS(throw vv::file_error("what", "where", "got", "needs"), vv::error);
  CHECK_THROWS_AS(throw vv::error("what"), std::runtime_error);
  bool is_file_error = true;
  try {
    throw vv::error("what");
  } catch (const vv::file_error&) {
  } catch (const vv::error&) {
    is_file_error = false;
  }
  CHECK(!is_file_error);
}
