#pragma once
/// @file
/// A job of a data server in another process: batches that lie in shared memory. Needs Boost.Interprocess (Debian:
/// libboost-dev).
#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/policy.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/columns.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/server/channel.hpp>
#include <vivace/data/server/segment.hpp>
#include <vivace/data/server/wire.hpp>
#include <vivace/data/sharing/rounds.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Where a client stands in its data: enough for another client, of another process too, to go on.
struct client_position {
  int epoch = 0;                    ///< epochs that have ended
  std::vector<std::uint32_t> rest;  ///< items of this epoch that are still to come, ascending
};

/// Settings of a client.
struct client_options {
  std::optional<std::vector<std::uint32_t>> items = {};  ///< the job's subset; nothing: all
  int epochs = 0;                              ///< after which nothing is drawn for the job; 0: until it leaves
  bool drop_last = false;                      ///< leave a short last batch out
  std::optional<round_mode> mode = {};         ///< how the server has to draw; nothing: in any way
  std::uint64_t seed = 0;                      ///< of the transforms of this job
  std::chrono::milliseconds patience{60'000};  ///< an answer that takes longer is an error
  std::optional<client_position> from = {};    ///< where to go on; nothing: from the beginning
};

/// A job of a data server. A model of batch_stream; features are not copied where samples lie one after another in the
/// shared memory and this job has no transform of its own. Not for use by several threads at once.
///
/// If the server is gone, next() throws a server_error; the last batch stays readable, and reconnect() goes on with
/// what is still to come of the epoch as soon as a server of the same data is there.
/// @code
/// data::client<float> batches{"/tmp/data", 128};
/// for (int epoch = 0; epoch < 5; ++epoch) {
///   batches.start_epoch(epoch);
///   while (const auto* batch = batches.next()) step(*batch);
/// }
/// @endcode
template <std::floating_point Real>
class client {
 public:
  /// Joins a server.
  /// @param socket     path of the server's socket
  /// @param batch_size samples a batch
  /// @param change     applied to each sample for this job alone, behind what the server does
  /// @throws server_error if there is no server of this user, it has no room or does not serve such a job; error if it
  /// prepares other numbers than Real
  template <data::transform<Real> Transform = no_transform>
  client(std::string socket, int batch_size, client_options options = {}, Transform change = {})
      : socket_(std::move(socket)),
        options_(std::move(options)),
        batch_size_(batch_size),
        own_(detail::own_change<Real>::of(std::move(change), 0)) {
    if (batch_size < 1)
      throw error("the batch size is out of range", "data client", std::to_string(batch_size), "one sample or more");
    if (options_.epochs < 0)
      throw error("the number of epochs is negative", "data client", std::to_string(options_.epochs), "0 or more");
    connect();
    if (options_.from) epochs_ended_ = options_.from->epoch;
    begin_epoch();
    if (options_.from) {
      take_rest(*options_.from);
      options_.from.reset();
      join(true);
    } else {
      join(false);
    }
    const std::int64_t samples = (std::min)(std::int64_t{batch_size_}, size());
    if (labelled()) labels_ = buffer(static_cast<std::size_t>(samples) * sizeof(std::int32_t));
    targets_ = buffer(static_cast<std::size_t>(samples * target_size()) * sizeof(Real));
  }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// The next batch, or null at the end of the epoch. It stays valid until the next call of a member that is not const.
  /// @throws server_error if a sample could not be prepared (the next call tries again), the server is gone, or the
  /// lease ran out: then the samples of the last batch may have been overwritten, and count as still to come
  const batch_view<Real>* next() {
    if (rest_ == 0) {
      begun_ = true;
      return nullptr;
    }
    wire::release last;
    if (held_ != 0) last.batches.push_back(held_);
    const wire::message answer = ask(last.write(wire::kind::next), wire::kind::batch);
    const auto found = wire::batch::read(answer.read());
    held_ = 0;
    if (found.samples.empty()) return end_of_epoch();
    accept(found);
    return &view_;
  }

  /// Goes to the beginning of an epoch: of the first one, or from an epoch to the next, which need not be at its end.
  /// After a start from a position, the first call stays in that epoch.
  /// @param epoch what transforms of the job take it for
  /// @throws error if it is negative; server_error if the job has had all its epochs, or the server is gone
  void start_epoch(int epoch) {
    if (epoch < 0)
      throw error("a loader cannot go there", "data client", "epoch " + std::to_string(epoch), "an epoch of 0 or more");
    if (begun_) {
      (void)ask(wire::writer(wire::kind::next_epoch), wire::kind::epoch);
      ++epochs_ended_;
      begin_epoch();
    }
    begun_ = false;
    epoch_ = epoch;
  }

