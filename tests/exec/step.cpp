// Plans bound to memory: every kind of operand, every batch size, and what is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>
#include <vivace/core/errors.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/scan.hpp>

namespace {

namespace vv = vivace;

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& found) {
    return found.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr std::int32_t rows_of = 4, columns_of = 3;

/// One program with loads of all kinds: whole, repeated along each side, one value everywhere; from an input, a
/// parameter, a state, a setting, a literal and the arena.
vv::graph every_load() {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, rows_of, columns_of});
  const vv::value each = make.input("each", {vv::rows, 1, 1});
  const vv::value along = make.parameter("along", {columns_of});
  const vv::value down = make.parameter("down", {rows_of, 1});
  const vv::value all = make.parameter("all", {});
  const vv::value kept = make.state("kept", {rows_of, columns_of});
  const vv::value rate = make.setting("rate");
  const vv::value total = sum(x, {1, 2});  // in the arena, one a sample
  const vv::value scaled = x * along;
  const vv::value moved = scaled + down;
  const vv::value each_scaled = moved * each;
  const vv::value with_state = each_scaled + kept;
  const vv::value with_setting = with_state * rate;
  const vv::value with_scalar = with_setting - all;
  const vv::value with_total = with_scalar + reshape(total, {vv::rows, 1, 1});
  const vv::value y = vv::ops::maximum(with_total, -0.5);
  make.output("y", y);
  make.output("total", total);
  const vv::value remembered = kept * 0.5;
  const vv::value added = mean(x, {0});
  make.update(kept, remembered + added);
  make.result().loss = mean(y).index();
  return make.take();
}

template <class Real>
struct given {
  std::vector<Real> x, each;
  explicit given(std::int32_t samples, std::uint32_t step) {
    const vv::random_stream random(4, 5, step);
    for (std::int32_t i = 0; i < samples * rows_of * columns_of; ++i)
      x.push_back(static_cast<Real>(random.uniform(static_cast<std::uint64_t>(i)) - 0.5));
    for (std::int32_t i = 0; i < samples; ++i)
      each.push_back(static_cast<Real>(random.uniform(static_cast<std::uint64_t>(i) + 100000) + 0.5));
  }
};

template <class Real, class Kernels>
void check_every_load(double tolerance) {
  constexpr std::int32_t batch = 50;
  vv::runtime_graph<Real, Kernels> made(every_load(), batch);
  made.values().initialise(3);
  vv::instance<Real>& run = made.run();
  const Real* along = made.values().find("along").data;
  const Real* down = made.values().find("down").data;
  const Real* all = made.values().find("all").data;
  const Real* kept = made.values().find("kept").data;
  std::uint32_t step = 0;
  for (const std::int32_t samples : {1, 50, 2, 49, 50, 50, 1, 33}) {
    const given<Real> data(samples, step);
    const std::vector<Real> before(kept, kept + rows_of * columns_of);
    run.set_input(run.input("x"), data.x.data());
    run.set_input(run.input("each"), data.each.data());
    const double rate = 0.5 + step;
    run.settings()[0] = static_cast<Real>(rate);
    run({.step = step++, .samples = samples});

    const vv::tensor<const Real> y = run.output("y");
    CHECK(y.dims == vv::shape{vv::rows, rows_of, columns_of});
    double worst = 0, loss = 0;
    std::vector<double> mean_x(rows_of * columns_of);
    for (int s = 0; s < samples; ++s) {
      double total = 0;
      for (int i = 0; i < rows_of * columns_of; ++i)
        total += data.x[static_cast<std::size_t>(s * rows_of * columns_of + i)];
      worst = (std::max)(worst, std::abs(total - run.output("total").data[s]));
      for (int r = 0; r < rows_of; ++r)
        for (int c = 0; c < columns_of; ++c) {
          const auto place = static_cast<std::size_t>(r * columns_of + c);
          const double x = data.x[static_cast<std::size_t>(s) * rows_of * columns_of + place];
          mean_x[place] += x / samples;
          const double scaled = (x * along[c] + down[r]) * data.each[static_cast<std::size_t>(s)];
          const double wanted = (std::max)(-0.5, (scaled + before[place]) * rate - *all + total);
          worst =
              (std::max)(worst, std::abs(wanted - y.data[static_cast<std::size_t>(s) * rows_of * columns_of + place]));
          loss += wanted / (samples * rows_of * columns_of);
        }
    }
    for (std::size_t place = 0; place < before.size(); ++place)
      worst = (std::max)(worst, std::abs(kept[place] - (before[place] * 0.5 + mean_x[place])));
    CHECK(worst <= tolerance);
    CHECK(std::abs(loss - run.loss()) <= tolerance);
  }
}

vv::graph product() {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 300});
  const vv::value w = make.parameter("w", {300, 200});
  const vv::value b = make.parameter("b", {200});
  const vv::value y = tanh(matmul(x, w) + b);
  make.output("y", y);
  make.result().loss = mean(square(y)).index();
  return make.take();
}

