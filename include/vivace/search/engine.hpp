#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <vivace/core/parallel.hpp>
#include <vivace/search/log.hpp>
#include <vivace/search/strategy.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// What callbacks see of a search, and how they end it.
struct progress_of_search {
  const space_view& space;
  const std::vector<query_result>& results;  ///< in proposal order
  int queries = 0;                           ///< of the whole search, initial ones included
  int best = -1;                             ///< place of the best so far
  std::int64_t epochs = 0;                   ///< trained so far
  double seconds = 0;                        ///< since the search began or went on
  double seconds_left = 0;                   ///< at the pace so far
  bool stop = false;                         ///< set it to propose nothing more
};

/// A callback of searches: a type with `on_result(progress_of_search&)`, called after each result, in proposal order.
template <class Type>
concept search_callback = requires(Type& self, progress_of_search& state) {
  self.on_result(state);
};

/// The types of a search behind function pointers, so that the loop below is compiled once.
struct search_setup {
  space_view space;
  budget limit;
  std::uint64_t seed = 0;
  int in_flight = 1;
  std::vector<architecture> initial;
  std::string log;        ///< path; empty: none
  std::string signature;  ///< of the strategy
  int queries = 0;        ///< that the strategy makes of the budget
  parallel lanes;
  const void* strategy = nullptr;
  query (*propose)(const void*, const knowledge&) = nullptr;
  int (*needs)(const void*, int number, const budget&) = nullptr;
  const void* evaluator = nullptr;
  query_result (*evaluate)(const void*, const query&) = nullptr;  ///< may be called by several threads at once
  bool (*agrees)(const void*, const query_result&) = nullptr;     ///< the score of a log is that of its losses
  std::vector<std::pair<void*, void (*)(void*, progress_of_search&)>> callbacks;
};

/// The loop of every search: proposes, evaluates several candidates at once, takes results in proposal order. Which
/// results a proposal may know is a function of its number alone, so threads change nothing but time.
class search_loop {
 public:
  explicit search_loop(search_setup setup)
      : setup_(std::move(setup)),
        total_(static_cast<int>(setup_.initial.size()) + setup_.queries),
        waiting_(static_cast<std::size_t>(total_)),
        start_(clock::now()) {
    for (const architecture& one : setup_.initial) check(setup_.space.choices, one);
    results_.reserve(static_cast<std::size_t>(total_));
  }

  /// @throws whatever evaluating a candidate threw; results entered before are in the log
  result operator()() {
    open_log();
    // As many tasks as candidates in flight: the number is a setting, never that of threads.
    setup_.lanes(setup_.in_flight, [&](std::int64_t) { work(); });
    write_log_file();
    result found{.best = {}, .score = std::numeric_limits<double>::infinity(), .history = {}, .epochs = epochs_};
    if (const int best = best_of(results_); best >= 0) {
      found.best = results_[static_cast<std::size_t>(best)].of;
      found.score = results_[static_cast<std::size_t>(best)].score;
    }
    found.history = std::move(results_);
    return found;
  }

