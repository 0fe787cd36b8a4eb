#pragma once
#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// GraSP (Wang et al., ICLR 2020), summed over the network: -sum of theta * (H g), g being the gradient of the loss and
/// H its Hessian. The product is the gradient of |g|^2 / 2.
struct grasp {
  /// @param of    a definition whose operations have second derivatives
  /// @param batch features, and labels or targets as the definition needs them
  /// @throws error if the definition has a mistake or the batch lacks an input
  template <definition Definition, class Real>
  double operator()(const Definition& of, const data::batch_view<Real>& batch, const seed& start = {}) const {
    detail::scored_model model(of, true);
    const sequence<value> by = model.all_parameters();
    const sequence<value> gradients = model.gradients(model.loss(), by);
    sequence<value> squares;
    for (const value& one : gradients)
      if (one.exists()) squares.push_back(sum(square(one)));
    const value half = detail::sum_of(model.make(), squares) * 0.5;
    const sequence<value> products = model.gradients(half, by);
    sequence<value> terms;
    for (int p = 0; p < by.size(); ++p)
      if (products[p].exists()) terms.push_back(sum(by[p] * products[p]));
    const value score = -detail::sum_of(model.make(), terms);
    return detail::score_on(model.finish(score), batch, start.value);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
