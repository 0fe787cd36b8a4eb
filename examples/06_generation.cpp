// The compiler designs the network: it widens a small convolutional network until a budget of arithmetic is spent, and
// picks the cheapest of a list of cells. Both are constants, planned by the compiler and trained here.
#include <fmt/core.h>
#include <vivace/data/shapes.hpp>
#include <vivace/search.hpp>
#include <vivace/vivace.hpp>
namespace vv = vivace;

struct family {
  static constexpr auto of(int width) {
    return vv::classifier(vv::image{1, 28, 28}, vv::classes{10},
                          vv::conv2d{.filters = width, .kernel = 5, .stride = 2, .padding = 2}, vv::relu{},
                          vv::conv2d{.filters = 2 * width, .kernel = 3, .stride = 2, .padding = 1}, vv::relu{},
                          vv::flatten{}, vv::dense{10});
  }
};
constexpr std::int64_t budget = 1'000'000;  // operations a sample
constexpr int width = vv::search::widest<family, vv::search::forward_flops{}, budget, 1, 128>;
struct widened {
  static constexpr auto graph = family::of(width);
};
static_assert(vv::search::forward_flops{}(widened::graph) <= budget);
static_assert(vv::search::forward_flops{}(family::of(width + 1)) > budget);

using space = vv::search::nas_bench_201<vv::image{1, 28, 28}, vv::classes{10}, vv::search::cell_skeleton{4, 1, 2}>;
constexpr vv::search::architecture cells[] = {{3, 3, 1, 3, 1, 3}, {3, 1, 0, 2, 4, 2}, {2, 1, 2, 1, 1, 3}};
constexpr auto cheapest = vv::search::cheapest<space>(cells, vv::search::parameter_count{});
using cell_network = vv::search::fixed_network<space, cheapest>;
static_assert(cheapest == cells[1]);

template <class Net>
void train(const char* name, const vv::data::train_and_test& data) {
  vv::trainer trainer{Net{}, vv::batch<64>, vv::adamw{.rate = 3e-3}, vv::seed{1}};
  const vv::trace trace = trainer.fit(data.train, vv::epochs{3});
  fmt::print("{}: {} parameters, loss {:.3f} after {:.3f}, accuracy {:.1f} %\n", name, vv::parameters<Net>,
             trace.epochs.back().train_loss, trace.epochs.front().train_loss,
             100 * trainer.evaluate(data.test).accuracy);
}

int main() {
  const auto data = vv::data::rendered_shapes(2000, 500, 1);
  fmt::print("width {} for {} operations\n", width, budget);
  train<widened>("widened", data);
  train<cell_network>("cheapest cell", data);
}
