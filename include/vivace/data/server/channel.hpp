#pragma once
/// @file
/// Unix domain sockets that carry the messages of a data server, and who is at the other end.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/server/wire.hpp>

namespace vivace::inline VIVACE_TARGET::data::wire {

using clock = std::chrono::steady_clock;

/// The text of an error number.
inline std::string reason_text(int number) { return std::generic_category().message(number); }

/// A file descriptor that is closed at the end.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int number) : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_ = -1;
};

/// A message as it came.
struct message {
  kind what{};
  std::vector<std::byte> body;
  [[nodiscard]] reader read() const { return reader(body); }
};

/// One end of a connection. Nothing waits longer than until the moment that is given. For one thread at a time, less
/// stop_reading().
class channel {
 public:
  channel() = default;
  /// @param connected a stream socket that does not block
  channel(descriptor connected, std::string where) : socket_(std::move(connected)), where_(std::move(where)) {}

  [[nodiscard]] bool open() const { return socket_.get() >= 0; }
  [[nodiscard]] int handle() const { return socket_.get(); }
  [[nodiscard]] const std::string& where() const { return where_; }

  /// Reads nothing more; whoever waits in another member then fails, but may send a last message. From any thread.
  void stop_reading() const {
    if (open()) ::shutdown(socket_.get(), SHUT_RD);
  }
  /// Ends the connection.
  void shut() const {
    if (open()) ::shutdown(socket_.get(), SHUT_RDWR);
  }
  /// Whether the other end has closed.
  [[nodiscard]] bool hung_up() const {
    pollfd one{socket_.get(), POLLRDHUP, 0};
    return ::poll(&one, 1, 0) > 0 && one.revents != 0;
  }

  /// @throws server_error if the other end is gone, or does not read
  void send(writer what, clock::time_point until) const {
    std::span<const std::byte> rest = what.finish();
    while (!rest.empty()) {
      const ssize_t count = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0)
        rest = rest.subspan(static_cast<std::size_t>(count));
      else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        wait(POLLOUT, until);
      else if (!(count < 0 && errno == EINTR))
        fail_gone(errno);
    }
  }
  /// Sends to one who may be anybody: what does not fit into the socket's buffer is not sent.
  void send_if_possible(writer what) const {
    const auto all = what.finish();
    (void)!::send(socket_.get(), all.data(), all.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  /// The next message. @param longest bytes that its body may have; more is refused before anything is read
  /// @throws server_error if the other end is gone, is silent, or sends a longer message
  [[nodiscard]] message receive(std::size_t longest, clock::time_point until) const {
    std::byte head[frame_bytes];
    read_all(head, until);
    reader from(head);
    const auto size = from.get<std::uint32_t>();
    message found{static_cast<kind>(from.get<std::uint32_t>()), {}};
    if (size > longest)
      throw server_error(server_problem::malformed, "a message is too long", where_, std::to_string(size) + " bytes",
                         "at most " + std::to_string(longest));
    // Memory grows with what has really come.
    for (std::size_t done = 0; done < size; done = found.body.size()) {
      found.body.resize((std::min)(std::size_t{size}, done + (std::size_t{1} << 20)));
      read_all(std::span(found.body).subspan(done), until);
    }
    return found;
  }

  /// The user at the other end, as the kernel says; -1 if it does not.
  [[nodiscard]] std::int64_t peer() const {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return -1;
    return std::int64_t{who.uid};
  }

 private:
  void wait(short events, clock::time_point until) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
      pollfd one{socket_.get(), static_cast<short>(events | POLLRDHUP), 0};
      const int found = left > 0 ? ::poll(&one, 1, static_cast<int>((std::min)(left, decltype(left){1} << 30))) : 0;
      if (found > 0 && (one.revents & POLLOUT) == 0 && events == POLLOUT) fail_gone(0);
      if (found > 0) return;
      if (found < 0 && errno != EINTR) fail_gone(errno);
      if (found == 0 && clock::now() >= until)
        throw server_error(server_problem::slow, "the other side says nothing", where_, "silence until the time was up",
                           "a process that is alive, or a longer time");
    }
  }
  void read_all(std::span<std::byte> to, clock::time_point until) const {
    while (!to.empty()) {
      const ssize_t count = ::recv(socket_.get(), to.data(), to.size(), MSG_DONTWAIT);
      if (count > 0)
        to = to.subspan(static_cast<std::size_t>(count));
      else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        wait(POLLIN, until);
      else if (!(count < 0 && errno == EINTR))
        fail_gone(count == 0 ? 0 : errno);
    }
  }
  [[noreturn]] void fail_gone(int number) const {
    throw server_error(server_problem::gone, "the connection has ended", where_,
                       number == 0 ? std::string("the other side closed it, or is dead") : reason_text(number),
                       "a server that runs: start it, then reconnect() goes on where this client stands");
  }

  descriptor socket_;
  std::string where_;
};