/// Kernels of which a product fails when its turn has come.
struct failing_kernels : vv::reference_kernels {
  static int& products_left() {
    static int count = 0;
    return count;
  }
  template <vv::op Kind, class Real>
  static constexpr vv::kernel_function<Real> operation() {
    if constexpr (Kind == vv::op::matmul)
      return [](const vv::call<Real>& self, const vv::step_context& context) {
        if (products_left()-- == 0) throw vv::error("a product fails", "test", "", "");
        vv::reference_kernels::operation<Kind, Real>()(self, context);
      };
    else
      return vv::reference_kernels::operation<Kind, Real>();
  }
};

}  // namespace

TEST_CASE("step: programs with operands of every kind, at every batch size") {
  SUBCASE("fast kernels, double") { check_every_load<double, vv::cpu_kernels>(1e-12); }
  SUBCASE("fast kernels, float") { check_every_load<float, vv::cpu_kernels>(2e-5); }
  SUBCASE("reference kernels, double") { check_every_load<double, vv::reference_kernels>(1e-12); }
  SUBCASE("reference kernels, float") { check_every_load<float, vv::reference_kernels>(2e-5); }
}

TEST_CASE("step: a smaller batch gives the bits that a plan for it gives, and leaves no trace") {
  constexpr std::int32_t batch = 64;
  const std::vector<float> x(300 * batch, 0.25F);
  vv::runtime_graph<float, vv::cpu_kernels> large(product(), batch);
  large.values().initialise(1);
  const auto result_of = [&](vv::runtime_graph<float, vv::cpu_kernels>& made, std::int32_t samples) {
    made.run().set_input(0, x.data());
    made.run()({.samples = samples});
    const float* y = made.run().output("y").data;
    std::vector<float> result(y, y + 200 * samples);
    result.push_back(made.run().loss());
    return result;
  };
  const std::vector<float> whole = result_of(large, batch);
  for (const std::int32_t samples : {1, 17, 63}) {
    vv::runtime_graph<float, vv::cpu_kernels> own(product(), samples);
    own.values().initialise(1);
    CHECK(result_of(large, samples) == result_of(own, samples));
    CHECK(result_of(large, batch) == whole);
  }
}

TEST_CASE("step: inputs may move from step to step") {
  vv::runtime_graph<float, vv::cpu_kernels> made(product(), 2);
  made.values().initialise(1);
  std::vector<float> first(600, 0.5F), second(600, -0.5F);
  made.run().set_input(0, first.data());
  made.run()({.samples = 2});
  const float one = made.run().output("y").data[0];
  made.run().set_input(0, second.data());
  made.run()({.samples = 2});
  CHECK(made.run().output("y").data[0] != one);
  second = first;
  made.run()({.samples = 2});
  CHECK(made.run().output("y").data[0] == one);
}

TEST_CASE("step: one that ended in a loop's middle by an exception leaves no trace") {
  constexpr std::int32_t turns = 5, width = 3, samples = 2;
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, turns, width});
  const vv::value weight = make.parameter("weight", {width, width});
  vv::value state = make.constant(0.25);
  make.output("all", vv::ops::scan(x, 1, state, [&](vv::value part, vv::value& carried) {
                return carried = tanh(matmul(part + carried, weight));
              }));
  make.result().loss = mean(state).index();
  vv::runtime_graph<double, failing_kernels> made(vv::canonical(make.take()), samples);
  REQUIRE(made.steps().loops.size() == 1);
  made.values().initialise(1);
  const given<double> data(4, 0);
  made.run().set_input(0, data.x.data());
  const auto run = [&] {
    made.run()({.samples = samples});
    const double* all = made.run().output("all").data;
    return std::vector<double>(all, all + samples * turns * width);
  };
  failing_kernels::products_left() = 1000;
  const std::vector<double> wanted = run();
  for (int good = 0; good < turns; ++good) {
    failing_kernels::products_left() = good;
    CHECK(contains(message_of(run), "a product fails"));
    failing_kernels::products_left() = 1000;
    CHECK(run() == wanted);
  }
}

TEST_CASE("step: a program in many tasks does what it does in one") {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 100});
  const vv::value b = make.parameter("b", {100}, {vv::initialiser::rule::normal, 1});
  make.output("y", exp(x * b) + x);
  make.result().loss = make.constant(0).index();
  const vv::graph from = make.take();
  constexpr std::int32_t batch = 3001;  // ten tasks and a part of one
  static_assert(batch * 100 > 9 * vv::program_grain && batch * 100 % vv::program_grain != 0);
  std::vector<double> data;
  for (int i = 0; i < batch * 100; ++i) data.push_back(i % 977 / 977.0);
  vv::threads::executor pool(vv::threads{4});
  vv::runtime_graph<double, vv::cpu_kernels> serial(from, batch), parallel(from, batch);
  for (auto* made : {&serial, &parallel}) {
    made->values().initialise(2);
    made->run().set_input(0, data.data());
    made->run()({.lanes = made == &serial ? vv::parallel{} : pool.lanes(), .samples = batch});
  }
  const double* y = serial.run().output("y").data;
  CHECK(std::memcmp(y, parallel.run().output("y").data, data.size() * sizeof(double)) == 0);
  const double* scale = serial.values().find("b").data;
  double worst = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    worst = (std::max)(worst, std::abs(y[i] - std::exp(data[i] * scale[i % 100]) - data[i]));
  CHECK(worst < 1e-12);
}

