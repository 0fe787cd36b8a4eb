#pragma once
#include <type_traits>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Policies come in families. A policy is a value whose type selects code and whose members are settings; it names its
/// family as a member type `family`. At most one of a family may be given, in any order.
struct batch_family {};
struct optimiser_family {};
struct executor_family {};
struct kernels_family {};
struct precision_family {};
struct seed_family {};
struct schedule_family {};
struct clipping_family {};
struct loading_family {};

/// A value that selects a policy.
template <class Policy>
concept policy = requires { typename std::remove_cvref_t<Policy>::family; };

/// True if a policy is of a family.
template <class Policy, class Family>
inline constexpr bool in_family = std::is_same_v<typename Policy::family, Family>;

/// How many of the policies are of a family.
template <class Family, class... Policies>
inline constexpr int members_of_family = (0 + ... + (in_family<Policies, Family> ? 1 : 0));

/// Finds the type that selected_t names.
template <class Family, class Default, class... Policies>
struct selected {
  using type = Default;
};
/// The first policy, or one of the rest.
template <class Family, class Default, class First, class... Rest>
struct selected<Family, Default, First, Rest...> {
  using type = typename std::conditional_t<in_family<First, Family>, std::type_identity<First>,
                                           selected<Family, Default, Rest...>>::type;
};

/// The type of the policy of a family, or the default.
template <class Family, class Default, class... Policies>
using selected_t = typename selected<Family, Default, Policies...>::type;

/// The policy of a family among the given ones, or the default.
template <class Family, class Default>
constexpr Default select_policy(const Default& fallback) {
  return fallback;
}
/// The same, for more than none.
template <class Family, class Default, class First, class... Rest>
constexpr selected_t<Family, Default, First, Rest...> select_policy(const Default& fallback, const First& first,
                                                                    const Rest&... rest) {
  if constexpr (in_family<First, Family>)
    return first;
  else
    return select_policy<Family>(fallback, rest...);
}

/// Policy: the largest batch of a step. Shorter ones run through the same plan.
template <int Size>
struct batch_size {
  static_assert(Size > 0, "vivace: what: a batch needs at least one sample");
  using family = batch_family;
  static constexpr int value = Size;
  bool operator==(const batch_size&) const = default;
};
/// The policy batch_size as a value: `batch<128>`.
template <int Size>
inline constexpr batch_size<Size> batch{};

/// Policy: the seed of everything random in a training.
struct seed {
  using family = seed_family;
  unsigned long long value = 0;
  bool operator==(const seed&) const = default;
};

/// Policy: arithmetic and storage in 32-bit floating point.
struct f32 {
  using family = precision_family;
  using real = float;
  bool operator==(const f32&) const = default;
};
/// Policy: storage in 32-bit floating point; on devices that have them, products and convolutions on tensor cores, which
/// round their operands to 10 bits of mantissa. The CPU computes as with f32.
struct tf32 {
  using family = precision_family;
  using real = float;
  static constexpr bool tensor_float = true;
  bool operator==(const tf32&) const = default;
};
/// Policy: arithmetic in 32-bit floating point; what the forward pass leaves for the backward pass is stored in
/// bfloat16, 2 bytes an element, and so rounded to 8 bits of mantissa. Parameters, their gradients, sums and the
/// optimiser's states keep 32 bits. On devices products and convolutions read bfloat16, too, and add up in 32 bits.
struct bf16 {
  using family = precision_family;
  using real = float;
  bool operator==(const bf16&) const = default;
};
/// Policy: arithmetic and storage in 64-bit floating point, for checks.
struct f64 {
  using family = precision_family;
  using real = double;
  bool operator==(const f64&) const = default;
};

/// True of policies of executors that compute on a device with memory of its own.
template <class Executor>
inline constexpr bool is_on_device = requires(typename Executor::executor& one) { one.template device<f32>(); };

}  // namespace vivace::inline VIVACE_TARGET
