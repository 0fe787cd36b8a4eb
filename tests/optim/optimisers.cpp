#include <doctest/doctest.h>

#include <cmath>
#include <vivace/optim/adam.hpp>
#include <vivace/optim/lion.hpp>
#include <vivace/optim/sgd.hpp>

#include "../laws/optimiser_laws.hpp"

namespace {

namespace vv = vivace;

/// The least that is an optimiser, written as a user would.
struct descent {
  using family = vv::optimiser_family;
  double rate = 0.1;
  bool operator==(const descent&) const = default;
  static constexpr int settings = 1;
  void set(const vv::step_position& where, double* to) const { to[0] = rate * where.rate_factor; }
  static constexpr void update(vv::update_builder& make, vv::value parameter, vv::value gradient) {
    make.update(parameter, parameter - gradient * make.setting(0));
  }
};

/// One with memory (Duchi et al., JMLR 2011), a setting that it does not use among its scalars.
struct adagrad {
  using family = vv::optimiser_family;
  double rate = 0.1;
  bool operator==(const adagrad&) const = default;
  static constexpr int settings = 3;
  void set(const vv::step_position& where, double* to) const {
    to[0] = 1e-8;
    to[1] = -1;
    to[2] = rate * where.rate_factor;
  }
  static constexpr void update(vv::update_builder& make, vv::value parameter, vv::value gradient) {
    const vv::value squares = make.state("squares");
    const vv::value next = squares + square(gradient);
    const vv::value direction = gradient / (sqrt(next) + make.setting(0));
    make.update(squares, next);
    make.update(parameter, parameter - direction * make.setting(2));
  }
};

struct update_is_not_static {
  using family = vv::optimiser_family;
  static constexpr int settings = 0;
  void set(const vv::step_position&, double*) const {}
  void update(vv::update_builder&, vv::value, vv::value) const {}
};

}  // namespace

TEST_CASE("optimiser: the concept") {
  static_assert(vv::optimiser<vv::sgd> && vv::optimiser<vv::sgd_momentum> && vv::optimiser<vv::adam>);
  static_assert(vv::optimiser<vv::adamw> && vv::optimiser<vv::lion> && vv::optimiser<descent> &&
                vv::optimiser<adagrad>);
  static_assert(!vv::optimiser<vv::seed> && !vv::optimiser<int> && !vv::optimiser<update_is_not_static>);
}

TEST_CASE("optimiser: a user's own") {
  laws::check_optimiser(descent{.rate = 0.3}, descent{.rate = 0.3},
                        [](int, double factor, double& p, double g, double*) { p -= 0.3 * factor * g; });
  laws::check_optimiser(adagrad{.rate = 0.2}, adagrad{.rate = 1},
                        [](int, double factor, double& p, double g, double* state) {
                          state[0] += g * g;
                          p -= 0.2 * factor * g / (std::sqrt(state[0]) + 1e-8);
                        });
}

TEST_CASE("optimiser: sgd") {
  laws::check_optimiser(vv::sgd{.rate = 0.2, .weight_decay = 0.05}, vv::sgd{.rate = 0.3},
                        [](int, double factor, double& p, double g, double*) { p -= 0.2 * factor * (g + 0.05 * p); });
}

TEST_CASE("optimiser: sgd_momentum") {
  laws::check_optimiser(vv::sgd_momentum{.rate = 0.02, .momentum = 0.8, .weight_decay = 0.05},
                        vv::sgd_momentum{.rate = 0.1, .momentum = 0.8},
                        [](int, double factor, double& p, double g, double* velocity) {
                          *velocity = 0.8 * *velocity + g + 0.05 * p;
                          p -= 0.02 * factor * *velocity;
                        });
  laws::check_optimiser(vv::sgd_momentum{.rate = 0.02, .momentum = 0.8, .weight_decay = 0.05, .nesterov = true},
                        vv::sgd_momentum{.rate = 0.1, .momentum = 0.8, .nesterov = true},
                        [](int, double factor, double& p, double g, double* velocity) {
                          const double push = g + 0.05 * p;
                          *velocity = 0.8 * *velocity + push;
                          p -= 0.02 * factor * (push + 0.8 * *velocity);
                        });
  // Without momentum it is sgd.
  laws::check_formula<double>(
      vv::sgd_momentum{.rate = 0.2, .momentum = 0},
      [](int, double factor, double& p, double g, double*) { p -= 0.2 * factor * g; }, 1e-13);
}

namespace {
template <int Decay>  // in hundredths
void adam_formula(int t, double factor, double& p, double g, double* state) {
  state[0] = 0.8 * state[0] + 0.2 * g;
  state[1] = 0.95 * state[1] + 0.05 * g * g;
  const double m = state[0] / (1 - std::pow(0.8, t));
  const double v = state[1] / (1 - std::pow(0.95, t));
  p -= 0.02 * factor * (m / (std::sqrt(v) + 1e-6) + Decay / 100.0 * p);
}
}  // namespace

TEST_CASE("optimiser: adam") {
  laws::check_optimiser(vv::adam{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6}, vv::adam{.rate = 0.05},
                        adam_formula<0>);
}

TEST_CASE("optimiser: adamw") {
  laws::check_optimiser(vv::adamw{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1},
                        vv::adamw{.rate = 0.05, .weight_decay = 0}, adam_formula<10>);
}

TEST_CASE("optimiser: the first step of adam is the rate, whatever the gradient's size") {
  for (const float size : {1e-3F, 1.0F, 1e3F}) {
    laws::optimisation<float, vv::adam> at_work(vv::adam{.rate = 0.01}, laws::shapes({{2}}));
    at_work.start(0, {0, 0});
    at_work.gradient(0) = {size, -size};
    at_work.step();
    CHECK(at_work.values(0)[0] == doctest::Approx(-0.01).epsilon(1e-4));
    CHECK(at_work.values(0)[1] == doctest::Approx(0.01).epsilon(1e-4));
  }
}

TEST_CASE("optimiser: adam goes on after a million steps") {
  double scalars[vv::adamw::settings];
  vv::adamw{}.set({1000000, 1}, scalars);
  CHECK(scalars[4] == doctest::Approx(1e-3));
  CHECK(scalars[5] == doctest::Approx(1));
  vv::adamw{}.set({1LL << 60, 1}, scalars);
  CHECK(scalars[4] == 1e-3);
  CHECK(scalars[5] == 1);
}

TEST_CASE("optimiser: lion") {
  laws::check_optimiser(vv::lion{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.1},
                        vv::lion{.rate = 0.01, .weight_decay = 0},
                        [](int, double factor, double& p, double g, double* m) {
                          const double direction = 0.8 * *m + 0.2 * g;
                          p -= 0.02 * factor * ((direction > 0) - (direction < 0) + 0.1 * p);
                          *m = 0.95 * *m + 0.05 * g;
                        });
}

TEST_CASE("optimiser: a NaN gradient shows in the parameter") {
  const auto spoilt = [](const auto& optimiser) {
    laws::optimisation<float, std::remove_cvref_t<decltype(optimiser)>> at_work(optimiser, laws::shapes({{2}}));
    at_work.gradient(0) = {std::nanf(""), 0};
    at_work.step();
    return std::isnan(at_work.values(0)[0]) && !std::isnan(at_work.values(0)[1]);
  };
  CHECK(spoilt(vv::sgd{}));
  CHECK(spoilt(vv::sgd_momentum{}));
  CHECK(spoilt(vv::adam{}));
  CHECK(spoilt(vv::adamw{}));
  CHECK(spoilt(vv::lion{}));
}
