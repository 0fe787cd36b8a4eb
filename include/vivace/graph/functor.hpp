#pragma once
#include <cstdint>
#include <string_view>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Number of derivatives of a user's functor that a graph can ask for: its value, first and second derivative.
inline constexpr int functor_orders = 3;

/// What a graph knows of a user's elementwise functor: kernels over a stretch of elements. A node points to one of
/// these; the name, not the address, takes part in hashes.
struct functor_info {
  std::string_view name;
  void (*f32[functor_orders])(const float* from, float* to, std::int64_t count);
  void (*f64[functor_orders])(const double* from, double* to, std::int64_t count);
};

}  // namespace vivace::inline VIVACE_TARGET
