#pragma once
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include <vivace/search/engine.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Callback: a table on a stream, the standard error unless another is given: queries done, epochs spent, best score so
/// far and its architecture, time left. A new line for each new best and at the end; on a terminal, the last line
/// moves.
class live_table {
 public:
  explicit live_table(std::FILE* to = stderr) : to_(to) {}

  void on_result(progress_of_search& state) {
    const bool first = !begun_;
    if (first) {
      terminal_ = ::isatty(::fileno(to_)) == 1;
      std::fprintf(to_, "  queries   epochs       best  time left  architecture\n");
      begun_ = true;
    }
    const bool better = first || state.best != shown_;
    const bool last = static_cast<int>(state.results.size()) == state.queries;
    const auto now = std::chrono::steady_clock::now();
    if (!better && !last && (!terminal_ || now - written_ < std::chrono::milliseconds(100))) return;
    written_ = now;
    shown_ = state.best;
    const query_result& best = state.results[static_cast<std::size_t>(state.best)];
    const auto left = static_cast<long long>(std::llround(state.seconds_left));
    std::fprintf(to_, "%s%4zu/%-4d %8lld %10.5g %5lld:%02lld  %s%s%s", terminal_ ? "\r" : "", state.results.size(),
                 state.queries, static_cast<long long>(state.epochs), best.score, left / 60, left % 60,
                 state.space.text(best.of).c_str(), terminal_ ? "\x1b[K" : "",
                 terminal_ && !better && !last ? "" : "\n");
    std::fflush(to_);
  }

 private:
  std::FILE* to_;
  bool begun_ = false, terminal_ = false;
  int shown_ = -1;
  std::chrono::steady_clock::time_point written_;
};

}  // namespace vivace::inline VIVACE_TARGET::search
