#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <vector>

#include <vivace/core/parallel.hpp>
#include <vivace/graph/cost.hpp>
#include <vivace/graph/freeze.hpp>
#include <vivace/kernel/cpu/vector.hpp>

/// @file
/// What the machine can do at most, measured, and what a step asks of it: together the share of the limit that a
/// program reaches.

namespace vivace::inline VIVACE_TARGET::interop {

/// The work of a whole step at a batch of `samples`: each node once, parameters read and written once.
/// @param element_bytes size of a number
constexpr cost step_cost(const graph_view& from, std::int32_t samples, int element_bytes = 4) {
  graph filled = thawed(from);
  for (std::int32_t index = 0; index < filled.nodes.size(); ++index)
    filled.nodes[index].dims = filled.nodes[index].dims.at(samples);
  cost total = total_cost(filled, element_bytes);
  for (const assignment& one : filled.assignments) total.bytes += filled.nodes[one.target].dims.size() * element_bytes;
  for (const port& one : filled.outputs) total.bytes += filled.nodes[one.node].dims.size() * element_bytes;
  return total;
}

namespace detail {

/// Tells the compiler that memory was read and written.
inline void touch(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

/// Seconds that work takes on so many threads: of one thread only while it runs, so that others on the machine do not
/// count; of several by the clock.
class stopwatch {
 public:
  explicit stopwatch(int threads) : alone_(threads == 1), start_(now()) {}
  [[nodiscard]] double seconds() const { return now() - start_; }

 private:
  [[nodiscard]] double now() const {
    if (!alone_) return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    std::timespec spent{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + 1e-9 * static_cast<double>(spent.tv_nsec);
  }
  bool alone_;
  double start_;
};

/// The least seconds of `body()`, repeated for about `seconds`.
template <class Body>
double least_seconds(int threads, double seconds, Body&& body) {
  double least = 1e9;
  for (const stopwatch all(threads); all.seconds() < seconds;) {
    const stopwatch once(threads);
    body();
    least = (std::min)(least, once.seconds());
  }
  return least;
}

/// Twelve chains of multiply-adds in registers: more than any core has in flight, and fewer than registers.
template <class Real>
[[gnu::noinline]] void multiply_add_chains(int steps, Real* to) {
  constexpr int chains = 12;
  const kernel::vector<Real> factor = kernel::load(to), term = kernel::load(to + kernel::lanes<Real>);
  kernel::vector<Real> sum[chains];
  for (auto& one : sum) one = term;
  for (int step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int chain = 0; chain < chains; ++chain) sum[chain] = sum[chain] * factor + term;
  }
  for (int chain = 1; chain < chains; ++chain) sum[0] += sum[chain];
  kernel::store(to + 2 * kernel::lanes<Real>, sum[0]);
}

}  // namespace detail

/// Floating-point operations a second of vector multiply-adds in registers, on all threads of `lanes` at once: the best
/// of bursts in about `seconds`.
template <class Real = float>
double measured_flops(const parallel& lanes = {}, double seconds = 0.01) {
  constexpr int steps = 20'000;
  constexpr int place = 4 * kernel::lanes<Real>;
  const int threads = lanes.threads();
  std::vector<Real> memory(static_cast<std::size_t>(place * threads), Real(0.5));
  const double least = detail::least_seconds(threads, seconds, [&] {
    lanes(threads, [&](std::int64_t task) { detail::multiply_add_chains(steps, memory.data() + task * place); });
    detail::touch(memory.data());
  });
  return 2.0 * 12 * kernel::lanes<Real> * steps * threads / least;
}

/// Bytes a second of a = b + s c over three arrays of `bytes` together, read and written again and again on all threads
/// of `lanes`: the bandwidth of whichever cache they fit, or of the memory. The best of rounds in about `seconds`.
template <class Real = float>
double measured_bandwidth(const parallel& lanes = {}, std::int64_t bytes = std::int64_t{1} << 26,
                          double seconds = 0.02) {
  const int threads = lanes.threads();
  const std::int64_t count = (std::max)(std::int64_t{1024}, bytes / 3 / static_cast<int>(sizeof(Real)) / threads);
  std::vector<Real> memory(static_cast<std::size_t>(3 * count * threads), Real(0.5));
  const std::int64_t rounds = (std::max)(std::int64_t{1}, (1 << 16) / count);  // a clock costs as much as a small round
  const double least = detail::least_seconds(threads, seconds, [&] {
    lanes(threads, [&](std::int64_t task) {
      Real* const a = memory.data() + 3 * count * task;
      const Real* const b = a + count;
      const Real* const c = b + count;
      for (std::int64_t round = 0; round < rounds; ++round) {
        for (std::int64_t i = 0; i + kernel::lanes<Real> <= count; i += kernel::lanes<Real>)
          kernel::store(a + i, kernel::load(b + i) + kernel::load(c + i) * Real(0.5));
        detail::touch(a);
      }
    });
  });
  return 3.0 * static_cast<double>(count) * static_cast<double>(sizeof(Real)) * static_cast<double>(rounds * threads) /
         least;
}

}  // namespace vivace::inline VIVACE_TARGET::interop
