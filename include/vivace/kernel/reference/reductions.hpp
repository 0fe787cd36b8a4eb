#pragma once
#include <cmath>

#include <vivace/kernel/call.hpp>

namespace vivace::inline VIVACE_TARGET::reference {

/// For each element of `from`, the element of `to` it is reduced into: calls body(from index, to index).
template <class Body>
void for_each_reduced(const shape& from, const shape& to, Body&& body) {
  const int lead = from.rank - to.rank;
  for (std::int64_t index = 0; index < from.size(); ++index) {
    std::int64_t rest = index;
    std::int64_t place = 0;
    std::int64_t stride = 1;
    for (int d = from.rank - 1; d >= lead; --d) {
      const std::int64_t coordinate = rest % from[d];
      rest /= from[d];
      if (to[d - lead] != 1) place += coordinate * stride;
      stride *= to[d - lead];
    }
    body(index, place);
  }
}

template <class Real>
void sum(const call<Real>& self, const step_context&) {
  const std::int64_t count = self.out.dims.size();
  for (std::int64_t i = 0; i < count; ++i) self.out.data[i] = 0;
  for_each_reduced(self.in[0].dims, self.out.dims,
                   [&](std::int64_t from, std::int64_t to) { self.out.data[to] += self.in[0].data[from]; });
  if (!self.attr->mean) return;
  const Real summands = static_cast<Real>(self.in[0].dims.size() / count);
  for (std::int64_t i = 0; i < count; ++i) self.out.data[i] /= summands;
}

template <class Real>
void(max)(const call<Real>& self, const step_context&) {
  for (std::int64_t i = 0; i < self.out.dims.size(); ++i) self.out.data[i] = static_cast<Real>(-HUGE_VAL);
  for_each_reduced(self.in[0].dims, self.out.dims, [&](std::int64_t from, std::int64_t to) {
    const Real value = self.in[0].data[from];
    const Real best = self.out.data[to];
    if (best == best && !(value <= best)) self.out.data[to] = value;  // NaN enters, and stays
  });
}

}  // namespace vivace::inline VIVACE_TARGET::reference
