// The kernels, one operation at a time, and layers with their gradients: time and share of the machine's limits.
#include <vivace/interop/google_benchmark.hpp>
#include <vivace/vivace.hpp>

namespace vv = vivace;

namespace {

/// A product [m, k] [k, n]; the operands as they lie in memory.
void product(vv::interop::benchmarks& all, int m, int n, int k, bool left_transposed = false,
             bool right_transposed = false) {
  const auto text = [](int number) { return std::to_string(number); };
  all.operation("product/" + text(m) + "x" + text(n) + "x" + text(k) + (left_transposed ? "/At" : "") +
                    (right_transposed ? "/Bt" : ""),
                vv::define([=](vv::builder& graph) {
                  const vv::value a = graph.input("a", left_transposed ? vv::shape{k, m} : vv::shape{m, k});
                  const vv::value b = graph.input("b", right_transposed ? vv::shape{n, k} : vv::shape{k, n});
                  return matmul(a, b, left_transposed, right_transposed);
                }),
                vv::batch<1>);
}

/// The three products of a dense layer: forward, weight gradient, input gradient.
void dense_products(vv::interop::benchmarks& all, int batch, int inputs, int outputs) {
  product(all, batch, outputs, inputs);
  product(all, inputs, outputs, batch, true);
  product(all, batch, inputs, outputs, false, true);
}

/// The three convolutions of a layer, each alone.
template <int Batch>
void convolutions(vv::interop::benchmarks& all, int channels, int size, int filters, int kernel, int stride,
                  int padding) {
  const auto k = static_cast<std::int16_t>(kernel), s = static_cast<std::int16_t>(stride),
             p = static_cast<std::int16_t>(padding);
  const vv::window frame{.kernel = {k, k}, .stride = {s, s}, .padding = {p, p}};
  const int out = (size + 2 * padding - kernel) / stride + 1;
  const vv::shape image{vv::rows, channels, size, size}, result{vv::rows, filters, out, out},
      weight{filters, channels, kernel, kernel};
  const auto text = [](int number) { return std::to_string(number); };
  const std::string name = "convolution/" + text(channels) + "to" + text(filters) + "/" + text(size) + "x" +
                           text(size) + "/kernel" + text(kernel) + "/stride" + text(stride);
  all.operation(name + "/forward", vv::define([=](vv::builder& graph) {
                  const vv::value x = graph.input("x", image);
                  const vv::value w = graph.parameter("w", weight);
                  return convolve(x, w, frame);
                }),
                vv::batch<Batch>);
  all.operation(name + "/input gradient", vv::define([=](vv::builder& graph) {
                  const vv::value dy = graph.input("dy", result);
                  const vv::value w = graph.parameter("w", weight);
                  return convolve_input_gradient(dy, w, frame, image);
                }),
                vv::batch<Batch>);
  all.operation(name + "/weight gradient", vv::define([=](vv::builder& graph) {
                  const vv::value x = graph.input("x", image);
                  const vv::value dy = graph.input("dy", result);
                  return convolve_weight_gradient(x, dy, frame, weight);
                }),
                vv::batch<Batch>);
}

/// One parameter, and what a step needs beside.
struct one_parameter {
  static constexpr auto graph = vv::define([](vv::builder& graph) {
    const vv::value weight = graph.parameter("weight", {512, 512});
    const vv::value nothing = mean(graph.input("nothing", {vv::rows, 1}));  // a step needs an input
    return mean(square(weight)) + nothing;
  });
};

/// The update of a parameter as a step makes it.
template <class Optimiser>
void update(vv::interop::benchmarks& all, const std::string& name, const Optimiser& settings) {
  all.step("update/" + name, one_parameter{}, vv::batch<1>, settings);
}

}  // namespace

int main(int argc, char** argv) {
  vv::interop::benchmarks all(argc, argv);

  for (const int size : {64, 128, 256, 512, 1024}) product(all, size, size, size);
  dense_products(all, 64, 784, 512);
  dense_products(all, 64, 512, 256);
  dense_products(all, 64, 256, 10);
  dense_products(all, 128, 784, 512);
  dense_products(all, 128, 512, 10);
  product(all, 32, 32, 16);
  product(all, 1024, 384, 128);

  convolutions<128>(all, 3, 32, 16, 3, 1, 1);
  convolutions<128>(all, 16, 32, 16, 3, 1, 1);
  convolutions<128>(all, 16, 32, 32, 3, 2, 1);
  convolutions<128>(all, 32, 16, 32, 3, 1, 1);
  convolutions<128>(all, 32, 16, 64, 3, 2, 1);
  convolutions<128>(all, 64, 8, 64, 3, 1, 1);
  convolutions<64>(all, 1, 28, 6, 5, 1, 2);
  convolutions<64>(all, 6, 14, 16, 5, 1, 0);
  convolutions<64>(all, 1, 28, 16, 5, 1, 2);
  convolutions<64>(all, 16, 14, 32, 5, 1, 2);

  const vv::image pixels{16, 32, 32};
  all.layer("max_pool 2", pixels, vv::max_pool{2}, vv::batch<128>);
  all.layer("avg_pool 2", pixels, vv::avg_pool{2}, vv::batch<128>);
  all.layer("batch_norm", pixels, vv::batch_norm{}, vv::batch<128>);
  all.layer("relu", pixels, vv::relu{}, vv::batch<128>);
  all.layer("gelu", vv::features{4096}, vv::gelu{}, vv::batch<128>);
  all.layer("dense 784 to 512", vv::features{784}, vv::dense{512}, vv::batch<64>);
  all.layer("layer_norm", vv::features{128}, vv::layer_norm{}, vv::batch<1024>);

  all.operation("softmax/causal 128x128", vv::define([](vv::builder& graph) {
                  return softmax(graph.input("x", {vv::rows, 4, 128, 128}), true);
                }),
                vv::batch<8>);
  all.pass("cross_entropy/10 classes", vv::define([](vv::builder& graph) {
             const vv::value logits = graph.input("x", {vv::rows, 10});
             const vv::value labels = graph.labels("y", {vv::rows});
             return cross_entropy(logits, labels);
           }),
           vv::batch<128>);
  all.operation("program/bias, gelu, residual", vv::define([](vv::builder& graph) {
                  const vv::shape dims{vv::rows, 512};
                  const vv::value x = graph.input("x", dims);
                  const vv::value bias = graph.parameter("bias", {512});
                  const vv::value residual = graph.input("residual", dims);
                  return vv::gelu{}(x + bias) + residual;
                }),
                vv::batch<1024>);
  all.pass("embedding/65 by 128", vv::define([](vv::builder& graph) {
             return vv::embedding{65, 128}(graph.labels("tokens", {vv::rows, 128}));
           }),
           vv::batch<8>);
  const auto attention = [](vv::builder& graph) {
    return vv::apply(vv::multi_head_attention{.heads = 4, .causal = true}, graph.input("x", {vv::rows, 128, 128}));
  };
  all.operation("attention/128 positions, width 128, 4 heads/forward", vv::define(attention), vv::batch<8>);
  all.pass("attention/128 positions, width 128, 4 heads/pass", vv::define(attention), vv::batch<8>);

  update(all, "sgd", vv::sgd{.rate = 1e-6});
  update(all, "sgd_momentum", vv::sgd_momentum{.rate = 1e-6});
  update(all, "adam", vv::adam{.rate = 1e-6});
  return all.run();
}
