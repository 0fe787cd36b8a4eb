#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
#include <vivace/data/sharing/simulation.hpp>

struct options {
  int jobs = 4;
  std::uint32_t items = 4000;
  std::vector<double> speeds = {1}, offsets = {0};
  double overlap = 1;
  vivace::data::overlap_kind kind = vivace::data::overlap_kind::core;
  double cache = 0.1;
  vivace::data::eviction policy = vivace::data::eviction::reference_count;
  std::string sampler = "dependent";
  vivace::data::round_mode mode = vivace::data::round_mode::participants;
  std::optional<std::uint64_t> max_lead;
  int epochs = 1;
  std::uint64_t seed = 1;
  bool correlation = false;
  bool json = false;
  std::string json_file;  ///< empty: JSON goes to standard output
};

/// The options of the command line; none if the program is to end with `status`.
std::optional<options> parse(int count, char** arguments, int& status);
