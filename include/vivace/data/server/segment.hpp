#pragma once
/// @file
/// The shared memory of a data server, by Boost.Interprocess (Debian: libboost-dev).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/server/channel.hpp>
#include <vivace/data/server/wire.hpp>

namespace vivace::inline VIVACE_TARGET::data::wire {

namespace ipc = boost::interprocess;

/// Bytes before the samples; the first eight are the server's identity.
inline constexpr std::size_t segment_head = 4096;

/// The name of the shared memory that belongs to a socket: the same at every start, so that what a dead server left
/// behind is found.
inline std::string segment_name(const std::string& socket) {
  const std::size_t slash = socket.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : socket.substr(0, slash + 1);
  const std::unique_ptr<char, decltype(&std::free)> full(::realpath(folder.c_str(), nullptr), &std::free);
  if (full == nullptr)
    throw file_error("the folder of the data server's socket cannot be found", folder, reason_text(errno),
                     "a folder that exists");
  std::string whole = full.get();
  whole.append("/").append(slash == std::string::npos ? socket : socket.substr(slash + 1));
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a
  for (const char one : whole) hash = (hash ^ static_cast<unsigned char>(one)) * 1099511628211ull;
  std::string name = "vivace-" + std::to_string(::geteuid()) + "-";
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[hash >> shift & 15];
  return name;
}

/// Shared memory that a server makes: for its own user alone, and removed at the end. A lock on it, which the kernel
/// drops when the server dies, tells a live server from a dead one. A memory resource that only grows.
class owned_segment : public std::pmr::memory_resource {
 public:
  /// @throws file_error if a live server has the name, or there is not so much memory
  owned_segment(std::string name, std::uint64_t bytes, const std::string& socket)
      : name_(std::move(name)), bytes_(static_cast<std::size_t>(bytes)) {
    make(socket);
    try {
      // Memory that is only promised would kill the server when it is first written.
      if (const int failure = ::posix_fallocate(handle(), 0, static_cast<off_t>(bytes_)); failure != 0)
        throw file_error("there is no room for the data server's shared memory", "/dev/shm/" + name_,
                         std::to_string(bytes_ >> 20) + " MiB: " + reason_text(failure),
                         "less memory, or a larger /dev/shm");
      region_ = ipc::mapped_region(memory_, ipc::read_write, 0, bytes_);
      if (::getrandom(&identity_, sizeof identity_, 0) != sizeof identity_)
        throw error("there are no random numbers", "data server", reason_text(errno), "a kernel that gives some");
    } catch (const ipc::interprocess_exception& failure) {
      ipc::shared_memory_object::remove(name_.c_str());
      throw file_error("the data server's shared memory cannot be mapped", "/dev/shm/" + name_, failure.what(),
                       "less memory");
    } catch (...) {
      ipc::shared_memory_object::remove(name_.c_str());
      throw;
    }
    std::memcpy(region_.get_address(), &identity_, sizeof identity_);
  }
  ~owned_segment() override { ipc::shared_memory_object::remove(name_.c_str()); }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t identity() const { return identity_; }
  /// Where an address lies in the segment.
  [[nodiscard]] std::uint64_t offset_of(const void* address) const {
    return static_cast<std::uint64_t>(static_cast<const std::byte*>(address) - base());
  }

 private:
  [[nodiscard]] std::byte* base() const { return static_cast<std::byte*>(region_.get_address()); }
  [[nodiscard]] int handle() const { return memory_.get_mapping_handle().handle; }

