#pragma once
#include <cerrno>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/file.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Writes a table row by row. Each row reaches the system as a whole before the call returns, so that a run that is
/// killed leaves the rows that it wrote.
class csv_writer {
 public:
  /// One field: a number, written such that it reads back to the same bits, or text, quoted where needed.
  class field {
   public:
    template <std::integral Number>
    requires(!std::same_as<Number, bool> && !std::same_as<Number, char>)
        field(Number value) {  // NOLINT: a number is a field
      number(value);
    }
    template <std::floating_point Number>
    field(Number value) {  // NOLINT
      number(value);
    }
    field(std::string_view value) {  // NOLINT
      if (value.find_first_of(",\"\r\n") == std::string_view::npos) {
        text_ = value;
        return;
      }
      text_ = '"';
      for (const char one : value) text_.append(one == '"' ? 2 : 1, one);
      text_ += '"';
    }
    field(const char* value) : field(std::string_view(value)) {}         // NOLINT
    field(const std::string& value) : field(std::string_view(value)) {}  // NOLINT

    [[nodiscard]] const std::string& text() const { return text_; }

   private:
    template <class Number>
    void number(Number value) {
      char digits[64];
      const auto result = std::to_chars(digits, digits + sizeof digits, value);
      text_.assign(digits, result.ptr);
    }
    std::string text_;
  };

  /// Begins a table, replacing an old file, and writes the names of the columns.
  /// @throws file_error if the file cannot be written
  csv_writer(const std::string& path, std::initializer_list<field> names) : csv_writer(path, as_span(names)) {}
  csv_writer(const std::string& path, std::span<const field> names) : path_(path), columns_(names.size()) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail(errno);
    try {
      row(names);
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
  }
  csv_writer(csv_writer&& other) noexcept
      : path_(std::move(other.path_)), columns_(other.columns_), descriptor_(std::exchange(other.descriptor_, -1)) {}
  csv_writer(const csv_writer&) = delete;
  csv_writer& operator=(const csv_writer&) = delete;
  ~csv_writer() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// Writes a row.
  /// @throws error if there is not one field a column
  /// @throws file_error if the disk is full or fails
  void row(std::initializer_list<field> fields) { row(as_span(fields)); }
  void row(std::span<const field> fields) {
    if (fields.size() != columns_)
      throw error("the row does not fit the table", path_, std::to_string(fields.size()) + " fields",
                  std::to_string(columns_) + " fields, one a column");
    std::string line;
    for (const field& one : fields) {
      if (&one != fields.data()) line += ',';
      line += one.text();
    }
    if (line.empty()) line = "\"\"";  // a blank line is not a row
    line += '\n';
    for (std::size_t done = 0; done < line.size();) {
      const ::ssize_t written = ::write(descriptor_, line.data() + done, line.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(written < 0 ? errno : ENOSPC);
      done += static_cast<std::size_t>(written);
    }
  }

 private:
  static std::span<const field> as_span(std::initializer_list<field> list) { return {list.begin(), list.size()}; }
  [[noreturn]] void fail(int failure) const {
    throw file_error("cannot write the table", path_, system_text(failure),
                     "a folder that exists and can be written, on a disk with space left");
  }

  std::string path_;
  std::size_t columns_;
  int descriptor_ = -1;
};

}  // namespace vivace::inline VIVACE_TARGET::io
