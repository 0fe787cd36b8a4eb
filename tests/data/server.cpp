// The data server and its clients within one process; server_processes.cpp has those that are killed.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "laws.hpp"
#include "server_help.hpp"

using namespace servers;
using data::server_problem;

TEST_CASE("a client is a stream of batches") {
  const files::temporary_folder folder;
  const data::data_server server{numbered{100}, small(folder / "s")};
  data::client<float> client{folder / "s", 16};
  CHECK(client.size() == 100);
  CHECK(client.sample_shape() == vivace::shape{2, 3});
  CHECK(client.classes() == classes);
  laws::check_batches(client, 3, false, [](const auto& batch, int i) {
    return static_cast<std::int64_t>(batch.features[i * width]) / 100;
  });
  CHECK(client.given() == 21);
  CHECK(client.copied() < client.given());  // mostly there is nothing to copy
  data::client<float> dropping{folder / "s", 16, {.drop_last = true}};
  laws::check_batches(dropping, 3, true, [](const auto& batch, int i) {
    return static_cast<std::int64_t>(batch.features[i * width]) / 100;
  });
}

TEST_CASE("clients share samples, each with its subset and batch size, each item once an epoch") {
  const files::temporary_folder folder;
  for (const auto mode : {data::round_mode::participants, data::round_mode::queue, data::round_mode::lockstep}) {
    data::server_options options = small(folder / "s");
    options.hub.mode = mode;
    options.hub.start_with = 3;
    const data::data_server server{numbered{200}, options};
    const auto even = data::items_where(200, [](std::uint32_t i) { return i % 2 == 0; });
    std::string faults[3];
    std::vector<std::thread> threads;
    for (int c = 0; c < 3; ++c)
      threads.emplace_back([&, c] {
        data::client_options settings{.epochs = 3, .mode = mode};
        if (c == 1) settings.items = even;
        data::client<float> client{folder / "s", 7 + 5 * c, settings};
        for (int epoch = 0; epoch < 3; ++epoch) {
          client.start_epoch(epoch);
          faults[c] +=
              fault_of_epoch(client, c == 1 ? std::set<std::uint32_t>(even.begin(), even.end()) : all_items(200));
        }
      });
    for (std::thread& one : threads) one.join();
    for (const std::string& one : faults) CHECK(one == "");
    CHECK(soon([&] { return server.statistics().clients == 0; }));
    const auto after = server.statistics();
    CHECK(after.samples.deliveries == 3 * (200 + 100 + 200));
    CHECK(after.samples.preparations < after.samples.deliveries);
    CHECK(after.samples.jobs == 0);
  }
}

TEST_CASE("features, targets and transforms of a client in double precision") {
  const files::temporary_folder folder;
  std::vector<double> features, targets;
  for (int i = 0; i < 30; ++i) {
    for (int j = 0; j < 4; ++j) features.push_back(i + j / 4.0);
    targets.push_back(-i);
    targets.push_back(-2 * i);
  }
  auto options = small(folder / "s");
  struct times_two {
    void operator()(double* sample, const vivace::shape& of, const data::sample_key&) const {
      for (int i = 0; i < of.size(); ++i) sample[i] *= 2;
    }
  };
  const data::data_server<double> server{data::dataset::own(features, {4}, targets, 2), options, times_two{}};
  data::client<double> client{folder / "s", 8, {}, times_two{}};
  CHECK(client.target_size() == 2);
  CHECK_FALSE(client.labelled());
  std::set<std::uint32_t> seen;
  while (const auto* batch = client.next())
    for (int i = 0; i < batch->size; ++i) {
      const std::uint32_t item = client.items()[static_cast<std::size_t>(i)];
      CHECK(seen.insert(item).second);
      for (int j = 0; j < 4; ++j) CHECK(batch->features[4 * i + j] == 4 * (item + j / 4.0));
      CHECK(batch->targets[2 * i] == -static_cast<double>(item));
      CHECK(batch->targets[2 * i + 1] == -2.0 * item);
    }
  CHECK(seen.size() == 30);
  CHECK(files::contains(files::message_of<vivace::error>([&] {
                          data::client<float>{folder / "s", 8};
                        }),
                        "the data server prepares other numbers"));
}