  /// Tells the server that this client lives: for steps that take longer than the lease.
  void renew() { (void)ask(wire::writer(wire::kind::renew), wire::kind::renewed); }

  /// Where this client stands: what next() has given out is done.
  [[nodiscard]] client_position position() const {
    client_position found{epochs_ended_, {}};
    for (std::uint32_t item = 0; item < needed_.size(); ++item)
      if (needed_[item]) found.rest.push_back(item);
    return found;
  }

  /// Joins again, after an error: with what is still to come of the epoch.
  /// @param limit how long to wait for a server
  /// @throws server_error if there is none until then, or it serves other data
  void reconnect(std::chrono::milliseconds limit = std::chrono::milliseconds(10'000)) {
    const auto until = wire::clock::now() + limit;
    channel_ = {};
    for (;;) {
      try {
        const wire::welcome before = served_;
        connect();
        if (before.items != served_.items || before.sample != served_.sample ||
            before.target_size != served_.target_size || before.classes != served_.classes) {
          served_ = before;
          channel_ = {};
          throw error("the data server serves other data than before", socket_,
                      std::to_string(served_.items) + " samples before", "the same data set");
        }
        return join(true);
      } catch (const server_error& failure) {
        const bool may_come = failure.problem() == server_problem::gone ||
                              failure.problem() == server_problem::ending || failure.problem() == server_problem::limit;
        channel_ = {};
        if (!may_come || wire::clock::now() >= until) throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  /// What the server has done so far.
  [[nodiscard]] wire::figures statistics() {
    return wire::figures::read(ask(wire::writer(wire::kind::statistics), wire::kind::figures).read());
  }

  /// Index of each sample of the last batch in the server's data set.
  [[nodiscard]] std::span<const std::uint32_t> items() const { return items_; }
  /// Samples of an epoch, including those of a dropped last batch.
  [[nodiscard]] std::int64_t size() const { return size_; }
  /// Batches of an epoch.
  [[nodiscard]] std::int64_t batches() const {
    return options_.drop_last ? size() / batch_size_ : (size() + batch_size_ - 1) / batch_size_;
  }
  [[nodiscard]] int batch_size() const { return batch_size_; }
  [[nodiscard]] const shape& sample_shape() const { return served_.sample; }
  /// Targets a sample; 0 without targets.
  [[nodiscard]] int target_size() const { return served_.target_size; }
  [[nodiscard]] bool labelled() const { return served_.classes > 0; }
  /// 0 without labels.
  [[nodiscard]] int classes() const { return served_.classes; }
  [[nodiscard]] std::chrono::milliseconds lease() const { return std::chrono::milliseconds(served_.lease); }
  /// Batches given out, and those of them whose features were copied.
  [[nodiscard]] std::int64_t given() const { return given_; }
  [[nodiscard]] std::int64_t copied() const { return copied_; }

 private:
  [[nodiscard]] wire::clock::time_point patience() const { return wire::clock::now() + options_.patience; }
  [[nodiscard]] std::uint64_t block_bytes() const {
    return (static_cast<std::uint64_t>(served_.sample.size()) + static_cast<std::uint64_t>(served_.target_size)) *
           sizeof(Real);
  }
  [[nodiscard]] std::size_t longest() const {
    return 16 * wire::short_message + wire::longest_text + static_cast<std::size_t>(batch_size_) * wire::place_bytes;
  }

  /// Sends a request and reads its answer. What breaks the connection ends it.
  wire::message ask(wire::writer request, wire::kind expected) {
    if (!channel_.open())
      throw server_error(server_problem::gone, "the client is not connected", socket_, "an earlier failure",
                         "a call of reconnect()");
    try {
      std::optional<server_error> unsent;
      try {
        channel_.send(std::move(request), patience());
      } catch (const server_error& failure) {
        unsent = failure;
      }
      const wire::message answer = unsent ? last_words(*unsent) : channel_.receive(longest(), patience());
      if (answer.what == wire::kind::refusal) {
        const auto why = wire::refusal::read(answer.read());
        throw server_error(why.problem, why.text);
      }
      if (answer.what != expected) answer.read().fail("an unexpected answer");
      return answer;
    } catch (const server_error& failure) {
      give_up(failure.problem());
      throw;
    }
  }
  /// Why the server has closed may be waiting to be read.
  wire::message last_words(const server_error& otherwise) const {
    try {
      return channel_.receive(longest(), wire::clock::now());
    } catch (const server_error&) {
      throw otherwise;
    }
  }
  void give_up(server_problem why) {
    if (why == server_problem::sample) held_ = 0;  // was given back with the request
    if (why == server_problem::request || why == server_problem::sample) return;
    if (why == server_problem::lease && held_ != 0)  // the last batch may be overwritten by now
      for (const std::uint32_t item : items_) {
        rest_ += needed_[item] ? 0 : 1;
        needed_[item] = true;
      }
    held_ = 0;
    channel_ = {};
  }

  void connect() {
    channel_ = wire::connect_channel(socket_);
    wire::welcome found = wire::welcome::read(ask(wire::hello{}.write(), wire::kind::welcome).read());
    if (found.speaks != wire::version)
      throw server_error(server_problem::version, "the data server speaks another version", socket_,
                         "version " + std::to_string(found.speaks), "version " + std::to_string(wire::version));
    if (found.real_bytes != sizeof(Real))
      throw error("the data server prepares other numbers", socket_, std::to_string(8 * found.real_bytes) + " bits",
                  std::to_string(8 * sizeof(Real)) + " bits, or a client of the other type");
    served_ = std::move(found);
    coming_ = wire::seen_segment(served_.segment, served_.segment_bytes, served_.identity);
  }
  void join(bool again) {
    wire::join wanted;
    wanted.batch = static_cast<std::uint32_t>(batch_size_);
    wanted.drop_last = options_.drop_last;
    if (options_.mode) wanted.mode = static_cast<std::uint32_t>(*options_.mode);
    wanted.items = options_.items;
    if (options_.epochs > 0)
      wanted.epochs = static_cast<std::uint32_t>((std::max)(1, options_.epochs - (again ? epochs_ended_ : 0)));
    if (again) wanted.rest = position().rest;
    const wire::message answer = ask(wanted.write(), wire::kind::joined);
    wire::reader from = answer.read();
    const auto size = from.get<std::uint64_t>();
    from.finish();
    if (size != static_cast<std::uint64_t>(size_)) from.fail("an epoch of " + std::to_string(size) + " samples");
    held_ = 0;
  }

  void begin_epoch() {
    if (options_.items) {
      needed_.assign(static_cast<std::size_t>(served_.items), false);
      for (const std::uint32_t item : *options_.items)
        if (item < served_.items)
          needed_[item] = true;
        else
          throw error("there is no such item", "data client", "item " + std::to_string(item),
                      "items below " + std::to_string(served_.items));
    } else {
      needed_.assign(static_cast<std::size_t>(served_.items), true);
    }
    rest_ = size_ =
        options_.items ? static_cast<std::int64_t>(options_.items->size()) : static_cast<std::int64_t>(served_.items);
  }
  void take_rest(const client_position& from) {
    const std::vector<bool> all(needed_);
    needed_.assign(all.size(), false);
    for (const std::uint32_t item : from.rest) {
      if (item >= all.size() || !all[item] || needed_[item])
        throw error("the position is not one of this job", "data client", "item " + std::to_string(item),
                    "items of its subset, each once");
      needed_[item] = true;
    }
    rest_ = static_cast<std::int64_t>(from.rest.size());
  }
  const batch_view<Real>* end_of_epoch() {
    if (rest_ >= (options_.drop_last ? batch_size_ : 1)) {
      give_up(server_problem::malformed);
      throw server_error(server_problem::malformed, "the data server ends an epoch too early", socket_,
                         std::to_string(rest_) + " samples still to come", "each sample of the subset once");
    }
    needed_.assign(needed_.size(), false);
    rest_ = 0;
    begun_ = true;
    return nullptr;
  }

  /// Checks a batch, as the other side may be anything, and makes a view of it.
  void accept(const wire::batch& found) {
    const auto wrong = [&](const std::string& got) {
      give_up(server_problem::malformed);
      return server_error(server_problem::malformed, "the data server sent a batch that cannot be", socket_, got,
                          "samples of the job, each once an epoch, inside of the shared memory");
    };
    if (found.samples.size() > static_cast<std::size_t>((std::min)(std::int64_t{batch_size_}, rest_)))
      throw wrong(std::to_string(found.samples.size()) + " samples");
    const std::uint64_t block = block_bytes();
    for (const wire::place& one : found.samples) {
      if (one.offset < wire::segment_head || one.offset > served_.segment_bytes ||
          block > served_.segment_bytes - one.offset || one.offset % alignof(Real) != 0)
        throw wrong("a sample at " + std::to_string(one.offset));
      if (labelled() ? one.label < 0 || one.label >= served_.classes : one.label != -1)
        throw wrong("label " + std::to_string(one.label));
      if (one.item >= needed_.size() || !needed_[one.item]) throw wrong("item " + std::to_string(one.item));
      needed_[one.item] = false;
      --rest_;
    }
    // Only now: a client that reconnected still shows the last batch of the old server until here.
    if (coming_.mapped()) segment_ = std::exchange(coming_, wire::seen_segment{});
    held_ = found.number;
    begun_ = true;
    items_.clear();
    for (const wire::place& one : found.samples) items_.push_back(one.item);
    view(found.samples);
  }
  void view(std::span<const wire::place> samples) {
    const auto position = size_ - rest_ - static_cast<std::int64_t>(samples.size());
    const std::int64_t width = served_.sample.size();
    const auto at = [&](const wire::place& one) { return reinterpret_cast<const Real*>(segment_.base() + one.offset); };
    bool in_a_row = own_.apply == nullptr;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      in_a_row = in_a_row && at(samples[i]) == at(samples[0]) + static_cast<std::int64_t>(i) * width;
      if (labelled()) labels_.template as<std::int32_t>()[i] = samples[i].label;
      if (target_size() > 0)
        std::copy_n(at(samples[i]) + width, target_size(),
                    targets_.template as<Real>() + static_cast<std::int64_t>(i) * target_size());
    }
    const Real* features = at(samples[0]);
    ++given_;
    if (!in_a_row) {
      ++copied_;
      if (features_.data() == nullptr)
        features_ =
            buffer(static_cast<std::size_t>((std::min)(std::int64_t{batch_size_}, size_) * width) * sizeof(Real));
      Real* to = features_.template as<Real>();
      features = to;
      for (const wire::place& one : samples) {
        std::copy_n(at(one), width, to);
        if (own_.apply != nullptr)
          own_.apply(own_.object.get(), to, served_.sample,
                     {options_.seed, static_cast<std::uint32_t>(epoch_), one.item, own_.place});
        to += width;
      }
    }
    view_ = {features, labels_.template as<std::int32_t>(), targets_.template as<Real>(),
             static_cast<int>(samples.size()), position};
  }

  std::string socket_;
  client_options options_;
  int batch_size_, epoch_ = 0, epochs_ended_ = 0;
  detail::own_change<Real> own_;
  wire::channel channel_;
  wire::welcome served_;
  wire::seen_segment segment_, coming_;
  std::vector<bool> needed_;  // items of this epoch that are still to come
  std::int64_t size_ = 0, rest_ = 0;
  std::uint32_t held_ = 0;  // number of the batch that the caller has; 0: none
  bool begun_ = false;      // next() was called in this epoch
  std::vector<std::uint32_t> items_;
  buffer features_, labels_, targets_;
  batch_view<Real> view_;
  std::int64_t given_ = 0, copied_ = 0;
};

/// Policy of a trainer: fit() trains on the samples of a data server, together with all others that do. fit() then
/// takes no data set, and joins anew each time.
/// @code
/// vv::trainer trainer{lenet{}, vv::batch<128>, vv::adamw{}, vv::data::server_loader<float>{"/tmp/data"}};
/// trainer.fit(vv::epochs{5}, vv::validation{data.test});
/// @endcode
template <std::floating_point Real>
struct server_loader {
  using family = loading_family;
  using real = Real;
  /// What a trainer asks of the data before it opens them.
  struct description {
    std::string socket;
    int count = 0;
    [[nodiscard]] std::span<const columns::column> column_list() const { return {}; }
    [[nodiscard]] int classes() const { return count; }
  };
  description from;
  client_options options = {};  ///< fit() sets the epochs, and the seed if that is 0

  /// @throws server_error if there is no server of this user, or no room
  explicit server_loader(std::string socket, client_options settings = {})
      : from{std::move(socket), 0}, options(std::move(settings)) {
    from.count = client<Real>(from.socket, 1, {.items = {{0}}, .epochs = 1}).classes();
  }

  /// What fit() reads.
  template <data::transform<Real> Transform>
  [[nodiscard]] client<Real> open(int batch_size, int epochs, std::uint64_t seed, Transform change) const {
    client_options settings = options;
    settings.epochs = epochs;
    if (settings.seed == 0) settings.seed = seed;
    return {from.socket, batch_size, std::move(settings), std::move(change)};
  }
};

}  // namespace vivace::inline VIVACE_TARGET::data
