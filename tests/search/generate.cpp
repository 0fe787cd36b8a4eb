// Architectures made by the compiler.
#include <doctest/doctest.h>
#include <vivace/search/generate.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;
namespace search = vivace::search;

namespace {

struct family {
  static constexpr auto of(int width) {
    return vv::classifier(vv::features{16}, vv::classes{4}, vv::dense{width}, vv::relu{}, vv::dense{4});
  }
};
template <int Width>
struct member {
  static constexpr auto graph = family::of(Width);
};

// 16 w + w + 4 w + 4 parameters.
constexpr int by_parameters = search::widest<family, search::parameter_count{}, 1000, 1, 300>;
static_assert(by_parameters == 47);
static_assert(search::widest<family, search::parameter_count{}, 25, 1, 300> == 1);
static_assert(search::widest<family, search::parameter_count{}, 1'000'000, 1, 300> == 300);

constexpr int by_flops = search::widest<family, search::forward_flops{}, 5000, 1, 512>;
static_assert(search::forward_flops{}(family::of(by_flops)) <= 5000);
static_assert(search::forward_flops{}(family::of(by_flops + 1)) > 5000);

constexpr search::training_bytes<vv::sgd_momentum, 32> bytes{};
constexpr int by_bytes = search::widest<family, bytes, 64 * 1024, 1, 512>;
static_assert(bytes(family::of(by_bytes)) <= 64 * 1024);
static_assert(bytes(family::of(by_bytes + 1)) > 64 * 1024);
// The budget is what a trainer uses.
static_assert(bytes(family::of(by_bytes)) == vv::arena_bytes<member<by_bytes>, vv::batch<32>, vv::sgd_momentum{}>);

using space = search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, search::cell_skeleton{2, 1, 2}>;
constexpr search::architecture cells[] = {{3, 3, 3, 3, 3, 3}, {1, 1, 2, 1, 0, 0}, {1, 2, 1, 1, 0, 0}};
constexpr auto cheapest = search::cheapest<space>(cells, search::parameter_count{});
static_assert(cheapest == cells[1]);

}  // namespace

TEST_CASE("generation: the run-time result is the compiler's") {
  CHECK(search::cheapest<space>(cells, search::parameter_count{}) == cheapest);
  CHECK(search::cheapest<space>(cells, search::forward_flops{}) == cells[1]);
  CHECK(search::parameter_count{}(search::network<space>{cheapest}) ==
        vv::parameters<search::fixed_network<space, cheapest>>);
  // A cost of one's own: the most operations.
  const auto dearest = search::cheapest<space>(cells, [](const auto& of) { return -search::forward_flops{}(of); });
  CHECK(dearest == cells[0]);
  CHECK_THROWS_WITH_AS(search::cheapest<space>({}, search::parameter_count{}), doctest::Contains("nothing to choose"),
                       vv::error);
}