TEST_CASE("instance: names that do not exist are errors") {
  vv::runtime_graph<float, vv::cpu_kernels> made(every_load(), 2);
  CHECK(made.run().input("each") == 1);
  CHECK(made.values().find("kept").dims == vv::shape{rows_of, columns_of});
  CHECK(made.values().find("along").name == "along");
  const std::string input = message_of([&] { (void)made.run().input("z"); });
  CHECK(contains(input, "no such input"));
  CHECK(contains(input, "got:   z"));
  const std::string output = message_of([&] { (void)made.run().output("x"); });
  CHECK(contains(output, "no such output"));
  CHECK(contains(output, "got:   x"));
  const std::string variable = message_of([&] { (void)made.values().find(""); });
  CHECK(contains(variable, "no such parameter"));
}

TEST_CASE("instance: numbers of samples out of range are refused, and the next step is fine") {
  vv::runtime_graph<float, vv::cpu_kernels> made(product(), 4);
  made.values().initialise(1);
  const std::vector<float> x(1200, 0.5F);
  made.run().set_input(0, x.data());
  for (const std::int32_t samples : {0, -1, 5, 1 << 30}) {
    const std::string text = message_of([&] { made.run()({.samples = samples}); });
    CHECK(contains(text, "the number of samples is out of range"));
    CHECK(contains(text, "got:   " + std::to_string(samples)));
    CHECK(contains(text, "1 to 4"));
  }
  made.run()({.samples = 4});
  CHECK(std::isfinite(made.run().loss()));
}

TEST_CASE("instance: an input that was forgotten is named") {
  vv::runtime_graph<float, vv::cpu_kernels> made(every_load(), 2);
  const std::vector<float> x(2 * rows_of * columns_of);
  made.run().set_input(made.run().input("x"), x.data());
  const std::string text = message_of([&] { made.run()({.samples = 2}); });
  CHECK(contains(text, "an input has no data"));
  CHECK(contains(text, "where: input each"));
}

TEST_CASE("instance: several plans share variables") {
  const vv::graph from = product();
  const vv::plan steps = vv::make_plan(from, vv::fuse(from), 2, &vv::cpu_kernels::workspace);
  vv::variables<float> values(from, steps);
  values.initialise(4);
  constexpr auto kernels = vv::kernels_for<vv::cpu_kernels, float, vv::all_operations>();
  vv::instance<float> first(from, steps, kernels, values), second(from, steps, kernels, values);
  const std::vector<float> x(600, 0.5F);
  const auto result_of = [&](vv::instance<float>& run) {
    run.set_input(0, x.data());
    run({.samples = 2});
    return run.loss();
  };
  const float before = result_of(first);
  CHECK(result_of(second) == before);
  values.find("w").data[0] += 1;
  CHECK(result_of(first) != before);
  CHECK(result_of(second) == first.loss());
  CHECK(values.bytes() >= (60000 + 200) * sizeof(float));
}

TEST_CASE("runtime_graph: a mistake is an exception that says which") {
  vv::builder make;
  const vv::value x = make.input("x", {vv::rows, 3});
  const vv::value w = make.parameter("w", {4, 2});
  make.result().loss = mean(matmul(x, w)).index();
  const std::string text = message_of([&] { vv::runtime_graph<float, vv::cpu_kernels> made(make.result()); });
  CHECK(contains(text, "the inner extents of a product differ"));
  CHECK(contains(text, "[batch, 3]"));
  CHECK(contains(text, "[4, 2]"));
  for (const std::int32_t batch : {0, -4})
    CHECK(contains(message_of([&] { vv::runtime_graph<float, vv::cpu_kernels> made(product(), batch); }),
                   "a batch needs at least one sample"));
}

TEST_CASE("runtime_graph: a loss that is a parameter or a literal can be read") {
  for (const bool literal : {true, false}) {
    vv::builder make;
    const vv::value start = make.parameter("p", {}, {vv::initialiser::rule::constant, 2.5});
    const vv::value loss = literal ? make.constant(2.5) : start;
    make.result().loss = make.computed(loss).index();
    vv::runtime_graph<double, vv::cpu_kernels> made(make.take());
    made.values().initialise(0);
    made.run()({.samples = 1});
    CHECK(made.run().loss() == 2.5);
  }
}
