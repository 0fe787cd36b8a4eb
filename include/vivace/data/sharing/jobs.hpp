#pragma once
/// @file
/// The words of shared loading: jobs as bits of a set, and what a round gives them.
#include <bit>
#include <cstdint>
#include <string>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A set of jobs: bit j stands for job j.
using job_set = std::uint64_t;

/// Jobs that one data set can serve at once: the bits of a job_set.
inline constexpr int max_jobs = 64;

/// Ids of one data set lie in [0, max_items), so that a product of two counts fits into 64 bits.
inline constexpr std::uint32_t max_items = std::uint32_t{1} << 31;

/// The set of one job.
[[nodiscard]] constexpr job_set only(int job) { return job_set{1} << job; }

/// Whether a set contains a job.
[[nodiscard]] constexpr bool contains(job_set jobs, int job) { return (jobs >> job & 1) != 0; }

/// Calls body(job) for every job of a set, in ascending order.
template <class Body>
constexpr void for_each_job(job_set jobs, Body&& body) {
  for (; jobs != 0; jobs &= jobs - 1) body(std::countr_zero(jobs));
}

/// One item, and the jobs that get it: a round yields a few of these, with different items and disjoint takers.
struct pick {
  std::uint32_t item = 0;
  job_set takers = 0;
  constexpr bool operator==(const pick&) const = default;
};

/// Which items a pick may fall on, by the jobs that still need them: all of `must`, but not all of `not_all`.
struct need_filter {
  job_set must = 0;
  job_set not_all = 0;  ///< 0: no such condition

  [[nodiscard]] constexpr bool operator()(job_set needs) const {
    return (needs & must) == must && (not_all == 0 || (needs & not_all) != not_all);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::data
