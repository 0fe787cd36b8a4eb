#pragma once
/// @file
/// Event files of TensorBoard, writing scalars only: records with checksums (TFRecord), each an `Event` message.
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/io/file.hpp>
#include <vivace/io/protobuf.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// The cyclic redundancy check CRC-32C (Castagnoli) of bytes.
constexpr std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t state = ~std::uint32_t{0};
  for (const char one : bytes) {
    state ^= static_cast<std::uint8_t>(one);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0x82F63B78U : 0);
  }
  return ~state;
}
/// The same as TFRecord files hold it: the check of data that contain checks would be weak without the change.
constexpr std::uint32_t masked_crc32c(std::string_view bytes) {
  const std::uint32_t plain = crc32c(bytes);
  return (plain >> 15 | plain << 17) + 0xA282EAD8U;
}

/// Appends scalars to an event file of its own in a folder. Every call writes one whole record, so that TensorBoard can
/// follow a training that runs, and a crash loses nothing that was written.
class event_writer {
 public:
  event_writer() = default;
  /// @param folder made if it is missing (its parents too)
  /// @throws file_error if the folder or the file cannot be made
  explicit event_writer(const std::string& folder) {
    make_folders(folder);
    char host[256] = "localhost";
    ::gethostname(host, sizeof host - 1);
    const std::string stem = folder + "/events.out.tfevents." + std::to_string(static_cast<std::int64_t>(now())) + '.' +
                             host + '.' + std::to_string(::getpid());
    for (int attempt = 0; attempt < 1000 && descriptor_ < 0; ++attempt) {
      path_ = stem + '.' + std::to_string(attempt);
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && errno != EEXIST) break;
    }
    if (descriptor_ < 0) fail(system_text(errno));
    protobuf_message version;
    version.add_double(1, now());
    version.add_text(3, "brain.Event:2");
    append(version.bytes());
  }
  event_writer(event_writer&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  event_writer& operator=(event_writer&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  event_writer(const event_writer&) = delete;
  event_writer& operator=(const event_writer&) = delete;
  ~event_writer() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// Path of the file; empty without one.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Appends one number.
  /// @param tag  name of the curve, such as "loss/train": what stands before the slash groups curves
  /// @param step place on the axis
  /// @throws file_error if the disk is full or fails
  void scalar(std::string_view tag, std::int64_t step, double value) {
    protobuf_message number;
    number.add_text(1, tag);
    number.add_float(2, static_cast<float>(value));
    protobuf_message summary;
    summary.add_message(1, number);
    protobuf_message event;
    event.add_double(1, now());
    event.add_integer(2, step);
    event.add_message(5, summary);
    append(event.bytes());
  }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  [[noreturn]] void fail(const std::string& got) const {
    throw file_error("cannot write the event file", path_, got,
                     "a folder that can be written, on a disk with space left");
  }

  void make_folders(const std::string& folder) {
    path_ = folder;
    for (std::size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
      const std::string part = folder.substr(0, end);
      if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) fail(system_text(errno));
      if (end == std::string::npos) return;
    }
  }

  /// Length, its check, data, their check.
  void append(const std::string& data) {
    std::string record;
    const auto add = [&](auto number) {
      char raw[sizeof number];
      std::memcpy(raw, &number, sizeof number);
      record.append(raw, sizeof number);
    };
    add(std::uint64_t{data.size()});
    add(masked_crc32c(record));
    record += data;
    add(masked_crc32c(data));
    const char* from = record.data();
    for (std::size_t left = record.size(); left > 0;) {
      const ::ssize_t written = ::write(descriptor_, from, left);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(system_text(written < 0 ? errno : ENOSPC));
      from += written;
      left -= static_cast<std::size_t>(written);
    }
  }

  std::string path_;
  int descriptor_ = -1;
};

}  // namespace vivace::inline VIVACE_TARGET::io
