#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>
#include <vivace/kernel/cpu/conv.hpp>

namespace vk = vivace::kernel;

namespace {

/// Runs tasks on plain threads, each taking the next free one.
struct thread_runner {
  int threads;
  static void run(void* self, std::int64_t tasks, vivace::parallel::task call, void* body) {
    std::atomic<std::int64_t> next{0};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < static_cast<thread_runner*>(self)->threads; ++worker)
      workers.emplace_back([&] {
        for (std::int64_t task = next++; task < tasks; task = next++) call(body, task);
      });
    for (auto& worker : workers) worker.join();
  }
  vivace::parallel handle() { return {this, run, threads}; }
};

template <class Real>
std::vector<Real> values(std::int64_t count, unsigned seed) {
  std::vector<Real> result(static_cast<std::size_t>(count));
  for (auto& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<Real>(static_cast<double>(seed >> 8) / (1 << 23) - 1);
  }
  return result;
}

template <class Real>
struct sink {
  std::vector<Real> out;
  std::vector<int> times;
  vk::epilogue<Real> handle() {
    return {[](const void* self, std::int64_t first, std::int64_t count, const Real* from) {
              auto& to = *static_cast<sink*>(const_cast<void*>(self));
              for (std::int64_t at = 0; at < count; ++at) {
                to.out[static_cast<std::size_t>(first + at)] = from[at];
                ++to.times[static_cast<std::size_t>(first + at)];
              }
            },
            this};
  }
};

vk::conv_geometry geometry(int batch, int in, int height, int width, int out, int kernel_h, int kernel_w, int stride,
                           int padding, int dilation = 1, int groups = 1) {
  return {batch,
          in,
          height,
          width,
          out,
          (height + 2 * padding - dilation * (kernel_h - 1) - 1) / stride + 1,
          (width + 2 * padding - dilation * (kernel_w - 1) - 1) / stride + 1,
          kernel_h,
          kernel_w,
          stride,
          stride,
          padding,
          padding,
          dilation,
          dilation,
          groups};
}

/// Calls body(x index, w index, y index) for every term of the convolution.
template <class Body>
void for_terms(const vk::conv_geometry& g, Body&& body) {
  const int in = g.in_channels / g.groups, out = g.out_channels / g.groups;
  for (int n = 0; n < g.batch; ++n)
    for (int o = 0; o < g.out_channels; ++o)
      for (int i = 0; i < in; ++i)
        for (int y = 0; y < g.out_height; ++y)
          for (int x = 0; x < g.out_width; ++x)
            for (int p = 0; p < g.kernel_h; ++p)
              for (int q = 0; q < g.kernel_w; ++q) {
                const int h = y * g.stride_h + p * g.dilation_h - g.padding_h,
                          w = x * g.stride_w + q * g.dilation_w - g.padding_w;
                if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
                body(((n * g.in_channels + o / out * in + i) * g.height + h) * g.width + w,
                     ((o * in + i) * g.kernel_h + p) * g.kernel_w + q,
                     ((n * g.out_channels + o) * g.out_height + y) * g.out_width + x);
              }
}

template <class Real, class Function>
void check(const std::vector<double>& wanted, const std::vector<double>& size, std::int64_t workspace,
           Function&& call) {
  // A guard behind the workspace catches a kernel that takes more than it asked for.
  std::vector<Real> got(wanted.size(), Real(99)), work(static_cast<std::size_t>(workspace) + 8, Real(77));
  call(got.data(), static_cast<const vk::epilogue<Real>*>(nullptr), work.data(), vivace::parallel{});
  for (std::size_t at = work.size() - 8; at < work.size(); ++at) CHECK(work[at] == Real(77));
  double worst = 0;
  for (std::size_t at = 0; at < got.size(); ++at) {
    const double off = std::abs(double{got[at]} - wanted[at]) / (1 + size[at]);
    worst = off > worst || std::isnan(off) ? off : worst;
  }
  CHECK(worst < 8 * double{std::numeric_limits<Real>::epsilon()});
  for (int threads : {1, 2, 8}) {
    thread_runner runner{threads};
    sink<Real> taken{std::vector<Real>(got.size()), std::vector<int>(got.size())};
    const auto finish = taken.handle();
    call(static_cast<Real*>(nullptr), &finish, work.data(), runner.handle());
    bool same = true, once = true;
    for (std::size_t at = 0; at < got.size(); ++at) {
      same = same && taken.out[at] == got[at];
      once = once && taken.times[at] == 1;
    }
    CHECK(same);
    CHECK(once);
  }
}

