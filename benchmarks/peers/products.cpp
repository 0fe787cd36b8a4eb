// Dense products and convolutions beside oneDNN and OpenBLAS, in turns in one process: medians and quartiles of the
// ratio theirs / ours within a round, and the share of the machine's peak. All results are compared first.
#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include <vivace/interop/machine.hpp>
#include <vivace/vivace.hpp>

namespace vv = vivace;

namespace {

using floats = std::vector<float>;
using runtime = vv::runtime_graph<float, vv::cpu_kernels>;

floats numbers(std::int64_t count, std::uint32_t stream) {
  floats result(static_cast<std::size_t>(count));
  const vv::random_stream random(1, stream);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<float>(2 * random.uniform(i) - 1);
  return result;
}

/// One way to compute something: called again and again; result() afterwards.
struct contender {
  std::string name;
  std::function<void()> run;
  std::function<floats()> result;
  std::vector<double> seconds = {};
};

struct options {
  int threads = 1;
  int rounds = 15;
  double seconds = 0.02;
  std::FILE* json = nullptr;
  const char* only = nullptr;
};

double now(int threads) {
  std::timespec at{};
  // Alone on a core or not, a thread's own time is what the work takes.
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &at);
  return static_cast<double>(at.tv_sec) + 1e-9 * static_cast<double>(at.tv_nsec);
}

double at_quarter(std::vector<double> of, int quarter) {
  std::sort(of.begin(), of.end());
  const double place = static_cast<double>(of.size() - 1) * quarter / 4;
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = (std::min)(low + 1, of.size() - 1);
  return of[low] + (place - static_cast<double>(low)) * (of[high] - of[low]);
}

/// Runs all in turns; the first is ours.
void compare(const options& with, const vv::parallel& lanes, const std::string& row, double flops, double bytes,
             std::vector<contender> all) {
  if (with.only != nullptr && row.find(with.only) == std::string::npos) return;
  for (contender& one : all) one.run();
  const floats ours = all[0].result();
  for (const contender& one : all) {
    const floats theirs = one.result();
    double worst = 0, largest = 1e-9;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      worst = (std::max)(worst, std::fabs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i])));
      largest = (std::max)(largest, std::fabs(static_cast<double>(ours[i])));
    }
    if (ours.size() != theirs.size() || worst > 1e-3 * largest) {
      std::fprintf(stderr, "%s: %s computes something else: off by %g of %g\n", row.c_str(), one.name.c_str(), worst,
                   largest);
      std::exit(1);
    }
  }
  double peak = 0, bandwidth = 0;
  const auto timed = [&](contender& one, int times) {
    const double start = now(with.threads);
    for (int i = 0; i < times; ++i) one.run();
    return (now(with.threads) - start) / times;
  };
  std::vector<int> times;
  for (contender& one : all) {
    timed(one, 2);
    times.push_back((std::max)(1, static_cast<int>(with.seconds / timed(one, 3))));
  }
  for (int round = 0; round < with.rounds; ++round) {
    peak = (std::max)(peak, vv::interop::measured_flops(lanes, 0.002));
    if (round < 3)
      bandwidth =
          (std::max)(bandwidth, vv::interop::measured_bandwidth(lanes, static_cast<std::int64_t>(bytes), 0.005));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::size_t at = round % 2 == 0 ? i : all.size() - 1 - i;
      all[at].seconds.push_back(timed(all[at], times[at]));
    }
  }
  const double own = at_quarter(all[0].seconds, 2);
  std::printf("| %s | %.4g us | %.0f %% | %.0f %% |", row.c_str(), own * 1e6, 100 * flops / own / peak,
              100 * bytes / own / bandwidth);
  if (with.json != nullptr)
    std::fprintf(with.json,
                 "{\"row\": \"%s\", \"threads\": %d, \"flops\": %.0f, \"bytes\": %.0f, \"peak\": %.5g, "
                 "\"bandwidth\": %.5g, \"ours\": %.6g, \"peers\": {",
                 row.c_str(), with.threads, flops, bytes, peak, bandwidth, own);
  std::size_t best = 1;
  std::vector<std::vector<double>> ratios(all.size());
  for (std::size_t i = 1; i < all.size(); ++i) {
    for (std::size_t round = 0; round < all[0].seconds.size(); ++round)
      ratios[i].push_back(all[i].seconds[round] / all[0].seconds[round]);
    if (at_quarter(all[i].seconds, 2) < at_quarter(all[best].seconds, 2)) best = i;
    if (with.json != nullptr)
      std::fprintf(with.json, "%s\"%s\": {\"seconds\": %.6g, \"ratio\": [%.4f, %.4f, %.4f]}", i > 1 ? ", " : "",
                   all[i].name.c_str(), at_quarter(all[i].seconds, 2), at_quarter(ratios[i], 1),
                   at_quarter(ratios[i], 2), at_quarter(ratios[i], 3));
  }
  const double theirs = at_quarter(all[best].seconds, 2);
  std::printf(" %s, %.4g us, %.0f %% | %.2f | %.2f to %.2f |", all[best].name.c_str(), theirs * 1e6,
              100 * flops / theirs / peak, at_quarter(ratios[best], 2), at_quarter(ratios[best], 1),
              at_quarter(ratios[best], 3));
  for (std::size_t i = 1; i < all.size(); ++i)
    if (i != best) std::printf(" %s %.2f", all[i].name.c_str(), at_quarter(ratios[i], 2));
  std::printf(" |\n");
  std::fflush(stdout);
  if (with.json != nullptr) std::fprintf(with.json, "}}\n");
}

