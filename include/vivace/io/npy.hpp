#pragma once
/// @file
/// NPY files, the array format of NumPy (NEP 1, versions 1 to 3): reading through memory mapping, writing.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/element.hpp>
#include <vivace/io/file.hpp>
#include <vivace/io/text_reader.hpp>

namespace vivace::inline VIVACE_TARGET::io {

static_assert(std::endian::native == std::endian::little, "the readers of arrays map little-endian files");

/// What the header of an NPY file says.
struct npy_header {
  element type = element::u8;
  extents dimensions;
  std::size_t data_offset = 0;  ///< from the beginning of the file
  std::size_t data_bytes = 0;
};

namespace detail {

/// Element type of NumPy's type text, such as "<f4".
inline element npy_type(std::string_view text, const text_reader& header) {
  struct known {
    std::string_view code;
    element type;
  };
  constexpr known all[] = {{"u1", element::u8},  {"i1", element::i8},  {"i2", element::i16},     {"i4", element::i32},
                           {"i8", element::i64}, {"f4", element::f32}, {"f8", element::f64},     {"u2", element::u16},
                           {"u4", element::u32}, {"u8", element::u64}, {"b1", element::boolean}, {"f2", element::f16}};
  if (!text.empty() && (text[0] == '<' || text[0] == '|'))
    for (const known& one : all)
      if (text.substr(1) == one.code && (text[0] == '<' || element_bytes(one.type) == 1)) return one.type;
  if (!text.empty() && text[0] == '>')
    header.fail("little-endian elements: save a.astype('<" + std::string(text.substr(1)) + "')");
  header.fail("elements of one of the types <f4 <f8 <i4 <i8 <i2 |i1 |u1, not '" + std::string(text) + "'");
}

/// A tuple of whole numbers as Python writes it.
inline extents npy_shape(text_reader& header) {
  constexpr std::size_t most_dimensions = 32;
  extents dimensions;
  header.expect('(');
  while (!header.accept(')')) {
    if (dimensions.size() == most_dimensions) header.fail("at most 32 dimensions");
    dimensions.push_back(header.whole_number());
    const bool comma = header.accept(',');
    if (!comma && (header.peek() != ')' || dimensions.size() == 1)) header.fail("','");
  }
  return dimensions;
}

}  // namespace detail

/// Reads the header of an NPY file and checks it against the size of the file.
/// @param file  all bytes of the file
/// @param where path, for messages
/// @throws file_error if the bytes are no NPY file, damaged, cut, too long, big-endian, in Fortran order or of a type
/// that is not supported
inline npy_header parse_npy(std::span<const std::byte> file, const std::string& where) {
  constexpr std::string_view magic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.substr(0, 6) != magic)
    throw file_error("this is not an NPY file", where, file.empty() ? "an empty file" : "other first bytes",
                     "a file written by numpy.save (not savez)");
  const auto byte_at = [&](std::size_t i) { return std::to_integer<std::size_t>(file[i]); };
  const auto cut = [&](const std::string& got, const std::string& needs) {
    return file_error("the NPY file is cut short", where, got, needs + ": write it again");
  };
  if (file.size() < 10) throw cut(std::to_string(file.size()) + " bytes", "a header");
  const std::size_t version = byte_at(6), start = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || byte_at(7) != 0)
    throw file_error("the version of the NPY file is unknown", where,
                     std::to_string(version) + "." + std::to_string(byte_at(7)), "version 1.0, 2.0 or 3.0");
  if (file.size() < start) throw cut(std::to_string(file.size()) + " bytes", "a header");
  std::size_t length = byte_at(8) | byte_at(9) << 8;
  if (version > 1) length |= byte_at(10) << 16 | byte_at(11) << 24;
  if (length > file.size() - start)
    throw cut(std::to_string(file.size() - start) + " bytes after the length of the header",
              std::to_string(length) + " bytes of header");

  npy_header result;
  detail::text_reader header(text.substr(start, length), "the header of the NPY file is not supported or damaged",
                             where);
  bool has_type = false, has_order = false, has_shape = false;
  header.expect('{');
  while (!header.accept('}')) {
    const std::string_view key = header.python_string();
    header.expect(':');
    if (key == "descr" && !has_type) {
      if (header.peek() == '[') header.fail("one plain array, not a structured one: save each field by itself");
      result.type = detail::npy_type(header.python_string(), header);
      has_type = true;
    } else if (key == "fortran_order" && !has_order) {
      has_order = true;
      if (header.accept("True")) header.fail("row-major order: save numpy.ascontiguousarray(a)");
      if (!header.accept("False")) header.fail("True or False");
    } else if (key == "shape" && !has_shape) {
      result.dimensions = detail::npy_shape(header);
      has_shape = true;
    } else {
      header.fail("the keys descr, fortran_order and shape, once each");
    }
    if (!header.accept(',') && header.peek() != '}') header.fail("',' or '}'");
  }
  if (!has_type || !has_order || !has_shape) header.fail("the keys descr, fortran_order and shape, once each");
  if (!header.at_end()) header.fail("the end of the header");

  const std::int64_t bytes = array_bytes(result.dimensions, result.type);
  const std::string claim = extents_text(result.dimensions) + " of " + std::string(element_name(result.type));
  result.data_offset = start + length;
  result.data_bytes = file.size() - result.data_offset;
  if (bytes < 0 || static_cast<std::uint64_t>(bytes) > result.data_bytes)
    throw cut(std::to_string(result.data_bytes) + " bytes of elements", "as many as make " + claim);
  if (static_cast<std::uint64_t>(bytes) < result.data_bytes)
    throw file_error("the NPY file is too long", where, std::to_string(result.data_bytes) + " bytes of elements",
                     std::to_string(bytes) + " bytes for " + claim);
  return result;
}

