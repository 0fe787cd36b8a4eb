#include "check.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string_view>
#include <vivace/core/random.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/kernel/reference/reference.hpp>

namespace gradient_check {

namespace vv = vivace;
using vv::value;

vv::op flipped_op() {
  const char* wanted = std::getenv("VIVACE_FLIP");
  for (int index = 0; wanted != nullptr && index < vv::op_count; ++index)
    if (vv::to_string(static_cast<vv::op>(index)) == wanted) return static_cast<vv::op>(index);
  return vv::op::none;
}

namespace {

using numbers = std::vector<double>;

/// Gradients of a scalar; zeros where it does not depend on a value.
std::vector<value> gradients(value loss, const std::vector<value>& variables) {
  vv::builder& graph = loss.owner();
  vv::sequence<std::int32_t> indices;
  for (const value variable : variables) indices.push_back(variable.index());
  const auto found = vv::reverse_sweep(graph, loss.index(), flipped_op())(indices);
  std::vector<value> result;
  for (int i = 0; i < found.size(); ++i)
    result.push_back(found[i] >= 0 ? graph.handle(found[i]) : broadcast(graph.constant(0), variables[std::size_t(i)].dims()));
  return result;
}

numbers filled(const operand& how, std::int64_t count, std::uint32_t stream) {
  const vv::random_stream random(20, stream);
  numbers result(static_cast<std::size_t>(count));
  const double width = how.high - how.low;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double uniform = random.uniform(2 * i);
    result[i] = how.low + width * uniform;
    if (how.how == fill::nonzero && random.uniform(2 * i + 1) < 0.5) result[i] = -result[i];
    if (how.how == fill::distinct) result[i] = how.low + width * (static_cast<double>(i) + 0.5) / static_cast<double>(count);
  }
  if (how.how == fill::distinct)
    for (std::size_t i = result.size(); i > 1; --i) std::swap(result[i - 1], result[random.below(i, i)]);
  return result;
}

double dot(const numbers& left, const numbers& right) {
  double total = 0;
  for (std::size_t i = 0; i < left.size(); ++i) total += left[i] * right[i];
  return total;
}

/// The largest disagreement of a list of derivatives, each relative to max(1, |a|, |n|).
struct disagreement {
  double worst = 0;
  double analytic = 0, numeric = 0;
  void see(double a, double n) {
    const double error = std::abs(a - n) / (std::max)({1.0, std::abs(a), std::abs(n)});
    if (error <= worst) return;  // a NaN passes on, and fails the check
    worst = error;
    analytic = a;
    numeric = n;
  }
};

/// The graph of a function f(x) with s = <v, f(x)>, its gradient g, q = |g|^2 and its gradient h, and J u, which is the
/// gradient of <g, u> with respect to v.
class experiment {
 public:
  experiment(const function& tested, int planned, int samples)
      : samples_(samples), run_(build(tested), planned) {
    run_.values().initialise(1);
    const vv::graph& graph = run_.structure();
    for (const vv::port& input : graph.inputs) {
      const vv::node& node = graph.nodes[input.node];
      const operand& how = options(input.name.view(), tested);
      const std::int64_t count = node.dims.size_at(samples);
      const int position = run_.run().input(input.name.view());
      if (node.kind == vv::op::labels) {
        std::vector<std::int32_t>& target = labels_.emplace_back();
        for (const double number : filled(how, count, stream_++)) target.push_back(static_cast<std::int32_t>(number));
        run_.run().set_input(position, target.data());
      } else {
        numbers& target = inputs_.emplace_back(filled(how, count, stream_++));
        run_.run().set_input(position, target.data());
        add_place(input.name.view(), target.data(), count);
      }
    }
    for (int p = 0; p < run_.values().parameter_count(); ++p) {
      const auto entry = run_.values().parameter(p);
      const numbers start = filled(options(entry.name, tested), entry.dims.size(), stream_++);
      std::copy(start.begin(), start.end(), entry.data);
      add_place(entry.name, entry.data, entry.dims.size());
    }
    for (int s = 0; s < run_.values().state_count(); ++s) {
      const auto entry = run_.values().state(s);
      const numbers start = filled({{}, fill::plain, 0.5, 1.5}, entry.dims.size(), stream_++);
      std::copy(start.begin(), start.end(), entry.data);
    }
  }

