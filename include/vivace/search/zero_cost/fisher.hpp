#pragma once
#include <string_view>

#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Fisher (Theis et al., 2018; Turner et al., ICLR 2020), summed over the network: for each channel of the output a of
/// each convolution and dense layer, half the mean over the samples of the square of sum(a * dL/da) over the image, dL
/// being of the batch's mean loss.
struct fisher {
  /// @param of    a definition
  /// @param batch features, and labels or targets as the definition needs them
  /// @throws error if the definition has a mistake or the batch lacks an input
  template <definition Definition, class Real>
  double operator()(const Definition& of, const data::batch_view<Real>& batch, const seed& start = {}) const {
    detail::scored_model model(of, true);
    sequence<value> activations;
    for (const layer_record& one : model.make().result().layers) {
      const std::string_view name = one.name.view();
      if (one.output >= 0 && (name.ends_with(".conv2d") || name.ends_with(".dense")))
        activations.push_back(model.make().handle(one.output));
    }
    const sequence<value> gradients = model.gradients(model.loss(), activations);
    sequence<value> terms;
    for (int i = 0; i < activations.size(); ++i) {
      if (!gradients[i].exists()) continue;
      value share = activations[i] * gradients[i];
      if (share.dims().rank == 4) share = sum(share, {2, 3});
      const value samples = mean(square(share), {0});
      terms.push_back(sum(samples));
    }
    const value score = detail::sum_of(model.make(), terms) * 0.5;
    return detail::score_on(model.finish(score), batch, start.value);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
