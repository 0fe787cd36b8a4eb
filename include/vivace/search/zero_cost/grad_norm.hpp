#pragma once
#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// The sum of the Euclidean norms of the gradients of all weights (parameters of two axes or more), one norm a weight
/// (Abdelfattah et al., ICLR 2021).
struct grad_norm {
  /// @param of    a definition
  /// @param batch features, and labels or targets as the definition needs them
  /// @throws error if the definition has a mistake or the batch lacks an input
  template <definition Definition, class Real>
  double operator()(const Definition& of, const data::batch_view<Real>& batch, const seed& start = {}) const {
    detail::scored_model model(of, true);
    const sequence<value> gradients = model.gradients(model.loss(), model.all_parameters());
    sequence<value> terms;
    for (const value& one : gradients)
      if (one.exists() && one.dims().rank >= 2) terms.push_back(sqrt(sum(square(one))));
    return detail::score_on(model.finish(detail::sum_of(model.make(), terms)), batch, start.value);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
