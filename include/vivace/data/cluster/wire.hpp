#pragma once
/// @file
/// Messages between the leader of a cluster and its hosts, over TCP.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/server/channel.hpp>
#include <vivace/data/server/wire.hpp>
#include <vivace/data/sharing/jobs.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Where the leader of a cluster is reached, and the secret that its hosts show. A plain value that start-up code hands
/// to every host, by MPI or otherwise.
struct cluster_address {
  std::uint32_t ip = 0;  ///< IPv4, in the network's byte order
  std::uint16_t port = 0;
  std::uint64_t secret[2] = {};
};

namespace cluster {

using wire::channel;
using wire::message;

enum class kind : std::uint32_t {
  enter = 201,       ///< host: secret (2 u64), number of the host (u32), samples (u64)
  open = 203,        ///< host: job name (u64), participants (u32), count (u64), items
  wanted = 205,      ///< host: job name, samples it may be sent beyond earlier ones (u32), count (u32), items done
  next_epoch = 206,  ///< host: job name
  close = 207,       ///< host: job name
  alive = 208,       ///< host: nothing
  entered = 301,     ///< leader: seed (u64), lease in ms (u32), number of hosts (u32)
  opened = 302,      ///< leader: job name, number (u32)
  orders = 303,      ///< leader: count (u32), then item (u32), takers here (u64), jobs that still wait for it (u64)
  begun = 304,       ///< leader: number of a job (u32)
  ended = 305,       ///< leader: number of a job (u32)
  forget = 306,      ///< leader: number of a job (u32) that is closed
  drawn = 307,       ///< leader: number of a job (u32): all of its epoch was sent, unless a host dies
  still_here = 308   ///< leader: nothing; the answer to alive
};
[[nodiscard]] constexpr wire::kind code(kind what) { return static_cast<wire::kind>(what); }

/// An item that is sent to a host.
struct order {
  std::uint32_t item = 0;
  job_set takers = 0, waiting = 0;
};
inline constexpr std::size_t order_bytes = 20;

inline wire::descriptor new_tcp_socket() {
  wire::descriptor made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.get() < 0) throw error("cannot make a socket", "data cluster", wire::reason_text(errno), "fewer open files");
  return made;
}
/// Small messages go at once.
inline void do_not_wait(const wire::descriptor& socket) {
  const int on = 1;
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
inline sockaddr_in socket_address(std::uint32_t ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ip;
  address.sin_port = htons(port);
  return address;
}

}  // namespace cluster

}  // namespace vivace::inline VIVACE_TARGET::data
