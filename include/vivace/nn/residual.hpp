#pragma once
#include <vivace/nn/layer.hpp>

namespace vivace::inline VIVACE_TARGET {

/// x + f(x) for the layers f (He et al., CVPR 2016). Where f halves the image or adds channels, the shortcut has no
/// parameters: it takes every second pixel and fills new channels with zeros (their option A).
template <layer... Layers>
struct residual {
  static constexpr bool is_block = true;
  static constexpr std::string_view label = "residual";
  chain<Layers...> inner;

  constexpr explicit residual(const Layers&... layers) : inner(layers...) {}

  constexpr value operator()(value input) const {
    const value output = inner(input);
    builder& graph = input.owner();
    if (graph.failed()) return output;
    graph.begin_layer(label);
    const value sum = shortcut(input, output.dims()) + output;
    graph.end_layer(sum);
    return sum;
  }

 private:
  static constexpr value shortcut(value input, const shape& dims) {
    if (input.dims() == dims) return input;
    builder& graph = input.owner();
    if (input.dims().rank != 4 || dims.rank != 4 || dims[1] < input.dims()[1])
      return graph.fail(problem::shapes_do_not_broadcast, label, input.dims(), dims);
    value thinned = input;
    if (input.dims()[2] != dims[2] || input.dims()[3] != dims[3]) {
      window every;  // a window of one pixel with a stride: picks pixels
      for (int d = 0; d < 2; ++d) {
        const std::int32_t from = input.dims()[2 + d];
        const std::int32_t to = dims[2 + d];
        every.stride[d] = static_cast<std::int16_t>(to < 1 ? 1 : (from + to - 1) / to);
      }
      thinned = ops::pool(op::avg_pool, input, every);
      if (thinned.dims()[2] != dims[2] || thinned.dims()[3] != dims[3])
        return graph.fail(problem::shapes_do_not_broadcast, label, input.dims(), dims);
    }
    const std::int32_t added = dims[1] - input.dims()[1];
    return added == 0 ? thinned : ops::pad(thinned, 1, added / 2, dims[1]);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
