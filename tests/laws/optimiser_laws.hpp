#pragma once
// Laws of vivace::optimiser: run one of your own through them, inside a doctest test case.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/optim/training_graph.hpp>

namespace laws {

/// A model whose gradients the test chooses: parameters "p0", "p1" ..., loss sum(p * g), so that g is the gradient.
constexpr vivace::graph linear_model(const vivace::sequence<vivace::shape>& dims) {
  vivace::builder make;
  vivace::value loss = make.constant(0);
  for (int p = 0; p < dims.size(); ++p) {
    const char number[2] = {static_cast<char>('0' + p), '\0'};
    const vivace::value gradient = make.input(vivace::joined("g", number).view(), dims[p]);
    const vivace::value parameter = make.parameter(vivace::joined("p", number).view(), dims[p]);
    loss = loss + sum(parameter * gradient);
  }
  make.result().loss = loss.index();
  return make.take();
}

/// An optimiser at work on parameters of chosen shapes under chosen gradients.
template <class Real, vivace::optimiser Optimiser, class Clipping = vivace::no_clipping>
class optimisation {
 public:
  optimisation(const Optimiser& optimiser, const vivace::sequence<vivace::shape>& dims, double bound = 0)
      : optimiser_(optimiser), bound_(bound), run_(vivace::training_graph<Optimiser, Clipping>(linear_model(dims)), 1) {
    run_.values().initialise(11);
    for (int p = 0; p < dims.size(); ++p) {
      gradients_.emplace_back(static_cast<std::size_t>(dims[p].size()));
      run_.run().set_input(run_.run().input("g." + std::to_string(p)), gradients_.back().data());
    }
  }

  [[nodiscard]] std::vector<Real>& gradient(int p) { return gradients_[static_cast<std::size_t>(p)]; }
  [[nodiscard]] auto parameter(int p) { return run_.values().find("p." + std::to_string(p)); }
  [[nodiscard]] std::vector<Real> values(int p) {
    const auto entry = parameter(p);
    return {entry.data, entry.data + entry.dims.size()};
  }
  void start(int p, const std::vector<double>& from) {
    for (std::size_t i = 0; i < from.size(); ++i) parameter(p).data[i] = static_cast<Real>(from[i]);
  }
  [[nodiscard]] auto& variables() { return run_.values(); }

  void step(double rate_factor = 1) {
    std::vector<double> scalars(Optimiser::settings + 1, -77);
    optimiser_.set({step_, rate_factor}, scalars.data());
    CHECK_MESSAGE(scalars.back() == -77, "set() writes as many scalars as `settings` says");
    scalars.back() = bound_;  // the setting of clipping, if there is one
    for (int i = 0; i < run_.structure().settings.size(); ++i)
      run_.run().settings()[i] = static_cast<Real>(scalars[static_cast<std::size_t>(i)]);
    run_.run()({.step = static_cast<std::uint32_t>(step_++), .samples = 1});
  }

 private:
  Optimiser optimiser_;
  double bound_;
  vivace::runtime_graph<Real, vivace::cpu_kernels> run_;
  std::vector<std::vector<Real>> gradients_;
  long long step_ = 0;
};

inline vivace::sequence<vivace::shape> shapes(std::initializer_list<vivace::shape> list) {
  vivace::sequence<vivace::shape> result;
  for (const vivace::shape& one : list) result.push_back(one);
  return result;
}

/// Numbers in [-1, 1).
inline std::vector<double> numbers(std::int64_t count, std::uint32_t stream, std::uint32_t step) {
  const vivace::random_stream random(21, stream, step);
  std::vector<double> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  return result;
}

/// A formula takes one number on: formula(t, factor, p, g, state), t from 1; state holds four numbers that start at 0.
/// @param tolerance of 25 steps, relative to 1 + |p|
template <class Real, class Optimiser, class Formula>
void check_formula(const Optimiser& optimiser, const Formula& formula, double tolerance) {
  for (const vivace::shape& dims : {vivace::shape{}, vivace::shape{7}, vivace::shape{3, 5}, vivace::shape{211, 300}}) {
    optimisation<Real, Optimiser> at_work(optimiser, shapes({dims}));
    const std::int64_t count = dims.size();
    std::vector<double> wanted = numbers(count, 0, 0);
    std::vector<double> state(static_cast<std::size_t>(4 * count));
    at_work.start(0, wanted);
    double worst = 0, worst_first = 0;
    for (int step = 0; step < 25; ++step) {
      const std::vector<double> gradient = numbers(count, 1, static_cast<std::uint32_t>(step));
      const double factor = step % 5 == 4 ? 0.25 : 1;
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        at_work.gradient(0)[i] = static_cast<Real>(gradient[i]);
        formula(step + 1, factor, wanted[i], gradient[i], state.data() + 4 * i);
      }
      at_work.step(factor);
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const double error = std::abs(at_work.parameter(0).data[i] - wanted[i]) / (1 + std::abs(wanted[i]));
        if (!(error <= worst)) worst = error;
      }
      if (step == 0) worst_first = worst;
    }
    CHECK_MESSAGE(worst_first <= tolerance, "the first step is the formula's");
    CHECK_MESSAGE(worst <= tolerance, "25 steps are the formula's");
  }
}

