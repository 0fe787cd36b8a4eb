// compiles
#include <vivace/estimate.hpp>
#include <vivace/search.hpp>
#include <vivace/search/one_shot.hpp>

namespace search = vivace::search;

using space = search::nas_bench_201<vivace::image{1, 8, 8}, vivace::classes{3}, search::cell_skeleton{2, 1, 2}>;

vivace::trace trained(const search::architecture&, int);

int main() {
  search::fixed_network<space, search::architecture{1, 2, 3, 4, 0, 1}> network;
  search::random_search<space>{}(trained, vivace::early_stopped{}, vivace::budget{.epochs = 1, .queries = 1},
                                 vivace::seed{1}, search::write_log{"log.csv"});
  search::supernet net{space{}, vivace::batch<8>, vivace::sgd{}};
  search::fair_nas<space> sampler;
  (void)network, (void)sampler;
}
