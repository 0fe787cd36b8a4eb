#pragma once
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include <vivace/search/zero_cost/scoring.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// SynFlow (Tanaka et al., NeurIPS 2020), summed over the network as by Abdelfattah et al. (ICLR 2021): with every
/// parameter replaced by its absolute value and one input of ones, the sum over all weights (parameters of two axes or
/// more) of theta * dR/dtheta, R being the sum of the output "prediction". Needs no data. In double precision.
///
/// The network is the one for prediction, whose batch normalisation is switched off by its running moments: mean 0,
/// variance 1 - 1e-5, which with the usual epsilon of 1e-5 makes a factor of 1.
struct synflow {
  /// @param of a definition with an output "prediction"
  /// @throws error if the definition has a mistake or no such output
  template <definition Definition>
  double operator()(const Definition& of, const seed& start = {}) const {
    detail::scored_model model(of, false);
    sequence<value> weights;
    for (int p = 0; p < model.parameters(); ++p)
      if (model.parameter(p).dims().rank >= 2) weights.push_back(model.parameter(p));
    const value total = sum(model.output("prediction"));
    const sequence<value> gradients = model.gradients(total, weights);
    sequence<value> terms;
    for (int p = 0; p < weights.size(); ++p)
      if (gradients[p].exists()) terms.push_back(sum(weights[p] * gradients[p]));
    const std::vector<double> ones(static_cast<std::size_t>(model.input().dims().size()), 1.0);
    detail::scored_run<double> run(model.finish(detail::sum_of(model.make(), terms)), 1, start.value);
    for (int p = 0; p < run.values().parameter_count(); ++p) {
      const auto entry = run.values().parameter(p);
      for (std::int64_t i = 0; i < entry.dims.size(); ++i) entry.data[i] = std::abs(entry.data[i]);
    }
    for (int s = 0; s < run.values().state_count(); ++s) {
      const auto entry = run.values().state(s);
      if (!entry.name.ends_with("running_variance")) continue;
      for (std::int64_t i = 0; i < entry.dims.size(); ++i) entry.data[i] = 1 - 1e-5;
    }
    run.set({.features = ones.data(), .size = 1});
    return run();
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