TEST_CASE("socket and memory are the user's alone, and go with the server") {
  const files::temporary_folder folder;
  std::string memory;
  {
    const ::mode_t before = ::umask(0);
    const data::data_server server{numbered{10}, small(folder / "s")};
    ::umask(before);
    memory = "/dev/shm/" + server.segment();
    CHECK(mode_of(folder / "s") == 0600);
    CHECK(mode_of(memory) == 0600);
  }
  CHECK_FALSE(file_exists(memory));
  CHECK_FALSE(file_exists(folder / "s"));
  CHECK(problem_of([&] { data::client<float>{folder / "s", 8}; }) == server_problem::gone);
}

TEST_CASE("a path that is in use is refused") {
  const files::temporary_folder folder;
  const auto refusal = [&](const std::string& path) {
    return files::message_of<vivace::file_error>([&] { data::data_server{numbered{10}, small(path)}; });
  };
  SUBCASE("by a server that lives") {
    const data::data_server server{numbered{10}, small(folder / "s")};
    CHECK(files::contains(refusal(folder / "s"), "a data server is running already"));
    CHECK(files::contains(refusal(folder.path() + "/./s"), "a data server is running already"));
    data::client<float> client{folder / "s", 4};
    CHECK(fault_of_epoch(client, all_items(10)) == "");
  }
  SUBCASE("by a file") {
    files::write(folder / "s", "dear diary");
    CHECK(files::contains(refusal(folder / "s"), "something else lies where"));
    CHECK(files::read(folder / "s") == "dear diary");
  }
  SUBCASE("by another program") {
    const wire::listening_socket other(folder / "s");
    CHECK(files::contains(refusal(folder / "s"), "in use"));
  }
  SUBCASE("a path that cannot be") {
    CHECK(files::contains(refusal(folder / "no/s"), "the folder of the data server's socket cannot be found"));
    CHECK(files::contains(refusal(folder / std::string(200, 's')), "length"));
  }
  SUBCASE("memory of the same name that is no file of ours to replace is refused, or replaced if nobody holds it") {
    const std::string name = wire::segment_name(folder / "s");
    files::write("/dev/shm/" + name, "left behind");
    const data::data_server server{numbered{10}, small(folder / "s")};
    CHECK(server.segment() == name);
    data::client<float> client{folder / "s", 4};
    CHECK(fault_of_epoch(client, all_items(10)) == "");
  }
}

TEST_CASE("settings of a server are checked") {
  const files::temporary_folder folder;
  const auto refusal = [&](auto&& change) {
    auto options = small(folder / "s");
    change(options);
    const std::string text = files::message_of<vivace::error>([&] { data::data_server{numbered{10}, options}; });
    CHECK_FALSE(file_exists("/dev/shm/" + wire::segment_name(folder / "s")));
    return text;
  };
  CHECK(files::contains(refusal([](auto& o) { o.clients = 0; }), "the number of clients of a data server"));
  CHECK(files::contains(refusal([](auto& o) { o.clients = 65; }), "the number of clients of a data server"));
  CHECK(files::contains(refusal([](auto& o) { o.lease = milliseconds(0); }), "the lease"));
  CHECK(files::contains(refusal([](auto& o) { o.batch_limit = 0; }), "the largest batch"));
  CHECK(files::contains(refusal([](auto& o) { o.held_limit = 0; }), "the number of batches held"));
  CHECK(files::contains(refusal([](auto& o) { o.memory = 1000; }), "the memory in MiB"));
  CHECK(files::contains(refusal([](auto& o) { o.hub.cache_bytes = o.memory; }),
                        "the memory of a data server is too small"));
  CHECK(files::contains(refusal([](auto& o) { o.memory = std::uint64_t{1} << 43; }),
                        "there is no room for the data server"));
  CHECK(files::contains(refusal([](auto& o) { o.hub.window = 0; }), "the window of a hub"));
  CHECK(files::contains(files::message_of<vivace::error>([&] {
                          data::data_server{numbered{0}, small(folder / "s")};
                        }),
                        "the data set is empty"));
}

