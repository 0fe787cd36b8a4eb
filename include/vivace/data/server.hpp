#pragma once
/// @file
/// A process that prepares samples for others: they lie in shared memory, jobs of any process of the same user join
/// over a Unix socket. Needs Boost.Interprocess (Debian: libboost-dev).
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/sample_pool.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/per_job.hpp>
#include <vivace/data/server/channel.hpp>
#include <vivace/data/server/segment.hpp>
#include <vivace/data/server/session.hpp>
#include <vivace/data/server/wire.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Serves a data set to jobs in other processes of the same user, as `hub` does to those of its own: each joins as
/// a client (data/client.hpp, or any other program that speaks the wire format) with its subset and batch size. Samples
/// lie in shared memory and are not copied.
///
/// A client that dies is forgotten at once, with all that it held; one that is silent for longer than its lease, too.
/// Socket and memory are the user's alone (0600), and gone when the server is; what a killed one left behind is
/// replaced at the next start. For any number of threads.
/// @code
/// data::data_server server{set, {.socket = "/tmp/data", .memory = 1 << 28}, costly{}};
/// @endcode
template <std::floating_point Real = float, joint_sampler Model = dependent_cells>
class data_server {
 public:
  /// Serves from now on, in threads of its own.
  /// @param change applied to each sample, once for all jobs; what differs between jobs is the client's
  /// @throws error if a setting is out of range or the memory is too small; file_error if the socket or the memory
  /// cannot be made, or another server has them
  template <data::source<Real> Source, data::transform<Real> Transform = no_transform>
  explicit data_server(Source set, const server_options& options, Transform change = {}) {
    static_assert(!detail::has_unshared<Transform>,
                  "vivace: a data server cannot run a transform marked per_job(): give that part to the clients");
    check(options);
    const auto values = std::int64_t{set.sample_shape().size()} + targets_of(set);
    const auto block = static_cast<std::uint64_t>(values) * sizeof(Real);
    const std::uint64_t blocks = blocks_for_clients(options, block);
    auto segment =
        std::make_shared<wire::owned_segment>(wire::segment_name(options.socket), options.memory, options.socket);
    core_ = std::make_unique<core>(options, std::move(segment), blocks, std::move(set), std::move(change));
    socket_ = std::make_unique<wire::listening_socket>(options.socket);
    wake_ = wire::descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake_.get() < 0)
      throw error("cannot make an event", "data server", wire::reason_text(errno), "fewer open files");
    thread_ = std::thread([this] { listen(); });
  }
  data_server(const data_server&) = delete;
  data_server& operator=(const data_server&) = delete;
  ~data_server() {
    core_->ending = true;
    signal();
    thread_.join();
    socket_.reset();  // nobody finds it any more, before the memory goes
  }

  /// What is served; jobs of this process may join it, too.
  [[nodiscard]] const data::hub<Real, Model>& from() const { return core_->hub; }
  [[nodiscard]] const std::string& socket() const { return socket_->path(); }
  /// Name of the shared memory, a file in /dev/shm.
  [[nodiscard]] const std::string& segment() const { return core_->segment->name(); }
  [[nodiscard]] server_statistics statistics() const { return core_->statistics(); }

 private:
  using core = detail::server_core<Real, Model>;
  using session = detail::server_session<Real, Model>;

  struct connection {
    connection(core& of, wire::channel to) : client(of, std::move(to)) {}
    session client;
    std::atomic<bool> done = false;
    std::thread thread;
  };

  static void check(const server_options& options) {
    const auto in_range = [](const char* what, std::int64_t value, std::int64_t least, std::int64_t most) {
      if (value < least || value > most)
        throw error(std::string("the ") + what + " of a data server is out of range", "data server",
                    std::to_string(value), "a number from " + std::to_string(least) + " to " + std::to_string(most));
    };
    in_range("number of clients", options.clients, 1, max_jobs);
    in_range("lease in milliseconds", options.lease.count(), 1, 86'400'000);
    in_range("largest batch", options.batch_limit, 1, 1 << 20);
    in_range("number of batches held at once", options.held_limit, 1, 1024);
    in_range("memory in MiB", static_cast<std::int64_t>((std::min)(options.memory, std::uint64_t{1} << 62) >> 20), 1,
             1 << 24);
    if (options.hub.memory)
      throw error("the memory of a data server's hub is set by the server", "data server", "hub_options::memory",
                  "none");
    (void)wire::address_of(options.socket);
  }
  template <class Source>
  static std::int64_t targets_of(const Source& set) {
    if constexpr (target_source<Source, Real>) return set.target_size();
    return 0;
  }
  /// Samples that the memory holds beside those of the hub itself: cached ones, and twice those in preparation (some
  /// are only just finished). The pool wastes at most a slab at the end.
  static std::uint64_t blocks_for_clients(const server_options& options, std::uint64_t block) {
    block = (std::max)(block, std::uint64_t{1});
    const std::uint64_t slab = sample_pool::slab_blocks(block);
    const std::uint64_t slabs = (options.memory - wire::segment_head) / (slab * block + alignment);
    const std::uint64_t all = slabs * slab;
    const std::uint64_t own = options.hub.cache_bytes / block +
                              2 * (static_cast<std::uint64_t>((std::max)(options.hub.window, 0)) + max_jobs);
    if (all < own + 4)
      throw error("the memory of a data server is too small", "data server",
                  std::to_string(options.memory) + " bytes: " + std::to_string(all) + " samples of " +
                      std::to_string(block) + " bytes",
                  "room for " + std::to_string(own + 4) +
                      " samples: more memory, or a smaller cache or window in server_options::hub");
    return all - own;
  }

  void signal() const {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  void listen() {
    std::list<connection> connections;
    const auto reap = [&] {
      for (auto at = connections.begin(); at != connections.end();)
        if (at->done) {
          at->thread.join();
          at = connections.erase(at);
        } else {
          ++at;
        }
      core_->clients = static_cast<int>(connections.size());
    };
    while (!core_->ending) {
      pollfd both[2] = {{socket_->handle(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      (void)::poll(both, 2, 1000);
      std::uint64_t count = 0;
      (void)!::read(wake_.get(), &count, sizeof count);
      reap();
      if ((both[0].revents & POLLIN) != 0 && !core_->ending) admit(connections);
    }
    for (connection& one : connections) one.client.end();
    for (connection& one : connections) one.thread.join();
    core_->clients = 0;
  }
  void admit(std::list<connection>& connections) {
    wire::channel client = socket_->accept();
    if (!client.open()) {
      // Without a free descriptor the same connection would be found again at once.
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return;
    }
    if (static_cast<int>(connections.size()) >= core_->options.clients) {
      ++core_->refused;
      const error why("the data server has too many clients", socket_->path(),
                      std::to_string(connections.size()) + " clients", "one of them to leave, or a higher limit");
      client.send_if_possible(wire::refusal{server_problem::limit, why.what()}.write());
      return;
    }
    connections.emplace_back(*core_, std::move(client));
    core_->clients = static_cast<int>(connections.size());
    connection& made = connections.back();
    try {
      made.thread = std::thread([this, &made] {
        made.client.run();
        made.done = true;
        signal();
      });
    } catch (const std::system_error&) {  // no thread: the client finds the connection closed
      connections.pop_back();
      ++core_->refused;
    }
  }

  std::unique_ptr<core> core_;
  std::unique_ptr<wire::listening_socket> socket_;
  wire::descriptor wake_;
  std::thread thread_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
