#pragma once
// Reference kernels that understand fused plans. They make life hard for a plan: products are computed anew for each
// stretch they hand out, from whatever memory holds by then, and sums clear their result before they read anything.
#include <algorithm>
#include <vector>
#include <vivace/kernel/program.hpp>
#include <vivace/kernel/reference/reference.hpp>

namespace graph_test {

namespace vv = vivace;

template <vv::op Kind, class Real>
void product_in_stretches(const vv::call<Real>& self, const vv::step_context& context) {
  constexpr auto run = vv::reference_kernels::operation<Kind, Real>();
  if (!self.body.exists()) {
    run(self, context);
    return;
  }
  std::vector<Real> tile(static_cast<std::size_t>(self.out.dims.size()));
  vv::call<Real> head = self;
  head.out.data = tile.data();
  const std::int64_t size = self.body.size;
  const std::int64_t stretch = (std::max)(size / 3, std::int64_t{1});
  for (std::int64_t first = 0; first < size; first += stretch) {
    run(head, context);
    vv::program_runner<Real>(self.body, context)(first, (std::min)(stretch, size - first), tile.data() + first);
  }
}

template <class Real>
void sum_as_it_comes(const vv::call<Real>& self, const vv::step_context& context) {
  if (!self.body.exists()) {
    vv::reference::sum<Real>(self, context);
    return;
  }
  std::vector<std::int64_t> place(static_cast<std::size_t>(self.body.size));
  vv::reference::for_each_reduced(self.in[0].dims, self.out.dims, [&](std::int64_t from, std::int64_t to) {
    place[static_cast<std::size_t>(from)] = to;
  });
  std::fill_n(self.out.data, self.out.dims.size(), Real(0));
  vv::program_runner<Real>(self.body, context)(
      0, self.body.size, nullptr, [&](std::int64_t first, std::int64_t count, const Real* values) {
        for (std::int64_t i = 0; i < count; ++i) self.out.data[place[static_cast<std::size_t>(first + i)]] += values[i];
      });
  if (!self.attr->mean) return;
  const auto summands = static_cast<Real>(self.body.size / self.out.dims.size());
  for (std::int64_t i = 0; i < self.out.dims.size(); ++i) self.out.data[i] /= summands;
}

struct fused_reference_kernels {
  static constexpr bool fused = true;
  template <vv::op Kind, class Real>
  static constexpr vv::kernel_function<Real> operation() {
    if constexpr (vv::takes_epilogue(Kind))
      return product_in_stretches<Kind, Real>;
    else if constexpr (Kind == vv::op::sum)
      return sum_as_it_comes<Real>;
    else
      return vv::reference_kernels::operation<Kind, Real>();
  }
  template <vv::op Kind, class Real>
  static constexpr vv::elementwise_function<Real> elementwise() {
    return vv::reference_kernels::elementwise<Kind, Real>();
  }
  /// Some, so that plans with scratch memory are tested.
  static constexpr std::int64_t workspace(const vv::command& from, std::int32_t samples) {
    return vv::takes_epilogue(from.kind) ? 8 + samples : 0;
  }
};

}  // namespace graph_test
