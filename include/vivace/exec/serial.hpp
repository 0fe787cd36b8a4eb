#pragma once
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policy: everything on the calling thread.
struct serial {
  using family = executor_family;
  bool operator==(const serial&) const = default;

  /// What a trainer keeps.
  struct executor {
    explicit executor(const serial&) {}
    [[nodiscard]] parallel lanes() { return {}; }
  };
};

}  // namespace vivace::inline VIVACE_TARGET
