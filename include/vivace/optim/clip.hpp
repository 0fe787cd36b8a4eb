#pragma once
#include <vivace/core/policy.hpp>
#include <vivace/graph/ops.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Default policy: gradients as they come.
struct no_clipping {
  using family = clipping_family;
  bool operator==(const no_clipping&) const = default;
  static constexpr bool active = false;
};

/// Policy: if the Euclidean norm of all gradients together exceeds `norm`, scales them down to it (Pascanu et al.,
/// ICML 2013). Without effect at infinity. An element that is NaN makes all gradients NaN, and one that is infinite
/// becomes NaN: the next loss shows it.
struct clip_norm {
  using family = clipping_family;
  double norm = 1;  ///< above 0
  bool operator==(const clip_norm&) const = default;
  static constexpr bool active = true;

  /// The factor for every gradient, a scalar.
  static constexpr value factor(builder& graph, const sequence<std::int32_t>& gradients, value bound) {
    value total = graph.constant(0);
    for (const std::int32_t gradient : gradients) {
      if (gradient < 0) continue;
      const value part = sum(square(graph.handle(gradient)));
      total = total + part;
    }
    const value norm = sqrt(total);
    return minimum(bound / norm, 1);  // 1 where the norm is 0
  }
};

}  // namespace vivace::inline VIVACE_TARGET
