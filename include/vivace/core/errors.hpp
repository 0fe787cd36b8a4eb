#pragma once
#include <stdexcept>
#include <string>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Every failure that the library reports at run time. The text says what went wrong, where, and what to do about it.
class error : public std::runtime_error {
 public:
  explicit error(const std::string& text) : std::runtime_error(text) {}
  /// A failure in four parts: what is wrong, where (a file, a layer), what was found, what is needed.
  error(const std::string& what, const std::string& where, const std::string& got, const std::string& needs)
      : std::runtime_error(what + "\n  where: " + where + "\n  got:   " + got + "\n  needs: " + needs) {}
};

/// A file that cannot be read, or that is not what it should be.
class file_error : public error {
  using error::error;
};

}  // namespace vivace::inline VIVACE_TARGET