/// Ours: a graph of one operation.
contender our_side(runtime& from, const vv::parallel& lanes) {
  return {"ours", [&from, lanes] { from.run()({.lanes = lanes, .samples = from.steps().batch}); },
          [&from] {
            const auto out = from.run().output(0);
            return floats(out.data, out.data + out.dims.size_at(from.steps().batch));
          }};
}

template <class Build>
vv::graph graph_of(Build&& build) {
  vv::builder make;
  make.output("result", build(make));
  return vv::without_dead_code(make.result());
}

struct peer {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  [[nodiscard]] dnnl::memory holding(const dnnl::memory::desc& how, const floats& plain,
                                     const dnnl::memory::desc& plain_how) {
    dnnl::memory from(plain_how, engine, const_cast<float*>(plain.data()));
    dnnl::memory to(how, engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return to;
  }
  floats plain(dnnl::memory from, const dnnl::memory::desc& plain_how) {
    floats result(plain_how.get_size() / sizeof(float));
    dnnl::memory to(plain_how, engine, result.data());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return result;
  }
};

void product(const options& with, const vv::parallel& lanes, peer& onednn, const std::string& row, int m, int n, int k,
             bool at, bool bt) {
  const floats a = numbers(std::int64_t{m} * k, 1), b = numbers(std::int64_t{k} * n, 2);
  runtime own(graph_of([&](vv::builder& make) {
    const vv::value left = make.input("a", at ? vv::shape{k, m} : vv::shape{m, k});
    const vv::value right = make.input("b", bt ? vv::shape{n, k} : vv::shape{k, n});
    return matmul(left, right, at, bt);
  }));
  own.run().set_input(0, a.data());
  own.run().set_input(1, b.data());

  floats c(static_cast<std::size_t>(m * n));
  const auto copy = [&c] { return c; };
  std::vector<contender> all{our_side(own, lanes)};
  all.push_back({"OpenBLAS",
                 [&] {
                   cblas_sgemm(CblasRowMajor, at ? CblasTrans : CblasNoTrans, bt ? CblasTrans : CblasNoTrans, m, n, k,
                               1.f, a.data(), at ? m : k, b.data(), bt ? k : n, 0.f, c.data(), n);
                 },
                 copy});
  all.push_back({"oneDNN sgemm",
                 [&] {
                   dnnl::sgemm(at ? 'T' : 'N', bt ? 'T' : 'N', m, n, k, 1.f, a.data(), at ? m : k, b.data(), bt ? k : n,
                               0.f, c.data(), n);
                 },
                 copy});
  using tag = dnnl::memory::format_tag;
  const auto type = dnnl::memory::data_type::f32;
  const dnnl::memory::desc a_how({m, k}, type, at ? tag::ba : tag::ab), b_how({k, n}, type, bt ? tag::ba : tag::ab),
      c_how({m, n}, type, tag::ab);
  dnnl::memory a_memory(a_how, onednn.engine, const_cast<float*>(a.data()));
  dnnl::memory b_memory(b_how, onednn.engine, const_cast<float*>(b.data()));
  dnnl::memory c_memory(c_how, onednn.engine, c.data());
  const dnnl::matmul multiply(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a_how, b_how, c_how), onednn.engine));
  all.push_back({"oneDNN matmul",
                 [&] {
                   multiply.execute(onednn.stream,
                                    {{DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b_memory}, {DNNL_ARG_DST, c_memory}});
                   onednn.stream.wait();
                 },
                 copy});
  compare(with, lanes, row + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k),
          2.0 * m * n * k, 4.0 * (double(m) * n + double(m) * k + double(k) * n), std::move(all));
}

struct convolution {
  int batch, channels, size, filters, kernel, stride, padding;
  [[nodiscard]] int out() const { return (size + 2 * padding - kernel) / stride + 1; }
};

enum class pass { forward, input_gradient, weight_gradient };

