// libFuzzer entry point: whatever jobs do, the group of sampler and cache keeps to its rules.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/sharing.cpp
#include <cstddef>
#include <cstdint>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/tree.hpp>

#include "../data/sharing_driver.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  std::size_t at = 1;
  const auto next = [&]() -> std::uint32_t { return at < size ? bytes[at++] : 0; };
  const auto more = [&] { return at < size; };
  const int broken = bytes[0] % 3 == 0   ? sharing_driver::play<vivace::data::dependent_cells>(next, more)
                     : bytes[0] % 3 == 1 ? sharing_driver::play<vivace::data::dependent_tree>(next, more)
                                         : sharing_driver::play<vivace::data::pairwise_cells>(next, more);
  if (broken != 0) __builtin_trap();
  return 0;
}