  void make(const std::string& socket) {
    // Another server that looks whether this one is alive holds the lock for a moment: try a few times.
    for (int tries = 0; tries < 20; ++tries) {
      if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      try {
        memory_ = ipc::shared_memory_object(ipc::create_only, name_.c_str(), ipc::read_write, ipc::permissions(0600));
      } catch (const ipc::interprocess_exception& failure) {
        if (failure.get_error_code() != ipc::already_exists_error) refuse(failure.what());
        remove_stale();
        continue;
      }
      if (::flock(handle(), LOCK_EX | LOCK_NB) == 0 && is_mine(handle())) return;
    }
    throw file_error("a data server is running already", socket, "shared memory " + name_ + " in use",
                     "another socket, or the other server to be ended");
  }
  /// Removes the segment of this name if nobody holds its lock. Those who have mapped it keep what they have.
  void remove_stale() const {
    try {
      const ipc::shared_memory_object old(ipc::open_only, name_.c_str(), ipc::read_write);
      const int number = old.get_mapping_handle().handle;
      if (::flock(number, LOCK_EX | LOCK_NB) == 0 && is_mine(number)) ipc::shared_memory_object::remove(name_.c_str());
    } catch (const ipc::interprocess_exception& failure) {
      if (failure.get_error_code() != ipc::not_found_error) refuse(failure.what());
    }
  }
  /// Whether the name still stands for an open segment.
  [[nodiscard]] bool is_mine(int number) const {
    struct stat mine {
    }, named{};
    try {
      const ipc::shared_memory_object again(ipc::open_only, name_.c_str(), ipc::read_only);
      return ::fstat(number, &mine) == 0 && ::fstat(again.get_mapping_handle().handle, &named) == 0 &&
             mine.st_ino == named.st_ino && mine.st_uid == ::geteuid();
    } catch (const ipc::interprocess_exception&) {
      return false;
    }
  }
  [[noreturn]] void refuse(const char* reason) const {
    throw file_error("the data server's shared memory cannot be made", "/dev/shm/" + name_, reason,
                     "a file of this user, or none, of this name");
  }

  void* do_allocate(std::size_t count, std::size_t align) override {
    const std::lock_guard lock(mutex_);
    const std::size_t from = (used_ + align - 1) / align * align;
    if (from > bytes_ || count > bytes_ - from) throw std::bad_alloc();
    used_ = from + count;
    return base() + from;
  }
  void do_deallocate(void*, std::size_t, std::size_t) override {}  // the pool gives back at its end alone
  [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::string name_;
  std::size_t bytes_;
  std::uint64_t identity_ = 0;
  ipc::shared_memory_object memory_;
  ipc::mapped_region region_;
  std::mutex mutex_;
  std::size_t used_ = segment_head;
};

/// Shared memory of a server as a client sees it: for reading. It stays readable when the server is gone.
class seen_segment {
 public:
  seen_segment() = default;
  /// @throws server_error if it is not there, belongs to somebody else, is too small or of another server
  seen_segment(const std::string& name, std::uint64_t bytes, std::uint64_t identity) {
    if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
      fail(server_problem::malformed, name, "a name that cannot be");
    try {
      ipc::shared_memory_object memory(ipc::open_only, name.c_str(), ipc::read_only);
      struct stat found {};
      if (::fstat(memory.get_mapping_handle().handle, &found) != 0 || found.st_uid != ::geteuid())
        fail(server_problem::user, name, "memory of another user");
      if (bytes < segment_head || static_cast<std::uint64_t>(found.st_size) < bytes)
        fail(server_problem::malformed, name,
             std::to_string(found.st_size) + " bytes in place of " + std::to_string(bytes));
      region_ = ipc::mapped_region(memory, ipc::read_only, 0, static_cast<std::size_t>(bytes));
    } catch (const ipc::interprocess_exception& failure) {
      fail(server_problem::gone, name, failure.what());
    }
    std::uint64_t who = 0;
    std::memcpy(&who, region_.get_address(), sizeof who);
    if (who != identity) fail(server_problem::gone, name, "memory of another server");
  }
  [[nodiscard]] bool mapped() const { return region_.get_size() > 0; }
  [[nodiscard]] const std::byte* base() const { return static_cast<const std::byte*>(region_.get_address()); }

 private:
  [[noreturn]] static void fail(server_problem problem, const std::string& name, const std::string& got) {
    throw server_error(problem, "the data server's shared memory cannot be read", "/dev/shm/" + name, got,
                       "the memory of a server that runs: try again");
  }
  ipc::mapped_region region_;
};

}  // namespace vivace::inline VIVACE_TARGET::data::wire
