#include "candidates.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/core.h>

#include <vivace/core/errors.hpp>
#include <vivace/io/csv.hpp>

namespace vv = vivace;
using vv::io::csv_table;

namespace {

struct input_file {
  std::string path;
  csv_table table;
  [[nodiscard]] bool is_trace() const { return table.has("epoch") && table.has("train_loss"); }
  [[nodiscard]] bool is_table_of_runs() const { return table.has("run") && !is_trace(); }
};

/// "file, line 3": a row begins behind the line of names and the rows before, whose fields may hold line breaks.
std::string line_of(const input_file& file, std::size_t row) {
  std::size_t line = row + 2;
  for (const std::string& name : file.table.names()) {
    line += static_cast<std::size_t>(std::count(name.begin(), name.end(), '\n'));
    const auto fields = file.table.text(name);
    for (std::size_t above = 0; above < row; ++above)
      line += static_cast<std::size_t>(std::count(fields[above].begin(), fields[above].end(), '\n'));
  }
  return fmt::format("{}, line {}", file.path, line);
}

double finite_target(const input_file& file, const std::string& column, const std::vector<double>& values,
                     std::size_t row) {
  if (!std::isfinite(values[row]))
    throw vv::file_error("the target is not finite", line_of(file, row) + ", column " + column,
                         fmt::format("{}", values[row]), "a number; --filter COLUMN=VALUE leaves rows out");
  return values[row];
}

/// Names of the columns that are the prefix and the number of an epoch, from 1 on without a gap.
std::vector<std::string> epoch_columns(const input_file& file, const std::string& prefix) {
  std::map<std::uint32_t, std::string> columns;
  for (const std::string& name : file.table.names()) {
    if (!name.starts_with(prefix)) continue;
    const char* const end = name.data() + name.size();
    std::uint32_t epoch = 0;
    const auto [stop, failure] = std::from_chars(name.data() + prefix.size(), end, epoch);
    if (stop != end || failure != std::errc{}) continue;  // such as val_accuracy
    if (!columns.emplace(epoch, name).second)
      throw vv::file_error("two columns are of one epoch", file.path + ", line 1", columns[epoch] + " and " + name,
                           "one column an epoch");
  }
  std::vector<std::string> names;
  for (const auto& [epoch, name] : columns) {
    names.push_back(name);
    if (epoch != names.size())
      throw vv::file_error("a column of an epoch is missing", file.path + ", line 1",
                           fmt::format("{} in place {}", name, names.size()),
                           fmt::format("{0}1, {0}2, ... without a gap", prefix));
  }
  return names;
}

std::vector<bool> kept_rows(const input_file& file, const input_options& wanted) {
  std::vector<bool> kept(file.table.rows(), true);
  if (wanted.filter_column.empty() || (!wanted.filter_must_exist && !file.table.has(wanted.filter_column))) return kept;
  const auto fields = file.table.text(wanted.filter_column);
  for (std::size_t row = 0; row < kept.size(); ++row) kept[row] = fields[row] == wanted.filter_value;
  return kept;
}

std::vector<candidate> from_table(const input_file& file, const input_options& wanted) {
  const auto training = epoch_columns(file, wanted.training_prefix);
  const auto validation = epoch_columns(file, wanted.validation_prefix);
  if (training.empty())
    throw vv::file_error("the table has no training losses", file.path + ", line 1",
                         fmt::format("no column {}1", wanted.training_prefix),
                         fmt::format("a column {}1, {}2, ... for each epoch; --train-prefix says how they begin",
                                     wanted.training_prefix, wanted.training_prefix));
  const std::string target = wanted.target.empty() ? "final_test_loss" : wanted.target;
  const auto targets = file.table.numbers(target);
  const auto kept = kept_rows(file, wanted);

  std::vector<candidate> all(file.table.rows());
  const auto read = [&](const std::vector<std::string>& columns, std::vector<double> candidate::*series) {
    for (const std::string& column : columns) {
      const auto losses = file.table.numbers(column);
      for (std::size_t row = 0; row < all.size(); ++row) (all[row].*series).push_back(losses[row]);
    }
  };
  read(training, &candidate::training);
  read(validation, &candidate::validation);
  std::vector<candidate> candidates;
  for (std::size_t row = 0; row < all.size(); ++row) {
    if (!kept[row]) continue;
    all[row].target = finite_target(file, target, targets, row);
    candidates.push_back(std::move(all[row]));
  }
  return candidates;
}

/// The losses of a trace as the trainer writes it.
candidate from_trace(const input_file& file) {
  const auto epochs = file.table.numbers("epoch");
  for (std::size_t row = 1; row < epochs.size(); ++row)
    if (epochs[row] != epochs[row - 1] + 1)
      throw vv::file_error("the epochs do not count up by one", line_of(file, row) + ", column epoch",
                           fmt::format("{} after {}", epochs[row], epochs[row - 1]), "one row an epoch, in order");
  candidate result;
  result.training = file.table.numbers("train_loss");
  if (file.table.has("val_loss")) result.validation = file.table.numbers("val_loss");
  return result;
}

/// True if a field of the column `run` means a trace: by the path of the file or of its folder, from here or from where
/// the table of runs is, or by the last name of either.
bool means(const std::string& run, const std::filesystem::path& table, const std::filesystem::path& trace) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path file = fs::weakly_canonical(trace, ignored), folder = file.parent_path();
  if (run == file.stem() || run == file.filename() || run == folder.filename()) return true;
  for (const fs::path& base : {fs::path(), table.parent_path()}) {
    fs::path named = fs::weakly_canonical(base / run, ignored);
    if (!named.has_filename()) named = named.parent_path();  // "folder/"
    if (!run.empty() && (named == file || named == folder)) return true;
  }
  return false;
}

