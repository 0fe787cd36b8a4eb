#pragma once
#include <vivace/kernel/call.hpp>

namespace vivace::inline VIVACE_TARGET::reference {

template <class Real>
void matmul(const call<Real>& self, const step_context&) {
  const shape& left = self.in[0].dims;
  const shape& right = self.in[1].dims;
  const shape& to = self.out.dims;
  const int rank = to.rank;
  const std::int64_t m = to[rank - 2];
  const std::int64_t n = to[rank - 1];
  const std::int64_t k = left[self.attr->transpose_a ? rank - 2 : rank - 1];
  for (std::int64_t batch = 0; batch < to.size() / (m * n); ++batch) {
    const Real* a = self.in[0].data + batch * m * k;
    const Real* b = self.in[1].data + batch * k * n;
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        Real total = 0;
        for (std::int64_t l = 0; l < k; ++l)
          total += a[self.attr->transpose_a ? l * left[rank - 1] + i : i * k + l] *
                   b[self.attr->transpose_b ? j * right[rank - 1] + l : l * n + j];
        self.out.data[(batch * m + i) * n + j] = total;
      }
  }
}

/// Visits every product of a convolution: body(image index, weight index, result index).
template <class Body>
void for_each_tap(const shape& image, const shape& weight, const shape& result, const window& frame, Body&& body) {
  const int group_in = weight[1];
  const int group_out = weight[0] / frame.groups;
  for (std::int64_t n = 0; n < result[0]; ++n)
    for (std::int64_t filter = 0; filter < result[1]; ++filter)
      for (std::int64_t y = 0; y < result[2]; ++y)
        for (std::int64_t x = 0; x < result[3]; ++x)
          for (std::int64_t channel = 0; channel < group_in; ++channel)
            for (std::int64_t ky = 0; ky < weight[2]; ++ky)
              for (std::int64_t kx = 0; kx < weight[3]; ++kx) {
                const std::int64_t row = y * frame.stride[0] - frame.padding[0] + ky * frame.dilation[0];
                const std::int64_t column = x * frame.stride[1] - frame.padding[1] + kx * frame.dilation[1];
                if (row < 0 || row >= image[2] || column < 0 || column >= image[3]) continue;
                const std::int64_t source = filter / group_out * group_in + channel;
                body(((n * image[1] + source) * image[2] + row) * image[3] + column,
                     ((filter * group_in + channel) * weight[2] + ky) * weight[3] + kx,
                     ((n * result[1] + filter) * result[2] + y) * result[3] + x);
              }
}

template <class Real>
void clear(const tensor<Real>& target) {
  for (std::int64_t i = 0; i < target.dims.size(); ++i) target.data[i] = 0;
}

template <class Real>
void conv2d(const call<Real>& self, const step_context&) {
  clear(self.out);
  for_each_tap(self.in[0].dims, self.in[1].dims, self.out.dims, self.attr->frame,
               [&](std::int64_t image, std::int64_t weight, std::int64_t result) {
                 self.out.data[result] += self.in[0].data[image] * self.in[1].data[weight];
               });
}

template <class Real>
void conv2d_input_gradient(const call<Real>& self, const step_context&) {
  clear(self.out);
  for_each_tap(self.out.dims, self.in[1].dims, self.in[0].dims, self.attr->frame,
               [&](std::int64_t image, std::int64_t weight, std::int64_t result) {
                 self.out.data[image] += self.in[0].data[result] * self.in[1].data[weight];
               });
}

template <class Real>
void conv2d_weight_gradient(const call<Real>& self, const step_context&) {
  clear(self.out);
  for_each_tap(self.in[0].dims, self.out.dims, self.in[1].dims, self.attr->frame,
               [&](std::int64_t image, std::int64_t weight, std::int64_t result) {
                 self.out.data[weight] += self.in[0].data[image] * self.in[1].data[result];
               });
}

}  // namespace vivace::inline VIVACE_TARGET::reference
