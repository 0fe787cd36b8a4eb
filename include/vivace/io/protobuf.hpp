#pragma once
/// @file
/// The wire format of protocol buffers, writing only: what ONNX and TensorBoard files are made of.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// A message under construction: fields in the order in which they are added. Repeated fields are added repeatedly.
class protobuf_message {
 public:
  /// Field of type int32, int64, uint64, bool or an enumeration.
  void add_integer(int field, std::int64_t value) {
    add_tag(field, wire_type::varint);
    add_varint(static_cast<std::uint64_t>(value));
  }
  /// Field of type float.
  void add_float(int field, float value) { add_fixed(field, wire_type::four_bytes, value); }
  /// Field of type double.
  void add_double(int field, double value) { add_fixed(field, wire_type::eight_bytes, value); }
  /// Field of type string or bytes.
  void add_text(int field, std::string_view value) {
    add_tag(field, wire_type::counted);
    add_varint(value.size());
    bytes_.append(value);
  }
  /// Field whose type is a message.
  void add_message(int field, const protobuf_message& value) { add_text(field, value.bytes_); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  enum class wire_type : std::uint8_t { varint = 0, eight_bytes = 1, counted = 2, four_bytes = 5 };

  void add_tag(int field, wire_type type) {
    add_varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(type));
  }
  void add_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  template <class Value>
  void add_fixed(int field, wire_type type, Value value) {  // little-endian, as are the machines that are supported
    add_tag(field, type);
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof value);
  }

  std::string bytes_;
};

}  // namespace vivace::inline VIVACE_TARGET::io
