#pragma once
/// @file
/// What a hub and its jobs share: the sampler, the cache, the threads that prepare.
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/hub/feed.hpp>
#include <vivace/data/hub/settings.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/sample_pool.hpp>
#include <vivace/data/sharing/flight.hpp>
#include <vivace/data/sharing/group.hpp>
#include <vivace/data/sharing/jobs.hpp>
#include <vivace/data/sharing/model.hpp>

namespace vivace::inline VIVACE_TARGET::data {

namespace detail {

/// What a hub and its jobs share. All that is decided is decided under one lock, in the order of rounds; samples are
/// prepared outside of it.
template <std::floating_point Real, joint_sampler Model>
class hub_core {
 public:
  using sample = prepared_sample<Real>;
  using order = share_order<sample>;

  /// A job, as the hub knows it.
  struct member {
    job_options options;
    int number = -1;  ///< in the group; -1: the hub has not started
    std::uint64_t size = 0;
    std::size_t buffer = 0, wanted = 0, low = 0, batch = 1;
    std::deque<order> queue;  ///< drawn, not delivered
    std::condition_variable wake;
    bool waits = false, failed = false, closed = false;
  };

  hub_core(hub_feed<Real> from, const hub_options& options, std::shared_ptr<void> executor, parallel lanes)
      : feed_(std::move(from)),
        options_(checked(options)),
        pool_(std::make_shared<sample_pool>(sample_bytes(), options.memory)),
        group_(items_of(feed_), sharing()),
        executor_(std::move(executor)),
        lanes_(lanes) {
    int count = 1;
    if (!executor_) {
      count = options_.workers;
      if (count < 0) count = (std::max)(1, static_cast<int>(std::thread::hardware_concurrency()));
    }
    try {
      for (int i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  hub_core(const hub_core&) = delete;
  hub_core& operator=(const hub_core&) = delete;
  ~hub_core() { stop(); }

  [[nodiscard]] const hub_feed<Real>& feed() const { return feed_; }
  [[nodiscard]] const hub_options& options() const { return options_; }

  /// Adds a job. @throws error if its subset is not one, or there are too many jobs
  std::unique_ptr<member> join(const job_options& options) {
    if (options.epochs < 0)
      throw error("the number of epochs is negative", "shared loading", std::to_string(options.epochs),
                  "0, or how many epochs the job will take");
    auto made = std::make_unique<member>();
    made->options = options;
    made->buffer = options_.buffer > 0
                       ? static_cast<std::size_t>(options_.buffer)
                       : (std::clamp)((std::size_t{64} << 20) / sample_bytes(), std::size_t{1}, std::size_t{1024});
    if (!options.items) made->options.items = items_where(feed_.shared.size, [](std::uint32_t) { return true; });
    made->size = made->options.items->size();
    const std::lock_guard lock(mutex_);
    made->number = group_.open(*made->options.items);
    if (started_) {
      begin(*made);
    } else {
      // The subset is a good one; the number is given when all are there, so that it does not depend on who came first.
      group_.close(made->number);
      made->number = -1;
      starting_.insert(std::upper_bound(starting_.begin(), starting_.end(), options.place,
                                        [](int place, const member* other) { return place < other->options.place; }),
                       made.get());
      if (static_cast<int>(starting_.size()) >= options_.start_with) start();
    }
    ++jobs_;
    return made;
  }

  /// Removes a job; nobody waits for it any more.
  void leave(member& mine) {
    std::deque<order> dropped;  // samples are freed without the lock
    const std::lock_guard lock(mutex_);
    dropped.swap(mine.queue);
    --jobs_;
    std::erase(starting_, &mine);
    if (mine.number < 0) return;
    group_.close(mine.number);
    members_[static_cast<std::size_t>(mine.number)] = nullptr;
    mine.number = -1;
    draw();
  }

  /// Ends the waiting of a job, from any thread.
  void close(member& mine) {
    const std::lock_guard lock(mutex_);
    mine.closed = true;
    mine.wake.notify_all();
  }

  /// Moves the next `count` samples of a job, which belong to one epoch, to the end of a list.
  void take(member& mine, std::size_t count, std::vector<delivery<Real>>& to) {
    std::unique_lock lock(mutex_);
    if (mine.failed) retry(mine);
    want(mine, count);
    (void)await(mine, lock, (std::chrono::steady_clock::time_point::max)());
    deliver(mine, lock, to);
  }

  /// Waits until take() would return at once, but no longer than until a moment (and the end of what it prepares then).
  bool wait_until(member& mine, std::size_t count, std::chrono::steady_clock::time_point moment) {
    std::unique_lock lock(mutex_);
    if (mine.failed) return true;
    want(mine, count);
    return await(mine, lock, moment);
  }

  [[nodiscard]] hub_statistics statistics() const {
    const std::lock_guard lock(mutex_);
    return {group_.preparations(), group_.deliveries(), failures_, group_.cache().bytes(), pool_->used(), jobs_};
  }

 private:
  static constexpr double worthwhile = 100e-6;  // seconds of work that a thread is woken for

  /// A sample that is to be prepared.
  struct task {
    order what;
    std::shared_ptr<sample> room;
    std::exception_ptr failure;
  };
  struct second_try {
    std::shared_ptr<flight<sample>> failed, again;
  };

  static const hub_options& checked(const hub_options& options) {
    const auto check = [](std::int64_t value, std::int64_t least, std::int64_t most, const char* what) {
      if (value < least || value > most)
        throw error(std::string("the ") + what + " of a hub is out of range", "shared loading", std::to_string(value),
                    "a number from " + std::to_string(least) + " to " + std::to_string(most));
    };
    check(options.buffer, 0, 1 << 24, "buffer");
    check(options.window, 1, 1 << 24, "window");
    check(options.workers, -1, 1024, "number of workers");
    check(options.start_with, 0, max_jobs, "number of jobs to start with");
    return options;
  }
  static std::uint32_t items_of(const hub_feed<Real>& from) {
    if (from.shared.size < 1)
      throw error("the data set is empty", "shared loading", "no samples", "at least one sample");
    return static_cast<std::uint32_t>((std::min)(from.shared.size, std::int64_t{max_items} + 1));
  }
  [[nodiscard]] std::size_t sample_bytes() const {
    return static_cast<std::size_t>(feed_.shared.sample.size() + feed_.shared.target_size) * sizeof(Real);
  }
  [[nodiscard]] share_options sharing() const {
    share_options made;
    made.rounds = {options_.seed, options_.mode, options_.max_lead};
    // Items in preparation are found again: a round begins with fewer than the window, and adds one a job.
    made.cache = {options_.cache_bytes, options_.policy, options_.repeat || feed_.shared.apply == nullptr,
                  static_cast<std::uint32_t>(options_.window + max_jobs)};
    if (feed_.copies) made.cache.capacity = made.cache.window = 0;
    made.sample_bytes = sample_bytes();
    made.substitute = options_.substitute;
    return made;
  }

  void begin(member& mine) {
    members_[static_cast<std::size_t>(mine.number)] = &mine;
    group_.begin_epoch(mine.number);
  }
  void start() {
    started_ = true;
    for (member* one : starting_) {
      one->number = group_.open(*one->options.items);
      begin(*one);
    }
    starting_.clear();
    if (options_.start_with > 1) draw();  // others may wait already
  }

  void want(member& mine, std::size_t count) {
    mine.wanted = count;
    mine.batch = count;
    mine.low = slow(count) ? 2 * count : count;
    mine.buffer = (std::max)(mine.buffer, 4 * count);
    draw();
  }
  /// Whether a batch is worth to be drawn ahead. What is quickly prepared is not: it would only drive other things out
  /// of the processor's cache.
  [[nodiscard]] bool slow(std::size_t count) const { return static_cast<double>(count) * cost_ >= worthwhile; }
  /// Waits for what a job wants. As long as something is to be prepared, the job does that.
  bool await(member& mine, std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point moment) {
    const bool forever = moment == (std::chrono::steady_clock::time_point::max)();
    while (!ready(mine)) {
      if (!forever && std::chrono::steady_clock::now() >= moment) return false;
      if (!pending_.empty()) {
        prepare_some(lock, portion(1));
        continue;
      }
      const auto go = [&] { return ready(mine) || !pending_.empty(); };
      mine.waits = true;
      if (forever)
        mine.wake.wait(lock, go);
      else
        mine.wake.wait_until(lock, moment, go);
      mine.waits = false;
    }
    return true;
  }
  /// Whether the samples that a job wants are there, or cannot come.
  [[nodiscard]] static bool ready(const member& mine) {
    if (mine.closed) return true;
    if (mine.queue.size() < mine.wanted) return false;
    for (std::size_t i = mine.wanted; i-- > 0;)  // the last one is mostly the one that is missing
      if (!mine.queue[i].sample->done()) return false;
    return true;
  }

  void deliver(member& mine, std::unique_lock<std::mutex>& lock, std::vector<delivery<Real>>& to) {
    if (mine.closed)
      throw error("the job was closed while it waited for samples", "shared loading", "a call of close()",
                  "no further samples to be taken");
    for (std::size_t i = 0; i < mine.wanted; ++i) {
      if (!mine.queue[i].sample->failed()) continue;
      mine.failed = true;
      const order wrong = mine.queue[i];
      lock.unlock();
      fail(wrong);
    }
    for (; mine.wanted > 0; --mine.wanted) {
      const order& next = mine.queue.front();
      to.push_back({next.item, next.version, next.sample->wait()});
      mine.queue.pop_front();
    }
    if (!slow(mine.batch)) mine.low = 0;
    draw();
  }
  [[noreturn]] static void fail(const order& wrong) {
    std::exception_ptr reason;
    try {
      (void)wrong.sample->wait();
    } catch (...) {
      reason = std::current_exception();
    }
    throw error("a sample could not be prepared", "item " + std::to_string(wrong.item), text_of(reason),
                "a source and transforms that can serve it; the next call tries again");
  }

  /// Draws while some job has less than two batches. All jobs that have room take part, as only those that draw
  /// together share; the others hold nobody up.
  void draw() {
    const std::size_t before = pending_.size();
    while (started_ && outstanding_ < options_.window) {
      job_set room = 0;
      bool low = false;
      for_each_job(group_.rounds().active(), [&](int job) {
        const member& one = *members_[static_cast<std::size_t>(job)];
        room |= one.queue.size() < one.buffer ? only(job) : 0;
        low = low || one.queue.size() < one.low;
      });
      if (!low) break;
      line_up(room);
      const auto orders = group_.round(room);
      if (orders.empty()) break;
      for (order& one : orders) give(one);
      for_each_job(room & ~group_.rounds().active(), [&](int job) {
        const int epochs = members_[static_cast<std::size_t>(job)]->options.epochs;
        if (epochs == 0 || group_.rounds().epochs(job) < epochs) group_.begin_epoch(job);
      });
    }
    wake(pending_.size() - (std::min)(before, pending_.size()));
  }
  /// A batch of a job is to lie in a row: it can be given out without a copy. One job decides, for all that follow.
  void line_up(job_set room) {
    if (room == 0) return;
    const int job = std::countr_zero(room);
    const member& one = *members_[static_cast<std::size_t>(job)];
    if ((one.size - group_.rounds().remaining(job)) % one.batch == 0) pool_->line_up(one.batch);
  }
  void give(order& one) {
    if (one.prepare) add_task(one);
    const job_set others = one.takers & (one.takers - 1);
    for_each_job(others, [&](int job) { members_[static_cast<std::size_t>(job)]->queue.push_back(one); });
    members_[static_cast<std::size_t>(std::countr_zero(one.takers))]->queue.push_back(std::move(one));
  }
  void add_task(const order& what) {
    try {
      pending_.push_back({what, std::make_shared<sample>(pool_, feed_.shared.sample.size()), nullptr});
      ++outstanding_;
    } catch (...) {
      group_.drop(what);
      what.sample->fail(std::current_exception());
      ++failures_;
    }
  }

  /// Wakes as many workers as there is work for, and the jobs that can go on. Work that is not worth the waking of
  /// a thread is left to the jobs.
  void wake(std::size_t added) {
    const bool threaded = !workers_.empty() && static_cast<double>(pending_.size()) * cost_ >= worthwhile;
    for (int i = 0; threaded && i < (std::min)(static_cast<int>(added), idle_); ++i) work_.notify_one();
    const auto call = [&](member* one) {
      if (one != nullptr && one->waits && (ready(*one) || (!threaded && !pending_.empty()))) one->wake.notify_one();
    };
    for_each_job(group_.rounds().open_jobs(), [&](int job) { call(members_[static_cast<std::size_t>(job)]); });
  }

  /// Failed samples of a job get another try, all jobs together one.
  void retry(member& mine) {
    mine.failed = false;
    std::erase_if(retries_, [](const second_try& one) { return one.failed.use_count() == 1; });
    for (order& one : mine.queue)
      while (one.sample->failed()) {
        const auto found = std::find_if(retries_.begin(), retries_.end(),
                                        [&](const second_try& other) { return other.failed == one.sample; });
        if (found != retries_.end()) {
          one.sample = found->again;
          continue;
        }
        retries_.push_back({one.sample, std::make_shared<flight<sample>>()});
        one.sample = retries_.back().again;
        add_task(one);
        break;
      }
    wake(pending_.size());
  }

  /// How many samples a thread takes at once: few, so that others have some, and none waits for long.
  [[nodiscard]] std::size_t portion(std::size_t threads) const {
    const double quick = 20e-6 / (std::max)(cost_, 1e-7);
    return (std::clamp)((std::min)(static_cast<std::size_t>(quick), pending_.size() / threads), std::size_t{1},
                        std::size_t{64});
  }
  /// Prepares up to `most` samples, without the lock.
  void prepare_some(std::unique_lock<std::mutex>& lock, std::size_t most) {
    std::vector<task> mine;
    for (; mine.size() < most && !pending_.empty(); pending_.pop_front()) {
      if (pending_.front().what.sample.use_count() > 1)
        mine.push_back(std::move(pending_.front()));
      else
        --outstanding_;  // those who wanted it have left
    }
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    if (lanes_.threads() > 1 && mine.size() > 1)
      lanes_(static_cast<std::int64_t>(mine.size()),
             [&](std::int64_t index) { prepare(mine[static_cast<std::size_t>(index)]); });
    else
      for (task& one : mine) prepare(one);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    lock.lock();
    if (!mine.empty()) cost_ += 0.125 * (time.count() / static_cast<double>(mine.size()) - cost_);
    outstanding_ -= static_cast<int>(mine.size());
    for (task& one : mine) {
      if (!one.failure) continue;
      ++failures_;
      group_.drop(one.what);
      one.what.sample->fail(one.failure);
    }
    draw();
  }
  void prepare(task& one) const {
    const auto& from = feed_.shared;
    const std::uint32_t item = one.what.item;
    std::int32_t label = -1;
    try {
      sample& to = *one.room;
      from.gather(from.source.get(), std::span(&item, 1), to.features(), from.labelled ? &label : nullptr,
                  from.target_size > 0 ? to.targets() : nullptr);
      to.set_label(label);
      if (from.apply != nullptr)
        from.apply(from.transform.get(), to.features(), from.sample, {options_.seed, one.what.version, item});
      one.what.sample->complete(std::move(one.room));
    } catch (...) {
      one.failure = std::current_exception();
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      work_.wait(lock, [&] { return stopping_ || !pending_.empty(); });
      --idle_;
      if (stopping_) return;
      const std::size_t threads = workers_.size() * static_cast<std::size_t>(lanes_.threads());
      prepare_some(lock, executor_ ? 4 * threads : portion(2 * threads));
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& one : workers_) one.join();
  }

  hub_feed<Real> feed_;
  hub_options options_;
  std::shared_ptr<sample_pool> pool_;

  mutable std::mutex mutex_;  // guards all that follows, less what the constructor sets
  std::condition_variable work_;
  share_group<sample, Model> group_;
  std::array<member*, max_jobs> members_{};
  std::vector<member*> starting_;
  std::deque<task> pending_;
  std::vector<second_try> retries_;
  std::uint64_t failures_ = 0;
  double cost_ = worthwhile;  // seconds a sample, lately
  int outstanding_ = 0, idle_ = 0, jobs_ = 0;
  bool started_ = false, stopping_ = false;
  std::shared_ptr<void> executor_;
  parallel lanes_;
  std::vector<std::thread> workers_;
};

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::data
