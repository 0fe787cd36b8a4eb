#pragma once
/// @file
/// IDX files, the format of MNIST and its kin, plain or gzip (needs zlib).
///
/// Two zero bytes, a type byte, a rank byte, one 32-bit big-endian extent a dimension, then the elements, big-endian.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <zlib.h>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/element.hpp>
#include <vivace/io/file.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// An array read from an IDX file, its elements in the byte order of the machine.
struct idx_array {
  std::string path;
  element type = element::u8;
  extents dimensions;
  buffer data;

  /// The elements. @throws file_error if they are of another type
  template <file_element Value>
  [[nodiscard]] std::span<const Value> as() const {
    if (element_of<Value> != type)
      throw file_error("the array has another element type", path, std::string(element_name(type)),
                       std::string(element_name(element_of<Value>)));
    return {data.as<const Value>(), data.bytes() / sizeof(Value)};
  }
};

namespace detail {

/// A gzip or plain file being read; closed on destruction.
class gzip_reader {
 public:
  explicit gzip_reader(const std::string& path) : path_(path), file_(::gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr) throw file_error("cannot open the file", path, system_text(errno), "a file that can be read");
    ::gzbuffer(file_, 1U << 18);
  }
  gzip_reader(const gzip_reader&) = delete;
  gzip_reader& operator=(const gzip_reader&) = delete;
  ~gzip_reader() { ::gzclose_r(file_); }

  /// Reads up to `bytes` bytes; fewer only at the end of the file.
  std::size_t read(void* to, std::size_t bytes) {
    std::size_t total = 0;
    while (total < bytes) {
      const auto piece = static_cast<unsigned>((std::min)(bytes - total, std::size_t{1} << 30));
      const int count = ::gzread(file_, static_cast<char*>(to) + total, piece);
      int failure = Z_OK;
      const char* const text = ::gzerror(file_, &failure);
      if (count < 0 || failure == Z_BUF_ERROR)
        throw file_error("the file is damaged", path_, text, "a complete gzip or plain IDX file: fetch it again");
      if (count == 0) break;
      total += static_cast<std::size_t>(count);
    }
    return total;
  }

 private:
  std::string path_;
  ::gzFile file_;
};

/// Element type of the type byte of an IDX header, or false.
inline bool idx_type(std::uint8_t code, element& type) {
  switch (code) {
    case 0x08:
      type = element::u8;
      return true;
    case 0x09:
      type = element::i8;
      return true;
    case 0x0B:
      type = element::i16;
      return true;
    case 0x0C:
      type = element::i32;
      return true;
    case 0x0D:
      type = element::f32;
      return true;
    case 0x0E:
      type = element::f64;
      return true;
    default:
      return false;
  }
}

}  // namespace detail

/// Reads an IDX file, plain or gzip.
/// @param path      the file
/// @param max_bytes most bytes that the elements may take; a larger claim in the header is taken for damage
/// @throws file_error if the file is missing, foreign, damaged, cut, too long or larger than allowed
inline idx_array read_idx(const std::string& path, std::uint64_t max_bytes = std::uint64_t{1} << 32) {
  const std::uint64_t stored = file_size(path);
  detail::gzip_reader file(path);
  std::uint8_t head[4]{};
  const std::size_t got = file.read(head, 4);
  idx_array array;
  array.path = path;
  if (got < 4 || head[0] != 0 || head[1] != 0 || !detail::idx_type(head[2], array.type)) {
    std::string text = got == 0 ? "an empty file" : "first bytes";
    for (std::size_t i = 0; i < got; ++i) text += ' ' + std::to_string(head[i]);
    throw file_error("this is not an IDX file", path, text,
                     "an IDX file, plain or gzip: it starts with 0 0, a type (8, 9, 11, 12, 13, 14) and a rank");
  }
  constexpr int most_dimensions = 8;
  if (head[3] == 0 || head[3] > most_dimensions)
    throw file_error("the header of the IDX file is damaged", path, "rank " + std::to_string(head[3]),
                     "a rank from 1 to " + std::to_string(most_dimensions));
  for (int d = 0; d < head[3]; ++d) {
    std::uint8_t word[4];
    if (file.read(word, 4) < 4)
      throw file_error("the IDX file is cut short", path, "the end of the file inside the header",
                       std::to_string(head[3]) + " extents: fetch the file again");
    array.dimensions.push_back(std::int64_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3]);
  }

  const std::int64_t bytes = array_bytes(array.dimensions, array.type);
  const std::string claim = extents_text(array.dimensions) + " of " + std::string(element_name(array.type));
  if (bytes < 0 || static_cast<std::uint64_t>(bytes) > max_bytes)
    throw file_error("the IDX file claims to be too large", path, claim,
                     "at most " + std::to_string(max_bytes) + " bytes: the file is damaged, or raise max_bytes");
  // Deflate shrinks at most 1032 times, so that a short file cannot claim much memory.
  if (static_cast<std::uint64_t>(bytes) / 1032 > stored)
    throw file_error("the IDX file is cut short", path, claim + " in " + std::to_string(stored) + " stored bytes",
                     "as many elements as the header says: fetch the file again");
  array.data = buffer(static_cast<std::size_t>(bytes));
  const std::size_t read = file.read(array.data.data(), array.data.bytes());
  if (read < array.data.bytes())
    throw file_error("the IDX file is cut short", path, std::to_string(read) + " bytes of elements",
                     std::to_string(bytes) + " bytes for " + claim + ": fetch the file again");
  std::uint8_t beyond = 0;
  if (file.read(&beyond, 1) != 0)
    throw file_error("the IDX file is too long", path, "more bytes than the header says",
                     std::to_string(bytes) + " bytes for " + claim);
  if (const std::size_t width = element_bytes(array.type); width > 1)
    for (auto *at = array.data.as<std::uint8_t>(), *end = at + bytes; at != end; at += width)
      std::reverse(at, at + width);
  return array;
}

}  // namespace vivace::inline VIVACE_TARGET::io
