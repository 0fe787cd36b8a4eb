#pragma once
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <vivace/io/safetensors.hpp>
#include <vivace/train/engine.hpp>

/// @file
/// Checkpoints: safetensors files with parameters, states (running statistics, optimiser moments), the place in the
/// training and its trace. A resumed training goes on bit for bit.

namespace vivace::inline VIVACE_TARGET {

/// The text that marks a file as a checkpoint, with its version.
inline constexpr std::string_view checkpoint_format = "vivace checkpoint 1";

namespace detail {

inline io::extents extents_of(const shape& dims) { return io::extents(dims.extent, dims.extent + dims.rank); }

inline std::string state_name(std::string_view name) { return "state." + std::string(name); }

template <class Number>
Number number_in(const io::safetensors_file& file, const std::string& path, std::string_view key) {
  const std::string* text = file.text(key);
  Number value{};
  const char* const end = text == nullptr ? nullptr : text->data() + text->size();
  if (text == nullptr || std::from_chars(text->data(), end, value) != std::from_chars_result{end, std::errc{}} ||
      value < Number{})
    throw file_error("this is no checkpoint of a training", path, "no number under " + std::string(key),
                     "a file that save() or the checkpoint callback wrote");
  return value;
}

/// @param exactly the file should have all that belongs to a training, and not the network's alone
/// @throws file_error if the file has no such tensor: it belongs to another network, optimiser or precision
template <class Real>
void check_variable(const io::safetensors_file& file, const std::string& path, const std::string& name,
                    const typename variables<Real>::entry& to, bool exactly) {
  const char* const what =
      exactly ? "the checkpoint is of another network or optimiser" : "the weights are of another network";
  const std::string needs = name + " of " + io::extents_text(extents_of(to.dims)) + ", as this network has it";
  if (!file.has(name))
    throw file_error(what, path, "no tensor " + name, needs);
  const io::tensor_info& found = file.info(name);
  if (found.dimensions != extents_of(to.dims))
    throw file_error(what, path,
                     name + " of " + io::extents_text(found.dimensions), needs);
  if (found.type != io::element_of<Real>)
    throw file_error("the checkpoint is of another precision", path,
                     name + " in " + std::string(io::element_name(found.type)),
                     std::string(io::element_name(io::element_of<Real>)) + ": train with the precision of the file");
}

/// Copies variables from a file: all of them, or after an error none.
/// @param exactly refuses a file that lacks a state of the optimiser, or has more than the network and its optimiser
template <class Real>
void read_variables(const io::safetensors_file& file, const std::string& path, const variables<Real>& values,
                    bool exactly) {
  std::vector<std::pair<std::string, typename variables<Real>::entry>> all;
  for (int p = 0; p < values.parameter_count(); ++p)
    all.emplace_back(values.parameter(p).name, values.parameter(p));
  for (int s = 0; s < values.state_count(); ++s) {
    std::string name = state_name(values.state(s).name);
    if (exactly || file.has(name)) all.emplace_back(std::move(name), values.state(s));
  }
  for (const auto& [name, entry] : all) check_variable<Real>(file, path, name, entry, exactly);
  constexpr std::size_t traces = 2;
  if (exactly && file.tensors().size() != all.size() + traces)
    throw file_error("the checkpoint is of another network or optimiser", path,
                     std::to_string(file.tensors().size() - traces) + " parameters and states",
                     std::to_string(all.size()) + ", as this network and its optimiser have");
  for (const auto& [name, entry] : all) file.copy(name, extents_of(entry.dims), entry.data);
}

}  // namespace detail

/// Writes a checkpoint; the file is replaced as a whole, so a crash or a full disk leaves the old one.
/// @throws file_error if it cannot be written
template <class Real>
void save(const training_engine<Real>& from, const std::string& path) {
  const variables<Real>& values = from.values();
  const training_progress& where = from.progress();
  std::vector<io::tensor_view> tensors;
  const auto add = [&](std::string name, const typename variables<Real>::entry& entry) {
    const std::span<const Real> numbers(entry.data, static_cast<std::size_t>(entry.dims.size()));
    tensors.emplace_back(std::move(name), numbers, detail::extents_of(entry.dims));
  };
  for (int p = 0; p < values.parameter_count(); ++p) add(std::string(values.parameter(p).name), values.parameter(p));
  for (int s = 0; s < values.state_count(); ++s) add(detail::state_name(values.state(s).name), values.state(s));
  std::vector<double> epochs;
  for (const epoch_record& one : where.history.epochs)
    epochs.insert(epochs.end(), {static_cast<double>(one.epoch), one.train_loss, one.val_loss, one.val_accuracy,
                                 one.rate, one.seconds});
  std::vector<double> batches;
  for (const batch_record& one : where.history.batches)
    batches.insert(batches.end(), {static_cast<double>(one.epoch), static_cast<double>(one.batch),
                                   static_cast<double>(one.size), one.loss});
  const auto rows_of = [](const std::vector<double>& table, std::size_t columns) {
    return io::extents{static_cast<std::int64_t>(table.size() / columns), static_cast<std::int64_t>(columns)};
  };
  tensors.emplace_back("trace.epochs", epochs, rows_of(epochs, 6));
  tensors.emplace_back("trace.batches", batches, rows_of(batches, 4));
  io::write_safetensors(path, tensors,
                        {{"format", std::string(checkpoint_format)},
                         {"epoch", std::to_string(where.epoch)},
                         {"step", std::to_string(where.step)},
                         {"seed", std::to_string(where.seed)}});
}

/// Brings a training back to where a checkpoint was written.
/// @throws file_error if the file is no checkpoint, damaged, or of another network, optimiser, precision or seed
template <class Real>
void resume(training_engine<Real>& to, const std::string& path) {
  const io::safetensors_file file(path);
  const std::string* format = file.text("format");
  if (format == nullptr || *format != checkpoint_format)
    throw file_error("this is no checkpoint of this version", path,
                     format == nullptr ? "no format entry" : *format, std::string(checkpoint_format));
  training_progress where;
  where.epoch = detail::number_in<int>(file, path, "epoch");
  where.step = detail::number_in<std::int64_t>(file, path, "step");
  where.seed = detail::number_in<std::uint64_t>(file, path, "seed");
  if (where.seed != to.progress().seed)
    throw file_error("the checkpoint is of a training with another seed", path,
                     "seed " + std::to_string(where.seed), "seed " + std::to_string(to.progress().seed));
  const auto table = [&](const char* name, std::int64_t columns) {
    const io::extents dims = file.info(name).dimensions;
    if (dims.size() != 2 || dims[1] != columns)
      throw file_error("the checkpoint's trace is damaged", path, std::string(name), "a table of its columns");
    std::vector<double> numbers(static_cast<std::size_t>(dims[0] * dims[1]));
    file.copy(name, dims, numbers.data());
    return numbers;
  };
  const auto whole = [&](double number) {
    if (!(number >= 0 && number <= (std::numeric_limits<int>::max)()))
      throw file_error("the checkpoint's trace is damaged", path, std::to_string(number), "a count");
    return static_cast<int>(number);
  };
  const std::vector<double> epochs = table("trace.epochs", 6);
  for (std::size_t i = 0; i < epochs.size(); i += 6)
    where.history.epochs.push_back({whole(epochs[i]), epochs[i + 1], epochs[i + 2], epochs[i + 3],
                                    epochs[i + 4], epochs[i + 5]});
  const std::vector<double> batches = table("trace.batches", 4);
  for (std::size_t i = 0; i < batches.size(); i += 4)
    where.history.batches.push_back({whole(batches[i]), whole(batches[i + 1]),
                                     whole(batches[i + 2]), batches[i + 3]});
  detail::read_variables(file, path, to.values(), true);
  to.progress() = std::move(where);
}

/// Loads parameters, and running statistics if the file has them, by name: from a checkpoint or from any safetensors
/// file with tensors of these names.
/// @throws file_error if a parameter is missing or has other extents
template <class Real>
void load_weights(training_engine<Real>& to, const std::string& path) {
  const io::safetensors_file file(path);
  detail::read_variables(file, path, to.values(), false);
}

/// The same for a trainer.
template <class Trainer>
requires requires(Trainer& self) { self.engine(); }
void save(Trainer& from, const std::string& path) { save(from.engine(), path); }
/// The same for a trainer.
template <class Trainer>
requires requires(Trainer& self) { self.engine(); }
void resume(Trainer& to, const std::string& path) { resume(to.engine(), path); }
/// The same for a trainer.
template <class Trainer>
requires requires(Trainer& self) { self.engine(); }
void load_weights(Trainer& to, const std::string& path) { load_weights(to.engine(), path); }

/// Callback: writes a checkpoint after every `every` epochs (0: none of these) and at the end. Its members are templates
/// so that programs which do not use it compile nothing for it.
struct checkpoint {
  std::string path;
  int every = 1;

  template <class State>
  void on_epoch(State& state) {
    if (every > 0 && (state.epoch + 1) % every == 0) write(state);
  }
  template <class State>
  void on_end(State& state) {
    if (!state.history().epochs.empty() && written_ != state.history().epochs.size()) write(state);
  }
  std::size_t written_ = 0;  // epochs in the last file

 private:
  template <class State>
  void write(const State& state) {
    written_ = state.history().epochs.size();
    if (const auto* single = dynamic_cast<const training_engine<float>*>(&state)) save(*single, path);
    if (const auto* twice = dynamic_cast<const training_engine<double>*>(&state)) save(*twice, path);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