TEST_CASE("what a client asks for is checked, and it may ask again") {
  const files::temporary_folder folder;
  auto options = small(folder / "s");
  options.batch_limit = 50;
  const data::data_server server{numbered{100}, options};
  const auto refusal = [&](const data::client_options& settings, int batch = 8) {
    return files::message_of<vivace::error>([&] { data::client<float>{folder / "s", batch, settings}; });
  };
  const auto list = [](std::vector<std::uint32_t> items) { return data::client_options{.items = std::move(items)}; };
  CHECK(files::contains(refusal({}, 51), "the batch size is out of range"));
  CHECK(files::contains(refusal({}, 0), "the batch size is out of range"));
  CHECK(files::contains(refusal(list({})), "a job has no items"));
  CHECK(files::contains(refusal(list({1, 1})), "a job names an item twice"));
  CHECK(files::contains(refusal(list({100})), "there is no such item"));
  CHECK(files::contains(refusal({.epochs = -1}), "the number of epochs is negative"));
  CHECK(files::contains(refusal({.mode = data::round_mode::lockstep}), "the server draws in another mode"));
  CHECK(files::contains(refusal({.from = data::client_position{0, {100}}}), "the position is not one of this job"));
  CHECK(files::contains(refusal({.from = data::client_position{0, {4, 4}}}), "the position is not one of this job"));

  // The same without the checks of our client.
  const wire::channel raw = wire::connect_channel(folder / "s");
  raw.send(wire::hello{}.write(), in_time());
  CHECK(raw.receive(10'000, in_time()).what == wire::kind::welcome);
  const auto answer = [&](wire::writer request) {
    raw.send(std::move(request), in_time());
    const auto found = raw.receive(10'000, in_time());
    return found.what == wire::kind::refusal ? wire::refusal::read(found.read()).text : std::string{};
  };
  const auto join = [&](wire::join wanted) { return answer(wanted.write()); };
  CHECK(files::contains(answer(wire::release{}.write(wire::kind::next)), "before it joins"));
  CHECK(files::contains(answer(wire::writer(wire::kind::next_epoch)), "before it joins"));
  CHECK(files::contains(join({.batch = 0}), "the batch size is out of range"));
  CHECK(files::contains(join({.batch = 0xFFFF'FFFF}), "the batch size is out of range"));
  CHECK(files::contains(join({.batch = 8, .held = 9}), "the number of batches held at once"));
  CHECK(files::contains(join({.batch = 8, .epochs = 0x8000'0000}), "too many epochs"));
  CHECK(files::contains(join({.batch = 8, .items = {{1, 2}}, .rest = {{3}}}), "no part of the subset"));
  CHECK(files::contains(join({.batch = 8, .rest = {{3, 200}}}), "no part of the subset"));
  CHECK(files::contains(join({.batch = 8, .rest = {{3, 3}}}), "a job names an item twice"));
  CHECK(files::contains(join({.batch = 8, .items = {{3, 3, 200}}, .rest = {{3}}}), "names an item twice"));
  CHECK(join({.batch = 8, .epochs = 1}) == "");
  CHECK(files::contains(join({.batch = 8}), "a client joins twice"));
  CHECK(answer(wire::release{}.write(wire::kind::next)) == "");
  CHECK(files::contains(answer(wire::release{}.write(wire::kind::next)), "the client holds too many batches"));
  CHECK(files::contains(answer(wire::writer(wire::kind::next_epoch)), "a job has no more epochs"));
  CHECK(answer(wire::release{{1}}.write(wire::kind::next)) == "");
  raw.send(wire::release{{1}}.write(wire::kind::release), in_time());  // a second time
  CHECK(wire::refusal::read(raw.receive(10'000, in_time()).read()).problem == server_problem::malformed);
  CHECK(problem_of([&] { (void)raw.receive(10, in_time()); }) == server_problem::gone);
}

TEST_CASE("limits on clients and memory") {
  const files::temporary_folder folder;
  auto options = small(folder / "s");
  options.clients = 2;
  const data::data_server server{numbered{3000}, options};
  {
    const data::client<float> one{folder / "s", 8}, two{folder / "s", 8};
    CHECK(problem_of([&] { data::client<float>{folder / "s", 8}; }) == server_problem::limit);
    CHECK(server.statistics().refused == 1);
  }
  CHECK(soon([&] { return server.statistics().clients == 0; }));
  auto tight = small(folder / "t");
  tight.memory = (std::uint64_t{1} << 20) + 200'000;  // slabs of 1024 samples of 24 bytes
  tight.hub.cache_bytes = 30'000 * 24;
  const data::data_server narrow{numbered{3000}, tight};
  data::client<float> fits{folder / "t", 1500};
  CHECK(files::contains(files::message_of<data::server_error>([&] {
                          std::vector<std::unique_ptr<data::client<float>>> many;
                          for (int i = 0; i < 8; ++i)
                            many.push_back(std::make_unique<data::client<float>>(folder / "t", 3000));
                        }),
                        "has no memory for another client"));
  CHECK(fault_of_epoch(fits, all_items(3000)) == "");
}

TEST_CASE("a sample that cannot be prepared is an error, and the next call tries again") {
  const files::temporary_folder folder;
  numbered set{50};
  set.broken = 17;
  const data::data_server server{set, small(folder / "s")};
  data::client<float> client{folder / "s", 8};
  std::string text;
  std::set<std::uint32_t> seen;
  for (;;) try {
      while (client.next() != nullptr) seen.insert(client.items().begin(), client.items().end());
      break;
    } catch (const data::server_error& failure) {
      CHECK(failure.problem() == server_problem::sample);
      text += failure.what();
    }
  CHECK(files::contains(text, "item 17"));
  CHECK(files::contains(text, "the file is gone"));
  CHECK(seen == all_items(50));
  CHECK(server.statistics().samples.failures == 1);
}

TEST_CASE("a lease that runs out stalls nobody and costs no item") {
  const files::temporary_folder folder;
  auto options = small(folder / "s");
  options.lease = milliseconds(300);
  options.hub.buffer = 32;
  options.hub.mode = data::round_mode::lockstep;
  const data::data_server server{numbered{200}, options};
  data::client<float> silent{folder / "s", 6}, busy{folder / "s", 6};
  std::set<std::uint32_t> seen;
  REQUIRE(silent.next() != nullptr);
  seen.insert(silent.items().begin(), silent.items().end());
  silent.renew();
  REQUIRE(silent.next() != nullptr);  // this one may be overwritten later, so it comes again
  // In lockstep the busy client cannot go far ahead of the silent one, until that one is cut off.
  CHECK(fault_of_epoch(busy, all_items(200)) == "");
  CHECK(soon([&] { return server.statistics().expired >= 1; }));
  std::string text;
  CHECK(problem_of([&] {
          text = files::message_of<data::server_error>([&] { silent.next(); });
          silent.next();
        }) == server_problem::gone);
  CHECK(files::contains(text, "silent for longer than its lease"));
  CHECK(silent.position().rest.size() == 194);
  silent.reconnect();
  while (silent.next() != nullptr)
    for (const std::uint32_t item : silent.items()) CHECK(seen.insert(item).second);
  CHECK(seen.size() == 200);
  // One that connects and says nothing, or half a message.
  const wire::channel mute = wire::connect_channel(folder / "s"), half = wire::connect_channel(folder / "s");
  (void)!::write(half.handle(), "\x08\0\0\0\1", 5);
  for (const wire::channel* one : {&mute, &half})
    CHECK(wire::refusal::read(one->receive(10'000, in_time()).read()).problem == server_problem::lease);
}

TEST_CASE("a server that ends says so; clients go on with the next one") {
  const files::temporary_folder folder;
  auto server = std::make_unique<data::data_server<float>>(numbered{90}, small(folder / "s"));
  data::client<float> client{folder / "s", 8, {.epochs = 3}};
  std::set<std::uint32_t> seen;
  const data::batch_view<float>* batch = nullptr;
  for (int i = 0; i < 5; ++i) {
    batch = client.next();
    seen.insert(client.items().begin(), client.items().end());
  }
  server.reset();
  CHECK(right(client, *batch));  // the memory is unlinked, and still there for those who have it
  const std::string text = files::message_of<data::server_error>([&] { client.next(); });
  CHECK((files::contains(text, "is being shut down") || files::contains(text, "the connection has ended")));
  CHECK(files::contains(files::message_of<data::server_error>([&] { client.next(); }), "reconnect()"));
  const auto place = client.position();
  CHECK(place.rest.size() == 50);
  CHECK(problem_of([&] { client.reconnect(milliseconds(50)); }) == server_problem::gone);

  SUBCASE("with reconnect()") {
    server = std::make_unique<data::data_server<float>>(numbered{90}, small(folder / "s"));
    client.reconnect();
    while (client.next() != nullptr)
      for (const std::uint32_t item : client.items()) CHECK(seen.insert(item).second);
    CHECK(seen.size() == 90);
    for (int epoch = 1; epoch < 3; ++epoch) {
      client.start_epoch(epoch);
      CHECK(fault_of_epoch(client, all_items(90)) == "");
    }
    CHECK(files::contains(files::message_of<data::server_error>([&] { client.start_epoch(3); }), "no more epochs"));
  }
  SUBCASE("with a position, as another process would") {
    server = std::make_unique<data::data_server<float>>(numbered{90}, small(folder / "s"));
    data::client<float> other{folder / "s", 8, {.epochs = 3, .from = place}};
    other.start_epoch(0);
    while (other.next() != nullptr)
      for (const std::uint32_t item : other.items()) CHECK(seen.insert(item).second);
    CHECK(seen.size() == 90);
    other.start_epoch(1);
    CHECK(fault_of_epoch(other, all_items(90)) == "");
    // The end of an epoch is a position, too.
    data::client<float> third{folder / "s", 8, {.epochs = 3, .from = other.position()}};
    third.start_epoch(1);
    CHECK(third.next() == nullptr);
    third.start_epoch(2);
    CHECK(fault_of_epoch(third, all_items(90)) == "");
    CHECK_THROWS_AS(third.start_epoch(3), data::server_error);
  }
  SUBCASE("but not with other data") {
    server = std::make_unique<data::data_server<float>>(numbered{91}, small(folder / "s"));
    CHECK(files::contains(files::message_of<vivace::error>([&] { client.reconnect(); }),
                          "serves other data than before"));
  }
}

TEST_CASE("messages that are none end their connection and nothing else") {
  const files::temporary_folder folder;
  const data::data_server server{numbered{40}, small(folder / "s")};
  data::client<float> client{folder / "s", 8};
  REQUIRE(client.next() != nullptr);
  const auto refused_as = [&](const std::vector<std::uint32_t>& words, bool greet) {
    const wire::channel raw = wire::connect_channel(folder / "s");
    if (greet) {
      raw.send(wire::hello{}.write(), in_time());
      (void)raw.receive(10'000, in_time());
    }
    (void)!::send(raw.handle(), words.data(), 4 * words.size(), MSG_NOSIGNAL);
    const auto found = raw.receive(10'000, in_time());
    REQUIRE(found.what == wire::kind::refusal);
    return wire::refusal::read(found.read()).problem;
  };
  CHECK(refused_as({8, 1, wire::magic, 2}, false) == server_problem::version);
  CHECK(refused_as({8, 1, 77, 1}, false) == server_problem::malformed);
  CHECK(refused_as({4, 1, wire::magic}, false) == server_problem::malformed);
  CHECK(refused_as({0, 3}, false) == server_problem::malformed);
  CHECK(refused_as({0xFFFF'FFFF, 1}, false) == server_problem::malformed);
  CHECK(refused_as({0xFFFF'FFFF, 2}, true) == server_problem::malformed);
  CHECK(refused_as({4, 3, 0x4000'0000}, true) == server_problem::malformed);
  CHECK(refused_as({4, 5, 0}, true) == server_problem::malformed);
  CHECK(refused_as({0, 77}, true) == server_problem::malformed);
  CHECK(refused_as({36, 2, 8, 1, 0, 2, wire::any_mode, 0xFFFF'FFFF, 0xFFFF'FFFF, 0, 0}, true) ==
        server_problem::malformed);
  CHECK(refused_as({36, 2, 8, 1, 0, 8, wire::any_mode, 0, 0, 0, 0}, true) == server_problem::malformed);
  CHECK(refused_as({36, 2, 8, 1, 0, 0, wire::any_mode, 1, 0, 0, 0}, true) == server_problem::malformed);

  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const wire::channel raw = wire::connect_channel(folder / "s");
    if (round % 2 == 0) raw.send(wire::hello{}.write(), in_time());
    for (int i = 0; i < 3; ++i) {
      std::vector<std::uint32_t> words(2 + random() % 12);
      for (std::uint32_t& one : words)
        one = random() % 3 == 0 ? static_cast<std::uint32_t>(random()) : static_cast<std::uint32_t>(random() % 10);
      if (random() % 4 != 0) words[0] = static_cast<std::uint32_t>(4 * words.size() - 8);
      if (::send(raw.handle(), words.data(), 4 * words.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    }
    if (round % 3 == 0) (void)problem_of([&] { (void)raw.receive(10'000, wire::clock::now() + milliseconds(5)); });
  }
  std::set<std::uint32_t> rest = all_items(40);
  for (const std::uint32_t item : client.items()) rest.erase(item);
  CHECK(fault_of_epoch(client, rest) == "");
  CHECK(soon([&] { return server.statistics().clients == 1 && server.statistics().samples.jobs == 1; }));
  CHECK(server.statistics().refused > 100);
}

TEST_CASE("a client believes no server") {
  const files::temporary_folder folder;
  struct lie {
    const char* part;
    std::function<void(wire::welcome&, wire::batch&)> tell;
  };
  const lie lies[] = {
      {"another version", [](auto& w, auto&) { w.speaks = 9; }},
      {"prepares other numbers", [](auto& w, auto&) { w.real_bytes = 8; }},
      {"malformed", [](auto& w, auto&) { w.items = 0; }},
      {"a name that cannot be", [](auto& w, auto&) { w.segment = "../etc/passwd"; }},
      {"cannot be read", [](auto& w, auto&) { w.segment = "vivace-is-not-there"; }},
      {"memory of another server", [](auto& w, auto&) { w.identity += 1; }},
      {"bytes in place of", [](auto& w, auto&) { w.segment_bytes += 1 << 20; }},
      {"an epoch of 40", [](auto& w, auto&) { w.items = 41; }},
      {"a sample at", [](auto&, auto& b) { b.samples[1].offset = ~std::uint64_t{0}; }},
      {"a sample at", [](auto&, auto& b) { b.samples[1].offset = (1 << 20) - 4; }},
      {"a sample at", [](auto&, auto& b) { b.samples[1].offset = 0; }},
      {"a sample at", [](auto&, auto& b) { b.samples[1].offset = 4097; }},
      {"item 40", [](auto&, auto& b) { b.samples[1].item = 40; }},
      {"item 3", [](auto&, auto& b) { b.samples[1].item = b.samples[0].item; }},
      {"label 7", [](auto&, auto& b) { b.samples[0].label = 7; }},
      {"label -1", [](auto&, auto& b) { b.samples[0].label = -1; }},
      {"9 samples", [](auto&, auto& b) { b.samples.resize(9); }},
      {"too early", [](auto&, auto& b) { b.samples.clear(); }},
  };
  const wire::owned_segment memory("vivace-test-lies-" + std::to_string(::getpid()), 1 << 20, "test");
  for (const lie& one : lies) {
    CAPTURE(one.part);
    wire::welcome greeting;
    greeting.items = 40;
    greeting.classes = classes;
    greeting.segment_bytes = memory.bytes();
    greeting.identity = memory.identity();
    greeting.batch_limit = 100;
    greeting.sample = {2, 3};
    greeting.segment = memory.name();
    wire::batch batch{1, 0, {{4096, 3, 0}, {4096 + 24, 5, 1}}};
    one.tell(greeting, batch);
    const wire::listening_socket socket(folder / "s");
    std::thread liar([&] {
      wire::channel to;
      while (!to.open()) to = socket.accept();
      try {
        (void)to.receive(1000, in_time());
        to.send(greeting.write(), in_time());
        (void)to.receive(10'000, in_time());
        wire::writer joined(wire::kind::joined);
        joined.put(std::uint64_t{40});
        to.send(std::move(joined), in_time());
        (void)to.receive(10'000, in_time());
        to.send(batch.write(), in_time());
      } catch (const data::server_error&) {
      }
    });
    const std::string text = files::message_of<vivace::error>([&] {
      data::client<float> client{folder / "s", 8, {.items = {}}};
      (void)client.next();
    });
    liar.join();
    CHECK_MESSAGE(files::contains(text, one.part), text);
  }
}

TEST_CASE("every cut and change of a message is read or refused") {
  const auto torture = [](wire::writer message, auto&& read) {
    const auto whole = message.finish().subspan(wire::frame_bytes);
    std::vector<std::byte> bytes(whole.begin(), whole.end());
    read(wire::reader(bytes));
    const auto attempt = [&](std::span<const std::byte> from) {
      try {
        read(wire::reader(from));
        return true;
      } catch (const data::server_error& failure) {
        CHECK(failure.problem() == server_problem::malformed);
        return false;
      }
    };
    for (std::size_t length = 0; length < bytes.size(); ++length) CHECK_FALSE(attempt(std::span(bytes).first(length)));
    for (std::byte& one : bytes) {
      const std::byte old = one;
      for (const int value : {0, 1, 127, 128, 255}) {
        one = static_cast<std::byte>(value);
        (void)attempt(bytes);
      }
      one = old;
    }
  };
  torture(wire::hello{}.write(), [](wire::reader from) { (void)wire::hello::read(from); });
  wire::welcome greeting;
  greeting.items = 4;
  greeting.sample = {2, 3};
  greeting.segment = "name";
  torture(greeting.write(), [](wire::reader from) {
    if (wire::welcome::read(from).speaks != wire::version) from.fail("another version");
  });
  torture(wire::join{.batch = 3, .items = {{1, 2, 3}}, .rest = {{2}}}.write(),
          [](wire::reader from) { (void)wire::join::read(from); });
  torture(wire::release{{1, 2}}.write(wire::kind::next), [](wire::reader from) { (void)wire::release::read(from); });
  torture(wire::batch{1, 2, {{4096, 1, 2}, {5000, 2, 3}}}.write(),
          [](wire::reader from) { (void)wire::batch::read(from); });
  torture(wire::figures{}.write(), [](wire::reader from) { (void)wire::figures::read(from); });
  torture(wire::refusal{server_problem::user, "go away"}.write(),
          [](wire::reader from) { (void)wire::refusal::read(from); });
}
