// Single kernels of the device, run on the host: sizes around the edges of their tiles, blocks and parts.
#include <doctest/doctest.h>

#include <initializer_list>
#include <vivace/exec/evaluate.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cuda/host_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>
#include <vivace/kernel/reference/reference.hpp>

#include "../kernel/calls.hpp"

namespace {

namespace vv = vivace;
using vv::op;
using vv::shape;
using emulated = vv::gpu::kernels_by<vv::gpu::host_launch>;
using backwards = vv::gpu::kernels_by<vv::gpu::host_launch_in_order<true>>;

/// Runs a call by the device's kernel and by the reference.
template <op Kind, class Real>
void check(calls::owned_call<Real> work, double units) {
  work.fill();
  vv::command as_planned;
  as_planned.kind = Kind;
  as_planned.out = {{vv::space::arena, 0}, work.out};
  if (!work.in.empty()) as_planned.in[0].dims = work.in[0];
  work.workspace = emulated::workspace(as_planned, 1);
  const auto found = work.run(emulated::operation<Kind, Real>());
  calls::check_close(found, work.run(vv::reference_kernels::operation<Kind, Real>()), units);
  CHECK(calls::same_bits(found, work.run(backwards::operation<Kind, Real>())));
}
template <op Kind>
void check_both(const calls::owned_call<double>& work, double units = 64) {
  check<Kind>(work, units);
  calls::owned_call<float> single{.out = work.out, .in = work.in, .labels = work.labels, .attr = work.attr};
  check<Kind>(single, units);
}

struct product {
  std::int32_t batch, m, n, k;
};

vv::window frame(int kernel, int stride, int padding, int dilation = 1, int groups = 1) {
  vv::window result;
  for (int d = 0; d < 2; ++d) {
    result.kernel[d] = static_cast<std::int16_t>(kernel);
    result.stride[d] = static_cast<std::int16_t>(stride);
    result.padding[d] = static_cast<std::int16_t>(padding);
    result.dilation[d] = static_cast<std::int16_t>(dilation);
  }
  result.groups = groups;
  return result;
}
/// Extents of what a window slides over.
shape slid(const shape& image, std::int32_t channels, const vv::window& by) {
  shape result = image;
  result[1] = channels;
  for (int d = 0; d < 2; ++d)
    result[2 + d] = (image[2 + d] + 2 * by.padding[d] - by.dilation[d] * (by.kernel[d] - 1) - 1) / by.stride[d] + 1;
  return result;
}

}  // namespace

TEST_CASE("cuda kernels: products of all transpositions, around the edges of tiles") {
  for (const product& size : {product{1, 1, 1, 1}, {1, 64, 64, 16}, {2, 65, 63, 17}, {3, 5, 130, 33}, {1, 130, 10, 100}})
    for (const bool a : {false, true})
      for (const bool b : {false, true}) {
        calls::owned_call<double> work{.out = {size.batch, size.m, size.n}};
        work.in = {a ? shape{size.batch, size.k, size.m} : shape{size.batch, size.m, size.k},
                   b ? shape{size.batch, size.n, size.k} : shape{size.batch, size.k, size.n}};
        work.attr = {.transpose_a = a, .transpose_b = b};
        check_both<op::matmul>(work);
      }
}

TEST_CASE("cuda kernels: a program in the kernel of a product, around the edges of tiles") {
  struct sizes {
    std::int32_t m, n, k;
  };
  for (const sizes& one : {sizes{5, 3, 7}, sizes{64, 64, 16}, sizes{70, 67, 33}, sizes{3, 130, 64}, sizes{66, 8, 200}}) {
    const auto make = [&] {
      vv::builder graph;
      const vv::initialiser start{vv::initialiser::rule::uniform, 1};
      const vv::value x = graph.input("x", {vv::rows, one.m, one.k});
      const vv::value w = graph.input("w", {vv::rows, one.k, one.n});
      const vv::value down = graph.parameter("down", {one.m, 1}, start), along = graph.parameter("along", {one.n}, start);
      const vv::value product = matmul(x, w);
      const vv::value moved = product * along + down;
      const vv::value kept = vv::ops::dropout_mask(moved, 0.3, graph.new_stream()) * moved;
      graph.output("moved", moved);
      graph.output("kept", kept);
      graph.result().loss = mean(x).index();
      return graph.take();
    };
    constexpr std::int32_t batch = 2;
    vv::runtime_graph<float, emulated> found(make(), batch);
    vv::runtime_graph<float, vv::reference_kernels> wanted(make(), batch);
    const auto x = calls::numbers<float>(std::int64_t{batch} * one.m * one.k);
    const auto w = calls::numbers<float>(std::int64_t{batch} * one.k * one.n, 2);
    for (auto* run : {&found.run(), &wanted.run()}) {
      run->set_input(0, x.data());
      run->set_input(1, w.data());
    }
    found.values().initialise(1);
    wanted.values().initialise(1);
    for (const std::int32_t samples : {batch, 1}) {
      found.run()({.seed = 5, .samples = samples});
      wanted.run()({.seed = 5, .samples = samples});
      const auto size = static_cast<std::ptrdiff_t>(samples) * one.m * one.n;
      for (const char* name : {"moved", "kept"}) {
        const float *a = found.run().output(name).data, *b = wanted.run().output(name).data;
        calls::check_close(std::vector<float>(a, a + size), std::vector<float>(b, b + size), 200);
      }
    }
  }
}

