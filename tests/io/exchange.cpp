// Files that other programs read and write; tests/python/formats.py is the other program.
#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>
#include <vivace/io/npy.hpp>
#include <vivace/io/safetensors.hpp>

namespace io = vivace::io;

namespace {

/// Value number k of every array: exact in all types.
template <class Value>
std::vector<Value> values(int count) {
  std::vector<Value> result;
  for (int k = 0; k < count; ++k) result.push_back(static_cast<Value>(3 * k));
  return result;
}

/// The folder for the files, or null, with a message, where no other program asks for this.
const char* folder() {
  const char* const name = std::getenv("VIVACE_EXCHANGE_FOLDER");
  if (name == nullptr) MESSAGE("skipped: run by tests/python/formats.py");
  return name;
}

template <class Value>
void check(std::span<const Value> read, int count) {
  CHECK(std::vector<Value>(read.begin(), read.end()) == values<Value>(count));
}

}  // namespace

TEST_CASE("exchange: write files for other programs") {
  if (folder() == nullptr) return;
  const std::string base = std::string(folder()) + '/';
  io::write_npy(base + "f32.npy", values<float>(6), {2, 3});
  io::write_npy(base + "f64.npy", values<double>(1), {});
  io::write_npy(base + "i32.npy", values<std::int32_t>(5), {5});
  io::write_npy(base + "i64.npy", values<std::int64_t>(4), {1, 2, 2, 1});
  io::write_npy(base + "u8.npy", values<std::uint8_t>(0), {0, 3});
  const auto f32 = values<float>(6);
  const auto f64 = values<double>(1);
  const auto i32 = values<std::int32_t>(5);
  const auto i64 = values<std::int64_t>(4);
  const auto u8 = values<std::uint8_t>(3);
  const std::vector<io::tensor_view> tensors = {
      {"u8", u8, {3}}, {"f32", f32, {2, 3}}, {"f64", f64, {}}, {"i32", i32, {5}}, {"i64 \"\xC3\xA9\"", i64, {1, 4}}};
  io::write_safetensors(base + "all.safetensors", tensors, {{"origin", "C++\n"}});
}

TEST_CASE("exchange: read files of other programs") {
  if (folder() == nullptr) return;
  const std::string base = std::string(folder()) + '/';
  const io::npy_array f32(base + "f32.npy"), f64(base + "f64.npy"), i32(base + "i32.npy"), i64(base + "i64.npy"),
      u8(base + "u8.npy");
  CHECK(f32.dimensions() == io::extents{2, 3});
  CHECK(f64.dimensions().empty());
  CHECK(i64.dimensions() == io::extents{1, 2, 2, 1});
  CHECK(u8.dimensions() == io::extents{0, 3});
  check(f32.as<float>(), 6);
  check(f64.as<double>(), 1);
  check(i32.as<std::int32_t>(), 5);
  check(i64.as<std::int64_t>(), 4);
  check(u8.as<std::uint8_t>(), 0);
  const io::safetensors_file all(base + "all.safetensors");
  CHECK(all.tensors().size() == 5);
  CHECK(*all.text("origin") == "Python\n");
  check(all.values<std::uint8_t>("u8", {3}), 3);
  check(all.values<float>("f32", {2, 3}), 6);
  check(all.values<double>("f64", {}), 1);
  check(all.values<std::int32_t>("i32", {5}), 5);
  check(all.values<std::int64_t>("i64 \"\xC3\xA9\"", {1, 4}), 4);
}
