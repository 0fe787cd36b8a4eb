#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <vivace/data/dataset.hpp>
#include <vivace/io/report.hpp>
#include <vivace/train/metrics.hpp>
#include <vivace/train/trace.hpp>

#include "options.hpp"

/// The images to train on and to judge by.
struct samples {
  std::string name;
  vivace::data::dataset train, test;
};

/// Fashion-MNIST, or the stand-in. @throws vivace::file_error if files are missing or damaged
samples load(const options& wanted);

/// What a training leaves behind.
struct outcome {
  std::string network;
  vivace::trace trace;
  vivace::evaluation test;
  std::int64_t parameters = 0, arena_bytes = 0;
  std::vector<std::vector<std::string>> architecture;
  std::vector<vivace::io::report_entry> settings;
};

/// Prints the result, and writes the report and the figures.
/// @throws vivace::file_error if a file cannot be written
void finish(const options& wanted, const samples& data, const outcome& result);
