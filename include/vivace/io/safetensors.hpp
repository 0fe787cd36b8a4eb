#pragma once
/// @file
/// Safetensors files: named arrays and metadata, for checkpoints and for exchange with Python. Reading maps the file,
/// writing replaces it as a whole.
///
/// 8 bytes: length of the header, little-endian; the header, a JSON object of tensors {dtype, shape, data_offsets} and
/// of text under "__metadata__"; then the elements, little-endian, row-major, without gap or overlap.
#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/element.hpp>
#include <vivace/io/file.hpp>
#include <vivace/io/text_reader.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Text entries of a safetensors file: keys and values.
using metadata = std::vector<std::pair<std::string, std::string>>;

/// A tensor in a safetensors file.
struct tensor_info {
  std::string name;
  element type = element::f32;
  extents dimensions;
  std::size_t offset = 0;  ///< from the beginning of the file
  std::size_t bytes = 0;
};

/// What the header of a safetensors file says: tensors in the order of their elements, and text.
struct safetensors_header {
  std::vector<tensor_info> tensors;
  io::metadata text;
};

namespace detail {

static_assert(std::endian::native == std::endian::little, "safetensors files are mapped as they are");

/// Longest header that is believed, in bytes; the limit of the reference implementation.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// Names of element types in safetensors files, in the order of `element`.
inline constexpr std::string_view safetensors_types[] = {"U8",  "I8",  "I16", "I32",  "I64", "F32", "F64",
                                                         "U16", "U32", "U64", "BOOL", "F16", "BF16"};

/// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}; the offset is that of the header.
inline tensor_info parse_tensor(text_reader& header, std::string name) {
  tensor_info tensor{std::move(name), {}, {}, 0, 0};
  bool has_type = false, has_shape = false, has_offsets = false;
  std::int64_t begin = 0, end = 0;
  header.expect('{');
  do {
    const std::string key = header.json_string();
    header.expect(':');
    if (key == "dtype" && !has_type) {
      const std::string type = header.json_string();
      const auto* const found = std::find(std::begin(safetensors_types), std::end(safetensors_types), type);
      if (found == std::end(safetensors_types))
        header.fail("an element type that is known, not '" + type + "' (tensor " + tensor.name + ")");
      tensor.type = static_cast<element>(found - std::begin(safetensors_types));
      has_type = true;
    } else if (key == "shape" && !has_shape) {
      header.expect('[');
      if (!header.accept(']')) {
        do tensor.dimensions.push_back(header.whole_number());
        while (header.accept(','));
        header.expect(']');
      }
      has_shape = true;
    } else if (key == "data_offsets" && !has_offsets) {
      header.expect('[');
      begin = header.whole_number();
      header.expect(',');
      end = header.whole_number();
      header.expect(']');
      has_offsets = true;
    } else {
      header.fail("the keys dtype, shape and data_offsets, once each (tensor " + tensor.name + ")");
    }
  } while (header.accept(','));
  header.expect('}');
  if (!has_type || !has_shape || !has_offsets)
    header.fail("the keys dtype, shape and data_offsets, once each (tensor " + tensor.name + ")");
  if (end < begin || array_bytes(tensor.dimensions, tensor.type) != end - begin)
    header.fail("offsets that fit " + extents_text(tensor.dimensions) + " of " +
                std::string(element_name(tensor.type)) + ", not " + std::to_string(begin) + " to " +
                std::to_string(end) + " (tensor " + tensor.name + ")");
  tensor.offset = static_cast<std::size_t>(begin);
  tensor.bytes = static_cast<std::size_t>(end - begin);
  return tensor;
}

inline metadata parse_metadata(text_reader& header) {
  metadata text;
  header.expect('{');
  if (header.accept('}')) return text;
  do {
    std::string key = header.json_string();
    header.expect(':');
    text.emplace_back(std::move(key), header.json_string());
  } while (header.accept(','));
  header.expect('}');
  return text;
}

/// The first name that occurs twice, or null.
inline const std::string* repeated(std::vector<const std::string*>& names) {
  std::sort(names.begin(), names.end(), [](const auto* one, const auto* other) { return *one < *other; });
  const auto twice =
      std::adjacent_find(names.begin(), names.end(), [](const auto* one, const auto* other) { return *one == *other; });
  return twice == names.end() ? nullptr : *twice;
}

}  // namespace detail

