#pragma once
/// @file
/// One client of a data server, as the server sees it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/server/channel.hpp>
#include <vivace/data/server/segment.hpp>
#include <vivace/data/server/wire.hpp>
#include <vivace/data/sharing/model.hpp>
#include <vivace/data/sharing/rounds.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Settings of a data server.
struct server_options {
  std::string socket = {};                          ///< path, at most 107 bytes; the folder must exist
  std::uint64_t memory = std::uint64_t{512} << 20;  ///< bytes of shared memory, for all samples that exist at once
  int clients = 16;                                 ///< connected at once, at most max_jobs
  std::chrono::milliseconds lease{60'000};          ///< a client that is silent for longer is cut off
  int batch_limit = 4096;                           ///< samples that a client may ask for at once
  int held_limit = 8;                               ///< batches that a client may hold at once
  hub_options hub = {.buffer = 1, .window = 64};    ///< of the samples; its memory is set by the server
};

/// What a data server has done so far.
struct server_statistics {
  hub_statistics samples;
  int clients = 0;            ///< connected now
  std::uint64_t refused = 0;  ///< connections that came to nothing
  std::uint64_t expired = 0;  ///< leases that ran out
};

namespace detail {

/// What the sessions of a server share.
template <std::floating_point Real, joint_sampler Model>
struct server_core {
  /// @param blocks samples that the memory has room for beside those of the hub itself
  template <class Source, class Transform>
  server_core(const server_options& settings, std::shared_ptr<wire::owned_segment> memory, std::uint64_t blocks,
              Source set, Transform change)
      : options(settings),
        segment(std::move(memory)),
        hub(std::move(set), with_memory(settings.hub, segment), std::move(change)),
        block_bytes(static_cast<std::uint64_t>(hub.sample_shape().size() + hub.target_size()) * sizeof(Real)),
        free_blocks(blocks) {}
  server_core(const server_core&) = delete;
  server_core& operator=(const server_core&) = delete;

  server_options options;
  std::shared_ptr<wire::owned_segment> segment;
  data::hub<Real, Model> hub;
  std::uint64_t block_bytes, free_blocks;  ///< of a sample; samples that no client may count on yet
  std::mutex mutex;                        ///< guards free_blocks
  std::atomic<bool> ending = false;
  std::atomic<std::uint64_t> refused = 0, expired = 0;
  std::atomic<int> clients = 0;

  [[nodiscard]] server_statistics statistics() const {
    return {hub.statistics(), clients.load(), refused.load(), expired.load()};
  }

 private:
  static hub_options with_memory(hub_options of_hub, std::shared_ptr<std::pmr::memory_resource> memory) {
    of_hub.memory = std::move(memory);
    return of_hub;
  }
};

/// Serves one client, in a thread of its own, until it is gone, breaks a rule or its lease runs out. Nothing that it
/// sends is trusted.
template <std::floating_point Real, joint_sampler Model>
class server_session {
  using core = server_core<Real, Model>;
  using pointer = std::shared_ptr<const prepared_sample<Real>>;

 public:
  server_session(core& of, wire::channel to) : core_(of), channel_(std::move(to)) {}
  server_session(const server_session&) = delete;
  server_session& operator=(const server_session&) = delete;
  ~server_session() { free_memory(); }

  /// Ends the session soon, from any thread.
  void end() const { channel_.stop_reading(); }

  void run() {
    bool served = false;
    try {
      greet();
      served = true;
      for (;;) {
        const wire::message request = channel_.receive(longest(), lease());
        try {
          answer(request);
        } catch (const server_error& failure) {
          if (failure.problem() != server_problem::request && failure.problem() != server_problem::sample) throw;
          refuse(failure.problem(), failure.what());
        }
      }
    } catch (const server_error& failure) {
      part(failure, served);
    } catch (const std::exception& failure) {
      part(server_error(server_problem::ending, failure.what()), served);
    }
    if (!served) ++core_.refused;
    job_.reset();
    held_.clear();
    free_memory();
    channel_.shut();
  }

