#pragma once
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Pools by a square window; a stride of 0 means as large as the window.
constexpr value pooled(op kind, value input, int size, int stride, int padding) {
  if (size < 1 || stride < 0 || padding < 0)
    return input.owner().fail(problem::extent_must_be_positive, to_string(kind), input.dims(), {size, stride});
  window frame;
  for (int d = 0; d < 2; ++d) {
    frame.kernel[d] = static_cast<std::int16_t>(size);
    frame.stride[d] = static_cast<std::int16_t>(stride == 0 ? size : stride);
    frame.padding[d] = static_cast<std::int16_t>(padding);
  }
  return ops::pool(kind, input, frame);
}

/// Largest element of each window, over [batch, channels, height, width].
struct max_pool {
  static constexpr std::string_view label = "max_pool";
  int size = 2;
  int stride = 0;  ///< 0: as large as the window
  int padding = 0;
  constexpr value operator()(value input) const { return pooled(op::max_pool, input, size, stride, padding); }
};

/// Mean of each window; what lies outside the image is not counted.
struct avg_pool {
  static constexpr std::string_view label = "avg_pool";
  int size = 2;
  int stride = 0;  ///< 0: as large as the window
  int padding = 0;
  constexpr value operator()(value input) const { return pooled(op::avg_pool, input, size, stride, padding); }
};

/// Mean over height and width: [batch, channels, height, width] to [batch, channels].
struct global_avg_pool {
  static constexpr std::string_view label = "global_avg_pool";
  constexpr value operator()(value input) const {
    if (input.dims().rank != 4) return input.owner().fail(problem::wrong_rank, label, input.dims(), {});
    return ops::mean(input, {2, 3});
  }
};

}  // namespace vivace::inline VIVACE_TARGET
