// What functions that nobody calls would call: stb_image, whose implementation belongs to the user, and a part of
// libstdc++ 12 that -fkeep-inline-functions keeps alive and the library does not export.
#include <cstdlib>

extern "C" {
[[noreturn]] void stbi_failure_reason() { std::abort(); }
[[noreturn]] void stbi_image_free() { std::abort(); }
[[noreturn]] void stbi_info() { std::abort(); }
[[noreturn]] void stbi_load() { std::abort(); }
[[noreturn]] void filesystem_list_type() __asm__("_ZNSt10filesystem7__cxx114path5_List4typeENS1_5_TypeE");
[[noreturn]] void filesystem_list_type() { std::abort(); }
}
