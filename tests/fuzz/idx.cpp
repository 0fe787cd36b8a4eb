// libFuzzer entry point: whatever the bytes, the reader returns or throws file_error.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/idx.cpp -lz
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vivace/io/idx.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  // zlib reads files: the bytes go through one that lies in memory.
  static const int descriptor = memfd_create("idx", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, bytes, size, 0) != static_cast<ssize_t>(size)) return 0;
  try {
    vivace::io::read_idx(path, 1 << 24);
  } catch (const vivace::file_error&) {
  }
  return 0;
}