 private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] query proposal(int number) const {
    if (number < static_cast<int>(setup_.initial.size()))
      return {number, setup_.initial[static_cast<std::size_t>(number)], setup_.limit.epochs};
    const int needed = needs(number);
    query made = setup_.propose(setup_.strategy, {.choices = setup_.space.choices,
                                                  .known = {results_.data(), static_cast<std::size_t>(needed)},
                                                  .number = number,
                                                  .initial = static_cast<int>(setup_.initial.size()),
                                                  .seed = setup_.seed,
                                                  .limit = setup_.limit});
    made.number = number;
    check(setup_.space.choices, made.of);
    return made;
  }
  /// Results that must be there before a proposal.
  [[nodiscard]] int needs(int number) const {
    const int given = static_cast<int>(setup_.initial.size());
    return number < given ? 0 : (std::min)(number, given + setup_.needs(setup_.strategy, number - given, setup_.limit));
  }

  void work() {
    std::unique_lock lock(mutex_);
    try {
      for (;;) {
        turn_.wait(lock, [&] { return ended() || static_cast<int>(results_.size()) >= needs(next_); });
        if (ended()) return;
        const query asked = proposal(next_++);
        lock.unlock();
        query_result answer = setup_.evaluate(setup_.evaluator, asked);
        lock.lock();
        waiting_[static_cast<std::size_t>(asked.number)] = std::make_unique<query_result>(std::move(answer));
        enter_waiting();
        turn_.notify_all();
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      stop_ = true;
      turn_.notify_all();
      write_log_file();
      throw;
    }
  }
  [[nodiscard]] bool ended() const { return stop_ || next_ >= total_; }

  /// Takes what has come, in proposal order.
  void enter_waiting() {
    while (results_.size() < waiting_.size() && waiting_[results_.size()]) {
      enter(std::move(*waiting_[results_.size()]));
      waiting_[results_.size() - 1].reset();
      notify();
    }
    if (clock::now() - last_write_ > std::chrono::seconds(1)) write_log_file();
  }
  void enter(query_result one) {
    if (std::isnan(one.score)) one.score = std::numeric_limits<double>::infinity();
    epochs_ += one.epochs;
    if (log_) log_->add(one);
    results_.push_back(std::move(one));
  }
  void notify() {
    if (setup_.callbacks.empty()) return;
    const double spent = std::chrono::duration<double>(clock::now() - start_).count();
    const auto done = static_cast<double>(static_cast<int>(results_.size()) - resumed_);
    progress_of_search state{.space = setup_.space,
                             .results = results_,
                             .queries = total_,
                             .best = best_of(results_),
                             .epochs = epochs_,
                             .seconds = spent,
                             .seconds_left = spent / done * (total_ - static_cast<double>(results_.size()))};
    for (const auto& [self, call] : setup_.callbacks) call(self, state);
    stop_ = stop_ || state.stop;
  }

  /// Goes through an earlier search again, taking its results from the log.
  void open_log() {
    if (setup_.log.empty()) return;
    log_ = std::make_unique<detail::log_file>(setup_.log, setup_.space, signature());
    for (query_result& one : log_->read()) {
      if (static_cast<int>(results_.size()) == total_) break;  // it was longer
      const query expected = proposal(next_++);
      if (!(expected.of == one.of) || expected.epochs != one.epochs || !setup_.agrees(setup_.evaluator, one))
        throw file_error("the log is of another search", setup_.log,
                         "result " + std::to_string(results_.size()) + ": " + setup_.space.text(one.of) + ", score " +
                             std::to_string(one.score),
                         setup_.space.text(expected.of) + ", scored by the same estimator; or another path");
      enter(std::move(one));
    }
    resumed_ = static_cast<int>(results_.size());
  }
  void write_log_file() {
    if (!log_) return;
    log_->write();
    last_write_ = clock::now();
  }
  [[nodiscard]] std::uint64_t signature() const {
    std::uint64_t number = 0xCBF29CE484222325;
    const auto add = [&](std::string_view text) {
      for (const char letter : text) number = (number ^ static_cast<unsigned char>(letter)) * 0x100000001B3;
      number = (number ^ 0xFF) * 0x100000001B3;
    };
    for (const choice& one : setup_.space.choices) {
      add(one.name);
      for (int i = 0; i < one.options; ++i) add(one.text(i));
    }
    for (const architecture& one : setup_.initial) add(setup_.space.text(one));
    add(setup_.signature);
    add(std::to_string(setup_.seed) + ' ' + std::to_string(setup_.limit.epochs) + ' ' +
        std::to_string(setup_.in_flight));
    return number;
  }

  search_setup setup_;
  int total_;
  std::vector<query_result> results_;                   // in proposal order, without gaps
  std::vector<std::unique_ptr<query_result>> waiting_;  // came before an earlier one
  std::unique_ptr<detail::log_file> log_;
  clock::time_point start_, last_write_ = clock::now();
  std::int64_t epochs_ = 0;
  int next_ = 0, resumed_ = 0;
  bool stop_ = false;
  std::mutex mutex_;
  std::condition_variable turn_;
};

}  // namespace vivace::inline VIVACE_TARGET::search
