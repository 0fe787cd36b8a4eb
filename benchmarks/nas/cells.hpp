#pragma once
// The cells of the benchmark, and the table that the two programs share.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <vivace/search/nas_bench_201.hpp>

namespace nas {

namespace vv = vivace;

/// The space: one cell a stage, 8 channels in the first, 14 x 14 pixels.
using space = vv::search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, vv::search::cell_skeleton{8, 1, 2}>;

inline constexpr int epochs = 20;
inline constexpr std::int64_t training_images = 10'000, validation_images = 2'000;

/// The first cells of a fixed random order, without those that do not pass their input on, and without repetitions.
inline std::vector<vv::search::architecture> sampled_cells(std::size_t count) {
  std::vector<vv::search::architecture> cells;
  std::set<std::string> seen;
  for (std::uint32_t i = 0; cells.size() < count && i < 1'000'000; ++i) {
    const auto cell = vv::search::sample<space>(vv::random_stream(201, 1, i));
    if (space::connected(cell) && seen.insert(space::key(cell)).second) cells.push_back(cell);
  }
  return cells;
}

/// "train_", 7: "train_07".
inline std::string column(const std::string& prefix, int epoch) {
  return prefix + (epoch < 10 ? "0" : "") + std::to_string(epoch);
}

}  // namespace nas
