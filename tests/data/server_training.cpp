// A trainer on the samples of a data server.
#include <doctest/doctest.h>

#include <vivace/data/shapes.hpp>
#include <vivace/vivace.hpp>

#include "server_help.hpp"

namespace {

struct small_net {
  static constexpr auto graph = vivace::classifier(vivace::image{1, 28, 28}, vivace::classes{10}, vivace::flatten{},
                                                   vivace::dense{16}, vivace::relu{}, vivace::dense{10});
};

}  // namespace

TEST_CASE("a trainer learns from a data server") {
  const files::temporary_folder folder;
  const auto data = vivace::data::rendered_shapes(400, 1, 1);
  auto options = servers::small(folder / "s");
  options.memory = std::uint64_t{16} << 20;
  const vivace::data::data_server server{data.train, options};
  vivace::trainer trainer{small_net{}, vivace::batch<32>, vivace::adamw{}, vivace::seed{1},
                          vivace::data::server_loader<float>{folder / "s"}};
  const vivace::trace trace = trainer.fit(vivace::epochs{6});
  REQUIRE(trace.size() == 6);
  CHECK(trace.epochs.back().train_loss < trace.epochs.front().train_loss);
  CHECK(server.statistics().samples.deliveries >= 2400);
}
