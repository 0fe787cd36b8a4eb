// What functions that nobody calls would call: stb_image, whose implementation belongs to the user, and parts of
// libstdc++ 12 and Google Benchmark that -fkeep-inline-functions keeps alive and the libraries do not export.
#include <cstdint>
#include <cstdlib>

extern "C" {
[[noreturn]] void stbi_failure_reason() { std::abort(); }
[[noreturn]] void stbi_image_free() { std::abort(); }
[[noreturn]] void stbi_info() { std::abort(); }
[[noreturn]] void stbi_load() { std::abort(); }
[[noreturn]] void filesystem_list_type() __asm__("_ZNSt10filesystem7__cxx114path5_List4typeENS1_5_TypeE");
[[noreturn]] void filesystem_list_type() { std::abort(); }
extern const std::int64_t benchmark_tombstone __asm__("_ZN9benchmark13MemoryManager14TombstoneValueE");
const std::int64_t benchmark_tombstone = 0;
}
