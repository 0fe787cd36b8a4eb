// libFuzzer entry point: whatever bytes come, messages are read or refused, and a server's session ends and frees all.
// clang++-19 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/data_server.cpp
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include <vivace/data/dataset.hpp>
#include <vivace/data/server/session.hpp>
#include <vivace/data/sharing/dependent.hpp>

namespace data = vivace::data;
namespace wire = vivace::data::wire;

namespace {

using core = data::detail::server_core<float, data::dependent_cells>;

/// What sessions need of a server: made once, as it costs more than a session.
core& service() {
  static const auto made = [] {
    data::server_options options{.socket = "/tmp/vivace-fuzz-" + std::to_string(::getpid())};
    options.lease = std::chrono::milliseconds(100);
    options.memory = 1 << 20;
    options.hub.cache_bytes = 40;
    options.hub.workers = 0;
    options.batch_limit = 64;
    auto segment = std::make_shared<wire::owned_segment>(wire::segment_name(options.socket), options.memory, "fuzz");
    const auto set = data::dataset::own(std::vector<float>(100 * 2), {2}, std::vector<std::int32_t>(100), 1);
    auto core_of = std::make_unique<core>(options, std::move(segment), 1000, set, data::no_transform{});
    return core_of;
  }();
  return *made;
}

void play(const std::uint8_t* bytes, std::size_t size) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return;
  const wire::descriptor other(ends[1]);
  core& server = service();
  data::detail::server_session<float, data::dependent_cells> session(server,
                                                                     wire::channel(wire::descriptor(ends[0]), "fuzz"));
  wire::channel(wire::descriptor(::dup(ends[1])), "fuzz").send_if_possible(wire::hello{}.write());
  if (::send(other.get(), bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  ::shutdown(other.get(), SHUT_WR);
  session.run();
  if (server.free_blocks != 1000 || server.statistics().samples.jobs != 0) __builtin_trap();
}

template <class Message>
void read(const std::uint8_t* bytes, std::size_t size) {
  try {
    (void)Message::read(wire::reader({reinterpret_cast<const std::byte*>(bytes), size}));
  } catch (const data::server_error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t* rest = bytes + 1;
  switch (bytes[0] % 8) {
    case 0:
      read<wire::hello>(rest, size - 1);
      break;
    case 1:
      read<wire::welcome>(rest, size - 1);
      break;
    case 2:
      read<wire::join>(rest, size - 1);
      break;
    case 3:
      read<wire::release>(rest, size - 1);
      break;
    case 4:
      read<wire::batch>(rest, size - 1);
      break;
    case 5:
      read<wire::refusal>(rest, size - 1);
      break;
    default:
      play(rest, size - 1);
  }
  return 0;
}
