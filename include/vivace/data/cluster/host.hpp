#pragma once
/// @file
/// A process of a cluster that prepares samples and gives them to the jobs that run in it.
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/cluster/wire.hpp>
#include <vivace/data/hub.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/sample_pool.hpp>
#include <vivace/data/sharing/cache.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Settings of a host of a cluster.
struct host_options {
  std::uint64_t cache_bytes = std::uint64_t{256} << 20;  ///< prepared samples that are kept for jobs that come later
  eviction policy = eviction::reference_count;
  bool repeat =
      false;        ///< whether a job may get the same prepared sample in several epochs; without a transform it may
  int workers = 1;  ///< threads that prepare; 0: jobs prepare while they wait
};

namespace detail {

/// What a host and its jobs share.
template <std::floating_point Real>
class host_core {
 public:
  using sample = prepared_sample<Real>;
  /// A sample to be prepared, by whoever needs it first.
  struct task {
    std::uint32_t item = 0, version = 0;
    enum class state : std::uint8_t { waiting, running, done, failed } at = state::waiting;
    std::shared_ptr<const sample> made;
    std::exception_ptr failure;
  };
  using task_pointer = std::shared_ptr<task>;
  struct member {
    std::uint64_t name = 0;
    std::vector<std::uint32_t> items, done;
    std::size_t ahead = 0;
    std::uint32_t taken = 0;
    int number = -1;
    std::deque<task_pointer> queue;
    bool drawn = false, ended = false;
  };

