// The messages of a cluster, cut, changed and made up: errors, and nothing else.
#include <doctest/doctest.h>

#include <poll.h>

#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vivace/data/cluster.hpp>

#include "server_help.hpp"

using namespace servers;
namespace cluster = vivace::data::cluster;
using bytes = std::vector<std::byte>;

namespace {

wire::descriptor connected(const data::cluster_address& to) {
  wire::descriptor socket = cluster::new_tcp_socket();
  const sockaddr_in address = cluster::socket_address(to.ip, to.port);
  (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  pollfd one{socket.get(), POLLOUT, 0};
  (void)::poll(&one, 1, 2000);
  return socket;
}
void say(const wire::descriptor& to, const bytes& what) {
  (void)!::send(to.get(), what.data(), what.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}
bytes message(wire::writer what) {
  const auto all = what.finish();
  return {all.begin(), all.end()};
}
void append(bytes& to, const bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

bytes entry(const data::cluster_address& to, std::uint32_t host, std::uint64_t items) {
  wire::writer text(cluster::code(cluster::kind::enter));
  text.put(to.secret[0]);
  text.put(to.secret[1]);
  text.put(host);
  text.put(items);
  return message(std::move(text));
}

/// A message of a known kind, or not, with numbers that are right, or not.
bytes made_up(std::mt19937& random, const std::vector<std::uint32_t>& kinds) {
  wire::writer text(static_cast<wire::kind>(random() % 8 == 0 ? random() : kinds[random() % kinds.size()]));
  const auto number = [&]() -> std::uint32_t {
    const auto any = static_cast<std::uint32_t>(random());
    return any % 4 == 0 ? any : any % 4 == 1 ? 0xFFFF'FFFF : any / 4 % 12;
  };
  for (auto words = random() % 12; words > 0; --words) {
    if (random() % 3 == 0)
      text.put(std::uint64_t{number()});
    else
      text.put(number());
  }
  bytes made = message(std::move(text));
  if (random() % 4 == 0) made.resize(random() % (made.size() + 1));  // cut
  if (random() % 4 == 0 && !made.empty())
    for (auto changes = 1 + random() % 3; changes > 0; --changes)
      made[random() % made.size()] = static_cast<std::byte>(random());
  return made;
}

}  // namespace

TEST_CASE("cluster fuzz: a leader refuses what is no message, and serves the others meanwhile") {
  constexpr int items = 400, strangers = 300;
  const std::vector<std::uint32_t> kinds = {201, 203, 205, 206, 207, 208, 301, 304, 199};
  data::cluster_leader leader(items, 4096, {.lease = milliseconds(2000)});
  const data::cluster_host<float> host{numbered{items}, leader.address(), 0};
  std::string fault;
  std::atomic<bool> over = false;
  std::atomic<int> epochs = 0;
  auto job = host.join(1, 1, 8);
  std::thread honest([&] {
    try {
      for (; !over; job.next_epoch(), ++epochs) {
        std::set<std::uint32_t> got;
        for (auto samples = job.take(8); !samples.empty(); samples = job.take(8))
          for (const auto& one : samples)
            if (!got.insert(one.item).second) fault = "an item comes twice";
        if (got.size() != items) fault = std::to_string(got.size()) + " items";
      }
    } catch (const std::exception& failure) {
      fault = failure.what();
    }
  });
  std::vector<wire::descriptor> half;  // those who stay and say no more
  for (unsigned seed = 0; seed < strangers; ++seed) {
    std::mt19937 random(seed);
    wire::descriptor socket = connected(leader.address());
    bytes all;
    const bool enters = seed % 3 != 0;
    if (enters) append(all, entry(leader.address(), 1 + seed, items));
    if (enters && random() % 2 == 0) {  // with a job of its own
      wire::writer text(cluster::code(cluster::kind::open));
      text.put(std::uint64_t{5});
      text.put(std::uint32_t{1});
      text.put(std::uint64_t{3});
      for (const std::uint32_t item : {1U, 2U, 3U}) text.put(item);
      append(all, message(std::move(text)));
    }
    for (auto messages = 1 + random() % 5; messages > 0; --messages) append(all, made_up(random, kinds));
    if (random() % 5 == 0) all.resize(random() % (all.size() + 1));
    say(socket, all);
    if (seed % 10 == 0) half.push_back(std::move(socket));
  }
  const int before = epochs;
  CHECK(soon([&] { return epochs > before + 2; }));
  over = true;
  honest.join();
  CHECK(fault == "");
}

TEST_CASE("cluster fuzz: half a message holds nobody up") {
  data::cluster_leader leader(200, 20, {.lease = milliseconds(60'000)});
  std::vector<wire::descriptor> silent;
  for (std::uint32_t i = 0; i < 10; ++i) {
    silent.push_back(connected(leader.address()));
    bytes whole = entry(leader.address(), 1 + i, 200);
    whole.resize(5 + i);
    say(silent.back(), whole);
  }
  const auto start = wire::clock::now();
  const data::cluster_host<float> host{numbered{200}, leader.address(), 0};
  auto job = host.join(1, 1, 8);
  int taken = 0;
  for (auto samples = job.take(8); !samples.empty(); samples = job.take(8)) taken += static_cast<int>(samples.size());
  CHECK(taken == 200);
  CHECK(wire::clock::now() - start < milliseconds(2000));
}

TEST_CASE("cluster fuzz: a host believes no leader") {
  const std::vector<std::uint32_t> kinds = {301, 302, 303, 304, 305, 306, 307, 308, 199, 201};
  const wire::descriptor listening = cluster::new_tcp_socket();
  in_addr ip{};
  ip.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in address = cluster::socket_address(ip.s_addr, 0);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listening.get(), 16) == 0);
  REQUIRE(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const data::cluster_address leader{address.sin_addr.s_addr, ntohs(address.sin_port), {1, 2}};
  int failed = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::thread impostor([&] {
      pollfd one{listening.get(), POLLIN, 0};
      (void)::poll(&one, 1, 5000);
      const wire::descriptor socket(::accept(listening.get(), nullptr, nullptr));
      if (socket.get() < 0) return;
      bytes all;
      if (seed % 8 != 0) {
        wire::writer entered(cluster::code(cluster::kind::entered));
        entered.put(std::uint64_t{7});
        entered.put(std::uint32_t{1000});
        entered.put(std::uint32_t{1});
        append(all, message(std::move(entered)));
      }
      if (seed % 2 == 0) {
        wire::writer opened(cluster::code(cluster::kind::opened));
        opened.put(std::uint64_t{1});
        opened.put(static_cast<std::uint32_t>(random() % 3));
        append(all, message(std::move(opened)));
      }
      for (auto messages = 1 + random() % 12; messages > 0; --messages) append(all, made_up(random, kinds));
      say(socket, all);
      std::this_thread::sleep_for(milliseconds(1));
    });
    try {
      const data::cluster_host<float> host{numbered{50}, leader, 0, {.workers = static_cast<int>(seed % 2)}};
      auto job = host.join(1, 1, 8);
      for (;;)
        if (job.take(8).empty()) job.next_epoch();
    } catch (const vivace::error&) {
      ++failed;
    }
    impostor.join();
  }
  CHECK(failed == 300);
}
