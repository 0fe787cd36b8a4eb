// Programs that the vendor's libraries do while they write a product: recognised, and nothing else is.
#include <doctest/doctest.h>

#include <cmath>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>
#include <vivace/kernel/reference/reference.hpp>

namespace {

namespace vv = vivace;
namespace gpu = vivace::gpu;

/// What the library below was asked for.
struct tally {
  int with_bias = 0, with_relu = 0, plain = 0;
};
tally& asked() {
  static tally one;
  return one;
}

/// Runs works on the host; takes problems with a bias as a library would, by means of our own kernels.
struct with_library : gpu::host_launch {
  template <class Real>
  static void finish(Real* to, const Real* bias, bool relu, std::int64_t count, std::int64_t run, std::int64_t size) {
    for (std::int64_t i = 0; i < size; ++i) {
      to[i] += bias[i / run % count];
      if (relu && to[i] < 0) to[i] = 0;
    }
    ++asked().with_bias;
    asked().with_relu += relu ? 1 : 0;
  }
  template <class Real>
  static bool solved_by_library(const gpu::product_problem<Real>& problem, const vv::step_context& context) {
    if (problem.bias == nullptr) return ++asked().plain, false;
    using tiles = gpu::product_work<Real>;
    run(tiles(problem), gpu::blocks_of(problem.m, tiles::tile) * gpu::blocks_of(problem.n, tiles::tile) * problem.batch,
        context);
    finish(problem.c, problem.bias, problem.relu, problem.n, 1, problem.batch * problem.m * problem.n);
    return true;
  }
  template <class Real>
  static bool solved_by_library(const gpu::convolution_problem<Real>& problem, const vv::step_context& context) {
    if (problem.bias == nullptr) return ++asked().plain, false;
    const vv::shape& dims = problem.result;
    gpu::convolve_plainly<with_library, vv::op::conv2d>(problem, dims, context);
    finish(problem.c, problem.bias, problem.relu, dims[1], dims[2] * dims[3], dims.size());
    return true;
  }
};

/// Runs a graph by both, at several batch sizes; the output and what the library was asked for.
template <class Make>
tally compare(Make&& make) {
  constexpr std::int32_t batch = 4;
  vv::runtime_graph<double, gpu::kernels_by<with_library>> found(make(), batch);
  vv::runtime_graph<double, vv::reference_kernels> wanted(make(), batch);
  found.values().initialise(1);
  wanted.values().initialise(1);
  const vv::graph& graph = found.structure();
  std::vector<double> input(static_cast<std::size_t>(graph.nodes[graph.inputs[0].node].dims.size_at(batch)));
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<double>(i));
  found.run().set_input(0, input.data());
  wanted.run().set_input(0, input.data());
  asked() = {};
  tally first;
  for (const std::int32_t samples : {batch, 1, 3}) {
    found.run()({.samples = samples});
    wanted.run()({.samples = samples});
    if (samples == batch) first = asked();
    for (std::int64_t i = 0; i < wanted.run().output("y").dims.size_at(samples); ++i)
      CHECK(found.run().output("y").data[i] == doctest::Approx(wanted.run().output("y").data[i]));
  }
  return first;
}

constexpr std::int32_t depth = gpu::shallow + 1;  // shallower products are ours

enum class behind { bias, bias_and_relu, relu, two_values, bias_of_rows, scaled };

template <behind What>
vv::graph dense(std::int32_t units) {
  vv::builder make;
  const vv::initialiser start{vv::initialiser::rule::uniform, 1};
  const vv::value x = make.input("x", {vv::rows, depth});
  const vv::value w = make.parameter("w", {depth, units}, start);
  const vv::value b = make.parameter("b", {units}, start);
  const vv::value product = matmul(x, w);
  const vv::value sum = product + b;
  vv::value y = sum;
  if (What == behind::bias_and_relu || What == behind::two_values) y = vv::ops::relu(sum);
  if (What == behind::relu) y = vv::ops::relu(product);
  if (What == behind::scaled) y = sum * 2.0;
  if (What == behind::bias_of_rows) {
    const vv::value mean_of_row = mean(x, {1});
    y = product + reshape(mean_of_row, {vv::rows, 1});
  }
  make.output("y", y);
  if (What == behind::two_values) make.output("sum", sum);
  make.result().loss = mean(x).index();
  return make.take();
}

template <bool Relu>
vv::graph convolution(std::int32_t side, std::int32_t filters) {
  vv::builder make;
  const vv::initialiser start{vv::initialiser::rule::uniform, 1};
  const vv::value x = make.input("x", {vv::rows, 2, side, side});
  const vv::value w = make.parameter("w", {filters, 2, 3, 3}, start);
  const vv::value b = make.parameter("b", {filters, 1, 1}, start);
  vv::window frame;
  frame.kernel[0] = frame.kernel[1] = 3;
  const vv::value product = vv::ops::convolve(x, w, frame);
  const vv::value sum = product + b;
  const vv::value y = Relu ? vv::ops::relu(sum) : sum;
  make.output("y", y);
  make.result().loss = mean(x).index();
  return make.take();
}

}  // namespace

TEST_CASE("cuda epilogues: a bias, and relu behind it") {
  for (const std::int32_t units : {1, 2, 4, 7}) {
    const tally bias = compare([&] { return dense<behind::bias>(units); });
    CHECK(bias.with_bias == (units > 1 ? 1 : 0));  // one unit's bias is one value everywhere
    CHECK(bias.with_relu == 0);
    CHECK(compare([&] { return dense<behind::bias_and_relu>(units); }).with_relu == (units > 1 ? 1 : 0));
  }
}

TEST_CASE("cuda epilogues: other programs are left to our kernels") {
  CHECK(compare([] { return dense<behind::relu>(4); }).with_bias == 0);
  CHECK(compare([] { return dense<behind::two_values>(4); }).with_bias == 0);
  CHECK(compare([] { return dense<behind::bias_of_rows>(4); }).with_bias == 0);
  CHECK(compare([] { return dense<behind::scaled>(4); }).with_bias == 0);
}

TEST_CASE("cuda epilogues: the bias of a convolution") {
  for (const std::int32_t side : {3, 5, 8})
    for (const std::int32_t filters : {2, 4}) {
      CHECK(compare([&] { return convolution<false>(side, filters); }).with_bias == 1);
      CHECK(compare([&] { return convolution<true>(side, filters); }).with_relu == 1);
    }
}

TEST_CASE("cuda epilogues: a bias that lies where the result goes is left to our kernels") {
  std::vector<float> memory(16);
  vv::instruction sum;
  sum.kind = vv::op::add;
  sum.to = 1;
  sum.from[0] = 0;
  sum.from[1] = -1;
  const vv::bound_instruction<float> code{nullptr, &sum};
  vv::bound_load<float> bias;
  bias.full = true;
  vv::bound_store<float> store{memory.data() + 4, 1};
  vv::program<float> body;
  body.load = &bias;
  body.code = &code;
  body.store = &store;
  body.loads = body.instructions = body.stores = 1;
  body.head_register = 0;
  body.size = 4;
  for (std::int64_t place = 0; place <= 12; ++place) {
    bias.data = memory.data() + place;
    CHECK((gpu::epilogue_of(body, 4, 1).bias != nullptr) == (place == 0 || place >= 8));
  }
}
