#pragma once
/// @file
/// Data sets in arrays of xtensor, and parameters as arrays of xtensor, without copying. Needs xtensor 0.24.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>

namespace vivace::inline VIVACE_TARGET::interop {

/// xarray, xtensor, or an adaptor of either kind.
template <class Type>
concept xtensor_array = xt::is_xexpression<Type>::value;

namespace detail {

template <class Given>
constexpr void require_xtensor_memory() {
  using plain = std::remove_cvref_t<Given>;
  static_assert(
      requires(const plain& array) {
        array.data();
        array.strides();
      } && plain::contiguous_layout,
      "vivace: samples must lie in memory without gaps: give an xt::xarray, an xt::xtensor or an adaptor of "
      "memory, not an expression or a view");
  static_assert(plain::static_layout == xt::layout_type::row_major,
                "vivace: samples lie along the first axis of a row-major array: declare xt::layout_type::row_major");
  static_assert(std::is_lvalue_reference_v<Given>,
                "vivace: this array is a temporary, but its numbers are not copied: keep it in a variable that "
                "outlives the data set");
}

template <class Array>
auto numbers_in(const Array& array) {
  return std::span<const typename Array::value_type>(array.data() + array.data_offset(), array.size());
}

/// Extents behind the first axis.
template <class Array>
shape sample_in(const Array& array) {
  const std::size_t rank = array.dimension();
  if (rank < 1 || rank > max_rank + 1)
    throw error("the array is no list of samples", "samples_of", std::to_string(rank) + " axes",
                "one axis for the samples and at most " + std::to_string(max_rank) + " of a sample");
  shape result;
  for (std::size_t d = 1; d < rank; ++d) {
    if (array.shape()[d] > 0x7FFFFFFF)
      throw error("the shape of a sample is too large", "dimension " + std::to_string(d),
                  std::to_string(array.shape()[d]), "less than 2^31 values a sample");
    result.extent[result.rank++] = static_cast<std::int32_t>(array.shape()[d]);
  }
  return result.rank == 0 ? shape{1} : result;
}

}  // namespace detail

/// Samples along the first axis of a row-major array, not copied: it must outlive the data set.
/// @throws error if the sizes do not fit together
template <class Features>
requires xtensor_array<std::remove_cvref_t<Features>> data::dataset samples_of(Features&& features) {
  detail::require_xtensor_memory<Features&&>();
  return data::dataset::borrow(detail::numbers_in(features), detail::sample_in(features));
}
/// The same with labels (integers, one a sample) or targets (one or more numbers a sample).
/// @param classes of labels; 0: one more than the largest label
template <class Features, class Second>
requires xtensor_array<std::remove_cvref_t<Features>> && xtensor_array<std::remove_cvref_t<Second>> data::dataset
samples_of(Features&& features, Second&& second, int classes = 0) {
  detail::require_xtensor_memory<Features&&>();
  detail::require_xtensor_memory<Second&&>();
  using number = typename std::remove_cvref_t<Second>::value_type;
  const shape sample = detail::sample_in(features);
  if constexpr (std::integral<number>) {
    static_assert(std::same_as<number, std::int32_t>,
                  "vivace: labels are 32-bit integers: use xt::xtensor<std::int32_t, 1>");
    return data::dataset::borrow(detail::numbers_in(features), sample, detail::numbers_in(second), classes);
  } else {
    return data::dataset::borrow(detail::numbers_in(features), sample, detail::numbers_in(second),
                                 static_cast<int>(detail::sample_in(second).size()));
  }
}

/// A parameter, a state or a prediction as an array of xtensor, not copied:
/// `as_xtensor(trainer.values().find("0.dense.weight"))`.
/// @param from anything with `data` and `dims`, the batch filled in
template <class Tensor>
requires requires(const Tensor& from) {
  { from.dims } -> std::convertible_to<shape>;
  *from.data;
}
auto as_xtensor(const Tensor& from) {
  if (from.dims.per_sample())
    throw error("the number of samples of this tensor is not known", "as_xtensor",
                "extents with the batch marked", "dims.at(samples) in place of dims");
  const std::vector<std::size_t> extents(from.dims.extent, from.dims.extent + from.dims.rank);
  return xt::adapt(from.data, static_cast<std::size_t>(from.dims.size()), xt::no_ownership(), extents);
}

}  // namespace vivace::inline VIVACE_TARGET::interop
