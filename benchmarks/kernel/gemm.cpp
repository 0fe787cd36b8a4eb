// Matrix products and convolutions on one thread, beside a loop of fused multiply-adds in registers: the machine's
// peak.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vivace/core/buffer.hpp>
#include <vivace/kernel/cpu/conv.hpp>
#include <vivace/kernel/cpu/gemm.hpp>

namespace vk = vivace::kernel;

namespace {

/// Memory of ones, owned by the caller.
vivace::buffer ones(std::int64_t count) {
  vivace::buffer memory(static_cast<std::size_t>(count) * sizeof(float) + 64);
  for (std::int64_t at = 0; at < count; ++at) memory.as<float>()[at] = 1.f;
  return memory;
}

void report(benchmark::State& state, double multiply_adds) {
  state.counters["FLOP/s"] = benchmark::Counter(2 * multiply_adds, benchmark::Counter::kIsIterationInvariantRate);
}

void peak(benchmark::State& state) {
  constexpr int chains = 12, steps = 10'000;
  vk::vector<float> sum[chains] = {}, factor = vk::broadcast(0.5f), term = vk::broadcast(0.25f);
  for (auto _ : state) {
    benchmark::DoNotOptimize(factor);
    for (int step = 0; step < steps; ++step) {
#pragma GCC unroll 12
      for (int chain = 0; chain < chains; ++chain) sum[chain] = sum[chain] * factor + term;
    }
    benchmark::DoNotOptimize(sum);
  }
  report(state, double{chains} * steps * vk::lanes<float>);
}
BENCHMARK(peak);

/// Arguments: m, n, k, whether A and B are stored transposed.
void product(benchmark::State& state) {
  const int m = static_cast<int>(state.range(0)), n = static_cast<int>(state.range(1)),
            k = static_cast<int>(state.range(2));
  const bool left = state.range(3) != 0, right = state.range(4) != 0;
  const auto a = ones(std::int64_t{m} * k), b = ones(std::int64_t{k} * n), c = ones(std::int64_t{m} * n);
  const auto work = ones(vk::gemm_workspace(m, n, k));
  vk::gemm_arguments<float> arguments{.m = m,
                                      .n = n,
                                      .k = k,
                                      .a = a.as<float>(),
                                      .a_row = left ? 1 : k,
                                      .a_column = left ? m : 1,
                                      .b = b.as<float>(),
                                      .b_row = right ? 1 : n,
                                      .b_column = right ? k : 1,
                                      .c = c.as<float>()};
  arguments.workspace = work.as<float>();
  for (auto _ : state) {
    vk::gemm(arguments, {});
    benchmark::ClobberMemory();
  }
  report(state, double(m) * n * k);
}
BENCHMARK(product)
    ->ArgNames({"m", "n", "k", "At", "Bt"})
    ->Args({256, 256, 256, 0, 0})
    ->Args({512, 512, 512, 0, 0})
    ->Args({1024, 1024, 1024, 0, 0})
    ->Args({64, 512, 784, 0, 0})
    ->Args({784, 512, 64, 1, 0})
    ->Args({64, 784, 512, 0, 1})
    ->Args({128, 512, 784, 0, 0})
    ->Args({784, 512, 128, 1, 0})
    ->Args({128, 784, 512, 0, 1})
    ->Args({64, 10, 512, 0, 0})
    ->Args({512, 10, 64, 1, 0})
    ->Args({64, 512, 10, 0, 1})
    ->Args({32, 32, 16, 0, 0});

/// Arguments: batch, channels in, size, channels out, kernel, stride, padding.
vk::conv_geometry geometry(const benchmark::State& state) {
  const auto at = [&](int index) { return static_cast<int>(state.range(static_cast<std::size_t>(index))); };
  const int out = (at(2) + 2 * at(6) - at(4)) / at(5) + 1;
  return {at(0), at(1), at(2), at(2), at(3), out, out, at(4), at(4), at(5), at(5), at(6), at(6), 1, 1, 1};
}
struct operands {
  explicit operands(const vk::conv_geometry& g)
      : x(ones(std::int64_t{g.batch} * g.in_channels * g.height * g.width)),
        w(ones(std::int64_t{g.out_channels} * g.in_channels * g.kernel_h * g.kernel_w)),
        y(ones(std::int64_t{g.batch} * g.out_channels * g.out_height * g.out_width)) {}
  vivace::buffer x, w, y;
};
void forward(benchmark::State& state) {
  const auto g = geometry(state);
  const operands data(g);
  const auto work = ones(vk::conv2d_workspace(g));
  for (auto _ : state)
    vk::conv2d<float>(g, data.x.as<float>(), data.w.as<float>(), data.y.as<float>(), nullptr, work.as<float>(), {});
  report(state, static_cast<double>(vk::multiply_adds(g)));
}
void input_gradient(benchmark::State& state) {
  const auto g = geometry(state);
  const operands data(g);
  const auto work = ones(vk::conv2d_input_gradient_workspace(g));
  for (auto _ : state)
    vk::conv2d_input_gradient<float>(g, data.y.as<float>(), data.w.as<float>(), data.x.as<float>(), nullptr,
                                     work.as<float>(), {});
  report(state, static_cast<double>(vk::multiply_adds(g)));
}
void weight_gradient(benchmark::State& state) {
  const auto g = geometry(state);
  const operands data(g);
  const auto work = ones(vk::conv2d_weight_gradient_workspace(g));
  for (auto _ : state)
    vk::conv2d_weight_gradient<float>(g, data.x.as<float>(), data.y.as<float>(), data.w.as<float>(), nullptr,
                                      work.as<float>(), {});
  report(state, static_cast<double>(vk::multiply_adds(g)));
}
void layers(benchmark::internal::Benchmark* to) {
  to->ArgNames({"batch", "in", "size", "out", "kernel", "stride", "padding"});
  to->Args({128, 3, 32, 16, 3, 1, 1})->Args({128, 16, 32, 16, 3, 1, 1})->Args({128, 16, 32, 32, 3, 2, 1});
  to->Args({128, 32, 16, 32, 3, 1, 1})->Args({128, 32, 16, 64, 3, 2, 1})->Args({128, 64, 8, 64, 3, 1, 1});
  to->Args({64, 1, 28, 6, 5, 1, 2})->Args({64, 6, 14, 16, 5, 1, 0});
}
BENCHMARK(forward)->Apply(layers);
BENCHMARK(input_gradient)->Apply(layers);
BENCHMARK(weight_gradient)->Apply(layers);

}  // namespace

BENCHMARK_MAIN();
