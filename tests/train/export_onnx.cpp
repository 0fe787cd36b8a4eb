// Networks as ONNX models. tests/python/onnx_check.py runs the case "onnx: write" and reads the files with onnxruntime.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <vivace/data/dataset.hpp>
#include <vivace/exec/evaluate.hpp>
#include <vivace/io/npy.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/attention.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/residual.hpp>
#include <vivace/nn/scan.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/export_onnx.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"

namespace vv = vivace;
namespace io = vivace::io;

namespace {

struct mlp {
  static constexpr auto graph =
      vv::classifier(vv::features{20}, vv::classes{5}, vv::dense{16}, vv::gelu{}, vv::layer_norm{}, vv::dense{12},
                     vv::leaky_relu{}, vv::dense{8}, vv::silu{}, vv::dropout{}, vv::dense{5}, vv::softmax{});
};
struct lenet {
  static constexpr auto graph = vv::classifier(
      vv::image{1, 20, 20}, vv::classes{10}, vv::conv2d{.filters = 6, .kernel = 5, .padding = 2}, vv::relu{},
      vv::max_pool{2}, vv::conv2d{.filters = 8, .kernel = 3, .dilation = 2, .groups = 2}, vv::tanh{},
      vv::avg_pool{.size = 3, .stride = 2, .padding = 1}, vv::flatten{}, vv::dense{20}, vv::relu{}, vv::dense{10});
};
template <int Channels, int Stride = 1>
constexpr auto block() {
  return vv::residual(vv::conv2d{.filters = Channels, .stride = Stride, .padding = 1, .bias = false}, vv::batch_norm{},
                      vv::relu{}, vv::conv2d{.filters = Channels, .padding = 1, .bias = false}, vv::batch_norm{});
}
struct resnet {
  static constexpr auto graph =
      vv::classifier(vv::image{3, 16, 16}, vv::classes{10}, vv::conv2d{.filters = 8, .padding = 1, .bias = false},
                     vv::batch_norm{}, vv::relu{}, block<8>(), vv::relu{}, block<16, 2>(), vv::relu{}, block<32, 2>(),
                     vv::relu{}, vv::global_avg_pool{}, vv::dense{10});
};

/// Every operation that layers do not reach, in one graph.
vv::graph zoo(vv::shape dims) {
  vv::builder make(false);
  const vv::value x = make.input("x", dims);
  const vv::value index = make.labels("index", {vv::rows});
  const vv::value table = make.parameter("table", {7, 6});
  const vv::value square_matrix = make.parameter("matrix", {6, 6});
  const vv::value row = make.parameter("row", {6});
  const vv::value taken = take_rows(table, index);
  const vv::value turned = matmul(x, square_matrix, false, true);
  const vv::value mixed = maximum(x, row) * minimum(taken, x) - abs(x) / (square(row) + 1.0);
  const vv::value curved = exp(-square(x)) + log(affine(square(x), 2, 1)) + power(abs(x) + 1.0, 1.5);
  const vv::value wave = vv::ops::sin(x) * vv::ops::cos(x) + sign(x) * vv::ops::sqrt(abs(x) + 0.5);
  const vv::value truth = where(x > row, x, -x) + equal(x, x) + (x > 0.25);
  const vv::value wide = concatenate(slice(mixed, 1, 1, 3), slice(curved, 1, 2, 2), 1);
  const vv::value padded = pad(wide, 1, 1, 8);
  const vv::value picture = reshape(transpose(reshape(padded, {vv::rows, 2, 4}), {0, 2, 1}), {vv::rows, 8});
  const vv::value largest = (vv::ops::max)(picture, {1});
  const vv::value parts = vv::ops::reshape(vv::ops::sum_to(wave, {vv::rows, 1}), {vv::rows});
  const vv::value spread = broadcast(reshape(largest, {vv::rows, 1}), {vv::rows, 6});
  const vv::value scores = reshape(concatenate(x, wave, 1), {vv::rows, 3, 4});
  const vv::value attention = softmax(matmul(scores, scores, false, true), true);
  const vv::value attended = reshape(matmul(attention, scores), {vv::rows, 12});
  const vv::value half = mean(wave, {1});
  make.output("rows", turned + spread + truth + concatenate(slice(attended, 1, 0, 5), slice(attended, 1, 8, 1), 1));
  make.output("sums", largest + parts + half);
  make.output("losses", cross_entropy(turned, index));
  make.output("again", picture);
  make.output("twice", picture);
  make.output("total", sum(picture) + mean(x));
  make.result().loss = make.constant(0).index();
  return make.take();
}

/// Layers over sequences.
vv::graph sequence() {
  vv::builder make(false);
  const vv::value tokens = make.labels("tokens", {vv::rows, 5});
  const vv::value embedded = apply(vv::embedding{.count = 6, .width = 8}, tokens);
  const vv::value attended = apply(vv::multi_head_attention{.heads = 2, .causal = true}, embedded);
  const vv::value hidden = apply(vv::gru{.width = 6}, attended);
  make.output("hidden", hidden);
  make.output("last", apply(vv::lstm{.width = 4, .last = true}, hidden));
  const vv::value repeated = vv::ops::broadcast(make.parameter("row", {1, 8}), {-5, 8});
  make.output("repeated", vv::ops::reshape(repeated, {vv::rows, 5, 8}) * embedded);
  make.result().loss = make.constant(0).index();
  return make.take();
}

/// Loops: in loops, of one turn, backwards, with what does not change and what does not depend on the turn.
vv::graph loops() {
  vv::builder make(false);
  const vv::value x = make.input("x", {vv::rows, 4, 3});
  const vv::value weight = make.parameter("weight", {3, 3});
  struct memory {
    vv::value total, fixed;
  } state{make.constant(0), make.parameter("row", {3})};
  const vv::value all = scan(x, 1, state, [&](vv::value part, memory& carried) {
    vv::value count = carried.total;
    const vv::value inner = scan(part, 1, count, [&](vv::value one, vv::value& total) {
      total = tanh(total * 0.5 + reshape(one, {vv::rows, 1}) * carried.fixed);
      return sum(total, {1});
    });
    const vv::value mixed = matmul(inner, weight);
    carried.total = tanh(mixed + count);
    return carried.total;
  });
  make.output("all", all);
  make.output("total", state.total);
  make.output("fixed", sum(state.fixed));
  make.output("gradient", gradient(sum(square(all)), x));
  vv::value nothing = make.constant(1);
  const vv::value halves = scan(x, 2, nothing, [&](vv::value, vv::value& steps) {
    steps = steps * 0.5;
    return steps + weight;
  });
  make.output("halves", sum(square(halves)));
  vv::value single = make.constant(2);
  make.output("single", scan(reshape(x, {vv::rows, 1, 12}), 1, single, [](vv::value part, vv::value& carried) {
    return carried = carried + part;
  }));
  make.result().loss = make.constant(0).index();
  return make.take();
}

std::vector<float> numbers(std::int64_t count, std::uint32_t stream) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(2 * vv::random_stream(5, stream).uniform(static_cast<std::uint64_t>(i)) - 1));
  return values;
}

