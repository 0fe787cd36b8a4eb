#pragma once
#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// SNIP (Lee et al., ICLR 2019), summed over the network: the sum over all parameters of |theta * dL/dtheta|.
struct snip {
  /// @param of    a definition
  /// @param batch features, and labels or targets as the definition needs them
  /// @throws error if the definition has a mistake or the batch lacks an input
  template <definition Definition, class Real>
  double operator()(const Definition& of, const data::batch_view<Real>& batch, const seed& start = {}) const {
    detail::scored_model model(of, true);
    const sequence<value> by = model.all_parameters();
    const sequence<value> gradients = model.gradients(model.loss(), by);
    sequence<value> terms;
    for (int p = 0; p < by.size(); ++p)
      if (gradients[p].exists()) terms.push_back(sum(abs(by[p] * gradients[p])));
    return detail::score_on(model.finish(detail::sum_of(model.make(), terms)), batch, start.value);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
