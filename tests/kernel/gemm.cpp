#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <thread>
#include <vector>
#include <vivace/kernel/cpu/gemm.hpp>

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

template <class Real>
void compare(int m, int n, int k, bool transposed_a, bool transposed_b, int batch) {
  INFO(m, "x", n, "x", k, " batch ", batch, " transposed ", transposed_a, transposed_b);
  const std::int64_t area = std::int64_t{m} * n;
  const auto a = values<Real>(std::int64_t{m} * k * batch, 1), b = values<Real>(std::int64_t{k} * n * batch, 2);
  std::vector<Real> c(static_cast<std::size_t>(area * batch)),
      work(static_cast<std::size_t>(vk::gemm_workspace(m, n, k, batch)));
  vk::gemm_arguments<Real> product{.m = m,
                                   .n = n,
                                   .k = k,
                                   .a = a.data(),
                                   .a_row = transposed_a ? 1 : k,
                                   .a_column = transposed_a ? m : 1,
                                   .b = b.data(),
                                   .b_row = transposed_b ? 1 : n,
                                   .b_column = transposed_b ? k : 1,
                                   .c = c.data()};
  product.batch = batch;
  product.a_batch = std::int64_t{m} * k;
  product.b_batch = std::int64_t{k} * n;
  product.workspace = work.data();
  vk::gemm(product, {});
  double worst = 0;
  for (int p = 0; p < batch; ++p)
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        double sum = 0, size = 1;
        for (int d = 0; d < k; ++d) {
          const double term = double{product.a[p * product.a_batch + i * product.a_row + d * product.a_column]} *
                              double{product.b[p * product.b_batch + d * product.b_row + j * product.b_column]};
          sum += term;
          size += std::abs(term);
        }
        worst = std::fmax(worst, std::abs(sum - double{c[static_cast<std::size_t>(p * area + i * n + j)]}) / size);
      }
  CHECK(worst < 8 * double{std::numeric_limits<Real>::epsilon()});
  for (int threads : {1, 2, 8}) {
    thread_runner runner{threads};
    sink<Real> taken{std::vector<Real>(c.size()), std::vector<int>(c.size())};
    const auto finish = taken.handle();
    product.finish = &finish;
    vk::gemm(product, runner.handle());
    bool same = true, once = true;
    for (std::size_t at = 0; at < c.size(); ++at) {
      same = same && taken.out[at] == c[at];
      once = once && taken.times[at] == 1;
    }
    CHECK(same);
    CHECK(once);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a product equals the plain loop at odd sizes, in every layout", Real, float, double) {
  for (auto [m, n, k] : std::initializer_list<std::array<int, 3>>{{1, 1, 1},
                                                                  {1, 7, 5},
                                                                  {7, 1, 3},
                                                                  {3, 5, 17},
                                                                  {8, 48, 16},
                                                                  {9, 49, 129},
                                                                  {16, 32, 32},
                                                                  {33, 10, 70},
                                                                  {64, 10, 512},
                                                                  {130, 100, 66},
                                                                  {17, 150, 300},
                                                                  {250, 60, 65},
                                                                  {10, 64, 200},
                                                                  {5, 300, 1},
                                                                  {300, 1, 90},
                                                                  {32, 1, 32},
                                                                  {1, 50, 40},
                                                                  {70, 16, 900},
                                                                  {19, 33, 700}})
    for (int layout = 0; layout < 4; ++layout) compare<Real>(m, n, k, layout % 2 == 1, layout / 2 == 1, 1);
}

TEST_CASE_TEMPLATE("products of few columns equal the plain loop", Real, float, double) {
  for (int n = 1; n <= 11; ++n)
    for (auto [m, k] : std::initializer_list<std::array<int, 2>>{{5, 16}, {21, 17}, {32, 8}, {64, 333}, {85, 40}, {520, 31}, {23, 2049}})
      for (int layout = 0; layout < 4; ++layout) compare<Real>(m, n, k, layout % 2 == 1, layout / 2 == 1, 1);
}

TEST_CASE_TEMPLATE("long sums are cut along their depth", Real, float, double) {
  CHECK(vk::gemm_workspace(20, 30, 5000) > 0);
  for (int layout = 0; layout < 4; ++layout) compare<Real>(20, 30, 5000, layout % 2 == 1, layout / 2 == 1, 1);
  compare<Real>(130, 20, 3000, true, false, 1);
}

TEST_CASE("batches of products") {
  compare<float>(33, 20, 40, false, true, 5);
  compare<float>(128, 128, 32, false, false, 3);
  compare<double>(9, 5, 4, true, false, 7);
}

TEST_CASE("rows of a page each are read correctly") {
  compare<float>(40, 50, 1024, false, false, 1);
  compare<float>(40, 50, 1024, false, true, 1);
}

TEST_CASE("NaN and infinity propagate, and no sum over nothing is read") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  std::vector<float> a(9 * 3, 0.f), b(3 * 5, 1.f), c(9 * 5, 7.f);
  a[4] = nan;
  b[0] = infinity;
  vk::gemm_arguments<float> product{.m = 9,
                                    .n = 5,
                                    .k = 3,
                                    .a = a.data(),
                                    .a_row = 3,
                                    .a_column = 1,
                                    .b = b.data(),
                                    .b_row = 5,
                                    .b_column = 1,
                                    .c = c.data()};
  vk::gemm(product, {});
  CHECK(std::isnan(c[0]));  // 0 * infinity
  CHECK(c[1] == 0.f);
  for (int j = 0; j < 5; ++j) CHECK(std::isnan(c[static_cast<std::size_t>(5 + j)]));
  product.k = 0;
  vk::gemm(product, {});
  for (float value : c) CHECK(value == 0.f);
}

TEST_CASE("few columns: an infinity that two vectors see counts once") {
  constexpr int m = 7, n = 3, k = 21;
  std::vector<float> a(m * k, 1.f), b(k * n, 2.f), c(m * n);
  a[k - 2] = a[10] = std::numeric_limits<float>::infinity();
  b[12 * n + 1] = std::numeric_limits<float>::infinity();
  vk::gemm_arguments<float> product{
      .m = m, .n = n, .k = k, .a = a.data(), .a_row = k, .a_column = 1, .b = b.data(), .b_row = n, .b_column = 1, .c = c.data()};
  vk::gemm(product, {});
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      const float found = c[static_cast<std::size_t>(i * n + j)];
      if (i == 0 || j == 1)
        CHECK(found == std::numeric_limits<float>::infinity());
      else
        CHECK(found == 42.f);
    }
}
