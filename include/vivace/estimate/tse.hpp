#pragma once
#include <cmath>
#include <limits>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Training-speed estimate: the sum of the epochs' mean training losses; lower is better (Ru et al., NeurIPS 2021,
/// section 3). A loss that is not finite makes the estimate infinite, the worst.
struct tse {
  /// @param losses mean training loss of each epoch: a trace, or any range of numbers
  template <class Losses>
  [[nodiscard]] double operator()(const Losses& losses) const {
    double total = 0;
    for (const double loss : losses) {
      if (!std::isfinite(loss)) return std::numeric_limits<double>::infinity();
      total += loss;
    }
    return total;
  }
};

}  // namespace vivace::inline VIVACE_TARGET