/// An array in an NPY file, mapped into memory: elements are loaded when they are touched.
class npy_array {
 public:
  /// @throws file_error as parse_npy() does, or if the file cannot be read
  explicit npy_array(const std::string& path) : path_(path), file_(path), header_(parse_npy(file_.bytes(), path)) {
    data_ = file_.bytes().data() + header_.data_offset;
    if (header_.data_offset % element_bytes(header_.type) == 0 || header_.data_bytes == 0) return;
    aligned_ = buffer(header_.data_bytes);  // a writer that did not align its elements
    std::memcpy(aligned_.data(), data_, header_.data_bytes);
    data_ = aligned_.as<const std::byte>();
  }

  [[nodiscard]] element type() const { return header_.type; }
  /// Extents, outermost first; empty for a scalar.
  [[nodiscard]] const extents& dimensions() const { return header_.dimensions; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, header_.data_bytes}; }
  /// The elements, row-major; valid as long as this object. @throws file_error if they are of another type
  template <file_element Value>
  [[nodiscard]] std::span<const Value> as() const {
    if (element_of<Value> != header_.type)
      throw file_error("the array has another element type", path_, std::string(element_name(header_.type)),
                       std::string(element_name(element_of<Value>)) + ": convert with a.astype when saving");
    return {reinterpret_cast<const Value*>(data_), header_.data_bytes / sizeof(Value)};
  }

 private:
  std::string path_;
  mapped_file file_;
  npy_header header_;
  buffer aligned_;
  const std::byte* data_ = nullptr;
};

/// Writes an array that numpy.load reads; the file is replaced as a whole.
/// @param values     the elements, row-major
/// @param dimensions extents, outermost first; their product is the number of values
/// @throws error if the values do not fit the extents
/// @throws file_error if the file cannot be written; an old one then stays what it was
template <std::ranges::contiguous_range Values>
requires file_element<std::ranges::range_value_t<Values>>
void write_npy(const std::string& path, const Values& values, const extents& dimensions) {
  using stored = std::ranges::range_value_t<Values>;
  const std::size_t bytes = std::ranges::size(values) * sizeof(stored);
  const std::int64_t needed = array_bytes(dimensions, element_of<stored>);
  if (needed < 0 || static_cast<std::uint64_t>(needed) != bytes)
    throw error("the values do not fit the extents of the array", path,
                std::to_string(std::ranges::size(values)) + " values", "as many as make " + extents_text(dimensions));
  constexpr std::string_view codes[] = {"|u1", "|i1", "<i2", "<i4", "<i8", "<f4", "<f8"};  // in the order of element
  std::string header = "{'descr': '" + std::string(codes[static_cast<int>(element_of<stored>)]) +
                       "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t extent : dimensions) header += std::to_string(extent) + ", ";
  header += "), }";
  if (dimensions.size() > 1) header.erase(header.size() - 6, 2);  // "(2, 3, )" is not how Python writes "(2, 3)"
  if (dimensions.size() == 1) header.erase(header.size() - 5, 1);
  constexpr std::size_t prefix = 10;
  header.append((alignment - (prefix + header.size() + 1) % alignment) % alignment, ' ');
  header += '\n';
  if (header.size() > 0xFFFF)
    throw error("the array has too many dimensions", path, std::to_string(dimensions.size()), "at most 32");
  atomic_file file(path);
  const char head[prefix] = {'\x93',
                             'N',
                             'U',
                             'M',
                             'P',
                             'Y',
                             1,
                             0,
                             static_cast<char>(header.size() & 0xFF),
                             static_cast<char>(header.size() >> 8)};
  file.write(head, prefix);
  file.write(header.data(), header.size());
  file.write(std::ranges::data(values), bytes);
  file.commit();
}

}  // namespace vivace::inline VIVACE_TARGET::io