  host_core(feed<Real> from, const cluster_address& leader, int number, const host_options& options)
      : feed_(std::move(from)),
        number_(static_cast<std::uint32_t>(number)),
        pool_(std::make_shared<sample_pool>(sample_bytes())),
        cache_(items_of(feed_), {options.cache_bytes, options.policy, options.repeat || feed_.apply == nullptr, 0}),
        versions_(static_cast<std::size_t>(feed_.size)) {
    if (options.workers < 0 || options.workers > 1024 || number < 0)
      throw error("a setting of a host is out of range", "data cluster",
                  std::to_string(options.workers) + " workers, host " + std::to_string(number),
                  "0 to 1024 workers, a host from 0 on");
    enter(leader);
    reader_ = std::thread([this] { read(); });
    try {
      for (int i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  host_core(const host_core&) = delete;
  host_core& operator=(const host_core&) = delete;
  ~host_core() { stop(); }

  [[nodiscard]] const feed<Real>& from() const { return feed_; }
  [[nodiscard]] std::uint64_t preparations() const { return preparations_; }

  std::unique_ptr<member> join(std::uint64_t name, int participants, int batch, std::vector<std::uint32_t> items) {
    auto made = std::make_unique<member>();
    made->name = name;
    made->ahead = 2 * static_cast<std::size_t>(batch);
    made->taken = static_cast<std::uint32_t>(made->ahead);
    std::sort(items.begin(), items.end());
    if (items.empty() || items.back() >= feed_.size || std::adjacent_find(items.begin(), items.end()) != items.end())
      throw error("the subset of a job cannot be", "data cluster", std::to_string(items.size()) + " items",
                  "at least one item, each once, below " + std::to_string(feed_.size));
    made->items = std::move(items);
    wire::writer text(cluster::code(cluster::kind::open));
    text.put(name);
    text.put(static_cast<std::uint32_t>(participants));
    text.put(std::uint64_t{made->items.size()});
    text.put(std::span<const std::uint32_t>(made->items));
    {
      const std::lock_guard lock(mutex_);
      if (!members_.emplace(name, made.get()).second)
        throw error("a host joins a job twice", "data cluster", "job " + std::to_string(name), "another name");
    }
    send(std::move(text));
    return made;
  }
  void leave(member& mine) {
    {
      const std::lock_guard lock(mutex_);
      members_.erase(mine.name);
      if (mine.number >= 0) numbers_[static_cast<std::size_t>(mine.number)] = nullptr;
    }
    wire::writer text(cluster::code(cluster::kind::close));
    text.put(mine.name);
    send(std::move(text));
  }

  void take(member& mine, std::size_t count, std::vector<delivery<Real>>& to) {
    std::unique_lock lock(mutex_);
    report(mine, lock);
    wake_.wait(lock, [&] { return lost_ || mine.ended || mine.queue.size() >= (mine.drawn ? 1 : count); });
    if (mine.queue.empty() && mine.ended) return;
    expect_leader();
    count = (std::min)(count, mine.queue.size());
    for (std::size_t i = 0; i < count; ++i) finish(mine.queue[i], lock);
    for (std::size_t i = 0; i < count; ++i) {
      const task& one = *mine.queue.front();
      to.push_back({one.item, one.version, one.made});
      mine.done.push_back(one.item);
      mine.queue.pop_front();
    }
    mine.taken += static_cast<std::uint32_t>(count);
    work_.notify_all();
  }
  void next_epoch(member& mine) {
    {
      const std::lock_guard lock(mutex_);
      if (!mine.ended)
        throw error("an epoch begins before the last one ended", "data cluster", "samples left",
                    "the rest of the epoch to be taken first, as the other hosts do");
      mine.ended = mine.drawn = false;
    }
    wire::writer text(cluster::code(cluster::kind::next_epoch));
    text.put(mine.name);
    send(std::move(text));
  }

 private:
  using state = typename task::state;

  static std::uint32_t items_of(const feed<Real>& from) {
    if (from.size < 1 || from.size > max_items)
      throw error("the data set is empty, or too large", "data cluster", std::to_string(from.size) + " samples",
                  "1 to " + std::to_string(max_items));
    return static_cast<std::uint32_t>(from.size);
  }
  [[nodiscard]] std::size_t sample_bytes() const {
    return static_cast<std::size_t>(feed_.sample.size() + feed_.target_size) * sizeof(Real);
  }
  void expect_leader() const {
    if (lost_)
      throw server_error(server_problem::gone, "the leader of the cluster is gone, or has removed this host",
                         "data cluster", reason_,
                         "a leader that runs: start the jobs again from their last checkpoint");
  }

  void enter(const cluster_address& leader) {
    wire::descriptor socket = cluster::new_tcp_socket();
    cluster::do_not_wait(socket);
    const sockaddr_in address = cluster::socket_address(leader.ip, leader.port);
    int failure = 0;
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failure = errno;
    if (failure == EINPROGRESS) {
      pollfd one{socket.get(), POLLOUT, 0};
      socklen_t size = sizeof failure;
      if (::poll(&one, 1, 10'000) != 1 || ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = ETIMEDOUT;
    }
    if (failure != 0)
      throw server_error(server_problem::gone, "cannot connect to the leader of the cluster", "data cluster",
                         wire::reason_text(failure), "a leader that runs, at an address that this machine reaches");
    channel_ = wire::channel(std::move(socket), "data cluster");
    wire::writer text(cluster::code(cluster::kind::enter));
    text.put(leader.secret[0]);
    text.put(leader.secret[1]);
    text.put(number_);
    text.put(static_cast<std::uint64_t>(feed_.size));
    channel_.send(std::move(text), wire::clock::now() + std::chrono::milliseconds(10'000));
    const wire::message answer = channel_.receive(8192, wire::clock::now() + std::chrono::milliseconds(10'000));
    if (answer.what == wire::kind::refusal) {
      const auto why = wire::refusal::read(answer.read());
      throw server_error(why.problem, why.text);
    }
    wire::reader from = answer.read();
    if (answer.what != cluster::code(cluster::kind::entered)) from.fail("an unexpected answer");
    seed_ = from.get<std::uint64_t>();
    lease_ = std::chrono::milliseconds(from.get<std::uint32_t>());
    hosts_ = from.get<std::uint32_t>();
  }

  void send(wire::writer text) {
    const std::lock_guard lock(sending_);
    try {
      channel_.send(std::move(text), wire::clock::now() + std::chrono::milliseconds(10'000));
    } catch (const server_error&) {
      channel_.stop_reading();  // the reader finds out
    }
  }
  /// Tells the leader what is done, and that as much more may come.
  void report(member& mine, std::unique_lock<std::mutex>& lock) {
    if (mine.taken == 0 && mine.done.empty()) return;
    wire::writer text(cluster::code(cluster::kind::wanted));
    text.put(mine.name);
    text.put(std::exchange(mine.taken, 0));
    text.put(static_cast<std::uint32_t>(mine.done.size()));
    text.put(std::span<const std::uint32_t>(mine.done));
    mine.done.clear();
    lock.unlock();
    send(std::move(text));
    lock.lock();
  }

  /// Reads what the leader sends, and says now and then that this host is there; the leader answers that, so that one
  /// that is stopped, or cut off without a word, is found out too.
  void read() {
    const auto pause = (std::max)(std::chrono::milliseconds(1), lease_ / 4);
    const auto patience = 2 * lease_ + std::chrono::milliseconds(1000);
    auto said = wire::clock::now(), heard = said;
    try {
      for (;;) {
        pollfd one{channel_.handle(), POLLIN, 0};
        const int found = ::poll(&one, 1, static_cast<int>(pause.count()));
        const auto now = wire::clock::now();
        if (now - said >= pause) {
          send(wire::writer(cluster::code(cluster::kind::alive)));
          said = now;
        }
        if (found <= 0) {
          if (now - heard > patience) throw error("it has been silent for " + std::to_string(patience.count()) + " ms");
          continue;
        }
        const auto message = channel_.receive(std::size_t{1} << 30, now + patience);
        heard = wire::clock::now();
        if (message.what == wire::kind::refusal) throw error(wire::refusal::read(message.read()).text);
        const std::lock_guard lock(mutex_);
        obey(static_cast<cluster::kind>(message.what), message.read());
        wake_.notify_all();
        work_.notify_all();
      }
    } catch (const std::exception& failure) {
      const std::lock_guard lock(mutex_);
      lost_ = true;
      reason_ = failure.what();
    }
    wake_.notify_all();
  }
  void obey(cluster::kind what, wire::reader text) {
    if (what == cluster::kind::opened) {
      const auto found = members_.find(text.get<std::uint64_t>());
      const auto number = text.get<std::uint32_t>();
      if (number >= max_jobs) text.fail("job " + std::to_string(number));
      if (found == members_.end()) return;  // it has left
      member& mine = *found->second;
      // A job that left and came back may hear of its first number, too: no number may name two jobs, nor a job two.
      if (member* const other = numbers_[number]) other->number = -1;
      if (mine.number >= 0) numbers_[static_cast<std::size_t>(mine.number)] = nullptr;
      mine.number = static_cast<int>(number);
      numbers_[number] = &mine;
      return;
    }
    if (what == cluster::kind::orders) {
      for (auto count = text.get<std::uint32_t>(); count > 0; --count) {
        const auto item = text.get<std::uint32_t>();
        const auto takers = text.get<std::uint64_t>(), waiting = text.get<std::uint64_t>();
        if (item >= versions_.size()) text.fail("item " + std::to_string(item));
        queue(item, takers, waiting);
      }
      return;
    }
    if (what == cluster::kind::still_here) return;
    const auto number = text.get<std::uint32_t>();
    if (number >= max_jobs) text.fail("job " + std::to_string(number));
    if (what == cluster::kind::forget) return cache_.forget(static_cast<int>(number));
    member* const mine = numbers_[number];
    if (mine == nullptr) return;
    if (what == cluster::kind::begun) cache_.want(static_cast<int>(number), mine->items);
    if (what == cluster::kind::drawn) mine->drawn = true;
    if (what == cluster::kind::ended) mine->ended = true;
    if (what != cluster::kind::begun && what != cluster::kind::drawn && what != cluster::kind::ended)
      text.fail("a message of an unknown kind");
  }
  void queue(std::uint32_t item, job_set takers, job_set waiting) {
    task_pointer what;
    if (const task_pointer* kept = cache_.serve(item, takers); kept != nullptr) {
      what = *kept;
    } else {
      what = std::make_shared<task>();
      what->item = item;
      what->version = versions_[item]++ * hosts_ + number_;  // no two hosts augment alike
      job_set here = 0;
      for (int job = 0; job < max_jobs; ++job)
        here |= numbers_[static_cast<std::size_t>(job)] != nullptr ? only(job) : 0;
      cache_.store(item, sample_bytes(), what, takers, waiting & here);
    }
    for_each_job(takers, [&](int job) {
      if (member* one = numbers_[static_cast<std::size_t>(job)]) one->queue.push_back(what);
    });
  }

  /// Prepares a sample, or waits for whoever does. @throws error if it cannot be prepared; the next call tries again
  void finish(const task_pointer& one, std::unique_lock<std::mutex>& lock) {
    if (one->at == state::waiting) prepare(one, lock);
    wake_.wait(lock, [&] { return one->at == state::done || one->at == state::failed; });
    if (one->at == state::done) return;
    const std::string reason = text_of(one->failure);
    one->at = state::waiting;
    throw error("a sample could not be prepared", "item " + std::to_string(one->item), reason,
                "a source and transforms that can serve it; the next call tries again");
  }
  void prepare(const task_pointer& one, std::unique_lock<std::mutex>& lock) {
    one->at = state::running;
    ++preparations_;
    lock.unlock();
    std::shared_ptr<sample> room;
    std::exception_ptr failure;
    try {
      std::int32_t label = -1;
      room = std::make_shared<sample>(pool_, feed_.sample.size());
      feed_.gather(feed_.source.get(), std::span(&one->item, 1), room->features(), feed_.labelled ? &label : nullptr,
                   feed_.target_size > 0 ? room->targets() : nullptr);
      room->set_label(label);
      if (feed_.apply != nullptr)
        feed_.apply(feed_.transform.get(), room->features(), feed_.sample, {seed_, one->version, one->item});
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    one->made = std::move(room);
    one->failure = failure;
    one->at = failure ? state::failed : state::done;
    wake_.notify_all();
  }
  /// The first sample that some job will need soon and nobody prepares.
  [[nodiscard]] task_pointer next_task() const {
    for (const auto& [name, one] : members_)
      for (std::size_t i = 0; i < (std::min)(one->ahead, one->queue.size()); ++i)
        if (one->queue[i]->at == state::waiting && !one->queue[i]->failure) return one->queue[i];
    return nullptr;
  }
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      task_pointer one;
      work_.wait(lock, [&] { return stopping_ || (one = next_task()) != nullptr; });
      if (stopping_) return;
      prepare(one, lock);
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    channel_.shut();
    for (std::thread& one : workers_) one.join();
    if (reader_.joinable()) reader_.join();
  }

  feed<Real> feed_;
  std::uint32_t number_, hosts_ = 1;
  std::uint64_t seed_ = 0;
  std::chrono::milliseconds lease_{0};
  std::shared_ptr<sample_pool> pool_;
  wire::channel channel_;
  std::mutex sending_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, work_;
  sample_cache<task_pointer> cache_;
  std::vector<std::uint32_t> versions_;
  std::map<std::uint64_t, member*> members_;
  std::array<member*, max_jobs> numbers_{};
  std::atomic<std::uint64_t> preparations_ = 0;
  bool lost_ = false, stopping_ = false;
  std::string reason_;
  std::thread reader_;
  std::vector<std::thread> workers_;
};

}  // namespace detail

template <std::floating_point Real>
class cluster_job;

/// A host of a cluster: prepares the samples whose home it is, each once for all jobs that want it here, and those that
/// it takes over. A handle, for any number of threads.
template <std::floating_point Real = float>
class cluster_host {
 public:
  using job = cluster_job<Real>;

  /// @param set    the same data on all hosts
  /// @param number of this host, from 0 on
  /// @param change applied to each sample, the same on all hosts
  /// @throws server_error if the leader cannot be reached, or refuses this host
  template <data::source<Real> Source, data::transform<Real> Transform = no_transform>
  cluster_host(Source set, const cluster_address& leader, int number, const host_options& options = {},
               Transform change = {})
      : core_(std::make_shared<detail::host_core<Real>>(detail::feed<Real>::of(std::move(set), std::move(change)),
                                                        leader, number, options)) {}

  /// Takes part in a job, which begins when all participants are there. The hosts of a job get its items together, each
  /// item once an epoch.
  /// @param name         of the job, the same on all its hosts
  /// @param participants hosts that take part
  /// @param batch        samples that this host will mostly take at once
  /// @param items        the job's subset; nothing: all
  [[nodiscard]] job join(std::uint64_t name, int participants, int batch,
                         std::optional<std::vector<std::uint32_t>> items = {}) const {
    if (participants < 1 || batch < 1 || batch > (1 << 24))
      throw error("a setting of a job is out of range", "data cluster",
                  std::to_string(participants) + " participants, batches of " + std::to_string(batch),
                  "1 or more of both");
    if (!items) items = items_where(core_->from().size, [](std::uint32_t) { return true; });
    return job(core_, core_->join(name, participants, batch, std::move(*items)));
  }
  /// Samples that this host has prepared.
  [[nodiscard]] std::uint64_t preparations() const { return core_->preparations(); }

 private:
  std::shared_ptr<detail::host_core<Real>> core_;
};

/// The part of one host in a job. For one thread at a time.
template <std::floating_point Real>
class cluster_job {
  using core = detail::host_core<Real>;

 public:
  cluster_job(cluster_job&&) noexcept = default;
  cluster_job& operator=(cluster_job&&) = delete;
  ~cluster_job() {
    if (member_) core_->leave(*member_);
  }

  /// The next samples of the epoch; fewer at its end, none when it has ended on all hosts. What was given out before is
  /// reported as done: if this host dies now, other hosts get these samples and what was waiting here.
  /// @throws error if a sample could not be prepared; server_error if the leader is gone
  std::span<const delivery<Real>> take(int count) {
    if (count < 1)
      throw error("a job asks for too few samples", "data cluster", std::to_string(count), "one sample or more");
    held_.clear();
    core_->take(*member_, static_cast<std::size_t>(count), held_);
    return held_;
  }
  /// Goes to the next epoch, which begins when all hosts of the job ask for it. @throws error before the end of the
  /// last
  void next_epoch() { core_->next_epoch(*member_); }

 private:
  friend class cluster_host<Real>;
  cluster_job(std::shared_ptr<core> of, std::unique_ptr<typename core::member> mine)
      : core_(std::move(of)), member_(std::move(mine)) {}

  std::shared_ptr<core> core_;
  std::unique_ptr<typename core::member> member_;
  std::vector<delivery<Real>> held_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