template <class Real>
void compare(const vk::conv_geometry& g) {
  INFO("batch ", g.batch, " channels ", g.in_channels, " to ", g.out_channels, " image ", g.height, "x", g.width,
       " kernel ", g.kernel_h, "x", g.kernel_w, " stride ", g.stride_h, "x", g.stride_w, " padding ", g.padding_h, "x",
       g.padding_w, " dilation ", g.dilation_h, " groups ", g.groups);
  const auto x = values<Real>(std::int64_t{g.batch} * g.in_channels * g.height * g.width, 1);
  const auto w = values<Real>(std::int64_t{g.out_channels} * (g.in_channels / g.groups) * g.kernel_h * g.kernel_w, 2);
  const auto dy = values<Real>(std::int64_t{g.batch} * g.out_channels * g.out_height * g.out_width, 3);
  std::vector<double> y(dy.size()), dx(x.size()), dw(w.size()), y_size(dy.size()), dx_size(x.size()), dw_size(w.size());
  for_terms(g, [&](int at_x, int at_w, int at_y) {
    const auto i = static_cast<std::size_t>(at_x), j = static_cast<std::size_t>(at_w),
               o = static_cast<std::size_t>(at_y);
    y[o] += double{x[i]} * double{w[j]}, y_size[o] += std::abs(double{x[i]} * double{w[j]});
    dx[i] += double{dy[o]} * double{w[j]}, dx_size[i] += std::abs(double{dy[o]} * double{w[j]});
    dw[j] += double{dy[o]} * double{x[i]}, dw_size[j] += std::abs(double{dy[o]} * double{x[i]});
  });
  // What Winograd's algorithm rounds are the values of whole tiles, even where a result sees few pixels.
  if (vk::winograd::serves(g))
    for (auto* size : {&y_size, &dx_size, &dw_size})
      std::fill(size->begin(), size->end(), *std::max_element(size->begin(), size->end()));
  check<Real>(y, y_size, vk::conv2d_workspace(g),
              [&](Real* to, const vk::epilogue<Real>* finish, Real* work, const vivace::parallel& run) {
                vk::conv2d<Real>(g, x.data(), w.data(), to, finish, work, run);
              });
  check<Real>(dx, dx_size, vk::conv2d_input_gradient_workspace(g),
              [&](Real* to, const vk::epilogue<Real>* finish, Real* work, const vivace::parallel& run) {
                vk::conv2d_input_gradient<Real>(g, dy.data(), w.data(), to, finish, work, run);
              });
  check<Real>(dw, dw_size, vk::conv2d_weight_gradient_workspace(g),
              [&](Real* to, const vk::epilogue<Real>* finish, Real* work, const vivace::parallel& run) {
                vk::conv2d_weight_gradient<Real>(g, x.data(), dy.data(), to, finish, work, run);
              });
}

}  // namespace

TEST_CASE_TEMPLATE("convolutions and their gradients equal the plain loops", Real, float, double) {
  compare<Real>(geometry(1, 1, 1, 1, 1, 1, 1, 1, 0));
  compare<Real>(geometry(2, 3, 7, 5, 4, 3, 3, 1, 1));
  compare<Real>(geometry(3, 1, 28, 28, 6, 5, 5, 1, 2));
  compare<Real>(geometry(2, 6, 14, 14, 16, 5, 5, 1, 0));
  compare<Real>(geometry(2, 16, 16, 16, 16, 3, 3, 1, 1));
  compare<Real>(geometry(35, 5, 8, 8, 9, 3, 3, 1, 1));
  compare<Real>(geometry(2, 4, 32, 32, 10, 3, 3, 2, 1));
  compare<Real>(geometry(2, 8, 16, 16, 17, 1, 1, 2, 0));
  compare<Real>(geometry(2, 40, 9, 11, 60, 3, 3, 1, 1));
  compare<Real>(geometry(2, 7, 12, 12, 8, 1, 1, 1, 0));
}

