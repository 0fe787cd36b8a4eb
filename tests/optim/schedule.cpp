#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vivace/optim/schedule.hpp>

namespace {

namespace vv = vivace;
using doctest::Approx;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

struct halving {  // a user's own
  using family = vv::schedule_family;
  float factor(double epoch) const { return epoch < 1 ? 1.0F : 0.5F; }
};

/// True if every point of the training is refused with a message that names the setting.
template <class Schedule>
bool refused(const Schedule& plan, const std::string& setting) {
  for (const double epoch : {0.0, 0.5, 7.0}) {
    try {
      (void)plan.factor(epoch);
      return false;
    } catch (const vv::error& found) {
      const std::string text = found.what();
      if (text.find("a schedule cannot have this setting") == std::string::npos ||
          text.find("where: " + setting + "\n") == std::string::npos)
        return false;
    }
  }
  return true;
}

/// Laws of a schedule: finite, not negative, the same each time, no jump to a NaN far beyond the end.
template <vv::schedule Schedule>
void check_schedule(const Schedule& plan) {
  bool sound = true, repeats = true;
  for (int i = 0; i <= 4000; ++i) {
    const double epoch = i / 100.0;
    const double factor = plan.factor(epoch);
    sound = sound && std::isfinite(factor) && factor >= 0;
    repeats = repeats && factor == plan.factor(epoch);
  }
  CHECK(sound);
  CHECK(repeats);
  CHECK(std::isfinite(plan.factor(1e9)));
}

}  // namespace

TEST_CASE("schedule: all keep the laws") {
  check_schedule(vv::constant_rate{});
  check_schedule(vv::step_decay{});
  check_schedule(vv::cosine{});
  check_schedule(vv::cosine{.epochs = 3, .warm_up = 1, .floor = 0.01});
  check_schedule(vv::warm_up{});
  check_schedule(vv::warm_up{.epochs = 0});
  check_schedule(vv::one_cycle{});
  check_schedule(vv::one_cycle{.rise = 0});
  check_schedule(halving{});
  static_assert(!vv::schedule<vv::seed>);
}

TEST_CASE("schedule: constant_rate and warm_up") {
  static_assert(vv::constant_rate{}.factor(0) == 1 && vv::constant_rate{}.factor(99) == 1);
  constexpr vv::warm_up plan{.epochs = 4};
  static_assert(plan.factor(0) == 0 && plan.factor(1) == 0.25 && plan.factor(4) == 1 && plan.factor(5) == 1);
  static_assert(vv::warm_up{.epochs = 0}.factor(0) == 1);
  CHECK(refused(vv::warm_up{.epochs = -1}, "warm_up.epochs"));
  CHECK(refused(vv::warm_up{.epochs = not_a_number}, "warm_up.epochs"));
}

TEST_CASE("schedule: step_decay") {
  const vv::step_decay plan{.every = 3, .gamma = 0.5};
  CHECK(plan.factor(0) == 1);
  CHECK(plan.factor(2.999) == 1);
  CHECK(plan.factor(3) == 0.5);
  CHECK(plan.factor(6) == 0.25);
  CHECK(plan.factor(30000) == 0);
  CHECK(vv::step_decay{.every = 0.5, .gamma = 2}.factor(1) == 4);  // any pace, and growth if that is wanted
  CHECK(vv::step_decay{.every = 1, .gamma = 0}.factor(0) == 1);
  CHECK(vv::step_decay{.every = infinity}.factor(100) == 1);
  for (const double every : {0.0, -1.0, not_a_number})
    CHECK(refused(vv::step_decay{.every = every}, "step_decay.every"));
  for (const double gamma : {-0.1, not_a_number, infinity})
    CHECK(refused(vv::step_decay{.gamma = gamma}, "step_decay.gamma"));
}

TEST_CASE("schedule: cosine") {
  const vv::cosine plan{.epochs = 10, .warm_up = 2, .floor = 0.1};
  CHECK(plan.factor(0) == 0);
  CHECK(plan.factor(1) == 0.5);
  CHECK(plan.factor(2) == 1);
  CHECK(plan.factor(6) == Approx(0.55));
  CHECK(plan.factor(10) == Approx(0.1));
  CHECK(plan.factor(11) == plan.factor(10));
  CHECK(vv::cosine{}.factor(0) == 1);
  CHECK(vv::cosine{}.factor(10) == Approx(0));
  for (double epoch = 2; epoch < 10; epoch += 0.25) CHECK(plan.factor(epoch + 0.25) < plan.factor(epoch));
  for (const double epochs : {0.0, -1.0, not_a_number}) CHECK(refused(vv::cosine{.epochs = epochs}, "cosine.epochs"));
  CHECK(refused(vv::cosine{.epochs = 2, .warm_up = 2}, "cosine.epochs"));
  for (const double warm_up : {-1.0, not_a_number}) CHECK(refused(vv::cosine{.warm_up = warm_up}, "cosine.warm_up"));
  for (const double floor : {-0.1, not_a_number, infinity}) CHECK(refused(vv::cosine{.floor = floor}, "cosine.floor"));
}

TEST_CASE("schedule: one_cycle") {
  const vv::one_cycle plan{.epochs = 10, .rise = 0.4, .start = 20, .end = 100};
  CHECK(plan.factor(0) == Approx(1 / 20.0));
  CHECK(plan.factor(2) == Approx((1 + 1 / 20.0) / 2));
  CHECK(plan.factor(4) == 1);
  CHECK(plan.factor(7) == Approx((1 + 1 / 2000.0) / 2));
  CHECK(plan.factor(10) == Approx(1 / 2000.0));
  CHECK(plan.factor(1000) == plan.factor(10));
  CHECK(vv::one_cycle{.rise = 0}.factor(0) == 1);
  for (const double epochs : {0.0, -1.0, not_a_number})
    CHECK(refused(vv::one_cycle{.epochs = epochs}, "one_cycle.epochs"));
  for (const double rise : {-0.1, 1.0, 2.0, not_a_number})
    CHECK(refused(vv::one_cycle{.rise = rise}, "one_cycle.rise"));
  for (const double start : {0.0, -1.0, not_a_number}) CHECK(refused(vv::one_cycle{.start = start}, "one_cycle.start"));
  for (const double end : {0.0, -1.0, not_a_number}) CHECK(refused(vv::one_cycle{.end = end}, "one_cycle.end"));
}