TEST_CASE("cuda kernels: convolutions and their gradients") {
  struct sizes {
    shape image;
    std::int32_t filters;
    vv::window by;
  };
  for (const sizes& one : {sizes{{2, 3, 7, 9}, 4, frame(3, 1, 1)}, sizes{{1, 1, 12, 12}, 6, frame(5, 1, 2)},
                           sizes{{3, 4, 9, 8}, 6, frame(3, 2, 1)}, sizes{{2, 4, 11, 10}, 6, frame(3, 2, 2, 2, 2)},
                           sizes{{2, 6, 8, 8}, 6, frame(1, 3, 0, 1, 6)}, sizes{{20, 2, 16, 16}, 3, frame(3, 1, 0)}}) {
    const shape weight{one.filters, one.image[1] / one.by.groups, one.by.kernel[0], one.by.kernel[1]};
    const shape result = slid(one.image, one.filters, one.by);
    check_both<op::conv2d>({.out = result, .in = {one.image, weight}, .attr = {.frame = one.by}});
    check_both<op::conv2d_input_gradient>({.out = one.image, .in = {result, weight}, .attr = {.frame = one.by}});
    check_both<op::conv2d_weight_gradient>({.out = weight, .in = {one.image, result}, .attr = {.frame = one.by}}, 256);
  }
}

TEST_CASE("cuda kernels: pools and their gradients") {
  for (const shape& image : {shape{2, 3, 8, 8}, shape{1, 2, 7, 9}, shape{3, 1, 13, 6}})
    for (const vv::window& by : {frame(2, 2, 0), frame(3, 2, 1), frame(3, 1, 1), frame(2, 3, 0), frame(3, 3, 1)}) {
      const shape windows = slid(image, image[1], by);
      check_both<op::max_pool>({.out = windows, .in = {image}, .attr = {.frame = by}});
      check_both<op::max_pool_gradient>({.out = image, .in = {image, windows}, .attr = {.frame = by}});
      check_both<op::max_pool_pick>({.out = windows, .in = {image, image}, .attr = {.frame = by}});
      check_both<op::avg_pool>({.out = windows, .in = {image}, .attr = {.frame = by}});
      check_both<op::avg_pool_gradient>({.out = image, .in = {windows}, .attr = {.frame = by}});
    }
}

TEST_CASE("cuda kernels: sums and maxima, whole and in parts") {
  struct reduced {
    shape from, to;
  };
  for (const reduced& one :
       {reduced{{1}, {}}, {{7}, {}}, {{300001}, {}}, {{3, 5}, {3, 5}}, {{5, 7}, {1, 7}}, {{4001, 512}, {1, 512}},
        {{90001, 10}, {10}}, {{9, 13}, {9, 1}}, {{2000, 129}, {2000, 1}}, {{3, 200003}, {3, 1}},
        {{4, 3, 5, 6}, {1, 3, 1, 1}}, {{65, 16, 28, 28}, {1, 16, 1, 1}}, {{6, 40, 33}, {6, 1, 33}},
        {{6, 7, 8, 9}, {6, 1, 8, 1}}, {{60, 7, 80, 9}, {1, 7, 1, 9}}, {{60, 7, 80, 9}, {9}}}) {
    check<op::max, float>({.out = one.to, .in = {one.from}}, 0);
    for (const bool mean : {false, true}) {
      check<op::sum, double>({.out = one.to, .in = {one.from}, .attr = {.mean = mean}}, 1e5);
      if (one.from.size() < 5000) check<op::sum, float>({.out = one.to, .in = {one.from}, .attr = {.mean = mean}}, 400);
    }
  }
}

