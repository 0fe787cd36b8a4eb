#pragma once
// Help for the tests of data servers: data that shows which item it is, raw connections, processes of one's own.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <vivace/core/errors.hpp>
#include <vivace/data/client.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/data/server.hpp>

#include "../io/files.hpp"

extern char** environ;  // NOLINT: POSIX wants it declared here

namespace servers {

namespace data = vivace::data;
namespace wire = vivace::data::wire;
using std::chrono::milliseconds;

inline constexpr int width = 6, classes = 7;

/// Item i is {100 i, 100 i + 1, ...} with label i % 7.
struct numbered {
  int count = 0;
  milliseconds pause{0};
  int broken = -1;
  std::shared_ptr<std::atomic<int>> failures = std::make_shared<std::atomic<int>>(1);  // of the broken item

  [[nodiscard]] std::int64_t size() const { return count; }
  [[nodiscard]] vivace::shape sample_shape() const { return {2, 3}; }
  [[nodiscard]] int classes() const { return servers::classes; }
  void gather(std::span<const std::uint32_t> indices, float* features) const {
    for (const std::uint32_t index : indices) {
      if (static_cast<int>(index) == broken && (*failures)-- > 0) throw vivace::error("the file is gone");
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      for (int j = 0; j < width; ++j) *features++ = 100.0f * static_cast<float>(index) + static_cast<float>(j);
    }
  }
  void gather_labels(std::span<const std::uint32_t> indices, std::int32_t* labels) const {
    for (const std::uint32_t index : indices) *labels++ = static_cast<std::int32_t>(index % servers::classes);
  }
};

inline data::server_options small(const std::string& socket) {
  data::server_options options{.socket = socket, .memory = std::uint64_t{4} << 20};
  options.hub.cache_bytes = 8 * width * sizeof(float);
  options.hub.workers = 1;
  options.hub.window = 32;
  return options;
}

/// Whether a batch holds what its items say.
template <class Client>
bool right(const Client& client, const data::batch_view<float>& batch) {
  bool good = client.items().size() == static_cast<std::size_t>(batch.size);
  for (int i = 0; good && i < batch.size; ++i) {
    const std::uint32_t item = client.items()[static_cast<std::size_t>(i)];
    good = batch.labels[i] == static_cast<std::int32_t>(item % classes);
    for (int j = 0; j < width; ++j)
      good = good && batch.features[i * width + j] == 100.0f * static_cast<float>(item) + static_cast<float>(j);
  }
  return good;
}

/// What is wrong with the rest of an epoch of a client; empty if it got the expected items, each once, and right.
template <class Client>
std::string fault_of_epoch(Client& client, std::set<std::uint32_t> expected) {
  while (const auto* batch = client.next()) {
    if (!right(client, *batch)) return "wrong numbers";
    for (const std::uint32_t item : client.items())
      if (expected.erase(item) == 0) return "item " + std::to_string(item) + " comes twice, or is not asked for";
  }
  return expected.empty() ? std::string{} : std::to_string(expected.size()) + " items did not come";
}

inline std::set<std::uint32_t> all_items(int count) {
  std::set<std::uint32_t> all;
  for (int i = 0; i < count; ++i) all.insert(static_cast<std::uint32_t>(i));
  return all;
}

/// Waits until something is so, for at most ten seconds.
template <class Condition>
bool soon(Condition&& is_so) {
  for (int i = 0; i < 10'000 && !is_so(); ++i) std::this_thread::sleep_for(milliseconds(1));
  return is_so();
}

/// The problem that a call throws.
template <class Call>
data::server_problem problem_of(Call&& call) {
  try {
    call();
  } catch (const data::server_error& failure) {
    return failure.problem();
  }
  return {};
}

inline wire::clock::time_point in_time() { return wire::clock::now() + milliseconds(10'000); }

inline bool file_exists(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0;
}
inline unsigned mode_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
}

/// This program as another process, which runs one test case that is skipped otherwise.
class process {
 public:
  process(const std::string& test_case, const std::vector<std::string>& settings) {
    std::string name = "--test-case=" + test_case, all = "--no-skip", program = "/proc/self/exe";
    char* arguments[] = {program.data(), name.data(), all.data(), nullptr};
    std::vector<std::string> texts = settings;
    std::vector<char*> variables;
    for (std::string& one : texts) variables.push_back(one.data());
    for (char** one = environ; *one != nullptr; ++one) variables.push_back(*one);
    variables.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (::posix_spawn(&number_, program.c_str(), &actions, nullptr, arguments, variables.data()) != 0) number_ = -1;
    ::posix_spawn_file_actions_destroy(&actions);
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process() {
    signal(SIGKILL);
    (void)wait();
  }
  [[nodiscard]] bool started() const { return number_ > 0; }
  void signal(int what) const {
    if (number_ > 0) ::kill(number_, what);
  }
  /// Its status, once; -1 if there is none.
  int wait() {
    int status = -1;
    if (number_ > 0) ::waitpid(number_, &status, 0);
    number_ = -1;
    return status;
  }

 private:
  pid_t number_ = -1;
};

/// A setting that a test gave this process.
inline std::string setting(const char* name) {
  const char* found = std::getenv(name);
  return found == nullptr ? std::string{} : found;
}

}  // namespace servers
