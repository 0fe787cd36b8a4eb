#pragma once
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include <vivace/train/callback.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Callback: a line an epoch on the standard error, and on a terminal a bar that moves while the epoch runs: loss,
/// samples a second, time left.
class progress {
 public:
  static constexpr bool only_looks = true;
  void on_begin(training_state&) {
    terminal_ = ::isatty(::fileno(stderr)) == 1;
    last_ = clock::now();
  }
  void on_batch(training_state& state) {
    if (!terminal_ || clock::now() - last_ < std::chrono::milliseconds(100)) return;
    last_ = clock::now();
    print(state, '\r');
  }
  void on_epoch(training_state& state) { print(state, '\n'); }

 private:
  using clock = std::chrono::steady_clock;

  void print(const training_state& state, char end) const {
    constexpr int width = 24;
    const double share = state.batches > 0 ? static_cast<double>(state.batch) / state.batches : 1;
    char bar[width + 1];
    for (int i = 0; i < width; ++i) bar[i] = i < share * width ? '#' : '.';
    bar[width] = '\0';
    const double left = share > 0 ? state.seconds / share * (state.epochs - state.epoch - share) : 0;
    std::fprintf(stderr, "%sepoch %d/%d [%s] loss %.4f  %.0f samples/s  %s", terminal_ ? "\r" : "", state.epoch + 1,
                 state.epochs, bar, state.mean_loss,
                 state.seconds > 0 ? static_cast<double>(state.samples) / state.seconds : 0.0, text(left).digits);
    const auto& epochs = state.history().epochs;
    if (end == '\n' && !epochs.empty() && std::isfinite(epochs.back().val_loss))
      std::fprintf(stderr, "  validation loss %.4f, accuracy %.2f %%", epochs.back().val_loss,
                   100 * epochs.back().val_accuracy);
    std::fputs(terminal_ ? "\x1b[K" : "", stderr);
    if (end == '\n') std::fputc('\n', stderr);
    std::fflush(stderr);
  }

  struct duration_text {
    char digits[32];
  };
  static duration_text text(double seconds) {
    duration_text result;
    const int whole = static_cast<int>(std::lround(seconds));
    std::snprintf(result.digits, sizeof result.digits, "%d:%02d left", whole / 60, whole % 60);
    return result;
  }

  bool terminal_ = false;
  clock::time_point last_;
};

}  // namespace vivace::inline VIVACE_TARGET