  struct outcome {
    double s, q;
    numbers y;
  };
  outcome run() {
    run_.run()({.seed = 5, .step = 7, .samples = samples_});
    return {read("s")[0], read("q")[0], read("y")};
  }
  numbers read(const std::string& output) {
    const auto found = run_.run().output(output);
    return numbers(found.data, found.data + found.dims.size_at(samples_));
  }

  struct place {
    std::string name;
    double* data = nullptr;
    std::int64_t count = 0;
    [[nodiscard]] numbers values() const { return numbers(data, data + count); }
  };
  [[nodiscard]] const place& at(const std::string& name) const {
    return *std::find_if(places_.begin(), places_.end(), [&](const place& p) { return p.name == name; });
  }
  /// What f is differentiated by.
  [[nodiscard]] const std::vector<std::string>& variables() const { return variables_; }

 private:
  void add_place(std::string_view name, double* data, std::int64_t count) {
    places_.push_back({std::string(name), data, count});
  }
  static operand options(std::string_view name, const function& tested) {
    if (name.starts_with("x")) return tested.operands[std::stoul(std::string(name.substr(1)))];
    return {{}, fill::plain, -1.1, 1.3};
  }

  vv::graph build(const function& tested) {
    vv::builder graph(tested.training);
    const auto source = [&](const std::string& name, const operand& how) {
      if (how.how == fill::labels) return graph.labels(name, how.dims);
      return how.dims.per_sample() ? graph.input(name, how.dims) : graph.parameter(name, how.dims);
    };
    std::vector<value> given;
    std::vector<value> variables;
    for (const operand& how : tested.operands) {
      const std::string name = "x" + std::to_string(given.size());
      given.push_back(source(name, how));
      if (how.how == fill::labels) continue;
      variables.push_back(given.back());
      variables_.push_back(name);
    }
    const value y = tested.apply(graph, given);
    for (const vv::variable& own : graph.result().parameters) {  // a layer's parameters
      const std::string name(own.name.view());
      if (std::find(variables_.begin(), variables_.end(), name) != variables_.end()) continue;
      if (name.starts_with("x")) continue;
      variables.push_back(graph.handle(own.node));
      variables_.push_back(name);
    }
    const value v = source("v", {y.dims()});
    const value s = sum(y * v);
    const std::vector<value> g = gradients(s, variables);
    value q = graph.constant(0);
    value t = graph.constant(0);
    for (std::size_t i = 0; i < g.size(); ++i) {
      q = q + sum(square(g[i]));
      const value u = source("u" + std::to_string(i), {g[i].dims()});
      t = t + sum(g[i] * u);
    }
    const std::vector<value> h = gradients(q, variables);
    graph.output("y", y);
    graph.output("s", s);
    graph.output("q", q);
    graph.output("Ju", gradients(t, {v})[0]);
    for (std::size_t i = 0; i < g.size(); ++i) {
      graph.output("g" + std::to_string(i), g[i]);
      graph.output("h" + std::to_string(i), h[i]);
    }
    return vv::canonical(graph.result());
  }