template <class Real>
void save_array(const std::string& path, vv::tensor<const Real> from, int samples) {
  const vv::shape dims = from.dims.at(samples);
  io::write_npy(path, std::span<const Real>(from.data, static_cast<std::size_t>(dims.size())),
                {dims.extent, dims.extent + dims.rank});
}

/// Trains a little, so that running statistics move, and saves model, input and prediction.
template <class Net>
void save_network(Net net, const std::string& folder, const std::string& name, vv::shape sample, int classes) {
  constexpr int count = 40;
  vv::trainer trainer{net, vv::batch<16>, vv::adamw{.rate = 1e-2}, vv::seed{3}};
  std::vector<std::int32_t> labels;
  for (int i = 0; i < count; ++i) labels.push_back(i % classes);
  trainer.fit(vv::data::dataset::own(numbers(count * sample.size(), 1), sample, labels), vv::epochs{2});
  vv::save_onnx(trainer, folder + name + ".onnx");
  constexpr int samples = 7;
  const std::vector<float> input = numbers(samples * sample.size(), 2);
  io::extents dims{samples};
  dims.insert(dims.end(), sample.extent, sample.extent + sample.rank);
  io::write_npy(folder + name + ".input.npy", input, dims);
  save_array(folder + name + ".prediction.npy", trainer.predict(input.data(), samples), samples);
}