/// Reads the header of a safetensors file and checks it against the size of the file: every element belongs to one
/// tensor, and no name comes twice.
/// @param file  all bytes of the file
/// @param where path, for messages
/// @throws file_error if the bytes are no such file, damaged, cut or too long
inline safetensors_header parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  const auto refuse = [&](const char* what, const std::string& got, const std::string& needs) {
    return file_error(what, where, got, needs);
  };
  constexpr const char *foreign = "this is not a safetensors file", *cut = "the safetensors file is cut short",
                       *damaged = "the header of the safetensors file is damaged";
  std::uint64_t length = 0;
  if (file.size() < sizeof length)
    throw refuse(foreign, std::to_string(file.size()) + " bytes", "8 bytes with the length of the header");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > detail::safetensors_header_limit || length < 2)
    throw refuse(foreign, "a header of " + std::to_string(length) + " bytes", "a header of 2 to 100000000 bytes");
  if (length > file.size() - sizeof length)
    throw refuse(cut, std::to_string(file.size() - sizeof length) + " bytes after the length of the header",
                 std::to_string(length) + " bytes of header: write it again");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof length,
                              static_cast<std::size_t>(length));
  if (text[0] != '{') throw refuse(foreign, "a header that begins with another character", "'{'");

  safetensors_header result;
  bool has_metadata = false;
  detail::text_reader header(text, damaged, where);
  header.expect('{');
  if (!header.accept('}')) {
    do {
      std::string name = header.json_string();
      header.expect(':');
      if (name != "__metadata__") {
        result.tensors.push_back(detail::parse_tensor(header, std::move(name)));
      } else {
        if (has_metadata) header.fail("__metadata__ once");
        result.text = detail::parse_metadata(header);
        has_metadata = true;
      }
    } while (header.accept(','));
    header.expect('}');
  }
  if (!header.at_end()) header.fail("the end of the header");

  std::vector<const std::string*> names;
  for (const tensor_info& one : result.tensors) names.push_back(&one.name);
  if (const std::string* twice = detail::repeated(names))
    throw refuse(damaged, "the tensor " + *twice + " twice", "a name of its own for every tensor");
  names.clear();
  for (const auto& [key, value] : result.text) names.push_back(&key);
  if (const std::string* twice = detail::repeated(names))
    throw refuse(damaged, "the metadata " + *twice + " twice", "a key of its own for every text");

  std::sort(result.tensors.begin(), result.tensors.end(), [](const tensor_info& one, const tensor_info& other) {
    if (one.offset != other.offset) return one.offset < other.offset;
    return one.bytes != other.bytes ? one.bytes < other.bytes : one.name < other.name;  // empty tensors first
  });
  const std::size_t start = sizeof length + text.size();
  std::size_t position = 0;
  for (tensor_info& one : result.tensors) {
    if (one.offset != position)
      throw refuse(damaged, "tensor " + one.name + " at byte " + std::to_string(one.offset),
                   "byte " + std::to_string(position) + ": no gap and no overlap");
    position += one.bytes;
    one.offset += start;
  }
  if (position > file.size() - start)
    throw refuse(cut, std::to_string(file.size() - start) + " bytes of elements",
                 std::to_string(position) + " bytes: write it again");
  if (position < file.size() - start)
    throw refuse("the safetensors file is too long", std::to_string(file.size() - start) + " bytes of elements",
                 std::to_string(position) + " bytes");
  return result;
}

/// A safetensors file, mapped into memory: elements are loaded when they are touched.
class safetensors_file {
 public:
  /// @throws file_error as parse_safetensors() does, or if the file cannot be read
  explicit safetensors_file(const std::string& path)
      : path_(path), file_(path), header_(parse_safetensors(file_.bytes(), path)) {}