 private:
  struct held_batch {
    std::uint32_t number = 0;
    std::vector<pointer> samples;
  };

  [[nodiscard]] wire::clock::time_point lease() const { return wire::clock::now() + core_.options.lease; }
  [[nodiscard]] std::size_t longest() const {
    return wire::short_message + 8 * static_cast<std::size_t>(core_.hub.size());
  }

  void greet() {
    const auto soon = wire::clock::now() + (std::min)(core_.options.lease, std::chrono::milliseconds(5000));
    if (channel_.peer() != std::int64_t{::geteuid()})
      throw server_error(server_problem::user, "the data server serves one user only", channel_.where(),
                         "user " + std::to_string(channel_.peer()), "a process of the server's user");
    const wire::message first = channel_.receive(wire::short_message, soon);
    if (first.what != wire::kind::hello) first.read().fail("no greeting");
    const auto greeting = wire::hello::read(first.read());
    if (greeting.speaks != wire::version)
      throw server_error(server_problem::version, "the client speaks another version", channel_.where(),
                         "version " + std::to_string(greeting.speaks),
                         "version " + std::to_string(wire::version) + ", as the server does");
    wire::welcome to;
    const auto& hub = core_.hub;
    to.real_bytes = sizeof(Real);
    to.items = static_cast<std::uint64_t>(hub.size());
    to.classes = hub.classes();
    to.target_size = hub.target_size();
    to.segment_bytes = core_.segment->bytes();
    to.identity = core_.segment->identity();
    to.lease = static_cast<std::uint32_t>(core_.options.lease.count());
    to.batch_limit = static_cast<std::uint32_t>(core_.options.batch_limit);
    to.held_limit = static_cast<std::uint32_t>(core_.options.held_limit);
    to.mode = static_cast<std::uint32_t>(core_.options.hub.mode);
    to.sample = hub.sample_shape();
    to.segment = core_.segment->name();
    channel_.send(to.write(), soon);
  }

  void answer(const wire::message& request) {
    switch (request.what) {
      case wire::kind::join:
        return join(wire::join::read(request.read()));
      case wire::kind::next:
        give_back(wire::release::read(request.read()));
        return next();
      case wire::kind::release:
        return give_back(wire::release::read(request.read()));
      case wire::kind::next_epoch:
        request.read().finish();
        next_epoch();
        return channel_.send(wire::writer(wire::kind::epoch), lease());
      case wire::kind::renew:
        request.read().finish();
        return channel_.send(wire::writer(wire::kind::renewed), lease());
      case wire::kind::statistics: {
        request.read().finish();
        const server_statistics now = core_.statistics();
        const wire::figures to = {now.samples.preparations,
                                  now.samples.deliveries,
                                  now.samples.failures,
                                  now.samples.cached_bytes,
                                  now.samples.memory_bytes,
                                  static_cast<std::uint32_t>(now.clients),
                                  static_cast<std::uint32_t>(now.expired)};
        return channel_.send(to.write(), lease());
      }
      default:
        request.read().fail("a request of kind " + std::to_string(static_cast<std::uint32_t>(request.what)));
    }
  }

