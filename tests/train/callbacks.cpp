// Callbacks: when they are called, and what those that come with the library do.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <vivace/optim/adam.hpp>
#include <vivace/train/callbacks.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"
#include "networks.hpp"

namespace vv = vivace;
using networks::labelled;
using networks::variables_of;

namespace {

/// Writes down what is called.
struct recorder {
  std::string name;
  std::string* log;
  void on_begin(vv::training_state&) { *log += name + "begin "; }
  void on_batch(vv::training_state& state) {
    *log += name + std::to_string(state.batch) + "/" + std::to_string(state.batches) + " ";
  }
  void on_epoch(vv::training_state& state) { *log += name + "epoch" + std::to_string(state.epoch) + " "; }
  void on_end(vv::training_state&) { *log += name + "end "; }
};

/// Gives the validation losses of a script to the callbacks behind it.
struct script {
  std::vector<double> losses;
  void on_epoch(vv::training_state& state) {
    auto& record = const_cast<vv::epoch_record&>(state.history().epochs.back());
    record.val_loss = losses[static_cast<std::size_t>(state.epoch)];
  }
};

/// Keeps the variables after each epoch.
template <class Trainer>
struct keep_all {
  Trainer* trainer;
  std::vector<std::vector<float>> kept;
  void on_epoch(vv::training_state&) { kept.push_back(variables_of(*trainer)); }
};

int epochs_done(const std::vector<double>& losses, vv::early_stop stop) {
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  return static_cast<int>(
      trainer.fit(labelled(16), vv::epochs{static_cast<int>(losses.size())}, script{losses}, stop).size());
}

}  // namespace

TEST_CASE("callbacks: called in the order given, at each event") {
  std::string log;
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  trainer.fit(labelled(20), recorder{"a", &log}, vv::epochs{2}, recorder{"b", &log});
  CHECK(log == "abegin bbegin a1/2 b1/2 a2/2 b2/2 aepoch0 bepoch0 a1/2 b1/2 a2/2 b2/2 aepoch1 bepoch1 aend bend ");
}

TEST_CASE("callbacks: what they see") {
  struct look {
    std::vector<double> losses;
    std::vector<std::int64_t> samples;
    void on_batch(const vv::training_state& state) {
      losses.push_back(state.mean_loss);
      samples.push_back(state.samples);
      CHECK(state.epochs == 1);
      CHECK(state.seconds >= 0);
      CHECK(static_cast<int>(state.history().batches.size()) == state.batch);
    }
  } seen;
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  const vv::trace trace = trainer.fit(labelled(40), vv::epochs{1}, seen);
  CHECK(seen.samples == std::vector<std::int64_t>{16, 32, 40});
  CHECK(seen.losses.back() == trace.epochs[0].train_loss);
  const auto& batches = trace.batches;
  CHECK(trace.epochs[0].train_loss ==
        doctest::Approx((16 * batches[0].loss + 16 * batches[1].loss + 8 * batches[2].loss) / 40).epsilon(1e-12));
}

TEST_CASE("early_stop: waits as long as it is told") {
  CHECK(epochs_done({5, 4, 3, 2, 1, 0}, {.patience = 1}) == 6);
  CHECK(epochs_done({5, 4, 4, 4, 1, 0}, {.patience = 2}) == 4);
  CHECK(epochs_done({5, 4, 6, 3, 6, 6}, {.patience = 2}) == 6);
  CHECK(epochs_done({5, 4.9, 4.8, 4.7, 1, 0}, {.patience = 3, .least = 0.5}) == 4);
  const double none = std::numeric_limits<double>::quiet_NaN();  // then the training loss counts
  CHECK(epochs_done({none, none, none}, {.patience = 1, .least = 100}) == 2);
}

TEST_CASE("best_weights: brings back the best epoch's weights and states") {
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::adam{}, vv::seed{5}};
  keep_all<decltype(trainer)> all{&trainer, {}};
  trainer.fit(labelled(40), vv::epochs{4}, script{{3, 1, 2, 5}}, all, vv::best_weights{});
  REQUIRE(all.kept.size() == 4);
  CHECK(variables_of(trainer) == all.kept[1]);
  CHECK(variables_of(trainer) != all.kept[3]);
}

TEST_CASE("write_csv: one row an epoch, one row a batch") {
  const files::temporary_folder folder;
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  const vv::trace trace =
      trainer.fit(labelled(20), vv::epochs{2}, vv::validation{labelled(10)}, vv::write_csv{folder / "trace.csv"});
  const std::string epochs = files::read(folder / "trace.csv");
  const std::string batches = files::read(folder / "trace_batches.csv");
  CHECK(epochs.starts_with("epoch,train_loss,val_loss,val_accuracy,rate,seconds\n0,"));
  CHECK(batches.starts_with("epoch,batch,size,loss\n0,0,16,"));
  CHECK(std::count(epochs.begin(), epochs.end(), '\n') == 3);
  CHECK(std::count(batches.begin(), batches.end(), '\n') == 5);
  const auto field = [](const std::string& text, int line, int column) {
    std::size_t at = 0;
    for (int i = 0; i < line; ++i) at = text.find('\n', at) + 1;
    for (int i = 0; i < column; ++i) at = text.find(',', at) + 1;
    return std::stod(text.substr(at));
  };
  CHECK(field(epochs, 2, 1) == trace.epochs[1].train_loss);  // every digit
  CHECK(field(epochs, 2, 2) == trace.epochs[1].val_loss);
  CHECK(field(epochs, 2, 3) == trace.epochs[1].val_accuracy);
  CHECK(field(batches, 4, 2) == 4);
  CHECK(field(batches, 4, 3) == trace.batches[3].loss);
  CHECK(files::contains(
      files::message_of<vv::file_error>([&] { trainer.fit(labelled(20), vv::write_csv{folder / "none/trace.csv"}); }),
      "none/trace.csv"));
  CHECK(vv::write_csv::beside("a.b/trace") == "a.b/trace_batches");
  CHECK(vv::write_csv::beside("a.b/trace.csv") == "a.b/trace_batches.csv");
}

TEST_CASE("callbacks: what one throws ends the training") {
  struct failing {
    void on_epoch(vv::training_state&) { throw vv::error("enough"); }
  };
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{5}};
  CHECK(files::message_of<vv::error>([&] { trainer.fit(labelled(20), vv::epochs{5}, failing{}); }) == "enough");
  CHECK(trainer.history().size() == 1);
}
