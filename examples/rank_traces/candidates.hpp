// What is ranked, and where it comes from.
#pragma once
#include <string>
#include <vector>

/// One training of one network.
struct candidate {
  std::vector<double> training, validation;  // losses of the epochs; without validation, the latter is empty
  double target = 0;                         // the final quality
};

struct input_options {
  std::vector<std::string> files;
  std::string training_prefix = "train_", validation_prefix = "val_";
  std::string target;  // empty: final_test_loss of a table, target of a table of runs
  std::string filter_column, filter_value;
  bool filter_must_exist = false;  // the filter was asked for, not the default
};

/// Reads either one table with a row a run, or several traces and a table that gives each its target.
/// @throws vivace::file_error naming file, line and reason
std::vector<candidate> read_candidates(const input_options& wanted);