/// A zero gradient leaves parameters alone, if the optimiser has no decay.
template <class Optimiser>
void check_rest(const Optimiser& without_decay) {
  optimisation<float, Optimiser> at_work(without_decay, shapes({{}, {5, 3}}));
  const auto scalar = at_work.values(0), matrix = at_work.values(1);
  for (int step = 0; step < 10; ++step) at_work.step();
  CHECK(at_work.values(0) == scalar);
  CHECK(at_work.values(1) == matrix);
}

/// A schedule's factor of 0 leaves parameters alone, whatever the gradient.
template <class Optimiser>
void check_rate_of_zero(const Optimiser& optimiser) {
  optimisation<float, Optimiser> at_work(optimiser, shapes({{5, 3}}));
  const auto before = at_work.values(0);
  for (float& one : at_work.gradient(0)) one = 0.5F;
  for (int step = 0; step < 3; ++step) at_work.step(0);
  CHECK(at_work.values(0) == before);
  at_work.step(1);
  CHECK(at_work.values(0) != before);
}

/// What an optimiser remembers starts at zero, has its parameter's shape and name, and changes.
template <class Optimiser>
void check_states(const Optimiser& optimiser) {
  optimisation<float, Optimiser> at_work(optimiser, shapes({{3}, {2, 2}}));
  const auto& values = at_work.variables();
  CHECK(values.parameter_count() == 2);
  CHECK(values.state_count() % 2 == 0);
  bool zero = true;
  for (int s = 0; s < values.state_count(); ++s) {
    const auto entry = values.state(s);
    const int owner = entry.name.substr(0, 4) == "p.0." ? 0 : 1;
    CHECK((owner == 0 || entry.name.substr(0, 4) == "p.1."));
    CHECK(entry.dims == at_work.parameter(owner).dims);
    for (std::int64_t i = 0; i < entry.dims.size(); ++i) zero = zero && entry.data[i] == 0;
  }
  CHECK(zero);
}

/// A parameter cut in two is trained as before, bit for bit.
template <class Optimiser>
void check_split(const Optimiser& optimiser) {
  constexpr int first = 37, second = 163;
  optimisation<float, Optimiser> whole(optimiser, shapes({{first + second}})),
      cut(optimiser, shapes({{first}, {second}}));
  const std::vector<double> start = numbers(first + second, 0, 0);
  whole.start(0, start);
  cut.start(0, {start.begin(), start.begin() + first});
  cut.start(1, {start.begin() + first, start.end()});
  for (std::uint32_t step = 0; step < 10; ++step) {
    const std::vector<double> gradient = numbers(first + second, 1, step);
    for (int i = 0; i < first + second; ++i) {
      const auto value = static_cast<float>(gradient[static_cast<std::size_t>(i)]);
      whole.gradient(0)[static_cast<std::size_t>(i)] = value;
      cut.gradient(i < first ? 0 : 1)[static_cast<std::size_t>(i < first ? i : i - first)] = value;
    }
    whole.step();
    cut.step();
  }
  std::vector<float> joined = cut.values(0);
  for (const float one : cut.values(1)) joined.push_back(one);
  CHECK(joined == whole.values(0));
}

/// The minimum of a badly scaled quadratic is found under a rate that falls to zero.
template <class Optimiser>
void check_convergence(const Optimiser& without_decay, int steps, double tolerance) {
  optimisation<double, Optimiser> at_work(without_decay, shapes({{4, 2}}));
  const std::vector<double> minimum = numbers(8, 3, 0);
  for (int step = 0; step < steps; ++step) {
    for (std::size_t i = 0; i < 8; ++i)
      at_work.gradient(0)[i] = (0.2 + 0.2 * static_cast<double>(i)) * (at_work.parameter(0).data[i] - minimum[i]);
    at_work.step(1 - static_cast<double>(step) / steps);
  }
  double worst = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const double error = std::abs(at_work.parameter(0).data[i] - minimum[i]);
    if (!(error <= worst)) worst = error;
  }
  CHECK(worst <= tolerance);
}

/// All laws.
/// @param optimiser with any settings
/// @param without_decay the same type, without weight decay, at a rate fit for gradients of about 1
template <class Optimiser, class Formula>
void check_optimiser(const Optimiser& optimiser, const Optimiser& without_decay, const Formula& formula,
                     int steps = 2000, double tolerance = 1e-3) {
  static_assert(vivace::optimiser<Optimiser>);
  // The compiler can make the graph of a step, too.
  static_assert(
      vivace::training_graph<Optimiser>(linear_model(vivace::sequence<vivace::shape>(2, {3, 2}))).mistake.what ==
      vivace::problem::none);
  CHECK(optimiser == Optimiser(optimiser));
  check_formula<double>(optimiser, formula, 1e-12);
  check_formula<float>(optimiser, formula, 1e-5);
  check_rest(without_decay);
  check_rate_of_zero(optimiser);
  check_states(optimiser);
  check_split(optimiser);
  check_convergence(without_decay, steps, tolerance);
}

}  // namespace laws