/// The address of a socket. @throws file_error if the path is too long
inline sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path || path.find('\0') != std::string::npos)
    throw file_error("a socket's path has a length that no socket can have", path, std::to_string(path.size()),
                     "1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes, such as /run/user/1000/data");
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  return address;
}
inline descriptor new_socket(const std::string& path) {
  descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.get() < 0) throw file_error("cannot make a socket", path, reason_text(errno), "fewer open files");
  return made;
}
/// Connects at once, or not: an error number.
inline int connect_to(const descriptor& socket, const sockaddr_un& address) {
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

/// Connects to the server behind a path, which must belong to the same user.
/// @throws server_error if nobody listens there, or somebody else
inline channel connect_channel(const std::string& path) {
  const sockaddr_un address = address_of(path);
  descriptor socket = new_socket(path);
  if (const int failure = connect_to(socket, address); failure != 0)
    throw server_error(failure == EACCES || failure == EPERM ? server_problem::user : server_problem::gone,
                       "cannot connect to the data server", path, reason_text(failure),
                       "a server of the same user that listens there: start one, or correct the path");
  channel made(std::move(socket), path);
  if (made.peer() != std::int64_t{::geteuid()})
    throw server_error(server_problem::user, "the data server belongs to somebody else", path,
                       "user " + std::to_string(made.peer()), "user " + std::to_string(::geteuid()));
  return made;
}

/// The socket that a server listens on: for its own user alone, in place of one that a dead server left behind. It is
/// removed at the end.
class listening_socket {
 public:
  /// @throws file_error if somebody listens there, the file is no socket, or it cannot be made
  explicit listening_socket(std::string path) : path_(std::move(path)), socket_(new_socket(path_)) {
    const sockaddr_un address = address_of(path_);
    remove_stale(address);
    // The mode of a socket becomes that of its file: nobody else can connect, not even for a moment.
    if (::fchmod(socket_.get(), 0600) != 0 ||
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw file_error("cannot make the socket of the data server", path_, reason_text(errno),
                       "a folder that exists and that this user may write to");
    struct stat made {};
    if (::lstat(path_.c_str(), &made) == 0) file_ = made.st_ino;
    if (::chmod(path_.c_str(), 0600) != 0 || ::listen(socket_.get(), 64) != 0) {
      const int failure = errno;
      ::unlink(path_.c_str());
      throw file_error("cannot listen on the socket of the data server", path_, reason_text(failure), "another path");
    }
  }
  listening_socket(const listening_socket&) = delete;
  listening_socket& operator=(const listening_socket&) = delete;
  ~listening_socket() {
    struct stat now {};
    if (::lstat(path_.c_str(), &now) == 0 && now.st_ino == file_) ::unlink(path_.c_str());
  }

  [[nodiscard]] int handle() const { return socket_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Whoever has connected; a closed channel if nobody has, or he is gone again.
  [[nodiscard]] channel accept() const {
    descriptor found(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return found.get() < 0 ? channel{} : channel(std::move(found), path_);
  }

 private:
  void remove_stale(const sockaddr_un& address) const {
    struct stat found {};
    if (::lstat(path_.c_str(), &found) != 0) return;
    const std::string needs = "a path of the data server's own, or the other program to be ended";
    if (!S_ISSOCK(found.st_mode))
      throw file_error("something else lies where the data server's socket shall be", path_, "a file that is no socket",
                       needs);
    const descriptor probe = new_socket(path_);
    const int failure = connect_to(probe, address);
    if (failure != ECONNREFUSED)
      throw file_error("the data server's socket is in use", path_,
                       failure == 0 || failure == EAGAIN ? "a program that listens there" : reason_text(failure),
                       needs);
    ::unlink(path_.c_str());
  }

  std::string path_;
  descriptor socket_;
  ino_t file_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::data::wire
