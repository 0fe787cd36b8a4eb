#include <doctest/doctest.h>
#include <vivace/io/idx.hpp>

#include "files.hpp"

namespace io = vivace::io;
using files::contains;

namespace {

std::string idx(int type, std::initializer_list<int> dimensions, const std::string& elements) {
  std::string bytes{0, 0, static_cast<char>(type), static_cast<char>(dimensions.size())};
  for (const int extent : dimensions)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift);
  return bytes + elements;
}

struct scratch {
  files::temporary_folder folder;
  std::string refusal(const std::string& bytes) const {
    files::write(folder / "a.idx", bytes);
    return files::message_of<vivace::file_error>([&] { io::read_idx(folder / "a.idx"); });
  }
  io::idx_array accept(const std::string& bytes) const {
    files::write(folder / "a.idx", bytes);
    return io::read_idx(folder / "a.idx");
  }
};

std::string compressed(const files::temporary_folder& folder, const std::string& bytes) {
  const std::string path = folder / "packed.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return files::read(path);
}

}  // namespace

TEST_CASE("idx: bytes, plain and gzip") {
  const scratch at;
  const std::string valid = idx(8, {3, 1, 5}, "abcdefghijklmno");
  for (const std::string& bytes : {valid, compressed(at.folder, valid)}) {
    const io::idx_array array = at.accept(bytes);
    CHECK(array.type == io::element::u8);
    CHECK(array.dimensions == io::extents{3, 1, 5});
    const auto values = array.as<std::uint8_t>();
    CHECK(std::string(values.begin(), values.end()) == "abcdefghijklmno");
  }
}

TEST_CASE("idx: wider elements come in the byte order of the machine") {
  const scratch at;
  CHECK(at.accept(idx(0x0C, {2}, {0, 0, 1, 2, -1, -1, -1, -2})).as<std::int32_t>()[0] == 258);
  CHECK(at.accept(idx(0x0C, {2}, {0, 0, 1, 2, -1, -1, -1, -2})).as<std::int32_t>()[1] == -2);
  CHECK(at.accept(idx(0x0B, {1}, {1, 2})).as<std::int16_t>()[0] == 258);
  CHECK(at.accept(idx(0x0D, {1}, {0x3F, -128, 0, 0})).as<float>()[0] == 1.0F);
  CHECK(at.accept(idx(0x0E, {1}, {0x3F, -16, 0, 0, 0, 0, 0, 0})).as<double>()[0] == 1.0);
  CHECK(at.accept(idx(0x08, {0, 5}, "")).as<std::uint8_t>().empty());
}

TEST_CASE("idx: every refusal says what, where and what to do") {
  const scratch at;
  using namespace std::string_literals;
  CHECK(contains(at.refusal(""), "this is not an IDX file"));
  CHECK(contains(at.refusal(""), "got:   an empty file"));
  CHECK(contains(at.refusal("\x89PNG\r\n\x1A\n"), "got:   first bytes 137 80 78 71"));
  CHECK(contains(at.refusal("\x89PNG\r\n\x1A\n"), "where: " + at.folder.path()));
  CHECK(contains(at.refusal("\0\0\x0A\x01"s), "needs: an IDX file, plain or gzip"));
  CHECK(contains(at.refusal("\0\0\x08\x00"s), "got:   rank 0"));
  CHECK(contains(at.refusal("\0\0\x08\x09"s), "needs: a rank from 1 to 8"));
  CHECK(contains(at.refusal("\0\0\x08\x02\0\0\0\x05"s), "the end of the file inside the header"));
  CHECK(contains(at.refusal(idx(8, {2, 3}, "abcde")), "got:   5 bytes of elements"));
  CHECK(contains(at.refusal(idx(8, {2, 3}, "abcde")), "needs: 6 bytes for [2, 3] of uint8: fetch the file again"));
  CHECK(contains(at.refusal(idx(8, {2, 3}, "abcdefg")), "the IDX file is too long"));
  CHECK(contains(at.refusal(idx(8, {-1, -1, -1, -1}, "")), "the IDX file claims to be too large"));
  CHECK(contains(at.refusal(idx(8, {-1, -1}, "")), "the file is damaged, or raise max_bytes"));
  CHECK(contains(at.refusal(idx(8, {60000, 28}, "ab")), "got:   [60000, 28] of uint8 in 14 stored bytes"));

  const std::string packed = compressed(at.folder, idx(8, {2, 3}, "abcdef"));
  CHECK(contains(at.refusal(packed.substr(0, packed.size() - 4)), "the file is damaged"));
  std::string wrong_sum = packed;
  wrong_sum[packed.size() - 6] = static_cast<char>(wrong_sum[packed.size() - 6] ^ 1);
  CHECK(contains(at.refusal(wrong_sum), "a complete gzip or plain IDX file: fetch it again"));

  const auto missing = files::message_of<vivace::file_error>([&] { io::read_idx(at.folder / "none"); });
  CHECK(contains(missing, "cannot open the file"));
  CHECK(contains(missing, "No such file or directory"));
  const auto folder = files::message_of<vivace::file_error>([&] { io::read_idx(at.folder.path()); });
  CHECK(contains(folder, "got:   a folder"));
  const auto type = files::message_of<vivace::file_error>([&] { (void)at.accept(idx(8, {1}, "a")).as<float>(); });
  CHECK(contains(type, "got:   uint8"));
  CHECK(contains(type, "needs: float32"));
}

TEST_CASE("idx: no cut and no changed byte crashes the reader") {
  const scratch at;
  const auto read = [&](const std::string& bytes) { at.accept(bytes); };
  const std::string valid = idx(8, {2, 3}, "abcdef");
  CHECK_NOTHROW(files::torture<vivace::file_error>(valid, read));
  CHECK_NOTHROW(files::torture<vivace::file_error>(compressed(at.folder, valid), read));
}
