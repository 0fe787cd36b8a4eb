#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Sizes of a two-dimensional convolution: x [batch, in_channels, height, width], w [out_channels, in_channels /
/// groups, kernel_h, kernel_w], y [batch, out_channels, out_height, out_width].
struct conv_geometry {
  int batch, in_channels, height, width, out_channels, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w, groups;
};

constexpr std::int64_t round_up(std::int64_t value, std::int64_t part) { return (value + part - 1) / part * part; }
constexpr std::int64_t multiply_adds(const conv_geometry& g) {
  return std::int64_t{g.batch} * g.out_channels * g.out_height * g.out_width * (g.in_channels / g.groups) * g.kernel_h *
         g.kernel_w;
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