/// A convolution of oneDNN in its own layouts or in one with the channels innermost; reordering is not timed.
struct prepared {
  dnnl::primitive run;
  std::unordered_map<int, dnnl::memory> arguments;
  dnnl::memory result;
};
prepared prepare(peer& onednn, const convolution& g, pass which, bool channels_last, bool winograd, const floats& x,
                 const floats& w, const floats& y) {
  using tag = dnnl::memory::format_tag;
  const auto type = dnnl::memory::data_type::f32;
  const dnnl::memory::dims xs{g.batch, g.channels, g.size, g.size}, ws{g.filters, g.channels, g.kernel, g.kernel},
      ys{g.batch, g.filters, g.out(), g.out()}, strides{g.stride, g.stride}, pads{g.padding, g.padding};
  const tag layout = channels_last ? tag::nhwc : tag::any;
  const dnnl::memory::desc x_any(xs, type, layout), w_any(ws, type, tag::any), y_any(ys, type, layout);
  const dnnl::memory::desc x_plain(xs, type, tag::nchw), w_plain(ws, type, tag::oihw), y_plain(ys, type, tag::nchw);
  const auto how = winograd ? dnnl::algorithm::convolution_auto : dnnl::algorithm::convolution_direct;
  const dnnl::convolution_forward::primitive_desc forward(
      dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, how, x_any, w_any, y_any, strides, pads, pads),
      onednn.engine);
  if (which == pass::forward) {
    const dnnl::memory to(forward.dst_desc(), onednn.engine);
    return {dnnl::convolution_forward(forward),
            {{DNNL_ARG_SRC, onednn.holding(forward.src_desc(), x, x_plain)},
             {DNNL_ARG_WEIGHTS, onednn.holding(forward.weights_desc(), w, w_plain)},
             {DNNL_ARG_DST, to}},
            to};
  }
  if (which == pass::input_gradient) {
    const dnnl::convolution_backward_data::primitive_desc found(
        dnnl::convolution_backward_data::desc(how, x_any, w_any, y_any, strides, pads, pads), onednn.engine, forward);
    const dnnl::memory to(found.diff_src_desc(), onednn.engine);
    return {dnnl::convolution_backward_data(found),
            {{DNNL_ARG_DIFF_DST, onednn.holding(found.diff_dst_desc(), y, y_plain)},
             {DNNL_ARG_WEIGHTS, onednn.holding(found.weights_desc(), w, w_plain)},
             {DNNL_ARG_DIFF_SRC, to}},
            to};
  }
  const dnnl::convolution_backward_weights::primitive_desc found(
      dnnl::convolution_backward_weights::desc(how, x_any, w_any, y_any, strides, pads, pads), onednn.engine, forward);
  const dnnl::memory to(found.diff_weights_desc(), onednn.engine);
  return {dnnl::convolution_backward_weights(found),
          {{DNNL_ARG_SRC, onednn.holding(found.src_desc(), x, x_plain)},
           {DNNL_ARG_DIFF_DST, onednn.holding(found.diff_dst_desc(), y, y_plain)},
           {DNNL_ARG_DIFF_WEIGHTS, to}},
          to};
}

