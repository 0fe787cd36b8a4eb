#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Every failure that the library reports at run time. The text names the library, and says what went wrong, where, and
/// what to do about it.
class error : public std::runtime_error {
 public:
  /// A text that is whole already: of an error that comes from elsewhere.
  explicit error(const std::string& text) : std::runtime_error(text) {}
  /// A failure in four parts: what is wrong, where (a file, a layer), what was found, what is needed.
  // Cold and never inlined: with the many places that throw, that is a good part of what users' programs compile.
  [[gnu::cold, gnu::noinline]] error(std::string_view what, std::string_view where, std::string_view got,
                                     std::string_view needs)
      : std::runtime_error(joined(what, where, got, needs)) {}

 private:
  static std::string joined(std::string_view what, std::string_view where, std::string_view got,
                            std::string_view needs) {
    std::string text("vivace: ");
    text.append(what).append("\n  where: ").append(where).append("\n  got:   ").append(got).append("\n  needs: ").append(needs);
    return text;
  }
};

/// A file that cannot be read, or that is not what it should be.
class file_error : public error {
  using error::error;
};

}  // namespace vivace::inline VIVACE_TARGET