  /// All tensors, in the order of their elements.
  [[nodiscard]] std::span<const tensor_info> tensors() const { return header_.tensors; }
  /// All text entries.
  [[nodiscard]] const io::metadata& metadata() const { return header_.text; }
  /// The text of a key, or null.
  [[nodiscard]] const std::string* text(std::string_view key) const {
    for (const auto& [one, value] : header_.text)
      if (one == key) return &value;
    return nullptr;
  }
  /// True if there is a tensor of that name.
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  /// A tensor by name. @throws file_error if there is none
  [[nodiscard]] const tensor_info& info(std::string_view name) const {
    if (const tensor_info* found = find(name)) return *found;
    std::string all;
    for (std::size_t i = 0; i < header_.tensors.size() && i < 8; ++i)
      all += (i == 0 ? "" : ", ") + header_.tensors[i].name;
    if (header_.tensors.size() > 8) all += ", and " + std::to_string(header_.tensors.size() - 8) + " more";
    throw file_error("the file has no such tensor", path_, all.empty() ? "no tensors" : all,
                     "a tensor named " + std::string(name));
  }
  /// Bytes of a tensor of any type. @throws file_error if there is none
  [[nodiscard]] std::span<const std::byte> bytes(std::string_view name) const {
    const tensor_info& tensor = info(name);
    return file_.bytes().subspan(tensor.offset, tensor.bytes);
  }
  /// Elements of a tensor in the file, row-major, valid as long as this object.
  /// @throws file_error if there is none of this name, type and extents, or its elements are not aligned (see copy())
  template <file_element Value>
  [[nodiscard]] std::span<const Value> values(std::string_view name, const extents& dimensions) const {
    const std::span<const std::byte> from = checked<Value>(name, dimensions);
    if (reinterpret_cast<std::uintptr_t>(from.data()) % sizeof(Value) != 0)
      throw file_error("the elements are not aligned", path_ + ", tensor " + std::string(name),
                       "a file of a writer that does not align", "to be copied: call copy()");
    return {reinterpret_cast<const Value*>(from.data()), from.size() / sizeof(Value)};
  }
  /// Copies the elements of a tensor. @throws file_error if there is none of this name, type and extents
  template <file_element Value>
  void copy(std::string_view name, const extents& dimensions, Value* to) const {
    const std::span<const std::byte> from = checked<Value>(name, dimensions);
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }

 private:
  [[nodiscard]] const tensor_info* find(std::string_view name) const {
    for (const tensor_info& one : header_.tensors)
      if (one.name == name) return &one;
    return nullptr;
  }
  template <file_element Value>
  [[nodiscard]] std::span<const std::byte> checked(std::string_view name, const extents& dimensions) const {
    const tensor_info& tensor = info(name);
    if (tensor.type != element_of<Value> || tensor.dimensions != dimensions)
      throw file_error("the tensor is of another kind", path_ + ", tensor " + std::string(name),
                       extents_text(tensor.dimensions) + " of " + std::string(element_name(tensor.type)),
                       extents_text(dimensions) + " of " + std::string(element_name(element_of<Value>)));
    return file_.bytes().subspan(tensor.offset, tensor.bytes);
  }

  std::string path_;
  mapped_file file_;
  safetensors_header header_;
};

/// A tensor to be written: elements in memory of somebody else, row-major.
struct tensor_view {
  std::string name;
  element type = element::f32;
  extents dimensions;
  const void* data = nullptr;
  std::size_t bytes = 0;