void convolve(const options& with, const vv::parallel& lanes, peer& onednn, const convolution& g, pass which) {
  const vv::shape xs{vv::rows, g.channels, g.size, g.size}, ys{vv::rows, g.filters, g.out(), g.out()},
      ws{g.filters, g.channels, g.kernel, g.kernel};
  const floats x = numbers(xs.size_at(g.batch), 1), w = numbers(ws.size(), 2), y = numbers(ys.size_at(g.batch), 3);
  const auto k = static_cast<std::int16_t>(g.kernel), s = static_cast<std::int16_t>(g.stride),
             p = static_cast<std::int16_t>(g.padding);
  const vv::window frame{.kernel = {k, k}, .stride = {s, s}, .padding = {p, p}};
  runtime own(graph_of([&](vv::builder& make) {
                const vv::value first = make.input("first", which == pass::input_gradient ? ys : xs);
                const vv::value second = make.input("second", which == pass::weight_gradient ? ys : ws);
                if (which == pass::forward) return convolve(first, second, frame);
                if (which == pass::input_gradient) return convolve_input_gradient(first, second, frame, xs);
                return convolve_weight_gradient(first, second, frame, ws);
              }),
              g.batch);
  own.run().set_input(0, which == pass::input_gradient ? y.data() : x.data());
  own.run().set_input(1, which == pass::weight_gradient ? y.data() : w.data());

  using tag = dnnl::memory::format_tag;
  const auto type = dnnl::memory::data_type::f32;
  const vv::shape result = (which == pass::forward ? ys : which == pass::input_gradient ? xs : ws).at(g.batch);
  const dnnl::memory::desc plain({result[0], result[1], result[2], result[3]}, type,
                                 which == pass::weight_gradient ? tag::oihw : tag::nchw);
  std::vector<prepared> ways{prepare(onednn, g, which, false, false, x, w, y),
                             prepare(onednn, g, which, false, true, x, w, y),
                             prepare(onednn, g, which, true, false, x, w, y)};
  constexpr const char* names[] = {"oneDNN blocked direct", "oneDNN auto", "oneDNN nhwc"};
  std::vector<contender> all{our_side(own, lanes)};
  for (int i = 0; i < 3; ++i) {
    prepared& way = ways[static_cast<std::size_t>(i)];
    all.push_back({names[i],
                   [&onednn, &way] {
                     way.run.execute(onednn.stream, way.arguments);
                     onednn.stream.wait();
                   },
                   [&onednn, &way, plain] { return onednn.plain(way.result, plain); }});
  }
  // Taps that lie in the padding are no work.
  double taps = 0;
  for (int to = 0; to < g.out(); ++to)
    for (int tap = 0; tap < g.kernel; ++tap) {
      const int from = to * g.stride + tap - g.padding;
      taps += from >= 0 && from < g.size ? 1 : 0;
    }
  constexpr const char* passes[] = {"forward", "input gradient", "weight gradient"};
  const std::string text = std::to_string(g.channels) + " to " + std::to_string(g.filters) + ", " +
                           std::to_string(g.size) + "x" + std::to_string(g.size) + ", " + std::to_string(g.kernel) +
                           "x" + std::to_string(g.kernel) + (g.stride > 1 ? " stride 2" : "") + ", batch " +
                           std::to_string(g.batch) + ", " + passes[static_cast<int>(which)];
  compare(with, lanes, text, 2.0 * g.batch * g.channels * g.filters * taps * taps,
          4.0 * static_cast<double>(x.size() + y.size() + w.size()), std::move(all));
}

}  // namespace

int main(int argc, char** argv) {
  options with;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--threads") with.threads = std::atoi(argv[i + 1]);
    if (option == "--rounds") with.rounds = std::atoi(argv[i + 1]);
    if (option == "--seconds") with.seconds = std::atof(argv[i + 1]);
    if (option == "--only") with.only = argv[i + 1];
    if (option == "--json") with.json = std::fopen(argv[i + 1], "w");
  }
  omp_set_num_threads(with.threads);
  openblas_set_num_threads(with.threads);
  vv::tbb::executor executor(vv::tbb{.threads = with.threads});
  const vv::parallel lanes = executor.lanes();
  peer onednn;
  const auto* const version = dnnl::version();
  std::printf("oneDNN %d.%d.%d, %s; %d thread(s), peak %.0f GFLOP/s; bandwidth of 192 KiB %.0f, 64 MiB %.0f GB/s\n\n",
              version->major, version->minor, version->patch, openblas_get_config(), with.threads,
              vv::interop::measured_flops(lanes, 0.05) / 1e9,
              vv::interop::measured_bandwidth(lanes, 192 << 10, 0.05) / 1e9,
              vv::interop::measured_bandwidth(lanes, 64 << 20, 0.2) / 1e9);
  std::printf(
      "| row | ours | of peak | of bandwidth | best peer | ratio | quartiles | the others' ratios |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (const int batch : {64, 128}) {
    const auto dense = [&](int inputs, int outputs) {
      product(with, lanes, onednn, "forward", batch, outputs, inputs, false, false);
      product(with, lanes, onednn, "weight gradient", inputs, outputs, batch, true, false);
      product(with, lanes, onednn, "input gradient", batch, inputs, outputs, false, true);
    };
    dense(784, 512);
    dense(512, 256);
    dense(256, 10);
    dense(512, 10);
  }
  constexpr convolution wide[] = {{128, 16, 32, 16, 3, 1, 1},
                                  {128, 16, 32, 32, 3, 2, 1},
                                  {128, 32, 16, 32, 3, 1, 1},
                                  {128, 32, 16, 64, 3, 2, 1},
                                  {128, 64, 8, 64, 3, 1, 1}};
  for (const convolution& one : wide)
    for (const pass which : {pass::forward, pass::input_gradient, pass::weight_gradient})
      convolve(with, lanes, onednn, one, which);
  constexpr convolution narrow[] = {{128, 3, 32, 16, 3, 1, 1},
                                    {64, 1, 28, 16, 3, 1, 1},
                                    {64, 6, 14, 16, 3, 1, 1},
                                    {64, 1, 28, 6, 5, 1, 2},
                                    {64, 6, 14, 16, 5, 1, 0}};
  for (const convolution& one : narrow)
    for (const pass which : {pass::forward, pass::input_gradient, pass::weight_gradient})
      if (which != pass::input_gradient || one.channels > 3)
        convolve(with, lanes, onednn, one, which);  // no first layer
  if (with.json != nullptr) std::fclose(with.json);
}