TEST_CASE("cuda kernels: a smaller batch never wants more scratch memory") {
  for (const std::int32_t inner : {1, 3, 10, 100, 1000, 40000})
    for (const bool keeps : {false, true}) {
      std::int64_t most = 0;
      for (std::int32_t samples = 1; samples < 600; samples += 7) {
        const shape from{samples, inner};
        const std::int64_t wanted = vv::gpu::reduction_workspace(from, keeps ? shape{samples, 1} : shape{inner});
        CHECK(wanted >= most);
        most = wanted;
      }
    }
}

TEST_CASE("cuda kernels: a tensor that 32-bit indices do not reach is refused") {
  const vv::gpu::move_transposed<float> nowhere{nullptr, nullptr, {}};
  CHECK_THROWS_WITH(vv::gpu::for_each<vv::gpu::host_launch>(nowhere, std::int64_t{1} << 31, {}),
                    doctest::Contains("a tensor is too large for the device's kernels"));
  CHECK_THROWS_WITH(vv::gpu::check_size({65536, 65536}), doctest::Contains("4294967296 elements"));
}

TEST_CASE("cuda kernels: NaN and infinity") {
  calls::owned_call<float> work{.out = {4, 1}, .in = {{4, 300}}};
  work.operands.push_back(calls::numbers<float>(1200));
  work.operands[0][299] = calls::nan<float>;
  work.operands[0][300] = calls::nan<float>;
  work.operands[0][700] = calls::infinity<float>;
  for (std::size_t i = 900; i < 1200; ++i) work.operands[0][i] = -calls::infinity<float>;
  const auto found = work.run(emulated::operation<op::max, float>());
  calls::check_close(found, work.run(vv::reference_kernels::operation<op::max, float>()), 0);
  work.out = {4, 300};
  const auto rows = work.run(emulated::operation<op::softmax, float>());
  CHECK(std::isnan(rows[5]));
  CHECK(std::isnan(rows[305]));
}

TEST_CASE("cuda kernels: rows") {
  for (const std::int32_t columns : {1, 2, 10, 31, 32, 33, 65, 200})
    for (const std::int32_t rows : {1, 3, 4, 33}) {
      const shape table{rows, columns};
      for (const bool causal : {false, true})
        check_both<op::softmax>({.out = {2, rows, columns}, .in = {{2, rows, columns}}, .attr = {.causal = causal}});
      const std::vector<std::int32_t> labels = calls::labels(rows, columns);
      for (const double smoothing : {0.0, 0.1}) {
        check_both<op::cross_entropy>(
            {.out = {rows}, .in = {table, {rows}}, .labels = labels, .attr = {.scale = smoothing}});
        check_both<op::cross_entropy_gradient>(
            {.out = table, .in = {table, {rows}, {rows}}, .labels = labels, .attr = {.scale = smoothing}});
      }
      const std::vector<std::int32_t> named = calls::labels(17, rows);
      check_both<op::take_rows>({.out = {17, columns}, .in = {table, {17}}, .labels = named}, 0);
      check_both<op::add_rows>({.out = table, .in = {{17, columns}, {17}}, .labels = named});
    }
}

TEST_CASE("cuda kernels: elements that move") {
  const shape box{3, 4, 5, 6};
  for (const auto& axes : {std::initializer_list<std::int8_t>{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 3, 0, 1}}) {
    calls::owned_call<double> work{.out = box, .in = {box}};
    int d = 0;
    for (const std::int8_t axis : axes) {
      work.attr.axes[d] = axis;
      work.out[d++] = box[axis];
    }
    check_both<op::transpose>(work, 0);
  }
  for (std::int8_t axis = 0; axis < 4; ++axis) {
    shape part = box, rest = box;
    part[axis] = 2;
    rest[axis] = box[axis] - 2;
    vv::attributes attr{.first = 1};
    attr.axes[0] = axis;
    check_both<op::slice>({.out = part, .in = {box}, .attr = attr}, 0);
    check_both<op::pad>({.out = box, .in = {part}, .attr = attr}, 0);
    check_both<op::concatenate>({.out = box, .in = {part, rest}, .attr = attr}, 0);
  }
}
