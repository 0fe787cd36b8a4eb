#pragma once
#include <cmath>
#include <string>
#include <utility>

#include <vivace/io/tensorboard.hpp>
#include <vivace/train/callback.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Callback: writes loss/train, loss/validation and accuracy/validation after each epoch for TensorBoard. The step is
/// the number of epochs done. Each training makes a file of its own in the folder; a resumed one goes on with the
/// curves.
class write_tensorboard {
 public:
  /// @param folder made if it is missing
  explicit write_tensorboard(std::string folder) : folder_(std::move(folder)) {}

  /// @throws file_error if the folder or the file cannot be made
  void on_begin(const training_state&) { events_ = io::event_writer(folder_); }
  /// @throws file_error if the disk is full
  void on_epoch(const training_state& state) {
    const epoch_record& now = state.history().epochs.back();
    write("loss/train", now.epoch, now.train_loss);
    write("loss/validation", now.epoch, now.val_loss);
    write("accuracy/validation", now.epoch, now.val_accuracy);
  }
  void on_end(const training_state&) { events_ = io::event_writer(); }

 private:
  void write(const char* tag, int epoch, double value) {
    if (!std::isnan(value)) events_.scalar(tag, epoch + 1, value);
  }

  std::string folder_;
  io::event_writer events_;
};

}  // namespace vivace::inline VIVACE_TARGET
