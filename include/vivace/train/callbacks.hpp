#pragma once
#include <cmath>
#include <limits>
#include <string>

#include <vivace/io/csv_writer.hpp>
#include <vivace/train/callback.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Callback: writes the trace at the end: one row an epoch to `path`, and one row a batch to a second file, whose name
/// has "_batches" before the extension.
struct write_csv {
  std::string path;

  void on_end(const training_state& state) const { write(state.history(), path); }

  /// Writes a trace. @throws file_error if a file cannot be written
  static void write(const trace& history, const std::string& path) {
    io::csv_writer epochs(path, {"epoch", "train_loss", "val_loss", "val_accuracy", "rate", "seconds"});
    for (const epoch_record& one : history.epochs)
      epochs.row({one.epoch, one.train_loss, one.val_loss, one.val_accuracy, one.rate, one.seconds});
    io::csv_writer batches(beside(path), {"epoch", "batch", "size", "loss"});
    for (const batch_record& one : history.batches) batches.row({one.epoch, one.batch, one.size, one.loss});
  }
  /// Path of the second file: "trace.csv" gives "trace_batches.csv".
  static std::string beside(const std::string& path) {
    const std::size_t dot = path.rfind('.');
    const std::size_t slash = path.rfind('/');
    if (dot == std::string::npos || (slash != std::string::npos && dot < slash)) return path + "_batches";
    return path.substr(0, dot) + "_batches" + path.substr(dot);
  }
};

/// Callback: stops when the validation loss (without validation, the training loss) has not improved for `patience`
/// epochs by more than `least`.
struct early_stop {
  int patience = 3;
  double least = 0;

  void on_epoch(training_state& state) {
    const epoch_record& now = state.history().epochs.back();
    const double loss = std::isnan(now.val_loss) ? now.train_loss : now.val_loss;
    if (loss < best_ - least) {
      best_ = loss;
      waited_ = 0;
    } else if (++waited_ >= patience) {
      state.stop = true;
    }
  }
  double best_ = std::numeric_limits<double>::infinity();
  int waited_ = 0;
};

/// Callback: at the end, brings back the weights of the epoch with the lowest validation loss (without validation, the
/// lowest training loss).
struct best_weights {
  void on_epoch(training_state& state) {
    const epoch_record& now = state.history().epochs.back();
    const double loss = std::isnan(now.val_loss) ? now.train_loss : now.val_loss;
    if (loss >= best_) return;
    best_ = loss;
    state.keep_weights();
  }
  void on_end(training_state& state) const { state.restore_weights(); }
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace vivace::inline VIVACE_TARGET
