// Checkpoints: resuming bit for bit, and every way in which a file can be the wrong one.
// tests/python/checkpoint_check.py runs the case "checkpoint: write for Python" and reads its files.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include <sys/resource.h>

#include <vivace/io/npy.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/schedule.hpp>
#include <vivace/train/checkpoint.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"
#include "networks.hpp"

namespace vv = vivace;
using networks::labelled;
using networks::variables_of;

namespace {

template <class Net, class... Policies>
auto made(const Policies&... policies) {
  return vv::trainer<Net, vv::batch_size<16>, vv::seed, Policies...>{Net{}, vv::batch<16>, vv::seed{7}, policies...};
}

/// True if the text has all the parts; else shows it.
bool says(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    if (!files::contains(text, part)) {
      MESSAGE("'" << part << "' is not in: " << text);
      return false;
    }
  return true;
}

}  // namespace

TEST_CASE("checkpoint: a resumed training goes on bit for bit") {
  const files::temporary_folder folder;
  const auto set = labelled(70);  // a short last batch
  const auto held_out = labelled(20);
  const vv::cosine schedule{.epochs = 3, .warm_up = 0.5};
  auto straight = made<networks::mlp>(vv::adamw{}, schedule, vv::clip_norm{.norm = 0.5});
  const vv::trace expected = straight.fit(set, vv::epochs{3}, vv::validation{held_out});
  {
    auto first = made<networks::mlp>(vv::adamw{}, schedule, vv::clip_norm{.norm = 0.5});
    first.fit(set, vv::epochs{1}, vv::validation{held_out}, vv::checkpoint{folder / "net.safetensors"});
  }
  auto second = made<networks::mlp>(vv::adamw{}, schedule, vv::clip_norm{.norm = 0.5});
  vv::resume(second, folder / "net.safetensors");
  CHECK(second.history().size() == 1);
  const vv::trace resumed = second.fit(set, vv::epochs{3}, vv::validation{held_out});
  CHECK(networks::same(resumed, expected));
  CHECK(variables_of(second) == variables_of(straight));
  CHECK(expected.epochs.size() == 3);
  CHECK(expected.batches.size() == 15);

  auto again = made<networks::mlp>(vv::adamw{}, schedule, vv::clip_norm{.norm = 0.5});
  vv::save(second, folder / "end.safetensors");
  vv::resume(again, folder / "end.safetensors");
  CHECK(networks::same(again.history(), expected));
  CHECK(variables_of(again) == variables_of(straight));
  CHECK(networks::same(again.fit(set, vv::epochs{3}), expected));  // nothing is left to do
}

TEST_CASE("checkpoint: bf16 stores activations differently, and no checkpoint") {
  const files::temporary_folder folder;
  const std::string path = folder / "net.safetensors";
  const auto set = labelled(40);
  auto half = made<networks::mlp>(vv::bf16{});
  half.fit(set, vv::epochs{2}, vv::checkpoint{path});
  auto whole = made<networks::mlp>();
  vv::resume(whole, path);
  CHECK(variables_of(whole) == variables_of(half));
  whole.fit(set, vv::epochs{3}, vv::checkpoint{path});
  vv::resume(half, path);
  CHECK(networks::same(half.history(), whole.history()));
}

TEST_CASE("checkpoint: the wrong file is refused, and nothing is changed") {
  const files::temporary_folder folder;
  const std::string path = folder / "net.safetensors";
  auto source = made<networks::mlp>(vv::adamw{});
  source.fit(labelled(40), vv::epochs{1}, vv::checkpoint{path});

  const auto refusal = [](auto&& trainer, const std::string& file) {
    const auto before = variables_of(trainer);
    const std::string text = files::message_of<vv::file_error>([&] { vv::resume(trainer, file); });
    CHECK(variables_of(trainer) == before);
    CHECK(trainer.history().size() == 0);
    return text;
  };
  CHECK(says(refusal(made<networks::wide_mlp>(vv::adamw{}), path),
             {"another network or optimiser", "0.dense.weight of [12, 16]", "0.dense.weight of [12, 20]"}));
  CHECK(says(refusal(made<networks::plain_mlp>(vv::adamw{}), path),
             {"another network or optimiser", "parameters and states"}));
  CHECK(says(refusal(made<networks::mlp>(vv::sgd{}), path), {"another network or optimiser", "parameters and states"}));
  CHECK(says(refusal(made<networks::mlp>(vv::sgd_momentum{}), path), {"another network or optimiser", "velocity"}));
  CHECK(says(refusal(made<networks::mlp>(vv::adamw{}, vv::f64{}), path), {"another precision", "float32", "float64"}));
  vv::trainer other_seed{networks::mlp{}, vv::batch<16>, vv::adamw{}, vv::seed{8}};
  CHECK(says(refusal(other_seed, path), {"another seed", "seed 7", "seed 8", path.c_str()}));
  CHECK(says(refusal(made<networks::mlp>(vv::adamw{}), folder / "none"), {"cannot open", "none"}));

  const std::string whole = files::read(path);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    files::write(folder / "cut", whole.substr(0, length));
    CHECK(!refusal(made<networks::mlp>(vv::adamw{}), folder / "cut").empty());
  }
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string copy = whole;
    copy.replace(copy.find(from), from.size(), to);
    files::write(folder / "changed", copy);
    return refusal(made<networks::mlp>(vv::adamw{}), folder / "changed");
  };
  CHECK(says(changed("vivace checkpoint 1", "vivace checkpoint 9"), {"no checkpoint of this version"}));
  CHECK(says(changed("\"epoch\":\"1\"", "\"epoch\":\"x\""), {"no number under epoch"}));
  CHECK(says(changed("\"step\":\"3\"", "\"step\":\"-\""), {"no number under step"}));
  CHECK(says(changed("trace.epochs", "trace.epochz"), {"no such tensor", "trace.epochs"}));
}

