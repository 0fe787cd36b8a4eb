// Spaces: enumeration, sampling, mutation, crossover, text, keys, counts.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <vivace/optim/training_graph.hpp>
#include <vivace/search/darts.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/search/width_depth.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

using cells = search::nas_bench_201<vv::image{3, 32, 32}, vv::classes{10}>;
using two_cells = search::darts<vv::image{3, 32, 32}, vv::classes{10}>;
using dense = search::mlp_space<vv::features{12}, vv::classes{3}>;
using convolutional = search::cnn_space<vv::image{1, 28, 28}, vv::classes{10}>;

/// A user's own.
struct own {
  static constexpr search::choice choices[] = {
      {"width", {8, 16}}, {"norm", {"none", "batch", "layer"}}, {"fixed", {"only"}}};
  static constexpr vv::value build(vv::builder& graph, const search::architecture& of) {
    const vv::value x = graph.input("x", {vv::rows, 4});
    vv::value hidden = vv::apply(vv::dense{choices[0].number[of[0]]}, x);
    if (of[1] == 1) hidden = vv::apply(vv::batch_norm{}, hidden);
    if (of[1] == 2) hidden = vv::apply(vv::layer_norm{}, hidden);
    return mean(square(hidden));
  }
};

int differences(const search::architecture& one, const search::architecture& other) {
  int count = 0;
  for (int i = 0; i < one.size(); ++i) count += one[i] != other[i] ? 1 : 0;
  return count;
}

template <class Space>
vv::graph network_of(const search::architecture& of) {
  return vv::model_graph(search::network<Space>{of}, true);
}

template <class Space>
void check_space() {
  for (unsigned i = 0; i < 200; ++i) {
    const auto one = search::sample<Space>({7, 0, i});
    REQUIRE(search::belongs(search::choices_of<Space>(), one));
    CHECK(search::parse<Space>(search::text<Space>(one)) == one);
    CHECK(search::at<Space>(search::index_of<Space>(one)) == one);
    const auto child = search::mutated<Space>(one, {7, 1, i});
    CHECK(search::belongs(search::choices_of<Space>(), child));
    CHECK(differences(one, child) == 1);
    const auto other = search::sample<Space>({7, 2, i});
    const auto crossed = search::crossed(one, other, {7, 3, i});
    for (int c = 0; c < one.size(); ++c) CHECK((crossed[c] == one[c] || crossed[c] == other[c]));
    if (i < 20) CHECK(network_of<Space>(one).mistake.what == vv::problem::none);
  }
}

}  // namespace

TEST_CASE("every space: samples, text, index, mutation, crossover, networks") {
  check_space<cells>();
  check_space<two_cells>();
  check_space<dense>();
  check_space<convolutional>();
  check_space<own>();
  CHECK(search::count<own>() == 6);
  CHECK(search::text<own>(search::at<own>(4)) == "width=16 norm=batch fixed=only");
  CHECK(search::key<own>(search::at<own>(4)) == "width=16 norm=batch fixed=only");
  CHECK(network_of<own>(search::at<own>(3)).nodes.size() < network_of<own>(search::at<own>(4)).nodes.size());
}

TEST_CASE("NAS-Bench-201: the counts of the benchmark") {
  CHECK(search::count<cells>() == 15625);
  std::set<std::string> texts, keys, skip_free, functions;
  std::set<std::uint64_t> hashes;
  int connected = 0;
  for (std::uint64_t i = 0; i < 15625; ++i) {
    const auto one = search::at<cells>(i);
    const std::string text = cells::text(one);
    REQUIRE(cells::parse(text) == one);
    REQUIRE(search::index_of<cells>(one) == i);
    texts.insert(text);
    hashes.insert(search::hash(one));
    keys.insert(search::key<cells>(one));
    skip_free.insert(cells::skip_free_key(one));
    functions.insert(cells::function_key(one));
    connected += cells::connected(one) ? 1 : 0;
  }
  CHECK(texts.size() == 15625);
  CHECK(hashes.size() == 15625);
  CHECK(connected == 15284);
  CHECK(skip_free.size() == 12751);
  CHECK(keys.size() == 6466);
  CHECK(functions.size() == 4930);
}

