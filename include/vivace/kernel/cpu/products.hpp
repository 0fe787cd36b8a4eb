#pragma once
#include <vivace/kernel/cpu/conv.hpp>
#include <vivace/kernel/cpu/gemm.hpp>
#include <vivace/kernel/program.hpp>

/// @file
/// Matrix products and convolutions of a plan. A program that finishes one runs on each stretch of the result while it
/// is in cache.

namespace vivace::inline VIVACE_TARGET::cpu {

/// Hands finished stretches of a product to the command's program.
template <class Real>
class program_epilogue {
 public:
  program_epilogue(const program<Real>& body, const step_context& context)
      : body_(body),
        context_(context),
        self_{&program_epilogue::apply, this, &program_epilogue::apply_rows} {}
  /// What a product takes: null if the command has no program.
  [[nodiscard]] const kernel::epilogue<Real>* get() const { return body_.exists() ? &self_ : nullptr; }

 private:
  static void apply(const void* self, std::int64_t first, std::int64_t count, const Real* values) {
    const auto* own = static_cast<const program_epilogue*>(self);
    program_runner<Real>(own->body_, own->context_)(first, count, values);
  }
  static void apply_rows(const void* self, std::int64_t first, int row_count, std::int64_t stride, std::int64_t count,
                         const Real* values) {
    const auto* own = static_cast<const program_epilogue*>(self);
    program_runner<Real> runner(own->body_, own->context_);
    for (int row = 0; row < row_count; ++row) runner(first + row * stride, count, values + row * count);
  }
  const program<Real>& body_;
  const step_context& context_;
  kernel::epilogue<Real> self_;
};

/// Extents of a product: [batch, m, k] by [batch, k, n].
struct product_extents {
  std::int32_t batch, m, n, k;
};

constexpr product_extents extents_of_product(const shape& left, const shape& to, bool transpose_left) {
  const int rank = to.rank;
  std::int32_t batch = 1;
  for (int d = 0; d < rank - 2; ++d) batch *= to[d];
  return {batch, to[rank - 2], to[rank - 1], left[transpose_left ? rank - 2 : rank - 1]};
}

template <class Real>
void matmul(const call<Real>& self, const step_context& context) {
  const program_epilogue<Real> finish(self.body, context);
  const product_extents size = extents_of_product(self.in[0].dims, self.out.dims, self.attr->transpose_a);
  const bool left = self.attr->transpose_a;
  const bool right = self.attr->transpose_b;
  const kernel::gemm_arguments<Real> arguments{
      .m = size.m,
      .n = size.n,
      .k = size.k,
      .a = self.in[0].data,
      .a_row = left ? 1 : size.k,
      .a_column = left ? size.m : 1,
      .b = self.in[1].data,
      .b_row = right ? 1 : size.n,
      .b_column = right ? size.k : 1,
      .c = self.out.data,
      .batch = size.batch,
      .a_batch = std::int64_t{size.m} * size.k,
      .b_batch = std::int64_t{size.k} * size.n,
      .finish = finish.get(),
      .workspace = self.workspace,
  };
  kernel::gemm(arguments, context.lanes);
}

/// The geometry of a convolution from the extents of its image, weight and result.
constexpr kernel::conv_geometry geometry_of(const shape& image, const shape& weight, const shape& result,
                                            const window& frame) {
  return {.batch = image[0],
          .in_channels = image[1],
          .height = image[2],
          .width = image[3],
          .out_channels = result[1],
          .out_height = result[2],
          .out_width = result[3],
          .kernel_h = weight[2],
          .kernel_w = weight[3],
          .stride_h = frame.stride[0],
          .stride_w = frame.stride[1],
          .padding_h = frame.padding[0],
          .padding_w = frame.padding[1],
          .dilation_h = frame.dilation[0],
          .dilation_w = frame.dilation[1],
          .groups = frame.groups};
}

template <class Real>
void conv2d(const call<Real>& self, const step_context& context) {
  const program_epilogue<Real> finish(self.body, context);
  kernel::conv2d(geometry_of(self.in[0].dims, self.in[1].dims, self.out.dims, self.attr->frame), self.in[0].data,
                 self.in[1].data, self.out.data, finish.get(), self.workspace, context.lanes);
}

template <class Real>
void conv2d_input_gradient(const call<Real>& self, const step_context& context) {
  const program_epilogue<Real> finish(self.body, context);
  kernel::conv2d_input_gradient(geometry_of(self.out.dims, self.in[1].dims, self.in[0].dims, self.attr->frame),
                                self.in[0].data, self.in[1].data, self.out.data, finish.get(), self.workspace,
                                context.lanes);
}

template <class Real>
void conv2d_weight_gradient(const call<Real>& self, const step_context& context) {
  const program_epilogue<Real> finish(self.body, context);
  kernel::conv2d_weight_gradient(geometry_of(self.in[0].dims, self.out.dims, self.in[1].dims, self.attr->frame),
                                 self.in[0].data, self.in[1].data, self.out.data, finish.get(), self.workspace,
                                 context.lanes);
}

}  // namespace vivace::inline VIVACE_TARGET::cpu
