#pragma once
/// @file
/// Messages between a data server and its clients: a description for other languages is docs/guide/data_server.md.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/sharing/jobs.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Why a connection between a data server and a client failed.
enum class server_problem : std::uint32_t {
  malformed = 1,  ///< a message that is none
  version = 2,    ///< the other side speaks another version
  user = 3,       ///< the other side belongs to another user
  limit = 4,      ///< no room for another client, or for its buffers
  request = 5,    ///< a subset, batch size or the like that cannot be; the connection stays
  sample = 6,     ///< a sample could not be prepared; the connection stays, and the next request tries again
  lease = 7,      ///< the client was silent for longer than its lease
  ending = 8,     ///< the server is being shut down
  gone = 9,       ///< the other side is gone: never sent, found
  slow = 10       ///< no answer in time: never sent, found
};

/// A failure between a data server and a client.
class server_error : public error {
 public:
  server_error(server_problem problem, const std::string& text) : error(text), problem_(problem) {}
  server_error(server_problem problem, std::string_view what, std::string_view where, std::string_view got,
               std::string_view needs)
      : error(what, where, got, needs), problem_(problem) {}
  [[nodiscard]] server_problem problem() const { return problem_; }

 private:
  server_problem problem_;
};

/// The wire format. Numbers are in the machine's byte order, one after another without padding.
namespace wire {

inline constexpr std::uint32_t magic = 0x5344'5656;  ///< the bytes VVDS on a little-endian machine
inline constexpr std::uint32_t version = 1;
inline constexpr std::uint32_t any_mode = 0xFFFF'FFFF;

enum class kind : std::uint32_t {
  hello = 1,
  join = 2,
  next = 3,
  release = 4,
  next_epoch = 5,
  renew = 6,
  statistics = 7,
  welcome = 101,
  joined = 102,
  batch = 103,
  epoch = 104,
  renewed = 105,
  figures = 106,
  refusal = 199
};

/// What stands before each message.
struct frame {
  std::uint32_t size = 0;  ///< bytes that follow
  kind what{};
};
inline constexpr std::size_t frame_bytes = 8;
/// Bytes of the longest message from a client that has not said hello, or of one without a list.
inline constexpr std::size_t short_message = 64;
inline constexpr std::size_t longest_text = 4096;

/// Numbers to bytes.
class writer {
 public:
  explicit writer(kind what) {
    put(std::uint32_t{0});
    put(static_cast<std::uint32_t>(what));
  }
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void put(Number value) { append(&value, sizeof value); }
  void put(std::string_view text) {
    if (text.size() > longest_text) text = text.substr(0, longest_text);
    put(static_cast<std::uint32_t>(text.size()));
    append(text.data(), text.size());
  }
  void put(std::span<const std::uint32_t> list) { append(list.data(), list.size_bytes()); }
  /// The whole message.
  [[nodiscard]] std::span<const std::byte> finish() {
    const auto size = static_cast<std::uint32_t>(bytes_.size() - frame_bytes);
    std::memcpy(bytes_.data(), &size, sizeof size);
    return bytes_;
  }

 private:
  void append(const void* from, std::size_t count) {
    if (count == 0) return;
    const std::size_t old = bytes_.size();
    bytes_.resize(old + count);
    std::memcpy(bytes_.data() + old, from, count);
  }
  std::vector<std::byte> bytes_;
};

/// Bytes to numbers; never reads beyond the end.
class reader {
 public:
  explicit reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  /// @throws server_error if there are not enough bytes
  template <class Number>
  requires std::is_arithmetic_v<Number> Number get() {
    Number value;
    take(&value, sizeof value);
    return value;
  }
  std::string text() {
    const auto size = get<std::uint32_t>();
    if (size > rest_.size() || size > longest_text) fail("a text of " + std::to_string(size) + " bytes");
    std::string found(size, '\0');
    take(found.data(), size);
    return found;
  }
  std::vector<std::uint32_t> list(std::uint64_t count) {
    if (count > rest_.size() / sizeof(std::uint32_t)) fail("a list of " + std::to_string(count) + " numbers");
    std::vector<std::uint32_t> found(static_cast<std::size_t>(count));
    take(found.data(), found.size() * sizeof(std::uint32_t));
    return found;
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  /// @throws server_error if bytes are left
  void finish() const {
    if (!rest_.empty()) fail("bytes behind the end");
  }
  [[noreturn]] void fail(const std::string& found) const {
    throw server_error(server_problem::malformed, "a message is malformed", "data server",
                       found + ", " + std::to_string(rest_.size()) + " bytes left", "a message of the documented form");
  }

 private:
  void take(void* to, std::size_t count) {
    if (count > rest_.size()) fail("a number of " + std::to_string(count) + " bytes");
    if (count > 0) std::memcpy(to, rest_.data(), count);
    rest_ = rest_.subspan(count);
  }
  std::span<const std::byte> rest_;
};

/// First message of a client.
struct hello {
  std::uint32_t first = magic, speaks = version;

