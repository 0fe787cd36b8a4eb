// libFuzzer entry point: whatever the bytes, the reader returns or throws file_error.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/npy.cpp
#include <cstddef>
#include <cstdint>
#include <string>
#include <vivace/io/npy.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const auto header = vivace::io::parse_npy({reinterpret_cast<const std::byte*>(bytes), size}, "fuzz");
    if (header.data_offset + header.data_bytes != size) __builtin_trap();
  } catch (const vivace::file_error&) {
  }
  return 0;
}
