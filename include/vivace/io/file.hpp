#pragma once
/// @file
/// Files as the formats of this folder need them: checked for being there, mapped for reading, replaced as a whole.
/// POSIX only.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Text of an error number of the system.
inline std::string system_text(int number) { return std::generic_category().message(number); }

/// Bytes of a regular file.
/// @throws file_error if the file is missing, unreadable or not a regular file (a folder, a pipe, a device)
inline std::uint64_t file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw file_error("cannot open the file", path, system_text(errno), "the path of a file that can be read");
  if (!S_ISREG(status.st_mode))
    throw file_error("cannot read this kind of file", path, S_ISDIR(status.st_mode) ? "a folder" : "a device or a pipe",
                     "the path of a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

/// A whole file in memory, read-only, without being copied: its pages are loaded when they are touched.
/// The file must not be shortened while it is mapped (replacing it by renaming is fine).
class mapped_file {
 public:
  mapped_file() = default;
  /// @throws file_error if the file is missing, unreadable or not a regular file
  explicit mapped_file(const std::string& path) : bytes_(static_cast<std::size_t>(file_size(path))) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
      throw file_error("cannot open the file", path, system_text(errno), "the path of a file that can be read");
    if (bytes_ > 0) {
      void* const address = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, descriptor, 0);
      const int failure = errno;
      ::close(descriptor);
      if (address == MAP_FAILED)
        throw file_error("cannot map the file into memory", path, system_text(failure),
                         "a file on a file system that supports mapping, and address space for it");
      data_ = address;
    } else {
      ::close(descriptor);
    }
  }
  mapped_file(mapped_file&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), bytes_}; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Replaces a file as a whole or not at all: bytes go to a temporary file beside the target, which is synchronised
/// and renamed by commit(). Without commit() the temporary file is removed and the target stays what it was.
///
/// A link is followed. A target that exists and is no regular file (a pipe, a device) is written directly.
/// A process that may meet a file size limit should ignore SIGXFSZ; the limit is then reported as an error.
class atomic_file {
 public:
  /// @throws file_error if the temporary file cannot be created
  explicit atomic_file(const std::string& path) : target_(path) {
    struct stat status {};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) fail("a folder of that name");
    if (exists && !S_ISREG(status.st_mode)) {
      descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail(system_text(errno));
      return;
    }
    if (exists)
      if (char* const resolved = ::realpath(path.c_str(), nullptr); resolved != nullptr) {
        target_ = resolved;
        std::free(resolved);
      }
    for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
      temporary_ = target_ + '.' + std::to_string(::getpid()) + '.' + std::to_string(attempt) + ".part";
      descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && errno != EEXIST) break;
    }
    if (descriptor_ < 0) {
      const int failure = errno;
      temporary_.clear();
      fail(system_text(failure));
    }
    if (exists) ::fchmod(descriptor_, status.st_mode & 07777);  // best effort: keep the permissions of the old file
  }
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() { abandon(); }

  /// Appends bytes. @throws file_error if the disk is full or fails; the target then stays what it was
  void write(const void* data, std::size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const std::size_t piece = bytes < largest_write ? bytes : largest_write;
      const ::ssize_t written = ::write(descriptor_, from, piece);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail_and_abandon(written < 0 ? errno : ENOSPC);
      from += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  /// Makes the new content durable and puts it in the place of the old.
  /// @throws file_error if that fails; the target then stays what it was
  void commit() {
    if (temporary_.empty()) {  // a pipe or a device
      if (::close(std::exchange(descriptor_, -1)) != 0) fail(system_text(errno));
      return;
    }
    if (::fsync(descriptor_) != 0) fail_and_abandon(errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) fail_and_abandon(errno);
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_and_abandon(errno);
    temporary_.clear();
    const std::size_t slash = target_.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "." : target_.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {  // best effort: some file systems refuse to synchronise a folder
      (void)::fsync(directory);
      ::close(directory);
    }
  }

 private:
  static constexpr std::size_t largest_write = std::size_t{1} << 30;  // one call takes less than 2 GiB

  [[noreturn]] void fail(const std::string& got) const {
    throw file_error("cannot write the file", target_, got,
                     "a folder that exists and can be written, on a disk with space left");
  }
  [[noreturn]] void fail_and_abandon(int failure) {
    abandon();
    fail(system_text(failure));
  }
  void abandon() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }

  std::string target_, temporary_;
  int descriptor_ = -1;
};

}  // namespace vivace::inline VIVACE_TARGET::io