  /// @throws error if the values do not fit the extents
  template <file_element Value>
  tensor_view(std::string name_of, std::span<const Value> values, extents dimensions_of)
      : name(std::move(name_of)),
        type(element_of<Value>),
        dimensions(std::move(dimensions_of)),
        data(values.data()),
        bytes(values.size_bytes()) {
    const std::int64_t needed = array_bytes(dimensions, type);
    if (needed < 0 || static_cast<std::uint64_t>(needed) != bytes)
      throw error("the values do not fit the extents of the tensor", "tensor " + name,
                  std::to_string(values.size()) + " values", "as many as make " + extents_text(dimensions));
  }
  template <class Range>
  requires file_element<std::ranges::range_value_t<Range>> tensor_view(std::string name_of, const Range& values,
                                                                       extents dimensions_of)
      : tensor_view(std::move(name_of), std::span<const std::ranges::range_value_t<Range>>(values),
                    std::move(dimensions_of)) {}
};

namespace detail {

/// A text in quotes, as JSON writes it. @throws error if it is not UTF-8
inline std::string json_text(std::string_view text) {
  std::string result = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0)
      throw error("a name is not text in UTF-8", "byte " + std::to_string(at), "another encoding",
                  "names and metadata in UTF-8");
    const char one = text[at];
    if (static_cast<unsigned char>(one) < 0x20) {
      constexpr std::string_view digits = "0123456789abcdef";
      result += std::string("\\u00") + digits[static_cast<std::size_t>(one >> 4)] +
                digits[static_cast<std::size_t>(one & 15)];
    } else {
      if (one == '"' || one == '\\') result += '\\';
      result += text.substr(at, length);
    }
    at += length;
  }
  return result + '"';
}

}  // namespace detail

/// Writes a safetensors file; the file is replaced as a whole. Tensors of wider elements come first, so that all are
/// aligned; among equals the given order is kept.
/// @throws error if a name comes twice, is reserved or not UTF-8
/// @throws file_error if the file cannot be written; an old one then stays what it was
inline void write_safetensors(const std::string& path, std::span<const tensor_view> tensors,
                              const metadata& text = {}) {
  std::vector<const std::string*> names;
  for (const tensor_view& one : tensors) names.push_back(&one.name);
  const std::string reserved = "__metadata__";
  for (const std::string* name : names)
    if (*name == reserved) throw error("the name of a tensor is reserved", path, reserved, "another name");
  if (const std::string* twice = detail::repeated(names))
    throw error("two tensors have one name", path, *twice, "a name of its own for every tensor");
  names.clear();
  for (const auto& [key, value] : text) names.push_back(&key);
  if (const std::string* twice = detail::repeated(names))
    throw error("two texts have one key", path, *twice, "a key of its own for every text");

  std::vector<const tensor_view*> order;
  for (const tensor_view& one : tensors) order.push_back(&one);
  std::sort(order.begin(), order.end(), [](const tensor_view* one, const tensor_view* other) {
    const std::size_t width = element_bytes(one->type), other_width = element_bytes(other->type);
    return width != other_width ? width > other_width : one < other;
  });
  std::string header = "{";
  const auto separate = [&] {
    if (header.back() != '{') header += ',';
  };
  if (!text.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : text) {
      separate();
      header += detail::json_text(key) + ':' + detail::json_text(value);
    }
    header += '}';
  }
  std::size_t position = 0;
  for (const tensor_view* one : order) {
    separate();
    header += detail::json_text(one->name) + ":{\"dtype\":\"";
    header += detail::safetensors_types[static_cast<int>(one->type)];
    header += "\",\"shape\":" + extents_text(one->dimensions) + ",\"data_offsets\":[" + std::to_string(position) + ',';
    position += one->bytes;
    header += std::to_string(position) + "]}";
  }
  header += '}';
  std::uint64_t length = 0;
  header.append((alignment - (sizeof length + header.size()) % alignment) % alignment, ' ');
  length = header.size();
  if (length > detail::safetensors_header_limit)
    throw error("the header of a safetensors file is too long", path, std::to_string(length) + " bytes",
                "at most 100000000 bytes: fewer tensors or less text");
  atomic_file file(path);
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const tensor_view* one : order) file.write(one->data, one->bytes);
  file.commit();
}

}  // namespace vivace::inline VIVACE_TARGET::io
