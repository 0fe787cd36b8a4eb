#pragma once
/// @file
/// Which part of a chain of transforms jobs share, and which part each job makes for itself.
#include <concepts>
#include <cstdint>
#include <utility>

#include <vivace/config.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A transform that jobs which share samples do not share; see per_job().
template <class Transform>
struct unshared {
  Transform change;

  template <std::floating_point Real>
  requires transform<Transform, Real>
  void operator()(Real* sample, const shape& of, const sample_key& key) const { change(sample, of, key); }
};

/// Marks a transform that must differ between jobs which share samples. A hub prepares what stands before the first
/// mark once for all jobs; the mark and what stands behind it run for each job, on a copy of the sample, with
/// randomness of the job's own. Anywhere else the mark means nothing.
/// @code
/// data::compose(data::random_crop{}, data::per_job(data::random_flip{}))
/// @endcode
template <class Transform>
constexpr unshared<Transform> per_job(Transform change) {
  return {std::move(change)};
}

namespace detail {

template <class Transform>
inline constexpr bool has_unshared = false;
template <class Transform>
inline constexpr bool has_unshared<unshared<Transform>> = true;
template <class First, class Second>
inline constexpr bool has_unshared<composed<First, Second>> = has_unshared<First> || has_unshared<Second>;

/// The part of a transform before the first mark; no_transform if there is none.
template <class Transform>
constexpr auto shared_part(const Transform& whole) {
  if constexpr (!has_unshared<Transform>)
    return whole;
  else
    return no_transform{};
}
/// The part from the first mark on; no_transform if there is no mark.
template <class Transform>
constexpr auto unshared_part(const Transform& whole) {
  if constexpr (has_unshared<Transform>)
    return whole;
  else
    return no_transform{};
}

template <class First, class Second>
constexpr auto shared_part(const composed<First, Second>& whole) {
  if constexpr (has_unshared<First>) {
    return shared_part(whole.first);
  } else {
    auto rest = shared_part(whole.second);
    if constexpr (std::same_as<decltype(rest), no_transform>)
      return whole.first;
    else
      return composed<First, decltype(rest)>{whole.first, std::move(rest)};
  }
}
template <class First, class Second>
constexpr auto unshared_part(const composed<First, Second>& whole) {
  if constexpr (has_unshared<First>) {
    auto begin = unshared_part(whole.first);
    return composed<decltype(begin), Second>{std::move(begin), whole.second};
  } else {
    return unshared_part(whole.second);
  }
}

/// Number of single transforms before the first mark, so that each transform keeps its place in the chain.
template <class Transform>
inline constexpr std::uint32_t shared_links = has_unshared<Transform> ? 0 : links<Transform>;
template <class First, class Second>
inline constexpr std::uint32_t shared_links<composed<First, Second>> = shared_links<First> +
                                                                       (has_unshared<First> ? 0 : shared_links<Second>);

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::data
