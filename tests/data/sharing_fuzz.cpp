// Jobs that come, go, stall and end their epochs at random: the same driver as tests/fuzz/sharing.cpp, from seeds.
#include <doctest/doctest.h>

#include <cstdint>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/random_source.hpp>
#include <vivace/data/sharing/tree.hpp>

#include "sharing_driver.hpp"

namespace data = vivace::data;

TEST_CASE_TEMPLATE("sharing: fuzzed with comings, goings, stalls and ends of epochs", Model, data::dependent_cells,
                   data::dependent_tree, data::pairwise_cells, data::independent_cells) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    data::random_source random(seed, 99);
    int steps = 0;
    const int broken = sharing_driver::play<Model>([&] { return static_cast<std::uint32_t>(random.below(256)); },
                                                   [&] { return ++steps <= 300; });
    CHECK_MESSAGE(broken == 0, "rule " << broken << ", seed " << seed << ", step " << steps);
  }
}