  [[nodiscard]] writer write() const {
    writer to(kind::hello);
    to.put(first);
    to.put(speaks);
    return to;
  }
  static hello read(reader from) {
    hello found;
    found.first = from.get<std::uint32_t>();
    found.speaks = from.get<std::uint32_t>();
    if (found.first != magic) from.fail("no greeting");
    return found;  // later versions may say more
  }
};

/// Answer to hello: what is served, and where it lies.
struct welcome {
  std::uint32_t speaks = version;
  std::uint32_t real_bytes = 4;  ///< of a number
  std::uint64_t items = 0;
  std::int32_t classes = 0, target_size = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t identity = 0;  ///< of this start of the server; the first number of the segment
  std::uint32_t lease = 0;     ///< milliseconds
  std::uint32_t batch_limit = 0, held_limit = 0, mode = 0;
  shape sample;
  std::string segment;  ///< name of the shared memory, without a slash

  [[nodiscard]] writer write() const {
    writer to(kind::welcome);
    to.put(speaks);
    to.put(real_bytes);
    to.put(items);
    to.put(classes);
    to.put(target_size);
    to.put(segment_bytes);
    to.put(identity);
    to.put(lease);
    to.put(batch_limit);
    to.put(held_limit);
    to.put(mode);
    to.put(static_cast<std::uint32_t>(sample.rank));
    for (int d = 0; d < sample.rank; ++d) to.put(static_cast<std::uint32_t>(sample[d]));
    to.put(segment);
    return to;
  }
  static welcome read(reader from) {
    welcome found;
    found.speaks = from.get<std::uint32_t>();
    if (found.speaks != version) return found;  // the rest may differ
    found.real_bytes = from.get<std::uint32_t>();
    found.items = from.get<std::uint64_t>();
    found.classes = from.get<std::int32_t>();
    found.target_size = from.get<std::int32_t>();
    found.segment_bytes = from.get<std::uint64_t>();
    found.identity = from.get<std::uint64_t>();
    found.lease = from.get<std::uint32_t>();
    found.batch_limit = from.get<std::uint32_t>();
    found.held_limit = from.get<std::uint32_t>();
    found.mode = from.get<std::uint32_t>();
    const auto rank = from.get<std::uint32_t>();
    if (rank > static_cast<std::uint32_t>(max_rank)) from.fail("a shape of rank " + std::to_string(rank));
    std::int64_t values = 1;
    for (std::uint32_t d = 0; d < rank; ++d) {
      const auto extent = from.get<std::uint32_t>();
      if (extent == 0 || extent > 0x7FFF'FFFF / values) from.fail("a shape that is too large");
      values *= extent;
      found.sample.extent[found.sample.rank++] = static_cast<std::int32_t>(extent);
    }
    found.segment = from.text();
    if (found.items == 0 || found.items > max_items || found.classes < 0 || found.target_size < 0)
      from.fail("sizes out of range");
    from.finish();
    return found;
  }
};

/// How a client becomes a job.
struct join {
  std::uint32_t batch = 0;   ///< samples
  std::uint32_t held = 1;    ///< batches that the client may hold at once
  std::uint32_t epochs = 0;  ///< that it will take, the first one included; 0: until it leaves
  bool drop_last = false;
  std::uint32_t mode = any_mode;                         ///< round_mode that the client needs; any_mode: any
  std::optional<std::vector<std::uint32_t>> items = {};  ///< its subset; nothing: all
  std::optional<std::vector<std::uint32_t>> rest = {};   ///< what it still needs of the first epoch; nothing: all of it