  std::int32_t samples_;
  std::vector<std::string> variables_;
  vv::runtime_graph<double, vv::reference_kernels> run_;
  std::deque<numbers> inputs_;
  std::deque<std::vector<std::int32_t>> labels_;
  std::vector<place> places_;
  std::uint32_t stream_ = 0;
};

/// The derivative of all results along a direction: central differences, extrapolated (Richardson).
template <class Move>
experiment::outcome slope(experiment& tested, Move&& move) {
  constexpr double h = 1e-3;
  experiment::outcome step[2];
  for (int level = 0; level < 2; ++level) {
    const double length = h / (1 << level);
    move(length);
    const experiment::outcome above = tested.run();
    move(-2 * length);
    step[level] = tested.run();
    move(length);
    step[level].s = (above.s - step[level].s) / (2 * length);
    step[level].q = (above.q - step[level].q) / (2 * length);
    for (std::size_t i = 0; i < above.y.size(); ++i) step[level].y[i] = (above.y[i] - step[level].y[i]) / (2 * length);
  }
  experiment::outcome result = step[1];
  result.s += (step[1].s - step[0].s) / 3;
  result.q += (step[1].q - step[0].q) / 3;
  for (std::size_t i = 0; i < result.y.size(); ++i) result.y[i] += (step[1].y[i] - step[0].y[i]) / 3;
  return result;
}

void check_entries(experiment& tested, std::size_t index) {
  const std::string& name = tested.variables()[index];
  const experiment::place& x = tested.at(name);
  tested.run();
  const numbers g = tested.read("g" + std::to_string(index));
  const numbers h = tested.read("h" + std::to_string(index));
  REQUIRE(static_cast<std::int64_t>(g.size()) == x.count);
  disagreement first, second;
  for (std::int64_t i = 0; i < x.count; ++i) {
    const double old = x.data[i];
    const auto found = slope(tested, [&](double by) { x.data[i] += by; });
    x.data[i] = old;
    first.see(g[static_cast<std::size_t>(i)], found.s);
    second.see(h[static_cast<std::size_t>(i)], found.q);
  }
  CHECK_MESSAGE(first.worst <= 1e-6, "gradient of ", name, ": ", first.analytic, " against ", first.numeric);
  CHECK_MESSAGE(second.worst <= 1e-6, "second derivative, ", name, ": ", second.analytic, " against ", second.numeric);
}

}  // namespace

void check(const function& tested, int planned, int samples) {
  INFO(tested.name, ", batch ", samples, " of ", planned);
  experiment made(tested, planned, samples);
  const std::size_t count = made.variables().size();
  for (std::size_t i = 0; i < count; ++i) check_entries(made, i);

  // Along the direction u, and <v, J u> = <J' v, u>.
  made.run();
  const numbers v = made.at("v").values();
  const numbers forward = made.read("Ju");
  double backward = 0;
  double rise = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const numbers u = made.at("u" + std::to_string(i)).values();
    backward += dot(made.read("g" + std::to_string(i)), u);
    rise += dot(made.read("h" + std::to_string(i)), u);
  }
  const double bound = 1e-12 * std::sqrt(dot(v, v) * dot(forward, forward));
  CHECK_MESSAGE(std::abs(dot(v, forward) - backward) <= bound, "<v, Ju> = ", dot(v, forward), ", <J'v, u> = ", backward);
  const auto found = slope(made, [&](double by) {
    for (std::size_t i = 0; i < count; ++i) {
      const experiment::place& x = made.at(made.variables()[i]);
      const experiment::place& u = made.at("u" + std::to_string(i));
      for (std::int64_t j = 0; j < x.count; ++j) x.data[j] += by * u.data[j];
    }
  });
  disagreement all;
  all.see(backward, found.s);
  all.see(rise, found.q);
  for (std::size_t i = 0; i < forward.size(); ++i) all.see(forward[i], found.y[i]);
  CHECK_MESSAGE(all.worst <= 1e-6, "along a direction: ", all.analytic, " against ", all.numeric);
}

void check(const function& tested) {
  bool per_sample = false;
  for (const operand& how : tested.operands) per_sample = per_sample || how.dims.per_sample();
  check(tested, 1, 1);
  if (!per_sample) return;
  check(tested, 3, 3);
  check(tested, 5, 3);
}

}  // namespace gradient_check
