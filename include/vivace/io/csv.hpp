#pragma once
/// @file
/// Tables as comma-separated values (RFC 4180): a strict reader whose refusals name the line; and the writer.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/csv_writer.hpp>
#include <vivace/io/file.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// A table with a line of names and rows of equally many fields.
///
/// Fields are separated by commas; lines end with LF or CR LF, the last one may lack it. A field in double quotes may
/// hold commas, line breaks and doubled quotes. Everything else is refused: rows of another width, blank lines, names
/// that are empty or repeat, text around quotes, zero bytes. A byte order mark is skipped.
class csv_table {
 public:
  /// Reads a file. @throws file_error if it is missing or no such table, naming the line
  static csv_table read(const std::string& path) {
    const mapped_file file(path);
    return csv_table({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
  }
  /// Reads a text. @param where path, for messages
  csv_table(std::string_view text, std::string where) : where_(std::move(where)) { parse(text); }

  /// Number of rows, without the names.
  [[nodiscard]] std::size_t rows() const { return lines_.size(); }
  /// Names of the columns, in the order of the file.
  [[nodiscard]] std::span<const std::string> names() const { return names_; }
  /// True if there is a column of that name.
  [[nodiscard]] bool has(std::string_view name) const { return find(name) < names_.size(); }
  /// The fields of a column as text. @throws file_error if there is no such column
  [[nodiscard]] std::vector<std::string> text(std::string_view name) const {
    const std::size_t column = require(name);
    std::vector<std::string> result;
    for (std::size_t row = 0; row < rows(); ++row) result.push_back(fields_[row * names_.size() + column]);
    return result;
  }
  /// The fields of a column as numbers: decimal, nan or inf, with spaces around at most.
  /// @throws file_error if there is no such column, or a field is not a number, naming its line
  [[nodiscard]] std::vector<double> numbers(std::string_view name) const {
    const std::size_t column = require(name);
    std::vector<double> result;
    for (std::size_t row = 0; row < rows(); ++row) {
      const std::string& field = fields_[row * names_.size() + column];
      const std::size_t first = field.find_first_not_of(' '), last = field.find_last_not_of(' ');
      double value = 0;
      bool fits = first != std::string::npos;
      if (fits) {
        const char* const end = field.data() + last + 1;
        const auto [stop, failure] = std::from_chars(field.data() + first, end, value);
        fits = stop == end && failure == std::errc{};
      }
      if (!fits)
        throw file_error("a field is not a number", place(lines_[row]) + ", column " + names_[column],
                         field.empty() ? "an empty field" : '"' + shortened(field) + '"',
                         "a decimal number in the range of double");
      result.push_back(value);
    }
    return result;
  }

 private:
  /// Appends the field at `at` to `to` and moves `at` behind it; `line` counts the line breaks inside quotes.
  void parse_field(std::string_view text, std::size_t& at, std::size_t& line, std::string& to) const {
    if (at < text.size() && text[at] == '"') {
      const std::size_t opened = line;
      for (++at;; ++at) {
        if (at == text.size()) refuse(opened, "a quote that is never closed", "a closing quote");
        if (text[at] == '"' && (++at == text.size() || text[at] != '"')) break;
        line += text[at] == '\n' ? 1 : 0;
        to += text[at];
      }
    } else {
      for (; at < text.size() && text[at] != ',' && text[at] != '\n' && text[at] != '"'; ++at) to += text[at];
      const bool at_line_end = at == text.size() || text[at] == '\n';
      if (at_line_end && !to.empty() && to.back() == '\r') to.pop_back();
    }
    if (at < text.size() && text[at] == '\r' && (at + 1 == text.size() || text[at + 1] == '\n')) ++at;
    if (at < text.size() && text[at] != ',' && text[at] != '\n')
      refuse(line, "text beside a quoted field", "quotes around the whole field, quotes inside it doubled");
  }

  void parse(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.empty()) refuse(1, "an empty file", "a line with the names of the columns");
    std::size_t line = 1;
    for (std::size_t at = 0; at < text.size(); ++line) {
      const std::size_t line_of_row = line;
      std::vector<std::string> fields;
      if (text[at] == '\n' || text.substr(at, 2) == "\r\n") refuse(line, "a blank line", "a row of fields");
      while (true) {
        parse_field(text, at, line, fields.emplace_back());
        if (fields.back().find('\0') != std::string::npos) refuse(line_of_row, "a zero byte", "a text file");
        if (at == text.size() || text[at++] == '\n') break;
      }
      if (names_.empty()) {
        names_ = std::move(fields);
        check_names();
      } else {
        if (fields.size() != names_.size())
          refuse(line_of_row, std::to_string(fields.size()) + " fields",
                 std::to_string(names_.size()) + " fields, one a column");
        lines_.push_back(line_of_row);
        for (std::string& field : fields) fields_.push_back(std::move(field));
      }
    }
  }
  void check_names() const {
    for (std::size_t column = 0; column < names_.size(); ++column)
      if (names_[column].empty())
        refuse(1, "no name for column " + std::to_string(column + 1), "a name for every column");
    std::vector<std::string_view> sorted(names_.begin(), names_.end());
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      refuse(1, "the name " + shortened(std::string(*twice)) + " twice", "a name of its own for every column");
  }

  [[nodiscard]] std::size_t find(std::string_view name) const {
    std::size_t column = 0;
    while (column < names_.size() && names_[column] != name) ++column;
    return column;
  }
  [[nodiscard]] std::size_t require(std::string_view name) const {
    const std::size_t column = find(name);
    if (column < names_.size()) return column;
    std::string all;
    for (const std::string& one : names_) all += (all.empty() ? "" : ", ") + one;
    throw file_error("the table has no such column", where_, shortened(all, 200),
                     "a column named " + std::string(name));
  }
  [[nodiscard]] std::string place(std::size_t line) const { return where_ + ", line " + std::to_string(line); }
  static std::string shortened(const std::string& text, std::size_t most = 40) {
    return text.size() <= most ? text : text.substr(0, most) + "...";
  }
  [[noreturn]] void refuse(std::size_t line, const std::string& got, const std::string& needs) const {
    throw file_error("this is not a table of comma-separated values", place(line), got, needs);
  }

  std::string where_;
  std::vector<std::string> names_, fields_;  // fields row by row
  std::vector<std::size_t> lines_;           // of each row
};

}  // namespace vivace::inline VIVACE_TARGET::io