  [[nodiscard]] writer write() const {
    writer to(kind::join);
    to.put(batch);
    to.put(held);
    to.put(epochs);
    to.put((drop_last ? 1u : 0u) | (items ? 2u : 0u) | (rest ? 4u : 0u));
    to.put(mode);
    to.put(items ? std::uint64_t{items->size()} : std::uint64_t{0});
    to.put(rest ? std::uint64_t{rest->size()} : std::uint64_t{0});
    if (items) to.put(std::span<const std::uint32_t>(*items));
    if (rest) to.put(std::span<const std::uint32_t>(*rest));
    return to;
  }
  static join read(reader from) {
    join found;
    found.batch = from.get<std::uint32_t>();
    found.held = from.get<std::uint32_t>();
    found.epochs = from.get<std::uint32_t>();
    const auto flags = from.get<std::uint32_t>();
    found.mode = from.get<std::uint32_t>();
    const auto items = from.get<std::uint64_t>(), rest = from.get<std::uint64_t>();
    if (flags > 7 || ((flags & 2) == 0 && items != 0) || ((flags & 4) == 0 && rest != 0)) from.fail("unknown flags");
    found.drop_last = (flags & 1) != 0;
    if ((flags & 2) != 0) found.items = from.list(items);
    if ((flags & 4) != 0) found.rest = from.list(rest);
    from.finish();
    return found;
  }
};

/// Numbers of batches that the client needs no longer: all of a release, and what a request for the next batch begins
/// with.
struct release {
  std::vector<std::uint32_t> batches;

  [[nodiscard]] writer write(kind what) const {
    writer to(what);
    to.put(static_cast<std::uint32_t>(batches.size()));
    to.put(std::span<const std::uint32_t>(batches));
    return to;
  }
  static release read(reader from) {
    const auto count = from.get<std::uint32_t>();
    release found{from.list(count)};
    from.finish();
    return found;
  }
};

/// A sample of a batch.
struct place {
  std::uint64_t offset = 0;  ///< of its features in the segment, in bytes; its targets lie behind them
  std::uint32_t item = 0;
  std::int32_t label = -1;
};
inline constexpr std::size_t place_bytes = 16;

/// A batch; without samples at the end of an epoch.
struct batch {
  std::uint32_t number = 0;    ///< for release
  std::uint64_t position = 0;  ///< samples of the epoch, or of the rest that was asked for, that came before
  std::vector<place> samples;

  [[nodiscard]] writer write() const {
    writer to(kind::batch);
    to.put(number);
    to.put(static_cast<std::uint32_t>(samples.size()));
    to.put(position);
    for (const place& one : samples) {
      to.put(one.offset);
      to.put(one.item);
      to.put(one.label);
    }
    return to;
  }
  static batch read(reader from) {
    batch found;
    found.number = from.get<std::uint32_t>();
    const auto count = from.get<std::uint32_t>();
    found.position = from.get<std::uint64_t>();
    if (count != from.left() / place_bytes) from.fail("a batch of " + std::to_string(count) + " samples");
    found.samples.resize(count);
    for (place& one : found.samples) {
      one.offset = from.get<std::uint64_t>();
      one.item = from.get<std::uint32_t>();
      one.label = from.get<std::int32_t>();
    }
    from.finish();
    return found;
  }
};

/// What a server has done so far.
struct figures {
  std::uint64_t preparations = 0, deliveries = 0, failures = 0;
  std::uint64_t cached_bytes = 0, memory_bytes = 0;  ///< prepared samples in the cache; all of them
  std::uint32_t clients = 0;                         ///< connected now
  std::uint32_t expired = 0;                         ///< leases

  [[nodiscard]] writer write() const {
    writer to(kind::figures);
    for (const std::uint64_t one : {preparations, deliveries, failures, cached_bytes, memory_bytes}) to.put(one);
    to.put(clients);
    to.put(expired);
    return to;
  }
  static figures read(reader from) {
    figures found;
    for (std::uint64_t* one :
         {&found.preparations, &found.deliveries, &found.failures, &found.cached_bytes, &found.memory_bytes})
      *one = from.get<std::uint64_t>();
    found.clients = from.get<std::uint32_t>();
    found.expired = from.get<std::uint32_t>();
    from.finish();
    return found;
  }
};

/// Why there is no other answer.
struct refusal {
  server_problem problem = server_problem::malformed;
  std::string text;

  [[nodiscard]] writer write() const {
    writer to(kind::refusal);
    to.put(static_cast<std::uint32_t>(problem));
    to.put(text);
    return to;
  }
  static refusal read(reader from) {
    refusal found;
    found.problem = static_cast<server_problem>(from.get<std::uint32_t>());
    found.text = from.text();
    from.finish();
    return found;
  }
};

}  // namespace wire

}  // namespace vivace::inline VIVACE_TARGET::data
