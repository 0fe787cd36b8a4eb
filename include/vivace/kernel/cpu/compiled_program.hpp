#pragma once
#include <vivace/graph/program_form.hpp>
#include <vivace/kernel/cpu/elementwise.hpp>

/// @file
/// Programs as machine code: what the interpreter does an operation at a time, through first-level cache, is one loop
/// with all values in registers.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Calls body with each index below Count as a constant.
template <int Count, class Body>
[[gnu::always_inline]] inline void unrolled(Body&& body) {
  [&]<int... Index>(std::integer_sequence<int, Index...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, Index>{}), ...);
  }(std::make_integer_sequence<int, Count>{});
}

/// See block_function.
template <program_form Form, class Real>
void compiled_program(const program_block<Real>& block) {
  using vector = kernel::vector<Real>;
  const Real* load[Form.loads + 1];
  vector splat[Form.loads + 1];
  Real* store[Form.stores + 1];
  Real scale[Form.lines], shift[Form.lines];
  unrolled<Form.loads>([&](auto l) __attribute__((always_inline)) {
    load[l] = block.load[l];
    if constexpr (Form.splat(l)) splat[l] = kernel::broadcast(*load[l]);
  });
  unrolled<Form.stores>([&](auto s) __attribute__((always_inline)) { store[s] = block.store[s]; });
  unrolled<Form.lines>([&](auto i) __attribute__((always_inline)) {
    const instruction& code = *block.code[i].code;
    scale[i] = Form.code[i].divide ? repetitions<Real>(code, block.samples) : static_cast<Real>(code.scale);
    shift[i] = static_cast<Real>(code.shift);
  });
  const std::int64_t count = block.count;
  const Real* const head = block.head;
  for (std::int64_t at = 0; at < count; at += kernel::lanes<Real>) {
    // Asked for ahead of the time: what the hardware fetches by itself ends at each page.
    if constexpr (Form.head < 0) {
      unrolled<Form.loads>([&](auto l) __attribute__((always_inline)) {
        if constexpr (!Form.splat(l)) __builtin_prefetch(load[l] + at + far_ahead);
      });
      unrolled<Form.stores>([&](auto s)
                                __attribute__((always_inline)) { __builtin_prefetch(store[s] + at + far_ahead, 1); });
    }
    vector value[max_group + 1];
    if constexpr (Form.head >= 0) value[Form.head] = kernel::load(head + at);
    const auto operand = [&](auto code) __attribute__((always_inline)) {
      if constexpr (code >= 0) return value[code];
      else if constexpr (Form.splat(-1 - code)) return splat[-1 - code];
      else return kernel::load(load[-1 - code] + at);
    };
    unrolled<Form.lines>([&](auto i) __attribute__((always_inline)) {
      constexpr form_line self = Form.code[i];
      constexpr int operands = operands_of(self.kind);
      const vector x = operand(std::integral_constant<int, self.from[0]>{});
      vector y = x, z = x;
      if constexpr (operands > 1) y = operand(std::integral_constant<int, self.from[1]>{});
      if constexpr (operands > 2) z = operand(std::integral_constant<int, self.from[2]>{});
      if constexpr (self.divide)
        value[self.to] = x / scale[i];
      else
        value[self.to] = kernel::pinned(arithmetic<self.kind, Real>(x, y, z, scale[i], shift[i]));
    });
    unrolled<Form.stores>([&](auto s) __attribute__((always_inline)) {
      kernel::store(store[s] + at, value[Form.from[s]]);
    });
  }
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