TEST_CASE("NAS-Bench-201: text form and keys") {
  const auto cell = cells::parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|");
  CHECK(cell == search::architecture{3, 0, 1, 4, 0, 2});
  CHECK(cells::key(cell) == "#+(#+(0)@nor_conv_3x3)@nor_conv_1x1+(0)@avg_pool_3x3");
  CHECK(cells::function_key(cell) == "((0)@nor_conv_3x3)@nor_conv_1x1+(0)@avg_pool_3x3");
  for (const char* wrong :
       {"", "|none~0|", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2",
        "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "|none~0|+|none~0|conv~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2| "})
    CHECK_THROWS_WITH_AS(cells::parse(wrong), doctest::Contains("|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"), vv::error);
}

TEST_CASE("NAS-Bench-201: the benchmark's skeleton") {
  // Parameters counted by hand: stem, three stages of five cells of five convolutions, two reductions, the head.
  const auto cell =
      cells::parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|");
  std::int64_t parameters = 0;
  const vv::graph made = network_of<cells>(cell);
  for (const auto& one : made.parameters) parameters += made.nodes[one.node].dims.size();
  const auto cell_at = [](std::int64_t c) { return 5 * 5 * (9 * c * c + 2 * c); };
  const auto reduction = [](std::int64_t c) { return 9 * c * 2 * c + 9 * 4 * c * c + 2 * 2 * 2 * c + 2 * c * c; };
  CHECK(parameters ==
        27 * 16 + 32 + cell_at(16) + cell_at(32) + cell_at(64) + reduction(16) + reduction(32) + 128 + 650);
}

static_assert(search::count<dense>() == 40 && search::count<convolutional>() == 72);

TEST_CASE("DARTS: as many cells as the paper says") {
  // 3 * 6 * 10 pairs of inputs and 7^8 operations, for each of two cells.
  const std::uint64_t one_cell = 180 * 5'764'801ull;
  CHECK(search::count<two_cells>() == one_cell * one_cell);
}

TEST_CASE("spaces: sampling is uniform, mutation too") {
  std::array<int, 6> sampled{}, edges{};
  for (unsigned i = 0; i < 6000; ++i) {
    ++sampled[search::index_of<own>(search::sample<own>({11, 0, i}))];
    const auto parent = search::at<own>(0);
    ++edges[search::index_of<own>(search::mutated<own>(parent, {11, 1, i}))];
  }
  for (const int times : sampled) CHECK(std::abs(times - 1000) < 150);
  CHECK(edges[0] == 0);
  CHECK(std::abs(edges[3] - 3000) < 200);  // the width
  CHECK(std::abs(edges[1] - 1500) < 150);  // either norm
  CHECK(std::abs(edges[2] - 1500) < 150);
  CHECK(edges[4] + edges[5] == 0);
}

TEST_CASE("spaces: what is no architecture is refused") {
  CHECK_THROWS_WITH_AS(search::parse<own>("width=9 norm=none fixed=only"), doctest::Contains("width=8|16"), vv::error);
  CHECK_THROWS_WITH_AS(search::parse<own>("width=8 norm=none"), doctest::Contains("fixed=only"), vv::error);
  CHECK_THROWS_WITH_AS(search::parse<own>("width=8 norm=none fixed=only more"), doctest::Contains("nothing after"),
                       vv::error);
  CHECK_THROWS_WITH_AS(search::text<own>(search::architecture{1, 3, 0}),
                       doctest::Contains("one option each below 2 3 1"), vv::error);
  CHECK_THROWS_WITH_AS(search::key<cells>(search::architecture{1, 3}), doctest::Contains("5 5 5 5 5 5"), vv::error);
}

TEST_CASE("spaces: the compiler and the program build the same network") {
  constexpr search::architecture cell{3, 0, 1, 4, 0, 2};
  using narrow = search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, search::cell_skeleton{4, 1, 2}>;
  using tag = search::fixed_network<narrow, cell>;
  constexpr std::int64_t parameters = [] {
    const vv::graph made = vv::model_graph(tag::graph, true);
    std::int64_t total = 0;
    for (const auto& one : made.parameters) total += made.nodes[one.node].dims.size();
    return total;
  }();
  const vv::graph made = network_of<narrow>(cell);
  std::int64_t total = 0;
  for (const auto& one : made.parameters) total += made.nodes[one.node].dims.size();
  CHECK(total == parameters);
}
