#pragma once
/// @file
/// Strict reading of the small texts in the headers of binary files. What does not fit is refused with its position.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>

namespace vivace::inline VIVACE_TARGET::io::detail {

/// Length of the valid UTF-8 sequence at the beginning of a text (1 to 4), or 0 if there is none.
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty() || (byte(0) >= 0x80 && byte(0) < 0xC2) || byte(0) > 0xF4) return 0;
  const std::size_t length = byte(0) < 0x80 ? 1 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // No longer than needed, no surrogates, nothing beyond U+10FFFF.
  if ((byte(0) == 0xE0 && byte(1) < 0xA0) || (byte(0) == 0xED && byte(1) > 0x9F)) return 0;
  if ((byte(0) == 0xF0 && byte(1) < 0x90) || (byte(0) == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

/// Walks over a text. Nothing recurses, nothing is allocated by a claim of the text.
class text_reader {
 public:
  /// @param what  first line of every refusal: "the header of the npy file is damaged"
  /// @param where path of the file
  text_reader(std::string_view text, std::string_view what, std::string_view where)
      : text_(text), what_(what), where_(where) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::string_view from(std::size_t start) const { return text_.substr(start, at_ - start); }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  [[nodiscard]] bool at_end() {
    skip_space();
    return at_ == text_.size();
  }
  /// The next character that is not space, or zero at the end.
  [[nodiscard]] char peek() { return at_end() ? '\0' : text_[at_]; }
  /// Takes a character, after space, if it is the next one.
  bool accept(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("'") + wanted + "'");
  }
  bool accept(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  /// A whole number from 0 to 2^63 - 1, without sign or leading zeros.
  std::int64_t whole_number() {
    constexpr std::int64_t most = (std::numeric_limits<std::int64_t>::max)();
    skip_space();
    const std::size_t start = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const std::int64_t digit = text_[at_] - '0';
      if (value > (most - digit) / 10) fail("a number below 2^63");
      value = 10 * value + digit;
    }
    if (at_ == start || (text_[start] == '0' && at_ > start + 1)) fail("a whole number of 0 or more");
    return value;
  }
  /// A string in single or double quotes without escapes, as Python writes plain names.
  std::string_view python_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("a string in quotes");
    const std::size_t start = ++at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\' && text_[at_] != '\n') ++at_;
    const std::string_view inside = from(start);
    if (at_ == text_.size() || text_[at_] != quote) fail("the end of the string");
    ++at_;
    return inside;
  }
  /// A string as JSON writes it (RFC 8259), as UTF-8.
  std::string json_string() {
    expect('"');
    std::string result;
    while (true) {
      if (at_ == text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) fail("the end of the string");
      const std::size_t length = utf8_length(text_.substr(at_));
      if (length == 0) fail("text in UTF-8");
      const std::string_view one = text_.substr(at_, length);
      at_ += length;
      if (one == "\"") return result;
      if (one == "\\")
        append_escape(result);
      else
        result += one;
    }
  }

  /// @throws file_error saying what stands here and what is needed
  [[noreturn]] void fail(const std::string& needs) const {
    std::string got = "byte " + std::to_string(at_) + ": ";
    if (at_ >= text_.size()) {
      got += "the end of the header";
    } else {
      got += '\'';
      for (const char one : text_.substr(at_, 16)) got += one >= ' ' && one <= '~' ? one : '?';
      got += '\'';
    }
    throw file_error(what_, where_, got, needs);
  }

 private:
  void append_escape(std::string& to) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) fail("an escape");
    const char one = text_[at_];
    if (const std::size_t which = letters.find(one); which != std::string_view::npos) {
      ++at_;
      to += meanings[which];
      return;
    }
    if (one != 'u') fail("one of the escapes of JSON");
    ++at_;
    std::uint32_t code = four_hex_digits();
    if (code >= 0xD800 && code < 0xDC00) {  // the first half of a pair
      if (text_.substr(at_, 2) != "\\u") fail("the second half of a surrogate pair");
      at_ += 2;
      const std::uint32_t second = four_hex_digits();
      if (second < 0xDC00 || second > 0xDFFF) fail("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      fail("a surrogate pair, not its second half");
    }
    append_utf8(code, to);
  }
  std::uint32_t four_hex_digits() {
    std::uint32_t code = 0;
    for (int digit = 0; digit < 4; ++digit, ++at_) {
      constexpr std::string_view digits = "0123456789abcdef0123456789ABCDEF";
      const std::size_t value = at_ < text_.size() ? digits.find(text_[at_]) : std::string_view::npos;
      if (value == std::string_view::npos) fail("four hexadecimal digits");
      code = code * 16 + static_cast<std::uint32_t>(value % 16);
    }
    return code;
  }
  static void append_utf8(std::uint32_t code, std::string& to) {
    const auto put = [&](std::uint32_t byte) { to += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | code >> 6);
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | code >> 12);
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  std::string what_, where_;
  std::size_t at_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::io::detail
