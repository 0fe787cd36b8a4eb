#include <doctest/doctest.h>

#include <array>
#include <vector>
#include <vivace/io/npy.hpp>

#include "files.hpp"

namespace io = vivace::io;
using files::contains;

namespace {

std::string npy(const std::string& header, const std::string& elements, int version = 1) {
  std::string bytes = "\x93NUMPY" + std::string{static_cast<char>(version), 0};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> 8 * i);
  return bytes + header + elements;
}

std::string dictionary(const std::string& type, const std::string& shape, const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

io::npy_header parse(const std::string& bytes) { return io::parse_npy(std::as_bytes(std::span(bytes)), "a.npy"); }

std::string refusal(const std::string& bytes) {
  return files::message_of<vivace::file_error>([&] { parse(bytes); });
}

template <class Value>
void round_trip(const io::extents& dimensions, const std::vector<Value>& values) {
  const files::temporary_folder folder;
  io::write_npy(folder / "a.npy", values, dimensions);
  const io::npy_array array(folder / "a.npy");
  CHECK(array.type() == io::element_of<Value>);
  CHECK(array.dimensions() == dimensions);
  const auto read = array.as<Value>();
  CHECK(std::vector<Value>(read.begin(), read.end()) == values);
  CHECK(reinterpret_cast<std::uintptr_t>(array.bytes().data()) % 64 == 0);
}

}  // namespace

TEST_CASE("npy: what is written is read") {
  round_trip<float>({3, 1, 2}, {1, -2, 3.5F, 1e-30F, 0, 1e30F});
  round_trip<double>({}, {0.1});
  round_trip<double>({5}, {1, 2, 3, 4, 5});
  round_trip<std::int32_t>({1, 1, 1, 1, 1}, {-7});
  round_trip<std::int64_t>({2, 2}, {1, -1, std::int64_t{1} << 60, 0});
  round_trip<std::uint8_t>({7}, {0, 1, 2, 253, 254, 255, 9});
  round_trip<std::uint8_t>({0, 3}, {});
}

TEST_CASE("npy: the header is the one that NumPy writes") {
  const files::temporary_folder folder;
  io::write_npy(folder / "a.npy", std::array<float, 6>{}, {2, 3});
  CHECK(contains(files::read(folder / "a.npy"), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "));
  io::write_npy(folder / "a.npy", std::array<float, 6>{}, {6});
  CHECK(contains(files::read(folder / "a.npy"), "'shape': (6,), }  "));
  io::write_npy(folder / "a.npy", std::array<float, 1>{}, {});
  const std::string bytes = files::read(folder / "a.npy");
  CHECK(contains(bytes, "'shape': (), }  "));
  CHECK(bytes[127] == '\n');
  CHECK(bytes.size() == 128 + 4);
}

TEST_CASE("npy: other headers that are valid") {
  CHECK(parse(npy("{\"shape\":(2,),'fortran_order':False,'descr':'|u1'}", "ab")).dimensions == io::extents{2});
  CHECK(parse(npy(dictionary("<f4", "(0, 70000)"), "", 2)).dimensions == io::extents{0, 70000});
  CHECK(parse(npy(dictionary("|b1", "()"), "a", 3)).type == io::element::boolean);
  const files::temporary_folder folder;  // elements at an odd offset
  files::write(folder / "odd.npy",
               npy(dictionary("<i2", "(2,)") + (dictionary("<i2", "(2,)").size() % 2 == 0 ? " " : ""), {1, 0, 2, 0}));
  const io::npy_array odd(folder / "odd.npy");
  CHECK(odd.as<std::int16_t>()[1] == 2);
}

TEST_CASE("npy: every refusal says what, where and what to do") {
  using namespace std::string_literals;
  CHECK(contains(refusal(""), "this is not an NPY file\n  where: a.npy\n  got:   an empty file"));
  CHECK(contains(refusal("PK\x03\x04"), "needs: a file written by numpy.save (not savez)"));
  CHECK(contains(refusal("\x93NUMPY\x01"), "the NPY file is cut short\n  where: a.npy\n  got:   7 bytes"));
  CHECK(contains(refusal("\x93NUMPY\x04\0\x01\0\0\0"s), "got:   4.0\n  needs: version 1.0, 2.0 or 3.0"));
  CHECK(contains(refusal("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF"s), "needs: 4294967295 bytes of header: write it again"));
  CHECK(contains(refusal(npy(dictionary("<f4", "(2, 3)"), "abcd")),
                 "got:   4 bytes of elements\n  needs: as many as make [2, 3] of float32"));
  CHECK(contains(refusal(npy(dictionary("|u1", "(2,)"), "abc")), "the NPY file is too long"));
  CHECK(contains(refusal(npy(dictionary(">f4", "(1,)"), "abcd")), "save a.astype('<f4')"));
  CHECK(contains(refusal(npy(dictionary("<c8", "(1,)"), "abcdefgh")), "not '<c8'"));
  CHECK(contains(refusal(npy(dictionary("|u1", "(1,)", "True"), "a")), "save numpy.ascontiguousarray(a)"));
  CHECK(contains(refusal(npy(dictionary("|u1", "(1,)", "true"), "a")), "needs: True or False"));
  CHECK(contains(refusal(npy("{'descr': [('x', '<f4')], }", "")), "save each field by itself"));
  CHECK(contains(refusal(npy("{'descr': '<f4', 'descr': '<f4'}", "")),
                 "the keys descr, fortran_order and shape, once each"));
  CHECK(contains(refusal(npy("{'descr': '<f4'}", "")), "the keys descr, fortran_order and shape, once each"));
  CHECK(contains(refusal(npy("{'shape': (1 2)}", "")), "got:   byte 13: '2)}'\n  needs: ','"));
  CHECK(contains(refusal(npy("{'shape': (3)}", "")), "needs: ','"));
  CHECK(contains(refusal(npy("{'shape': (-3,)}", "")), "a whole number of 0 or more"));
  CHECK(contains(refusal(npy("{'shape': (99999999999999999999,)}", "")), "a number below 2^63"));
  CHECK(contains(refusal(npy(dictionary("<f8", "(4611686018427387904, 4611686018427387904)"), "")),
                 "the NPY file is cut short"));
  CHECK(contains(refusal(npy("{'shape", "")), "got:   byte 7: the end of the header"));
  CHECK(contains(refusal(npy(dictionary("|u1", "(1,)") + "x", "a")), "needs: the end of the header"));

  const files::temporary_folder folder;
  const auto text = files::message_of<vivace::error>([&] {
    io::write_npy(folder / "a", std::array<float, 5>{}, {2, 3});
  });
  CHECK(contains(text, "got:   5 values\n  needs: as many as make [2, 3]"));
  io::write_npy(folder / "a", std::array<float, 1>{}, {1});
  const io::npy_array array(folder / "a");
  const auto type = files::message_of<vivace::file_error>([&] { (void)array.as<double>(); });
  CHECK(contains(type, "got:   float32\n  needs: float64: convert with a.astype when saving"));
  CHECK(contains(files::message_of<vivace::file_error>([&] { io::npy_array(folder / "none"); }), "No such file"));
}

TEST_CASE("npy: no cut and no changed byte crashes the reader") {
  CHECK_NOTHROW(files::torture<vivace::file_error>(npy(dictionary("<f4", "(3, 1)"), "abcdefghijkl"), parse));
  CHECK_NOTHROW(files::torture<vivace::file_error>(npy(dictionary("<i8", "()"), "abcdefgh", 2), parse));
}