TEST_CASE_TEMPLATE("every geometry is served", Real, float, double) {
  compare<Real>(geometry(2, 4, 13, 11, 6, 3, 2, 2, 0));
  compare<Real>(geometry(2, 4, 13, 11, 6, 3, 3, 3, 2));
  compare<Real>(geometry(2, 4, 17, 15, 6, 3, 3, 1, 2, 2));
  compare<Real>(geometry(2, 4, 17, 15, 6, 3, 3, 2, 2, 2));
  compare<Real>(geometry(2, 4, 17, 15, 6, 4, 3, 3, 2, 2));
  compare<Real>(geometry(2, 4, 9, 9, 6, 3, 3, 1, 1, 1, 2));
  compare<Real>(geometry(2, 12, 8, 8, 12, 3, 3, 2, 1, 1, 12));
  compare<Real>(geometry(1, 2, 6, 6, 3, 1, 1, 1, 2));     // padding wider than the kernel
  compare<Real>(geometry(1, 2, 10, 10, 3, 2, 2, 5, 1));   // a stride that skips pixels
  compare<Real>(geometry(1, 2, 3, 3, 3, 9, 9, 1, 4));     // a kernel wider than the image
  compare<Real>(geometry(1, 1, 40, 40, 20, 3, 3, 1, 1));  // an output too large for the stack
  vk::conv_geometry uneven = geometry(2, 3, 12, 20, 5, 3, 5, 1, 1);
  uneven.stride_h = 2, uneven.padding_w = 3, uneven.dilation_w = 2;
  uneven.out_height = (12 + 2 - 2 - 1) / 2 + 1, uneven.out_width = (20 + 6 - 8 - 1) + 1;
  compare<Real>(uneven);
}

TEST_CASE_TEMPLATE("three by three taps go by Winograd's algorithm", Real, float, double) {
  const auto compared = [](const vk::conv_geometry& g) {
    CHECK(vk::winograd::serves(g));
    compare<Real>(g);
  };
  compared(geometry(1, 16, 4, 4, 16, 3, 3, 1, 1));
  compared(geometry(37, 16, 8, 8, 32, 3, 3, 1, 1));         // blocks of several images, the last one short
  compared(geometry(3, 17, 9, 14, 35, 3, 3, 1, 1));         // neither whole vectors of channels nor whole tiles
  compared(geometry(2, 16, 10, 12, 48, 3, 3, 1, 0));        // no padding: the gradient of the input has 2
  compared(geometry(2, 48, 7, 11, 16, 3, 3, 1, 2));         // and the other way round
  compared(geometry(1, 16, 70, 67, 16, 3, 3, 1, 1));        // an image in several blocks
  compared(geometry(1, 16, 5, 700, 16, 3, 3, 1, 1));        // a row of tiles wider than a block
  compared(geometry(9, 100, 8, 8, 70, 3, 3, 1, 1));         // few parts of the weights' gradient
  compared(geometry(2, 136, 8, 8, 128, 3, 3, 1, 1));        // more weights than are summed at the points
  const auto wide = geometry(2, 16, 8, 8, 16, 3, 3, 1, 3);  // the gradient of the input alone, with a padding of -1
  CHECK(!vk::winograd::serves(wide));
  CHECK(vk::winograd::serves(vk::winograd::mirrored(wide)));
  compare<Real>(wide);
  CHECK(!vk::winograd::serves_weights(geometry(2, 136, 8, 8, 128, 3, 3, 1, 1)));
  CHECK(!vk::winograd::serves(geometry(8, 64, 2, 2, 64, 3, 3, 1, 1)));  // tiles that are mostly outside
  CHECK(!vk::winograd::serves(geometry(8, 64, 8, 8, 64, 3, 3, 2, 1)));
}