std::vector<candidate> from_traces(const std::vector<input_file>& traces, const input_file& runs,
                                   const input_options& wanted) {
  const std::string target = wanted.target.empty() ? "target" : wanted.target;
  const auto names = runs.table.text("run");
  const auto targets = runs.table.numbers(target);
  const auto kept = kept_rows(runs, wanted);
  std::vector<candidate> candidates;
  std::vector<std::optional<std::size_t>> row_of(traces.size());
  for (std::size_t row = 0; row < names.size(); ++row) {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < traces.size(); ++i) {
      if (!means(names[row], runs.path, traces[i].path)) continue;
      if (found)
        throw vv::file_error("a run is more than one trace", line_of(runs, row) + ", column run",
                             fmt::format("{}: {} and {}", names[row], traces[*found].path, traces[i].path),
                             "the path of one of them");
      if (row_of[i])
        throw vv::file_error("a trace has two rows", line_of(runs, row) + ", column run", names[row],
                             "one row a trace: " + traces[i].path);
      found = i;
      row_of[i] = row;
    }
    if (!kept[row]) continue;
    if (!found)
      throw vv::file_error("a run has no trace", line_of(runs, row) + ", column run", names[row],
                           "the path of a trace that is given, of its folder, or their last name");
    candidates.push_back(from_trace(traces[*found]));
    candidates.back().target = finite_target(runs, target, targets, row);
  }
  for (std::size_t i = 0; i < traces.size(); ++i)
    if (!row_of[i]) throw vv::file_error("a trace has no target", traces[i].path, "no row", "a row in " + runs.path);
  return candidates;
}

}  // namespace

std::vector<candidate> read_candidates(const input_options& wanted) {
  std::vector<input_file> traces, runs, tables;
  for (const std::string& path : wanted.files) {
    input_file file{path, csv_table::read(path)};
    auto& kind = file.is_trace() ? traces : file.is_table_of_runs() ? runs : tables;
    kind.push_back(std::move(file));
  }
  if (tables.size() == 1 && traces.empty() && runs.empty()) return from_table(tables[0], wanted);
  // A table with a row a run may have a column `run`, too.
  if (runs.size() == 1 && traces.empty() && tables.empty()) return from_table(runs[0], wanted);
  if (tables.empty() && runs.size() == 1) return from_traces(traces, runs[0], wanted);
  const input_file& odd = !tables.empty() ? tables.back() : !runs.empty() ? runs.back() : traces.back();
  throw vv::file_error(
      "these files do not belong together", odd.path,
      fmt::format("{} traces, {} tables of runs, {} other tables", traces.size(), runs.size(), tables.size()),
      "one table with a row a run; or traces (columns epoch, train_loss) and a table run,target");
}
