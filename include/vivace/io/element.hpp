#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Element types that occur in files of arrays. The last four have no C++ type here and are given out as bytes.
enum class element : std::uint8_t { u8, i8, i16, i32, i64, f32, f64, u16, u32, u64, boolean, f16, bf16 };

/// Bytes of one element.
constexpr std::size_t element_bytes(element type) {
  constexpr std::uint8_t bytes[] = {1, 1, 2, 4, 8, 4, 8, 2, 4, 8, 1, 2, 2};
  return bytes[static_cast<int>(type)];
}

/// Name for messages.
constexpr std::string_view element_name(element type) {
  constexpr std::string_view names[] = {"uint8",  "int8",   "int16",  "int32", "int64",   "float32", "float64",
                                        "uint16", "uint32", "uint64", "bool",  "float16", "bfloat16"};
  return names[static_cast<int>(type)];
}

/// C++ types that arrays in files are read and written as.
template <class Value>
concept file_element = std::same_as<Value, float> || std::same_as<Value, double> || std::same_as<Value, std::uint8_t> ||
    std::same_as<Value, std::int8_t> || std::same_as<Value, std::int16_t> || std::same_as<Value, std::int32_t> ||
    std::same_as<Value, std::int64_t>;

/// Element type of a C++ type.
template <file_element Value>
inline constexpr element element_of = std::same_as<Value, float>          ? element::f32
                                      : std::same_as<Value, double>       ? element::f64
                                      : std::same_as<Value, std::uint8_t> ? element::u8
                                      : std::same_as<Value, std::int8_t>  ? element::i8
                                      : std::same_as<Value, std::int16_t> ? element::i16
                                      : std::same_as<Value, std::int32_t> ? element::i32
                                                                          : element::i64;

/// Extents of an array in a file, outermost first; empty for a scalar.
using extents = std::vector<std::int64_t>;

/// Number of elements of an array times the bytes of one, or -1 if an extent is negative or the product exceeds 2^62.
inline std::int64_t array_bytes(std::span<const std::int64_t> extent, element type) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  std::int64_t product = static_cast<std::int64_t>(element_bytes(type));
  bool empty = false;
  for (const std::int64_t one : extent) {
    if (one < 0) return -1;
    if (one == 0) {
      empty = true;
    } else {
      if (product > limit / one) return -1;
      product *= one;
    }
  }
  return empty ? 0 : product;
}

/// Extents for messages: "[60000, 28, 28]".
inline std::string extents_text(std::span<const std::int64_t> extent) {
  std::string text = "[";
  for (std::size_t d = 0; d < extent.size(); ++d) text += (d == 0 ? "" : ", ") + std::to_string(extent[d]);
  return text + "]";
}

}  // namespace vivace::inline VIVACE_TARGET::io