TEST_CASE("checkpoint: weights alone go to a training of another optimiser and seed") {
  const files::temporary_folder folder;
  auto source = made<networks::mlp>(vv::adamw{});
  source.fit(labelled(40), vv::epochs{1});
  vv::save(source, folder / "net.safetensors");
  vv::trainer target{networks::mlp{}, vv::batch<8>, vv::sgd{}, vv::seed{8}};
  vv::load_weights(target, folder / "net.safetensors");
  CHECK(target.history().size() == 0);
  const auto set = labelled(20);
  CHECK(target.evaluate(set).accuracy == source.evaluate(set).accuracy);
  CHECK(target.evaluate(set).loss == doctest::Approx(source.evaluate(set).loss).epsilon(1e-6));
  vv::trainer wide{networks::wide_mlp{}, vv::batch<8>, vv::sgd{}, vv::seed{8}};
  CHECK_THROWS_AS(vv::load_weights(wide, folder / "net.safetensors"), const vv::file_error&);
}

TEST_CASE("checkpoint: when the callback writes") {
  const files::temporary_folder folder;
  const std::string path = folder / "net.safetensors";
  struct count_files {
    std::string path;
    std::vector<bool> there;
    void on_epoch(vv::training_state&) {
      there.push_back(!files::read(path).empty());
      std::remove(path.c_str());
    }
  };
  const auto set = labelled(20);
  count_files counted{path, {}};
  made<networks::mlp>().fit(set, vv::epochs{5}, vv::checkpoint{path, 2}, counted);
  CHECK(counted.there == std::vector<bool>{false, true, false, true, false});
  CHECK(vv::io::safetensors_file(path).info("trace.epochs").dimensions == vv::io::extents{5, 6});  // at the end
  std::remove(path.c_str());
  made<networks::mlp>().fit(set, vv::epochs{2}, vv::checkpoint{.path = path, .every = 0});
  CHECK(vv::io::safetensors_file(path).info("trace.epochs").dimensions == vv::io::extents{2, 6});
}

TEST_CASE("checkpoint: a full disk leaves the old file") {
  const files::temporary_folder folder;
  const std::string path = folder / "net.safetensors";
  auto trainer = made<networks::mlp>(vv::adamw{});
  vv::save(trainer, path);
  const std::string before = files::read(path);
  trainer.fit(labelled(20), vv::epochs{1});
  CHECK(says(files::message_of<vv::file_error>([&] { vv::save(trainer, "/dev/full"); }),
             {"cannot write", "/dev/full", "No space left"}));

  struct ::rlimit old {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct ::rlimit small_limit { 1000, old.rlim_max };
  ::setrlimit(RLIMIT_FSIZE, &small_limit);
  const std::string text =
      files::message_of<vv::file_error>([&] { trainer.fit(labelled(20), vv::epochs{2}, vv::checkpoint{path}); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(says(text, {"cannot write", path.c_str(), "File too large"}));
  CHECK(files::read(path) == before);
}

TEST_CASE("checkpoint: write for Python") {
  const char* const given = std::getenv("VIVACE_EXCHANGE_FOLDER");
  const files::temporary_folder own;
  const std::string folder = (given != nullptr ? std::string(given) : own.path()) + "/";
  auto trainer = made<networks::convolutional>(vv::adamw{});
  trainer.fit(labelled(20, {2, 8, 8}), vv::epochs{2}, vv::checkpoint{folder + "net.safetensors"});
  const auto& values = trainer.values();
  const auto write = [&](const std::string& name, const auto& entry) {
    vv::io::write_npy(folder + name + ".npy", std::span(entry.data, static_cast<std::size_t>(entry.dims.size())),
                      {entry.dims.extent, entry.dims.extent + entry.dims.rank});
  };
  for (int p = 0; p < values.parameter_count(); ++p) write(std::string(values.parameter(p).name), values.parameter(p));
  for (int s = 0; s < values.state_count(); ++s) write("state." + std::string(values.state(s).name), values.state(s));
}