  void join(wire::join wanted) {
    const auto request = [&](const char* what, const std::string& got, const std::string& needs) {
      return server_error(server_problem::request, what, channel_.where(), got, needs);
    };
    const auto check = [&](const char* what, std::uint64_t got, std::uint64_t most) {
      if (got < 1 || got > most) throw request(what, std::to_string(got), "1 to " + std::to_string(most));
    };
    if (joined_) throw request("a client joins twice", "a second request to join", "a connection for each job");
    check("the batch size is out of range", wanted.batch, static_cast<std::uint64_t>(core_.options.batch_limit));
    check("the number of batches held at once is out of range", wanted.held,
          static_cast<std::uint64_t>(core_.options.held_limit));
    if (wanted.epochs > 0x7FFF'FFFF) throw request("there are too many epochs", std::to_string(wanted.epochs), "less");
    const auto mode = static_cast<std::uint32_t>(core_.options.hub.mode);
    if (wanted.mode != wire::any_mode && wanted.mode != mode)
      throw request("the server draws in another mode", "mode " + std::to_string(wanted.mode),
                    "mode " + std::to_string(mode) + ", or a server of the other mode");
    const auto full =
        static_cast<std::uint64_t>(wanted.items ? wanted.items->size() : static_cast<std::size_t>(core_.hub.size()));
    batch_ = static_cast<int>((std::min)(std::uint64_t{wanted.batch}, (std::max)(full, std::uint64_t{1})));
    held_limit_ = wanted.held;
    options_.epochs = static_cast<int>(wanted.epochs);
    options_.drop_last = wanted.drop_last;
    drop_below_ = wanted.drop_last ? static_cast<std::int64_t>(wanted.batch) : 1;
    options_.items = std::move(wanted.items);
    if (options_.items) std::sort(options_.items->begin(), options_.items->end());
    reserve();
    try {
      begin(std::move(wanted.rest));
    } catch (const server_error&) {
      throw;
    } catch (const std::exception& failure) {
      throw server_error(server_problem::request, failure.what());
    }
    joined_ = true;
    wire::writer to(wire::kind::joined);
    to.put(full);
    channel_.send(std::move(to), lease());
  }

  /// Becomes a job, in the middle of an epoch if a rest is given.
  void begin(std::optional<std::vector<std::uint32_t>> rest) {
    if (!rest) {
      job_.emplace(core_.hub.join(options_));
      return;
    }
    std::sort(rest->begin(), rest->end());
    const bool fits = options_.items
                          ? std::includes(options_.items->begin(), options_.items->end(), rest->begin(), rest->end())
                          : rest->empty() || rest->back() < core_.hub.size();
    if (!fits)
      throw server_error(server_problem::request, "what is left of an epoch is no part of the subset", channel_.where(),
                         std::to_string(rest->size()) + " items", "items of the subset, each once");
    partial_ = true;
    if (rest->empty()) {
      if (options_.items) check_items();
      return;
    }
    job_options of_rest = options_;
    of_rest.items = std::move(rest);
    of_rest.epochs = 1;
    if (options_.items) check_items();
    job_.emplace(core_.hub.join(of_rest));
  }
  /// A subset that is only used in the next epoch is refused now.
  void check_items() const {
    const auto& items = *options_.items;
    if (items.empty() || items.back() >= core_.hub.size() ||
        std::adjacent_find(items.begin(), items.end()) != items.end())
      throw server_error(server_problem::request, "a subset names an item twice, one that there is not, or none",
                         channel_.where(), std::to_string(items.size()) + " items",
                         "different items below " + std::to_string(core_.hub.size()));
  }

  /// Sets memory aside for all that this client may make the hub keep: four batches ahead, what it holds, and what the
  /// hub gave out last.
  void reserve() {
    free_memory();
    const auto batch = static_cast<std::uint64_t>(batch_);
    const std::uint64_t ahead = (std::max)(4 * batch, static_cast<std::uint64_t>(core_.options.hub.buffer));
    const std::uint64_t blocks = ahead + (std::uint64_t{held_limit_} + 1) * batch;
    const std::lock_guard lock(core_.mutex);
    if (blocks > core_.free_blocks)
      throw server_error(server_problem::limit, "the data server has no memory for another client", channel_.where(),
                         std::to_string(blocks) + " samples of " + std::to_string(core_.block_bytes) +
                             " bytes wanted, " + std::to_string(core_.free_blocks) + " free",
                         "smaller batches, fewer held at once, fewer clients, or a server with more memory");
    core_.free_blocks -= blocks;
    reserved_ = blocks;
  }
  void free_memory() {
    const std::lock_guard lock(core_.mutex);
    core_.free_blocks += std::exchange(reserved_, 0);
  }

  void need_job() const {
    if (!joined_)
      throw server_error(server_problem::request, "a client asks for samples before it joins", channel_.where(),
                         "no request to join", "a request to join first");
  }
  void next() {
    need_job();
    if (held_.size() >= held_limit_)
      throw server_error(server_problem::request, "the client holds too many batches", channel_.where(),
                         std::to_string(held_.size()), "one of them to be given back first");
    wire::batch to;
    if (job_) {
      to.position = static_cast<std::uint64_t>(job_->position());
      const std::int64_t rest = job_->size() - job_->position();
      const auto samples = rest > 0 ? take() : std::span<const delivery<Real>>{};
      if (rest >= drop_below_ && rest > 0) {
        held_.push_back({to.number = ++numbers_, {}});
        for (const delivery<Real>& one : samples) {
          to.samples.push_back({core_.segment->offset_of(one.sample->features()), one.item, one.sample->label()});
          held_.back().samples.push_back(one.sample);
        }
      }
    }
    channel_.send(to.write(), lease());
  }
  std::span<const delivery<Real>> take() {
    // In short turns: whoever waits for a dead client's samples holds them.
    while (!job_->wait_for(batch_, std::chrono::milliseconds(20))) {
      if (channel_.hung_up()) throw server_error(server_problem::gone, "the client is gone");
      if (core_.ending) throw server_error(server_problem::ending, "the data server is being shut down");
    }
    try {
      return job_->take(batch_);
    } catch (const error& failure) {
      throw server_error(server_problem::sample, failure.what());
    }
  }
  void give_back(const wire::release& what) {
    for (const std::uint32_t number : what.batches) {
      const auto found =
          std::find_if(held_.begin(), held_.end(), [&](const held_batch& one) { return one.number == number; });
      if (found == held_.end())
        throw server_error(server_problem::malformed, "the client gives back a batch that it does not hold",
                           channel_.where(), "batch " + std::to_string(number), "each batch once");
      held_.erase(found);
    }
  }
  void next_epoch() {
    need_job();
    if (options_.epochs > 0 && epoch_ + 1 >= options_.epochs)
      throw server_error(server_problem::request, "a job has no more epochs", channel_.where(),
                         "the end of epoch " + std::to_string(epoch_ + 1), "a job that joins for more");
    if (partial_ || !job_) {
      job_.reset();
      job_options full = options_;
      if (full.epochs > 0) full.epochs -= epoch_ + 1;
      job_.emplace(core_.hub.join(full));
      partial_ = false;
    } else {
      job_->next_epoch();
    }
    ++epoch_;
  }

  void refuse(server_problem why, const std::string& text) const {
    channel_.send(wire::refusal{why, text}.write(), lease());
  }
  /// Says why the connection ends, if there is anybody to be told.
  void part(const server_error& failure, bool served) {
    wire::refusal to{failure.problem(), failure.what()};
    if (failure.problem() == server_problem::gone && !core_.ending) return;
    if (core_.ending) {
      to = {server_problem::ending, "the data server is being shut down"};
    } else if (failure.problem() == server_problem::slow) {
      to = {server_problem::lease, error("the client was silent for longer than its lease", channel_.where(),
                                         "a lease of " + std::to_string(core_.options.lease.count()) + " ms",
                                         "requests more often, renew() in long steps, or a server with a longer lease")
                                       .what()};
      if (served) ++core_.expired;
    }
    channel_.send_if_possible(to.write());
  }

  core& core_;
  wire::channel channel_;
  std::optional<hub_job<Real, Model>> job_;
  std::vector<held_batch> held_;
  job_options options_;
  int batch_ = 1, epoch_ = 0;
  std::int64_t drop_below_ = 1;
  std::uint32_t held_limit_ = 1, numbers_ = 0;
  std::uint64_t reserved_ = 0;
  bool joined_ = false, partial_ = false;  // partial: what is left of an epoch
};

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::data
