// libFuzzer entry point: whatever the bytes, the reader returns or throws file_error.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/csv.cpp
#include <cstddef>
#include <cstdint>
#include <string>
#include <vivace/io/csv.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const vivace::io::csv_table table({reinterpret_cast<const char*>(bytes), size}, "fuzz");
    for (const std::string& name : table.names()) {
      if (table.text(name).size() != table.rows()) __builtin_trap();
      try {
        if (table.numbers(name).size() != table.rows()) __builtin_trap();
      } catch (const vivace::file_error&) {
      }
    }
  } catch (const vivace::file_error&) {
  }
  return 0;
}
