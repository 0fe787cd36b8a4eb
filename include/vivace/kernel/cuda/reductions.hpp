#pragma once
#include <cmath>

#include <vivace/kernel/cuda/program.hpp>
#include <vivace/kernel/cuda/table.hpp>

/// @file
/// Sums and maxima over some axes, in an order that the sizes alone decide. Each result is made of parts: a thread or a
/// block runs through one part, and where there are several, a second kernel adds them in order.

namespace vivace::inline VIVACE_TARGET::gpu {

struct summation {
  template <class Real>
  [[nodiscard]] static constexpr Real none() {
    return 0;
  }
  template <class Real>
  [[nodiscard]] VIVACE_HOST_DEVICE Real operator()(Real sum, Real value) const {
    return sum + value;
  }
};
struct maximisation {
  template <class Real>
  [[nodiscard]] static constexpr Real none() {
    return static_cast<Real>(-HUGE_VAL);
  }
  template <class Real>
  [[nodiscard]] VIVACE_HOST_DEVICE Real operator()(Real best, Real value) const {
    return best == best && !(value <= best) ? value : best;  // NaN enters, and stays
  }
};

/// Elements that lie in memory.
template <class Real>
struct memory_source {
  const Real* data = nullptr;
  [[nodiscard]] VIVACE_HOST_DEVICE int register_count() const { return 0; }
  [[nodiscard]] VIVACE_HOST_DEVICE Real operator()(std::uint32_t index, packet<Real, 1>*, int) const {
    return data[index];
  }
};
/// Elements that a program makes as they are asked for.
template <class Program, class Real>
struct program_source {
  Program code;
  [[nodiscard]] VIVACE_HOST_DEVICE int register_count() const { return code.registers; }
  [[nodiscard]] VIVACE_HOST_DEVICE Real operator()(std::uint32_t index, packet<Real, 1>* registers, int stride) const {
    program_thread<Program, Real, 1> thread(code, registers, stride, index, 1);
    thread.run();
    return thread.operand(code.fed_register).value[0];
  }
};

/// One kernel of a reduction.
template <class Source, class Combine, class Real>
struct reduction_work {
  static constexpr int threads = reduction_threads;
  using state = nothing;
  Source source;
  strided_index kept{}, reduced{};
  divider results{};
  std::uint32_t all_parts = 0;  ///< of all results
  std::uint32_t count = 0;
  std::uint32_t per_part = 0;
  bool by_thread = false;
  Real none = 0;
  Real divisor = 1;
  Real* to = nullptr;  ///< [parts, results]

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return by_thread ? 1 : 1 + halvings; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const {
    return sizeof(Real) * static_cast<std::size_t>(threads) * static_cast<std::size_t>(1 + source.register_count());
  }
  VIVACE_HOST_DEVICE void operator()(int phase, position at, state&, std::byte* shared) const {
    Real* const partial = reinterpret_cast<Real*>(shared);
    const std::uint32_t own = by_thread ? at.block * threads + at.thread : at.block;
    if (own >= all_parts) return;
    if (phase == 0) {
      const std::uint32_t part = results.quotient(own);
      const std::uint32_t result = own - part * results.divisor;
      const std::uint32_t begin = part * per_part;
      const std::uint32_t end = begin + per_part < count ? begin + per_part : count;
      const std::uint32_t step = by_thread ? 1 : threads;
      const std::uint32_t base = kept.offset(result);
      auto* const registers = reinterpret_cast<packet<Real, 1>*>(partial + threads) + at.thread;
      Real total = none;
      for (std::uint32_t r = begin + (by_thread ? 0 : at.thread); r < end; r += step)
        total = Combine{}(total, source(base + reduced.offset(r), registers, threads));
      if (by_thread)
        to[own] = total / divisor;
      else
        partial[at.thread] = total;
    } else {
      const std::uint32_t half = static_cast<std::uint32_t>(threads) >> phase;
      if (at.thread < half) partial[at.thread] = Combine{}(partial[at.thread], partial[at.thread + half]);
      if (half == 1 && at.thread == 0) to[own] = partial[0] / divisor;
    }
  }
};

template <class Launch, class Combine, class Real, class Source>
void reduce(const Source& source, const call<Real>& self, const step_context& context) {
  reduction how = reduction_of(self.in[0].dims, self.out.dims);
  if (self.workspace == nullptr) how.parts = 1;  // planned for other kernels
  if (self.in[0].dims.size() >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda",
                std::to_string(self.in[0].dims.size()) + " elements", "fewer than 2^31: a smaller batch");
  const Real divisor = self.attr->mean ? static_cast<Real>(how.count) : Real(1);
  reduction_work<Source, Combine, Real> first{source, how.kept, how.reduced};
  first.results = divider(static_cast<std::uint32_t>(how.results));
  first.all_parts = static_cast<std::uint32_t>(how.parts * how.results);
  first.count = static_cast<std::uint32_t>(how.count);
  first.per_part = static_cast<std::uint32_t>(how.per_part());
  first.by_thread = how.by_thread;
  first.none = Combine::template none<Real>();
  if (how.parts == 1) {
    first.divisor = divisor;
    first.to = self.out.data;
  } else {
    first.to = self.workspace;
  }
  Launch::run(first, how.by_thread ? blocks_of(first.all_parts, reduction_threads) : first.all_parts, context);
  if (how.parts == 1) return;
  reduction_work<memory_source<Real>, Combine, Real> second{{self.workspace}};
  second.kept.add_axis(how.results, 1);
  second.reduced.add_axis(how.parts, how.results);
  second.results = first.results;
  second.all_parts = static_cast<std::uint32_t>(how.results);
  second.count = second.per_part = static_cast<std::uint32_t>(how.parts);
  second.by_thread = how.parts <= most_parts;
  second.none = first.none;
  second.divisor = divisor;
  second.to = self.out.data;
  Launch::run(second, second.by_thread ? blocks_of(how.results, reduction_threads) : how.results, context);
}

template <class Launch, class Real>
void sum(const call<Real>& self, const step_context& context) {
  if (!self.body.exists()) return reduce<Launch, summation>(memory_source<Real>{self.in[0].data}, self, context);
  with_packed<Launch>(self.body, {}, context, [&]<class Program>(const Program& code) {
    reduce<Launch, summation>(program_source<Program, Real>{code}, self, context);
  });
}
template <class Launch, class Real>
void(max)(const call<Real>& self, const step_context& context) {
  reduce<Launch, maximisation>(memory_source<Real>{self.in[0].data}, self, context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
