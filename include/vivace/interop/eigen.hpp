#pragma once
/// @file
/// Data sets in Eigen's matrices, and parameters as Eigen's matrices, without copying. Needs Eigen 3.4.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <Eigen/Core>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>

namespace vivace::inline VIVACE_TARGET::interop {

/// A matrix or map of Eigen's whose numbers lie in memory without gaps.
template <class Type>
concept eigen_array = requires {
  typename Type::Scalar;
  { Type::IsRowMajor } -> std::convertible_to<bool>;
}
&&std::is_base_of_v<Eigen::EigenBase<std::remove_const_t<Type>>, std::remove_const_t<Type>>;

namespace detail {

/// True for Matrix and Array, and for Map of either with no stride of its own.
template <class Type>
inline constexpr bool eigen_without_gaps = std::is_base_of_v<Eigen::PlainObjectBase<Type>, Type>;
template <class Plain, int Options>
inline constexpr bool eigen_without_gaps<Eigen::Map<Plain, Options, Eigen::Stride<0, 0>>> = true;

/// True for what only refers to numbers of somebody else.
template <class Type>
inline constexpr bool eigen_view = false;
template <class Plain, int Options, class Stride>
inline constexpr bool eigen_view<Eigen::Map<Plain, Options, Stride>> = true;

template <class Given>
constexpr void require_eigen_memory() {
  using plain = std::remove_cvref_t<Given>;
  static_assert(eigen_without_gaps<plain>,
                "vivace: samples must lie in memory without gaps: give an Eigen::Matrix, an Eigen::Array or an "
                "Eigen::Map of one, not an expression, a block or a map with strides");
  static_assert(std::is_lvalue_reference_v<Given> || eigen_view<plain>,
                "vivace: this matrix is a temporary, but its numbers are not copied: keep it in a variable that "
                "outlives the data set");
}

template <class Array>
std::span<const typename Array::Scalar> numbers_of(const Array& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// @param width numbers a sample
template <class Features>
data::dataset eigen_dataset(const Features& features, const shape& sample) {
  return data::dataset::borrow(numbers_of(features), sample);
}
template <class Features, class Second>
data::dataset eigen_dataset(const Features& features, const shape& sample, std::int64_t samples, const Second& second,
                            int classes) {
  if constexpr (std::integral<typename Second::Scalar>) {
    static_assert(std::same_as<typename Second::Scalar, std::int32_t>,
                  "vivace: labels are 32-bit integers: use Eigen::VectorXi");
    return data::dataset::borrow(numbers_of(features), sample, numbers_of(second), classes);
  } else {
    if (samples == 0 || second.size() % samples != 0)
      throw error("the targets do not fit the samples", "data set", std::to_string(second.size()) + " values",
                  "a multiple of " + std::to_string(samples) + ", the number of samples");
    return data::dataset::borrow(numbers_of(features), sample, numbers_of(second),
                                 static_cast<int>(second.size() / samples));
  }
}

template <class Index>
shape sample_of(Index width, const shape& given) {
  return given.rank == 0 ? shape{static_cast<std::int32_t>(width)} : given;
}

}  // namespace detail

/// Samples in the rows of a row-major matrix [samples, features], not copied: it must outlive the data set.
/// @param sample their shape if they are more than a list, such as shape{1, 28, 28}
/// @throws error if the sizes do not fit together
template <class Features>
requires eigen_array<std::remove_cvref_t<Features>> data::dataset samples_in_rows(Features&& features,
                                                                                  const shape& sample = {}) {
  detail::require_eigen_memory<Features&&>();
  static_assert(std::remove_cvref_t<Features>::IsRowMajor,
                "vivace: the samples of a column-major matrix are its columns: store [features, samples] and call "
                "samples_in_columns, or declare the matrix Eigen::RowMajor");
  return detail::eigen_dataset(features, detail::sample_of(features.cols(), sample));
}
/// The same with labels (integers, one a row) or targets (a row-major matrix [samples, targets], or a vector).
/// @param classes of labels; 0: one more than the largest label
template <class Features, class Second>
requires eigen_array<std::remove_cvref_t<Features>> && eigen_array<std::remove_cvref_t<Second>> data::dataset
samples_in_rows(Features&& features, Second&& second, int classes = 0, const shape& sample = {}) {
  detail::require_eigen_memory<Features&&>();
  detail::require_eigen_memory<Second&&>();
  using plain = std::remove_cvref_t<Second>;
  static_assert(std::remove_cvref_t<Features>::IsRowMajor && (plain::IsRowMajor || plain::IsVectorAtCompileTime),
                "vivace: the samples of a column-major matrix are its columns: store [features, samples] and call "
                "samples_in_columns, or declare the matrix Eigen::RowMajor");
  return detail::eigen_dataset(features, detail::sample_of(features.cols(), sample), features.rows(), second, classes);
}

/// Samples in the columns of a column-major matrix [features, samples], Eigen's default order, not copied: it must
/// outlive the data set.
/// @param sample their shape if they are more than a list, such as shape{1, 28, 28}
/// @throws error if the sizes do not fit together
template <class Features>
requires eigen_array<std::remove_cvref_t<Features>> data::dataset samples_in_columns(Features&& features,
                                                                                     const shape& sample = {}) {
  detail::require_eigen_memory<Features&&>();
  static_assert(!std::remove_cvref_t<Features>::IsRowMajor,
                "vivace: the samples of a row-major matrix are its rows: store [samples, features] and call "
                "samples_in_rows");
  return detail::eigen_dataset(features, detail::sample_of(features.rows(), sample));
}
/// The same with labels (integers, one a column) or targets (a column-major matrix [targets, samples], or a vector).
/// @param classes of labels; 0: one more than the largest label
template <class Features, class Second>
requires eigen_array<std::remove_cvref_t<Features>> && eigen_array<std::remove_cvref_t<Second>> data::dataset
samples_in_columns(Features&& features, Second&& second, int classes = 0, const shape& sample = {}) {
  detail::require_eigen_memory<Features&&>();
  detail::require_eigen_memory<Second&&>();
  using plain = std::remove_cvref_t<Second>;
  static_assert(!std::remove_cvref_t<Features>::IsRowMajor && (!plain::IsRowMajor || plain::IsVectorAtCompileTime),
                "vivace: the samples of a row-major matrix are its rows: store [samples, features] and call "
                "samples_in_rows");
  return detail::eigen_dataset(features, detail::sample_of(features.rows(), sample), features.cols(), second, classes);
}

/// A parameter, a state or a prediction as a row-major matrix [first extent, all others], not copied:
/// `as_eigen(trainer.values().find("0.dense.weight"))`. A vector is one column, a scalar 1 x 1.
/// @param from anything with `data` and `dims`, the batch filled in
template <class Tensor>
requires requires(const Tensor& from) {
  { from.dims } -> std::convertible_to<shape>;
  *from.data;
}
auto as_eigen(const Tensor& from) {
  using element = std::remove_pointer_t<decltype(from.data)>;
  using matrix = Eigen::Matrix<std::remove_const_t<element>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using map = Eigen::Map<std::conditional_t<std::is_const_v<element>, const matrix, matrix>, Eigen::Unaligned>;
  if (from.dims.per_sample())
    throw error("the number of samples of this tensor is not known", "as_eigen",
                "extents with the batch marked", "dims.at(samples) in place of dims");
  const Eigen::Index row_count = from.dims.rank == 0 ? 1 : from.dims[0];
  return map(from.data, row_count, static_cast<Eigen::Index>(from.dims.size()) / row_count);
}

}  // namespace vivace::inline VIVACE_TARGET::interop
