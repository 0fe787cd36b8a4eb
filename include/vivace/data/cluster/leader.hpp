#pragma once
/// @file
/// The one process of a cluster that draws for all.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/cluster/wire.hpp>
#include <vivace/data/sharing/rounds.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Settings of the leader of a cluster.
struct leader_options {
  std::uint64_t seed = 0;                   ///< of the orders of all jobs, and of the transforms
  std::string interface = "127.0.0.1";      ///< IPv4 address that hosts reach the leader at
  std::chrono::milliseconds lease{10'000};  ///< a host that is silent for longer is removed
};

/// Draws for the jobs of a cluster and tells its hosts which items to prepare. Each item has a home host, which
/// prepares it for all jobs; a host that is no part of a job leaves its items to others, always the same. Every item
/// comes with the set of jobs that still wait for it, so that hosts keep what will be wanted.
///
/// A host that dies or falls silent is removed: its items move to other hosts, with those that it was sent and has not
/// reported as done. Runs in a thread of its own.
class cluster_leader {
 public:
  /// @param items samples of the data set, the same on all hosts
  /// @param hosts number of hosts; they are numbered from 0
  /// @throws error if a setting is out of range or the socket cannot be made
  cluster_leader(std::uint32_t items, int hosts, const leader_options& options = {})
      : options_(options), count_(hosts), items_(items), rounds_(items, {options.seed}) {
    if (options_.lease.count() < 10 || options_.lease.count() > 86'400'000)
      throw error("the lease of a host is out of range", "data cluster", std::to_string(options_.lease.count()) + " ms",
                  "10 ms to a day");
    if (hosts < 1 || hosts > 4096)
      throw error("the number of hosts is out of range", "data cluster", std::to_string(hosts), "1 to 4096");
    in_addr ip{};
    if (::inet_pton(AF_INET, options_.interface.c_str(), &ip) != 1)
      throw error("the leader's interface is no IPv4 address", "data cluster", options_.interface, "such as 127.0.0.1");
    socket_ = cluster::new_tcp_socket();
    sockaddr_in address = cluster::socket_address(ip.s_addr, 0);
    socklen_t size = sizeof address;
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::listen(socket_.get(), 128) != 0 ||
        ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw error("the leader cannot listen", options_.interface, wire::reason_text(errno),
                  "an address of this machine");
    address_.ip = ip.s_addr;
    address_.port = ntohs(address.sin_port);
    wake_ = wire::descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake_.get() < 0 || ::getrandom(address_.secret, sizeof address_.secret, 0) != sizeof address_.secret)
      throw error("the leader cannot start", "data cluster", wire::reason_text(errno), "fewer open files");
    thread_ = std::thread([this] { run(); });
  }
  cluster_leader(const cluster_leader&) = delete;
  cluster_leader& operator=(const cluster_leader&) = delete;
  ~cluster_leader() {
    ending_ = true;
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    thread_.join();
  }

  /// What hosts need to enter.
  [[nodiscard]] const cluster_address& address() const { return address_; }
  /// Hosts that have entered and are there; hosts that were removed.
  [[nodiscard]] int hosts() const { return alive_; }
  [[nodiscard]] int removed() const { return removed_; }

 private:
  using item_list = std::vector<std::uint32_t>;

  struct host {
    wire::channel to;
    wire::clock::time_point heard = wire::clock::now();
    int number = -1;
    bool broken = false;
    std::vector<std::byte> inbox;        // what has come of the next message
    std::vector<cluster::order> orders;  // to be sent
  };
  /// What one host does for a job.
  struct part {
    std::uint64_t wanted = 0, sent = 0;
    std::set<std::uint32_t> underway;  // sent, not done
    bool asks_next = true;             // for the first epoch, or the next one
  };
  struct job {
    int number = -1;  // in the sampler; -1: not all participants are there
    int participants = 0, ready = 0;
    item_list items;
    std::map<int, part> parts;  // by host
    item_list lost;             // underway on a host that was removed
    bool running = false;       // in an epoch that has not ended everywhere
    bool told_drawn = false;    // all of the epoch was sent
  };