TEST_CASE("Winograd's algorithm is at most three times as inexact as a plain sum") {
  for (int channels : {16, 64}) {
    const auto g = geometry(4, channels, 16, 16, channels, 3, 3, 1, 1);
    const auto x = values<float>(std::int64_t{4} * channels * 256, 1), w = values<float>(channels * channels * 9, 2);
    std::vector<double> exact(x.size());
    std::vector<float> plain(x.size()), fast(x.size()), work(static_cast<std::size_t>(vk::conv2d_workspace(g)));
    for_terms(g, [&](int at_x, int at_w, int at_y) {
      const float left = x[static_cast<std::size_t>(at_x)], right = w[static_cast<std::size_t>(at_w)];
      exact[static_cast<std::size_t>(at_y)] += double{left} * double{right};
      plain[static_cast<std::size_t>(at_y)] += left * right;
    });
    vk::conv2d<float>(g, x.data(), w.data(), fast.data(), nullptr, work.data(), {});
    double of_plain = 0, of_fast = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      of_plain += (double{plain[i]} - exact[i]) * (double{plain[i]} - exact[i]);
      of_fast += (double{fast[i]} - exact[i]) * (double{fast[i]} - exact[i]);
    }
    CHECK(of_fast < 9 * of_plain);
    MESSAGE(channels, " channels: ", std::sqrt(of_fast / of_plain), " times");
  }
}

TEST_CASE_TEMPLATE("special kernels of small networks", Real, float, double) {
  const auto scattered = [](const vk::conv_geometry& g) {
    CHECK(vk::plan_input_gradient<Real>(g).scatters);
    compare<Real>(g);
  };
  scattered(geometry(5, 6, 14, 14, 16, 5, 5, 1, 0));
  scattered(geometry(3, 9, 9, 12, 13, 4, 5, 1, 0));
  scattered(geometry(2, 3, 12, 9, 20, 7, 7, 1, 1));
  const auto few = [](const vk::conv_geometry& g) {
    CHECK(vk::plan_weight_gradient<Real>(g).few);
    compare<Real>(g);
  };
  few(geometry(9, 1, 28, 28, 6, 5, 5, 1, 2));
  few(geometry(3, 3, 33, 17, 7, 3, 3, 2, 1));
  few(geometry(3, 5, 20, 20, 8, 5, 4, 1, 2, 2));
  few(geometry(2, 4, 70, 75, 5, 3, 3, 1, 1));  // in strips
  CHECK(vk::plan_weight_gradient<Real>(geometry(2, 4, 70, 75, 5, 3, 3, 1, 1)).strips > 1);
  CHECK(vk::plan_forward<Real>(geometry(2, 4, 70, 75, 5, 5, 5, 1, 1)).spread);
  compare<Real>(geometry(2, 4, 70, 75, 5, 5, 5, 1, 1));
  compare<Real>(geometry(2, 3, 21, 19, 6, 7, 7, 2, 3));
}

TEST_CASE_TEMPLATE("large images are cut to strips", Real, float, double) {
  CHECK(vk::plan_forward<Real>(geometry(2, 15, 30, 28, 16, 3, 3, 1, 1)).strips > 1);
  compare<Real>(geometry(2, 15, 30, 28, 16, 3, 3, 1, 1));
  compare<Real>(geometry(2, 20, 57, 40, 12, 3, 3, 2, 1));
  CHECK(!vk::plan_forward<Real>(geometry(2, 320, 4, 50, 3, 3, 3, 1, 1)).on_stack);
  compare<Real>(geometry(2, 320, 4, 50, 3, 3, 3, 1, 1));  // not even a line fits the stack
}

TEST_CASE("without Winograd's algorithm, NaN propagates to the outputs that see it and to no other") {
  const auto g = geometry(1, 1, 8, 20, 2, 3, 3, 1, 1);
  std::vector<float> x(160, 1.f), w(18, 0.f), y(320), work(static_cast<std::size_t>(vk::conv2d_workspace(g)));
  x[4 * 20 + 10] = std::numeric_limits<float>::quiet_NaN();
  vk::conv2d<float>(g, x.data(), w.data(), y.data(), nullptr, work.data(), {});
  for (int c = 0; c < 2; ++c)
    for (int h = 0; h < 8; ++h)
      for (int v = 0; v < 20; ++v)
        CHECK(std::isnan(y[static_cast<std::size_t>((c * 8 + h) * 20 + v)]) ==
              (std::abs(h - 4) <= 1 && std::abs(v - 10) <= 1));
}
