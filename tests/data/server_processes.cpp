// The data server and its clients as processes that are killed at any moment.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "server_help.hpp"

using namespace servers;
using data::server_problem;

namespace {

constexpr int server_items = 400;

/// Bytes of samples that are neither cached nor with a client that is connected.
bool all_is_free(const data::data_server<float>& server) {
  const auto now = server.statistics();
  return now.clients == 0 && now.samples.jobs == 0 &&
         now.samples.memory_bytes <= now.samples.cached_bytes + 200 * width * 4;
}

}  // namespace

TEST_CASE("process: a client that takes batches until it is killed" * doctest::skip()) {
  const std::string socket = setting("VIVACE_TEST_SOCKET");
  if (socket.empty()) return;
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  data::client<float> client{socket, 1 + static_cast<int>(random() % 40)};
  for (int epoch = 0;; ++epoch) {
    client.start_epoch(epoch);
    while (client.next() != nullptr)
      if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
  }
}

TEST_CASE("process: a server" * doctest::skip()) {
  const std::string socket = setting("VIVACE_TEST_SOCKET");
  if (socket.empty()) return;
  const data::data_server server{numbered{server_items}, small(socket)};
  for (;;) std::this_thread::sleep_for(milliseconds(1000));
}

TEST_CASE("clients killed at 100 random moments cost the others nothing") {
  const files::temporary_folder folder;
  auto options = small(folder / "s");
  options.lease = milliseconds(20'000);
  data::data_server server{numbered{server_items}, options};
  std::atomic<bool> over = false;
  std::atomic<int> epochs = 0;
  std::string faults[2];
  std::vector<std::thread> survivors;
  for (int c = 0; c < 2; ++c)
    survivors.emplace_back([&, c] {
      try {
        data::client<float> client{folder / "s", 16 + 9 * c};
        for (int epoch = 0; !over && faults[c].empty(); ++epoch, ++epochs) {
          client.start_epoch(epoch);
          faults[c] = fault_of_epoch(client, all_items(server_items));
          std::this_thread::sleep_for(milliseconds(1));
        }
      } catch (const std::exception& failure) {
        faults[c] = failure.what();
      }
    });
  std::mt19937 random(5);
  int begun = 0;
  for (int kill = 0; kill < 100; kill += 2) {
    process one("process: a client*", {"VIVACE_TEST_SOCKET=" + (folder / "s")});
    process two("process: a client*", {"VIVACE_TEST_SOCKET=" + (folder / "s")});
    REQUIRE((one.started() && two.started()));
    if (kill % 3 != 0) begun += soon([&] { return server.statistics().clients >= 4; }) ? 1 : 0;  // else while it starts
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
    one.signal(SIGKILL);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 10'000));
    two.signal(SIGKILL);
  }
  CHECK(begun > 30);
  CHECK(soon([&] { return server.statistics().clients == 2; }));
  over = true;
  for (std::thread& one : survivors) one.join();
  for (const std::string& one : faults) CHECK(one == "");
  CHECK(epochs > 10);
  CHECK(soon([&] { return all_is_free(server); }));
  MESSAGE("epochs of the survivors: ", epochs.load(), ", hit rate ", server.statistics().samples.hit_rate());
  const std::string memory = "/dev/shm/" + server.segment();
  CHECK(file_exists(memory));
}

TEST_CASE("a client that is stopped is cut off when its lease is over, in any mode") {
  const files::temporary_folder folder;
  auto options = small(folder / "s");
  options.lease = milliseconds(300);
  options.hub.mode = data::round_mode::lockstep;
  const data::data_server server{numbered{server_items}, options};
  process victim("process: a client*", {"VIVACE_TEST_SOCKET=" + (folder / "s")});
  REQUIRE(soon([&] { return server.statistics().samples.deliveries > 0; }));
  victim.signal(SIGSTOP);
  data::client<float> client{folder / "s", 16};
  CHECK(fault_of_epoch(client, all_items(server_items)) == "");
  CHECK(server.statistics().expired == 1);
  CHECK(soon([&] { return server.statistics().clients == 1; }));  // it is counted out, then taken out
}

TEST_CASE("a server killed at random moments: its clients go on with the next, which cleans up after it") {
  const files::temporary_folder folder;
  const std::string path = folder / "s";
  const std::string memory = "/dev/shm/" + wire::segment_name(path);
  auto server = std::make_unique<process>("process: a server", std::vector<std::string>{"VIVACE_TEST_SOCKET=" + path});
  REQUIRE(soon([&] { return file_exists(path); }));
  std::atomic<bool> over = false;
  std::string fault;
  std::atomic<int> epochs = 0, failures = 0;
  std::thread survivor([&] {
    try {
      std::unique_ptr<data::client<float>> client;
      while (!client) try {
          client = std::make_unique<data::client<float>>(path, 24);
        } catch (const data::server_error&) {
        }
      for (int epoch = 0; !over && fault.empty(); ++epoch, ++epochs) {
        for (bool begun = false; !begun;) try {
            client->start_epoch(epoch);
            begun = true;
          } catch (const data::server_error&) {
            ++failures;
            client->reconnect();
          }
        std::set<std::uint32_t> rest = all_items(server_items);
        for (bool ended = false; !ended && fault.empty();) try {
            const auto* batch = client->next();
            ended = batch == nullptr;
            if (ended) break;
            if (!right(*client, *batch)) fault = "wrong numbers";
            for (const std::uint32_t item : client->items())
              if (rest.erase(item) == 0) fault = "item " + std::to_string(item) + " twice";
          } catch (const data::server_error& failure) {
            if (failure.problem() != server_problem::gone) throw;
            ++failures;
            client->reconnect();
          }
        if (!rest.empty()) fault += std::to_string(rest.size()) + " items did not come";
      }
    } catch (const std::exception& failure) {
      fault += failure.what();
    }
  });
  std::mt19937 random(11);
  for (int kill = 0; kill < 10; ++kill) {
    std::this_thread::sleep_for(std::chrono::microseconds(20'000 + random() % 40'000));
    server->signal(SIGKILL);
    (void)server->wait();
    CHECK(file_exists(memory));  // nobody could clean up
    CHECK(file_exists(path));
    server = std::make_unique<process>("process: a server", std::vector<std::string>{"VIVACE_TEST_SOCKET=" + path});
    CHECK(soon([&] { return problem_of([&] { (void)wire::connect_channel(path); }) == server_problem{}; }));
  }
  over = true;
  survivor.join();
  CHECK(fault == "");
  CHECK(failures >= 5);
  CHECK(epochs > 1);
  server.reset();
  { const data::data_server last{numbered{4}, small(path)}; }
  CHECK_FALSE(file_exists(memory));
  CHECK_FALSE(file_exists(path));
}

TEST_CASE("another user is turned away") {
  if (::geteuid() != 0) return;  // only root can become another user
  const files::temporary_folder folder;
  ::chmod(folder.path().c_str(), 0755);
  const data::data_server server{numbered{10}, small(folder / "s")};
  const auto as_nobody = [&](auto&& act) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(99);
      ::_exit(act());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
  };
  const std::string memory = "/dev/shm/" + server.segment();
  const auto try_it = [&] {
    if (::open(memory.c_str(), O_RDONLY) >= 0) return 50;
    return static_cast<int>(problem_of([&] { data::client<float>{folder / "s", 4}; }));
  };
  CHECK(as_nobody(try_it) == static_cast<int>(server_problem::user));  // the socket's mode
  ::chmod((folder / "s").c_str(), 0666);
  // The client refuses a server of somebody else, and the server such a client.
  CHECK(as_nobody(try_it) == static_cast<int>(server_problem::user));
  CHECK(as_nobody([&] {
          const wire::descriptor socket = wire::new_socket(folder / "s");
          if (wire::connect_to(socket, wire::address_of(folder / "s")) != 0) return 51;
          const wire::channel raw(wire::descriptor(::dup(socket.get())), "test");
          const auto found = raw.receive(10'000, in_time());
          if (found.what != wire::kind::refusal) return 52;
          return static_cast<int>(wire::refusal::read(found.read()).problem);
        }) == static_cast<int>(server_problem::user));
  CHECK(soon([&] { return server.statistics().refused >= 1; }));
}