  void run() {
    while (!ending_) {
      std::vector<pollfd> all = {{wake_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
      std::vector<host*> who;
      for (auto& one : hosts_) {
        all.push_back({one.to.handle(), POLLIN, 0});
        who.push_back(&one);
      }
      (void)::poll(all.data(), all.size(), static_cast<int>(options_.lease.count() / 4));
      if ((all[1].revents & POLLIN) != 0) accept();
      const auto now = wire::clock::now();
      for (std::size_t i = 0; i < who.size(); ++i) {
        if (all[i + 2].revents != 0) listen(*who[i]);
        if (now - who[i]->heard > options_.lease) who[i]->broken = true;
      }
      do {
        remove_broken();
        turn_epochs();
        draw();
        turn_epochs();
        send_orders();
      } while (std::any_of(hosts_.begin(), hosts_.end(), [](const host& one) { return one.broken; }));
    }
  }

  /// Hosts bear with a leader that is silent for two leases, so that it must not wait for one of them for long.
  [[nodiscard]] wire::clock::time_point soon() const {
    return wire::clock::now() + (std::min)(options_.lease / 2, std::chrono::milliseconds(2000));
  }

  void accept() {
    wire::descriptor found(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (found.get() < 0) return;
    cluster::do_not_wait(found);
    if (hosts_.size() < 2 * static_cast<std::size_t>(count_) + 8)
      hosts_.emplace_back().to = wire::channel(std::move(found), "data cluster");
  }
  void send(host& to, wire::writer what) {
    if (to.broken) return;
    try {
      to.to.send(std::move(what), soon());
    } catch (const server_error&) {
      to.broken = true;
    }
  }
  void tell(host& to, cluster::kind what, int number) {
    wire::writer text(cluster::code(what));
    text.put(static_cast<std::uint32_t>(number));
    send(to, std::move(text));
  }

  /// Reads what is there and waits for nothing, so that half a message holds up nobody but its sender.
  void listen(host& from) {
    const auto there = ::recv(from.to.handle(), chunk_.data(), chunk_.size(), MSG_DONTWAIT);
    if (there < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (there <= 0) {
      from.broken = true;
      return;
    }
    from.inbox.insert(from.inbox.end(), chunk_.begin(), chunk_.begin() + there);
    std::size_t done = 0;
    try {
      while (!from.broken && from.inbox.size() - done >= wire::frame_bytes) {
        const std::span<const std::byte> rest = std::span<const std::byte>(from.inbox).subspan(done);
        wire::reader head(rest.first(wire::frame_bytes));
        const auto size = head.get<std::uint32_t>();
        const auto what = static_cast<cluster::kind>(head.get<std::uint32_t>());
        const std::size_t longest =
            from.number < 0 ? wire::short_message : wire::short_message + 4 * std::size_t{items_};
        if (size > longest) head.fail("a message of " + std::to_string(size) + " bytes");
        if (rest.size() - wire::frame_bytes < size) break;
        answer(from, what, wire::reader(rest.subspan(wire::frame_bytes, size)));
        done += wire::frame_bytes + size;
        from.heard = wire::clock::now();
      }
      from.inbox.erase(from.inbox.begin(), from.inbox.begin() + static_cast<std::ptrdiff_t>(done));
      if (from.number >= 0) from.heard = wire::clock::now();
    } catch (const server_error& failure) {
      if (failure.problem() != server_problem::gone)
        from.to.send_if_possible(wire::refusal{failure.problem(), failure.what()}.write());
      from.broken = true;
    } catch (const error& failure) {
      from.to.send_if_possible(wire::refusal{server_problem::request, failure.what()}.write());
      from.broken = true;
    }
  }

  void answer(host& from, cluster::kind what, wire::reader text) {
    if (from.number < 0 && what != cluster::kind::enter) text.fail("no entry");
    if (what == cluster::kind::enter) return enter(from, text);
    if (what == cluster::kind::alive) return send(from, wire::writer(cluster::code(cluster::kind::still_here)));
    const auto name = text.get<std::uint64_t>();
    if (what == cluster::kind::open) return open(from, name, text);
    const auto found = jobs_.find(name);
    if (found == jobs_.end() || found->second.parts.count(from.number) == 0) text.fail("an unknown job");
    job& of = found->second;
    part& mine = of.parts[from.number];
    if (what == cluster::kind::wanted) {
      mine.wanted += text.get<std::uint32_t>();
      const auto count = text.get<std::uint32_t>();
      for (const std::uint32_t item : text.list(count))
        if (mine.underway.erase(item) == 0) text.fail("an item that was not sent is done");
    } else if (what == cluster::kind::next_epoch) {
      mine.asks_next = true;
    } else if (what == cluster::kind::close) {
      leave(of, from.number);
      if (of.parts.empty()) close(found);
    } else {
      text.fail("a message of an unknown kind");
    }
  }

  void enter(host& from, wire::reader text) {
    const std::uint64_t one = text.get<std::uint64_t>(), two = text.get<std::uint64_t>();
    if (one != address_.secret[0] || two != address_.secret[1])
      throw server_error(server_problem::user, "a host does not know the secret of the cluster", "data cluster",
                         "another secret", "the address that the leader gave out");
    const auto number = text.get<std::uint32_t>();
    const auto items = text.get<std::uint64_t>();
    const auto same = [&](const host& other) { return other.number == static_cast<int>(number); };
    if (from.number >= 0 || number >= static_cast<std::uint32_t>(count_) ||
        gone_.count(static_cast<int>(number)) != 0 || std::any_of(hosts_.begin(), hosts_.end(), same))
      throw server_error(server_problem::request, "a host cannot enter under this number", "data cluster",
                         "host " + std::to_string(number), "a number below " + std::to_string(count_) + ", each once");
    if (items != items_)
      throw server_error(server_problem::request, "a host has another data set", "host " + std::to_string(number),
                         std::to_string(items) + " samples", std::to_string(items_) + ", as the leader");
    from.number = static_cast<int>(number);
    ++alive_;
    wire::writer answer(cluster::code(cluster::kind::entered));
    answer.put(options_.seed);
    answer.put(static_cast<std::uint32_t>(options_.lease.count()));
    answer.put(static_cast<std::uint32_t>(count_));
    send(from, std::move(answer));
  }

  void open(host& from, std::uint64_t name, wire::reader text) {
    const auto participants = text.get<std::uint32_t>();
    item_list items = text.list(text.get<std::uint64_t>());
    std::sort(items.begin(), items.end());
    if (participants < 1 || participants > static_cast<std::uint32_t>(count_) || items.empty() ||
        items.back() >= items_ || std::adjacent_find(items.begin(), items.end()) != items.end())
      throw server_error(
          server_problem::request, "a job cannot be opened", "job " + std::to_string(name),
          std::to_string(participants) + " participants, " + std::to_string(items.size()) + " items",
          "1 to " + std::to_string(count_) + " participants and different items below " + std::to_string(items_));
    const auto known = jobs_.find(name);
    if (known == jobs_.end() && jobs_.size() >= static_cast<std::size_t>(max_jobs))
      throw server_error(server_problem::limit, "there are too many jobs", "data cluster", std::to_string(jobs_.size()),
                         "one of them to be closed first");
    if (known != jobs_.end() &&
        (known->second.items != items || known->second.participants != static_cast<int>(participants) ||
         known->second.number >= 0 || known->second.parts.count(from.number) != 0))
      throw server_error(server_problem::request, "a host does not fit to a job", "job " + std::to_string(name),
                         "host " + std::to_string(from.number), "the subset and number of participants of the others");
    job& of = jobs_[name];
    of.participants = static_cast<int>(participants);
    of.items = std::move(items);
    of.parts[from.number];
    start_if_complete(name, of);
  }
  void start_if_complete(std::uint64_t name, job& of) {
    // A host that is gone will not come.
    const int expected = (std::min)(of.participants, count_ - removed_);
    if (of.number >= 0 || static_cast<int>(of.parts.size()) < expected || of.parts.empty()) return;
    of.number = rounds_.open(of.items);
    for (auto& [number, mine] : of.parts) {
      wire::writer text(cluster::code(cluster::kind::opened));
      text.put(name);
      text.put(static_cast<std::uint32_t>(of.number));
      if (host* to = find(number)) send(*to, std::move(text));
    }
  }

  host* find(int number) {
    for (host& one : hosts_)
      if (one.number == number) return &one;
    return nullptr;
  }
  /// A participant is gone: what was underway to it goes to others.
  void leave(job& of, int number) {
    part& mine = of.parts[number];
    of.lost.insert(of.lost.end(), mine.underway.begin(), mine.underway.end());
    of.parts.erase(number);
  }
  void close(std::map<std::uint64_t, job>::iterator which) {
    const int number = which->second.number;
    jobs_.erase(which);
    if (number < 0) return;
    rounds_.close(number);
    for (host& one : hosts_)
      if (one.number >= 0) tell(one, cluster::kind::forget, number);
  }
  void remove_broken() {
    for (auto at = hosts_.begin(); at != hosts_.end();) {
      if (!at->broken) {
        ++at;
        continue;
      }
      const int number = at->number;
      at = hosts_.erase(at);
      if (number < 0) continue;
      gone_.insert(number);
      --alive_;
      ++removed_;
      for (auto of = jobs_.begin(); of != jobs_.end();) {
        const auto next = std::next(of);
        if (of->second.parts.count(number) != 0) leave(of->second, number);
        if (of->second.parts.empty())
          close(of);
        else
          start_if_complete(of->first, of->second);
        of = next;
      }
    }
  }

  /// The host that prepares an item for a job: its home; else one of the job's, the same for all jobs on these hosts.
  [[nodiscard]] static int home_of(std::uint32_t item, int hosts, const job& of) {
    const int home = static_cast<int>(item % static_cast<std::uint32_t>(hosts));
    if (of.parts.count(home) != 0) return home;
    auto one = of.parts.begin();
    std::advance(one, static_cast<std::ptrdiff_t>(item / static_cast<std::uint32_t>(hosts) % of.parts.size()));
    return one->first;
  }
  void give(std::uint32_t item, job& of, job_set waiting) {
    const int to = home_of(item, count_, of);
    part& mine = of.parts[to];
    ++mine.sent;
    mine.underway.insert(item);
    host* const at = find(to);
    if (at == nullptr) return;
    // One order for all jobs that take the item here, so that it is prepared once.
    if (!at->orders.empty() && at->orders.back().item == item)
      at->orders.back().takers |= only(of.number);
    else
      at->orders.push_back({item, only(of.number), waiting});
  }

  /// Ends and begins epochs, and hands on what was lost.
  void turn_epochs() {
    for (auto& [name, of] : jobs_) {
      if (of.number < 0) continue;
      for (const std::uint32_t item : of.lost) give(item, of, 0);
      of.lost.clear();
      const bool drawn = !contains(rounds_.active(), of.number);
      const auto all = [&](auto&& is_so) {
        return std::all_of(of.parts.begin(), of.parts.end(), [&](const auto& one) { return is_so(one.second); });
      };
      if (of.running && drawn && !of.told_drawn) {
        send_orders();  // the last of them first
        of.told_drawn = true;
        for (auto& [number, mine] : of.parts)
          if (host* to = find(number)) tell(*to, cluster::kind::drawn, of.number);
      }
      if (of.running && drawn && all([](const part& one) { return one.underway.empty(); })) {
        of.running = false;
        for (auto& [number, mine] : of.parts)
          if (host* to = find(number)) tell(*to, cluster::kind::ended, of.number);
      }
      if (!of.running && drawn && all([](const part& one) { return one.asks_next; })) {
        rounds_.begin_epoch(of.number);
        of.running = true;
        of.told_drawn = false;
        for (auto& [number, mine] : of.parts) {
          mine.asks_next = false;
          if (host* to = find(number)) tell(*to, cluster::kind::begun, of.number);
        }
      }
    }
  }
  /// Draws for all who want more.
  void draw() {
    for (;;) {
      job_set ready = 0, hungry = 0;
      for (auto& [name, of] : jobs_) {
        if (of.number < 0 || !contains(rounds_.active(), of.number)) continue;
        std::int64_t room = 0;
        for (const auto& [number, mine] : of.parts) {
          room += static_cast<std::int64_t>(mine.wanted) - static_cast<std::int64_t>(mine.sent);
          if (mine.sent < mine.wanted) hungry |= only(of.number);
        }
        if (room > 0) ready |= only(of.number);
      }
      if (hungry == 0) return;
      for (const pick& one : rounds_.round(ready | hungry)) {
        const job_set waiting = rounds_.waiting(one.item);
        for (auto& [name, of] : jobs_)
          if (of.number >= 0 && contains(one.takers, of.number)) give(one.item, of, waiting);
      }
    }
  }
  void send_orders() {
    for (host& one : hosts_) {
      if (one.orders.empty()) continue;
      wire::writer text(cluster::code(cluster::kind::orders));
      text.put(static_cast<std::uint32_t>(one.orders.size()));
      for (const cluster::order& what : one.orders) {
        text.put(what.item);
        text.put(what.takers);
        text.put(what.waiting);
      }
      one.orders.clear();
      send(one, std::move(text));
    }
  }

  leader_options options_;
  int count_;
  std::uint32_t items_;
  round_sampler<> rounds_;
  cluster_address address_;
  wire::descriptor socket_, wake_;
  std::list<host> hosts_;
  std::vector<std::byte> chunk_ = std::vector<std::byte>(1 << 16);  // what is read at once
  std::set<int> gone_;
  std::map<std::uint64_t, job> jobs_;  // by name
  std::atomic<int> alive_ = 0, removed_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
