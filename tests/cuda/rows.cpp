// Tables of rows, and sums with few results: sizes at which the device's kernels go a second way.
#include <doctest/doctest.h>

#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>
#include <vivace/kernel/reference/reference.hpp>

#include "../kernel/calls.hpp"

namespace {

namespace vv = vivace;
using vv::op;
using vv::shape;
template <bool Backwards>
using emulated = vv::gpu::kernels_by<vv::gpu::host_launch_in_order<Backwards>>;

}  // namespace

TEST_CASE("cuda rows: rows of a table that many samples name are added in order") {
  constexpr std::int32_t entries = 3;
  for (const std::int32_t rows : {1, 31, 32, 33, 4095, 4096, 4097, 9000})
    for (const std::int32_t columns : {1, 5, 200}) {
      if (rows > 100 && columns > 5 && rows != 4097) continue;
      calls::owned_call<float> work{.out = {entries, columns}, .in = {{rows, columns}, {rows}}};
      for (std::int32_t row = 0; row < rows; ++row) work.labels.push_back(row % 7 == 0 ? 2 : row % 3 == 0 ? 1 : 0);
      if (rows == 33) work.labels.assign(33, 0);  // the others get zeros
      work.fill();
      const auto wanted = work.run(vv::reference_kernels::operation<op::add_rows, float>());
      CHECK(calls::same_bits(work.run(emulated<false>::operation<op::add_rows, float>()), wanted));
      CHECK(calls::same_bits(work.run(emulated<true>::operation<op::add_rows, float>()), wanted));
    }
}

TEST_CASE("cuda rows: scratch memory suffices for fewer samples, too") {
  for (const std::int64_t count : {1, 100, 5000, 300000})
    for (const bool keeps_rows : {false, true}) {
      const auto parts_of = [&](std::int32_t samples) {
        const auto inner = static_cast<std::int32_t>(count);
        const shape from{samples, inner};
        const shape to = keeps_rows ? shape{samples, 1} : shape{1, inner};
        const vv::gpu::reduction work = vv::gpu::reduction_of(from, to);
        CHECK((work.parts - 1) * work.per_part() < work.count + work.per_part());
        CHECK((work.parts == 1 || work.parts * work.results <= vv::gpu::reduction_workspace(from, to)));
        return work.parts == 1 ? 0 : work.parts * work.results;
      };
      for (const std::int32_t batch : {7, 64, 100, 600, 3000}) {
        const auto inner = static_cast<std::int32_t>(count);
        const std::int64_t room =
            vv::gpu::reduction_workspace({batch, inner}, keeps_rows ? shape{batch, 1} : shape{1, inner});
        for (std::int32_t samples = 1; samples <= batch; samples += 1 + samples / 9)
          CHECK(parts_of(samples) <= room);
      }
    }
}

TEST_CASE("cuda rows: a sum without scratch memory is made in one part") {
  calls::owned_call<double> work{.out = {3, 1}, .in = {{3, 20000}}};
  work.fill();
  const auto wanted = work.run(vv::reference_kernels::operation<op::sum, double>());
  const vv::kernel_function<double> without = [](const vv::call<double>& self, const vv::step_context& context) {
    vv::call<double> bare = self;
    bare.workspace = nullptr;
    emulated<false>::operation<op::sum, double>()(bare, context);
  };
  calls::check_close(work.run(without), wanted, 1e4);
  work.workspace = vv::gpu::reduction_workspace({3, 20000}, {3, 1});
  REQUIRE(work.workspace > 0);
  calls::check_close(work.run(emulated<false>::operation<op::sum, double>()), wanted, 1e4);
  calls::owned_call<double> one{.out = {1, 1}, .in = {{1, 2000000}}};  // more parts than a thread adds up
  one.workspace = vv::gpu::reduction_workspace({1, 2000000}, {1, 1});
  CHECK(one.workspace == 2000000 / vv::gpu::block_part);
  one.fill();
  calls::check_close(one.run(emulated<false>::operation<op::sum, double>()),
                     one.run(vv::reference_kernels::operation<op::sum, double>()), 1e6);
}
