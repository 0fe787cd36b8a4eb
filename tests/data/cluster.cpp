// A data cluster whose hosts are threads of this program, or processes that are killed.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <vivace/data/cluster.hpp>

#include "server_help.hpp"

using namespace servers;

namespace {

/// Takes an epoch; all that came. The numbers are checked.
std::vector<std::uint32_t> epoch_of(data::cluster_job<float>& job, int batch, milliseconds pause = milliseconds(0)) {
  std::vector<std::uint32_t> items;
  for (auto samples = job.take(batch); !samples.empty(); samples = job.take(batch)) {
    for (const auto& one : samples) {
      items.push_back(one.item);
      bool good = one.sample->label() == static_cast<std::int32_t>(one.item % classes);
      for (int j = 0; j < width; ++j)
        good = good && one.sample->features()[j] == 100.0f * static_cast<float>(one.item) + static_cast<float>(j);
      if (!good) throw vivace::error("wrong numbers");
    }
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  return items;
}

std::vector<std::uint32_t> sorted(std::vector<std::vector<std::uint32_t>> parts) {
  std::vector<std::uint32_t> all;
  for (const auto& one : parts) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  return all;
}
std::vector<std::uint32_t> up_to(int count) {
  std::vector<std::uint32_t> all;
  for (int i = 0; i < count; ++i) all.push_back(static_cast<std::uint32_t>(i));
  return all;
}

}  // namespace

TEST_CASE("cluster: every item is prepared once, and comes once to each job") {
  for (const int workers : {0, 2}) {
    data::cluster_leader leader(500, 3, {.seed = 3});
    std::vector<data::cluster_host<float>> hosts;
    for (int h = 0; h < 3; ++h)
      hosts.emplace_back(numbered{500}, leader.address(), h, data::host_options{.workers = workers});
    // Job 1 on all hosts, job 2 likewise, later and slower; the third on a subset.
    const auto third = data::items_where(500, [](std::uint32_t i) { return i % 3 == 1; });
    std::vector<std::uint32_t> got[3][3][2];
    std::string faults[3][3];
    std::vector<std::thread> threads;
    for (int j = 0; j < 3; ++j)
      for (int h = 0; h < 3; ++h)
        threads.emplace_back([&, j, h] {
          try {
            std::this_thread::sleep_for(milliseconds(5 * j));
            auto job = hosts[static_cast<std::size_t>(h)].join(static_cast<std::uint64_t>(j), 3, 16,
                                                               j == 2 ? std::optional(third) : std::nullopt);
            for (int epoch = 0; epoch < 2; ++epoch) {
              if (epoch > 0) job.next_epoch();
              got[j][h][epoch] = epoch_of(job, 16, milliseconds(j));
            }
          } catch (const std::exception& failure) {
            faults[j][h] = failure.what();
          }
        });
    for (std::thread& one : threads) one.join();
    for (int j = 0; j < 3; ++j)
      for (int epoch = 0; epoch < 2; ++epoch) {
        CHECK(sorted({got[j][0][epoch], got[j][1][epoch], got[j][2][epoch]}) == (j == 2 ? third : up_to(500)));
        for (int h = 0; h < 3; ++h) {
          CHECK(faults[j][h] == "");
          CHECK(std::all_of(got[j][h][epoch].begin(), got[j][h][epoch].end(),
                            [&](std::uint32_t item) { return item % 3 == static_cast<std::uint32_t>(h); }));
        }
      }
    CHECK(got[0][0][0] != got[0][0][1]);
    CHECK(hosts[0].preparations() + hosts[1].preparations() + hosts[2].preparations() == 500);
    CHECK(leader.removed() == 0);
  }
}

TEST_CASE("cluster: a job on some hosts leaves nothing out") {
  data::cluster_leader leader(300, 3);
  std::vector<data::cluster_host<float>> hosts;
  for (int h = 0; h < 3; ++h) hosts.emplace_back(numbered{300}, leader.address(), h);
  auto alone = hosts[1].join(7, 1, 10);
  CHECK(sorted({epoch_of(alone, 10)}) == up_to(300));
  std::vector<std::uint32_t> got[2];
  std::thread other([&] {
    auto job = hosts[2].join(8, 2, 10);
    got[0] = epoch_of(job, 10);
  });
  auto job = hosts[0].join(8, 2, 10);
  got[1] = epoch_of(job, 7);
  other.join();
  CHECK(sorted({got[0], got[1]}) == up_to(300));
  CHECK(std::min(got[0].size(), got[1].size()) > 100);
}

TEST_CASE("cluster: what does not fit is refused") {
  using files::contains;
  data::cluster_leader leader(100, 2, {.lease = milliseconds(200)});
  const auto refusal = [](auto&& call) { return files::message_of<vivace::error>(call); };
  auto wrong = leader.address();
  wrong.secret[0] ^= 1;
  CHECK(contains(refusal([&] { data::cluster_host<float>{numbered{100}, wrong, 0}; }), "does not know the secret"));
  CHECK(contains(refusal([&] { data::cluster_host<float>{numbered{99}, leader.address(), 0}; }), "another data set"));
  CHECK(contains(refusal([&] {
                   data::cluster_host<float>{numbered{100}, leader.address(), 2};
                 }),
                 "cannot enter under this number"));
  CHECK(contains(refusal([&] {
                   data::cluster_host<float>{numbered{0}, leader.address(), 0};
                 }),
                 "the data set is empty"));
  CHECK(contains(refusal([&] { data::cluster_leader(100, 0); }), "the number of hosts is out of range"));
  CHECK(contains(refusal([&] { data::cluster_leader(100, 1, {.interface = "nowhere"}); }), "no IPv4 address"));
  CHECK(contains(refusal([&] { data::cluster_leader(100, 1, {.lease = milliseconds(1)}); }), "the lease"));
  {
    const data::cluster_host<float> host{numbered{100}, leader.address(), 0};
    CHECK(contains(refusal([&] { (void)host.join(1, 0, 8); }), "participants"));
    CHECK(contains(refusal([&] { (void)host.join(1, 1, 8, {{100}}); }), "the subset of a job cannot be"));
    CHECK(contains(refusal([&] { (void)host.join(1, 1, 8, std::vector<std::uint32_t>{}); }),
                   "the subset of a job cannot be"));
    auto job = host.join(1, 1, 8);
    CHECK(contains(refusal([&] { (void)host.join(1, 1, 8); }), "a host joins a job twice"));
    CHECK(contains(refusal([&] { (void)job.take(0); }), "too few samples"));
    CHECK(contains(refusal([&] { job.next_epoch(); }), "an epoch begins before the last one ended"));
    // Somebody who talks nonsense is cut off, and nobody else.
    for (const std::vector<std::uint32_t>& words :
         {std::vector<std::uint32_t>{0xFFFF'FFFF, 201}, {0, 205}, {8, 201, 1, 2}, {1}}) {
      const wire::descriptor socket = data::cluster::new_tcp_socket();
      const sockaddr_in to = data::cluster::socket_address(leader.address().ip, leader.address().port);
      (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
      std::this_thread::sleep_for(milliseconds(2));
      (void)!::send(socket.get(), words.data(), 4 * words.size(), MSG_NOSIGNAL);
    }
    CHECK(sorted({epoch_of(job, 8)}) == up_to(100));
  }
  CHECK(soon([&] { return leader.removed() == 1; }));
}

TEST_CASE("cluster: without its leader a host fails with a message") {
  auto leader = std::make_unique<data::cluster_leader>(100, 1);
  const data::cluster_host<float> host{numbered{100}, leader->address(), 0};
  auto job = host.join(1, 1, 8);
  (void)job.take(8);
  const auto address = leader->address();
  leader.reset();
  std::string text;
  for (int i = 0; i < 100 && text.empty(); ++i)
    text = files::message_of<data::server_error>([&] { (void)job.take(8); });
  CHECK(files::contains(text, "the leader of the cluster is gone"));
  CHECK(files::contains(files::message_of<data::server_error>([&] {
                          data::cluster_host<float>{numbered{100}, address, 0};
                        }),
                        "cannot connect to the leader"));
}

TEST_CASE("process: a leader of a cluster" * doctest::skip()) {
  const std::string place = setting("VIVACE_TEST_CLUSTER");
  if (place.empty()) return;
  const data::cluster_leader leader(2000, 2, {.lease = milliseconds(100)});
  const data::cluster_address address = leader.address();
  files::write(place + "/new", std::string(reinterpret_cast<const char*>(&address), sizeof address));
  std::filesystem::rename(place + "/new", place + "/address");
  for (;;) std::this_thread::sleep_for(milliseconds(1000));
}

TEST_CASE("cluster: when the leader dies, or only stops, all hosts fail with a message in time") {
  for (const int how : {SIGKILL, SIGSTOP}) {
    const files::temporary_folder folder;
    process leader("process: a leader*", {"VIVACE_TEST_CLUSTER=" + folder.path()});
    REQUIRE(soon([&] { return file_exists(folder / "address"); }));
    data::cluster_address address;
    const std::string bytes = files::read(folder / "address");
    REQUIRE(bytes.size() == sizeof address);
    std::memcpy(&address, bytes.data(), sizeof address);
    std::string texts[2];
    std::atomic<int> taken = 0;
    std::vector<std::thread> threads;
    for (int h = 0; h < 2; ++h)
      threads.emplace_back([&, h] {
        texts[h] = files::message_of<data::server_error>([&] {
          const data::cluster_host<float> host{numbered{2000}, address, h};
          auto job = host.join(1, 2, 4);
          for (;;) {
            taken += static_cast<int>(job.take(4).size());
            std::this_thread::sleep_for(milliseconds(1));
          }
        });
      });
    CHECK(soon([&] { return taken > 40; }));
    leader.signal(how);
    const auto start = wire::clock::now();
    for (std::thread& one : threads) one.join();
    // Two leases and a second, and some time for a busy machine.
    CHECK(wire::clock::now() - start < milliseconds(5000));
    for (int h = 0; h < 2; ++h) {
      CHECK(files::contains(texts[h], "the leader of the cluster is gone"));
      CHECK(files::contains(texts[h], how == SIGKILL ? "start the jobs again" : "it has been silent for 1200 ms"));
    }
  }
}

TEST_CASE("cluster: a job may leave before it begins, and come back") {
  data::cluster_leader leader(100, 2);
  const data::cluster_host<float> one{numbered{100}, leader.address(), 0}, other{numbered{100}, leader.address(), 1};
  for (int i = 0; i < 50; ++i) {
    { auto job = one.join(1, 1, 8); }
    { auto job = one.join(2, 1, 8); }
  }
  auto again = one.join(1, 1, 8);
  CHECK(sorted({epoch_of(again, 8)}) == up_to(100));
}

TEST_CASE("cluster: a sample that cannot be prepared is an error, and the next call tries again") {
  data::cluster_leader leader(50, 1);
  numbered set{50};
  set.broken = 17;
  const data::cluster_host<float> host{set, leader.address(), 0};
  auto job = host.join(1, 1, 8);
  std::string text;
  std::vector<std::uint32_t> seen;
  for (bool more = true; more;) try {
      const auto samples = job.take(8);
      for (const auto& one : samples) seen.push_back(one.item);
      more = !samples.empty();
    } catch (const vivace::error& failure) {
      text += failure.what();
    }
  CHECK(files::contains(text, "item 17"));
  CHECK(sorted({seen}) == up_to(50));
}

TEST_CASE("process: a host of a cluster" * doctest::skip()) {
  const std::string place = setting("VIVACE_TEST_CLUSTER");
  if (place.empty()) return;
  data::cluster_address leader;
  const std::string bytes = files::read(place + "/address");
  REQUIRE(bytes.size() == sizeof leader);
  std::memcpy(&leader, bytes.data(), sizeof leader);
  const int number = std::atoi(setting("VIVACE_TEST_HOST").c_str());
  const data::cluster_host<float> host{numbered{600}, leader, number};
  auto job = host.join(1, 3, 10);
  std::ofstream log(place + "/got." + std::to_string(number), std::ios::binary);
  for (auto samples = job.take(10); !samples.empty(); samples = job.take(10)) {
    for (const auto& one : samples) log.write(reinterpret_cast<const char*>(&one.item), sizeof one.item);
    log.flush();  // before the next take() says that these are done
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST_CASE("cluster: hosts that are killed or stopped stop nobody, and no item is lost") {
  std::mt19937 random(3);
  for (int round = 0; round < 12; ++round) {
    const files::temporary_folder folder;
    data::cluster_leader leader(600, 3, {.lease = milliseconds(400)});
    const data::cluster_address address = leader.address();
    files::write(folder / "address", std::string(reinterpret_cast<const char*>(&address), sizeof address));
    process one("process: a host*", {"VIVACE_TEST_CLUSTER=" + folder.path(), "VIVACE_TEST_HOST=1"});
    process two("process: a host*", {"VIVACE_TEST_CLUSTER=" + folder.path(), "VIVACE_TEST_HOST=2"});
    std::vector<std::uint32_t> mine;
    std::string fault;
    std::thread survivor([&] {
      try {
        const data::cluster_host<float> host{numbered{600}, address, 0};
        auto job = host.join(1, 3, 10);
        mine = epoch_of(job, 10, milliseconds(1));
      } catch (const std::exception& failure) {
        fault = failure.what();
      }
    });
    (void)soon([&] { return leader.hosts() == 3; });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 25'000));
    one.signal(round % 4 == 3 ? SIGSTOP : SIGKILL);
    if (round % 2 == 1) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 5'000));
      two.signal(SIGKILL);
    }
    survivor.join();
    (void)(round % 2 == 1 || two.wait() == 0);
    const auto logged = [&](const char* name) {
      const std::string bytes = files::read(folder / name);
      std::vector<std::uint32_t> items(bytes.size() / 4);
      if (!items.empty()) std::memcpy(items.data(), bytes.data(), 4 * items.size());
      return items;
    };
    const auto first = logged("got.1"), second = logged("got.2");
    CHECK(fault == "");
    CHECK(std::set<std::uint32_t>(mine.begin(), mine.end()).size() == mine.size());
    auto all = sorted({mine, first, second});
    // What a killed host had taken and not reported, a batch at most, came again.
    CHECK(all.size() <= 600u + 10 * (round % 2 == 1 ? 2 : 1));
    all.erase(std::unique(all.begin(), all.end()), all.end());
    CHECK(all == up_to(600));
    if (round % 2 == 0) {
      auto survivors = sorted({mine, second});
      CHECK(std::adjacent_find(survivors.begin(), survivors.end()) == survivors.end());
    }
  }
}