/// Saves model, inputs and outputs of a graph made at run time.
void save_graph(const vv::graph& from, const std::string& stem) {
  constexpr int samples = 9;
  vv::runtime_graph<float, vv::reference_kernels> run(from, samples);
  run.values().initialise(4);
  std::vector<std::vector<float>> features;
  std::vector<std::vector<std::int32_t>> labels;
  for (const vv::port& input : from.inputs) {
    const std::string path = stem + std::string(input.name.view()) + ".npy";
    const vv::shape dims = from.nodes[input.node].dims.at(samples);
    const io::extents extents(dims.extent, dims.extent + dims.rank);
    const void* data = nullptr;
    if (from.nodes[input.node].kind == vv::op::labels) {
      labels.emplace_back();
      for (int i = 0; i < dims.size(); ++i) labels.back().push_back(i % 6);
      io::write_npy(path, labels.back(), extents);
      data = labels.back().data();
    } else {
      features.push_back(numbers(dims.size(), 3));
      io::write_npy(path, features.back(), extents);
      data = features.back().data();
    }
    run.run().set_input(run.run().input(input.name.view()), data);
  }
  run.run()({.samples = samples});
  vv::save_onnx(vv::graph_view(run.structure()), run.values(), stem + "onnx");
  for (const vv::port& output : from.outputs)
    save_array(stem + std::string(output.name.view()) + ".npy", run.run().output(output.name.view()), samples);
}

}  // namespace

TEST_CASE("onnx: write") {
  const char* const given = std::getenv("VIVACE_EXCHANGE_FOLDER");
  const files::temporary_folder own;
  const std::string folder = (given != nullptr ? std::string(given) : own.path()) + "/";
  save_network(mlp{}, folder, "mlp", {20}, 5);
  save_network(lenet{}, folder, "lenet", {1, 20, 20}, 10);
  save_network(resnet{}, folder, "resnet", {3, 16, 16}, 10);

  save_graph(zoo({vv::rows, 6}), folder + "zoo.");
  save_graph(sequence(), folder + "sequence.");
  save_graph(loops(), folder + "loops.");
}

TEST_CASE("onnx: what cannot be exported is said") {
  const files::temporary_folder folder;
  const auto message = [&](auto&& build) {
    vv::builder make(false);
    const vv::value x = make.input("x", {vv::rows, 4});
    build(make, x);
    make.result().loss = make.constant(0).index();
    const vv::graph made = make.take();
    vv::variables<float> values(made, vv::plan_view{});
    return files::message_of<vv::error>([&] { vv::save_onnx(vv::graph_view(made), values, folder / "no.onnx"); });
  };
  const auto says = [](const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(files::contains(text, part));
  };
  says(message([](vv::builder&, vv::value) {}), "nothing to export");
  says(message([](vv::builder& make, vv::value x) { make.output("y", x * make.setting("gain")); }),
       "set before each step");
  says(message([](vv::builder& make, vv::value x) { make.output("y", x * dropout_mask(x, 0.5, 0)); }), "dropout_mask");
  says(message([](vv::builder& make, vv::value x) { make.output("x", exp(x)); }),
       "two tensors of an ONNX model have one name");
  says(message([](vv::builder& make, vv::value) {
         make.output("y", broadcast(make.constant(1), {vv::rows, 4}));
       }),
       "no input says how many there are");
  says(message([](vv::builder& make, vv::value x) {
         make.output("y", cross_entropy(x, make.labels("label", {vv::rows}), 0.1));
       }),
       "label smoothing");
  CHECK(files::read(folder / "no.onnx").empty());
}
