// libFuzzer entry point: whatever the bytes, the reader returns or throws file_error.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/safetensors.cpp
#include <cstddef>
#include <cstdint>
#include <string>
#include <vivace/io/safetensors.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const auto header = vivace::io::parse_safetensors({reinterpret_cast<const std::byte*>(bytes), size}, "fuzz");
    for (const auto& tensor : header.tensors)
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) __builtin_trap();
  } catch (const vivace::file_error&) {
  }
  return 0;
}
