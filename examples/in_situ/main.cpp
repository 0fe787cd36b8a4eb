// A solver that trains a surrogate of itself while it runs. The heat equation u_t = u_xx + s(x) - u^3 on a ring (the
// last term cools), for an ensemble of random temperatures u and sources s, is stepped by Eigen; every so many steps
// the states before and after go to the trainer as they lie in Eigen's memory.
#include <cstdio>

#include <Eigen/Core>
#include <vivace/vivace.hpp>
namespace vv = vivace;

constexpr int cells = 32, members = 128, stride = 20, windows = 10;
constexpr float courant = 0.4f;  // time step over the square of a cell's width

// A row is one member of the ensemble: its temperatures, then its sources.
using state = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Learns what `stride` steps of the solver do to a state: a linear part, and a network for the rest.
struct surrogate {
  static constexpr auto graph = vv::define([](vv::builder& g) {
    const auto before = g.input("before", {vv::rows, 2 * cells});
    const auto after = g.input("after", {vv::rows, 2 * cells});
    const auto linear = apply(vv::dense{2 * cells}, before);
    const auto hidden = apply(vv::chain{vv::dense{128}, vv::tanh{}}, before);
    const auto rest = apply(vv::dense{.units = 2 * cells, .weight_init = vv::init::zeros}, hidden);
    const auto prediction = linear + rest;
    g.output("prediction", prediction);
    return mean(square(prediction - after));
  });
};

/// One explicit step of all members.
void advance(state& all) {
  const state u = all.leftCols(cells), sources_and_cooling = 0.01f * (all.rightCols(cells).array() - u.array().cube());
  for (int i = 0; i < cells; ++i) {
    const int left = (i + cells - 1) % cells, right = (i + 1) % cells;
    all.col(i) += courant * (u.col(left) - 2.0f * u.col(i) + u.col(right)) + sources_and_cooling.col(i);
  }
}

/// Random temperatures and sources.
state random_state(unsigned seed) {
  const vv::random_stream random(seed, 0);
  state all(members, 2 * cells);
  for (int i = 0; i < all.size(); ++i)
    all.data()[i] = static_cast<float>(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  return all;
}

int main() {
  vv::trainer trainer{surrogate{}, vv::batch<members>, vv::adamw{.rate = 1e-3, .weight_decay = 0}, vv::seed{1}};
  state now, before;
  for (unsigned run = 1; run <= 600; ++run) {
    now = random_state(run);
    float loss = 0;
    for (int window = 0; window < windows; ++window) {
      before = now;
      for (int step = 0; step < stride; ++step) advance(now);
      loss = trainer.step({.features = before.data(), .targets = now.data(), .size = members});
    }
    if (run % 100 == 0) std::printf("run %u: loss %.1e\n", run, static_cast<double>(loss));
  }

  now = before = random_state(0);  // one that it never saw; before goes on by the surrogate alone
  for (int window = 0; window < windows; ++window) {
    for (int step = 0; step < stride; ++step) advance(now);
    const auto next = trainer.predict(before.data(), members);
    before.leftCols(cells) = Eigen::Map<const state>(next.data, members, 2 * cells).leftCols(cells);
    const float error = (before - now).leftCols(cells).norm() / now.leftCols(cells).norm();
    std::printf("after %3d steps of the solver: error of the surrogate %4.1f %%\n", stride * (window + 1),
                100 * static_cast<double>(error));
  }
}
