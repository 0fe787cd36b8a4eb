#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Alignment of every buffer and of every tensor in an arena, in bytes; independent of compiler flags.
inline constexpr std::size_t alignment = 64;

/// Bytes in a mebibyte, for bounds on arenas.
inline constexpr std::int64_t MiB = 1024 * 1024;

/// Owns zeroed, aligned bytes. Large ones lie in huge pages where the system has them: kernels walk over many planes at
/// once, more than there are entries for small pages in the processor's tables.
class buffer {
 public:
  buffer() = default;
  explicit buffer(std::size_t bytes)
      : data_(bytes == 0 ? nullptr : ::operator new(bytes, alignment_of(bytes))), bytes_(bytes) {
    if (data_ == nullptr) return;
#if defined(__linux__)
    // A refusal changes nothing but speed.
    if (bytes >= large) ::madvise(data_, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    std::memset(data_, 0, bytes);
  }
  buffer(buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  buffer& operator=(buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
  ~buffer() { ::operator delete(data_, alignment_of(bytes_)); }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] void* data() const { return data_; }
  template <class Element>
  [[nodiscard]] Element* as() const {
    return static_cast<Element*>(data_);
  }

 private:
  static constexpr std::size_t huge_page = 2 * MiB, large = 2 * huge_page;
  static constexpr std::align_val_t alignment_of(std::size_t bytes) {
    return std::align_val_t{bytes >= large ? huge_page : alignment};
  }
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET
