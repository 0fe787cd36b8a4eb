#pragma once
/// @file
/// Tensors of other libraries in the same process, by the exchange structure DLPack, without copying. Needs dlpack.h.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <dlpack/dlpack.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>

namespace vivace::inline VIVACE_TARGET::interop {

namespace detail {

/// Code and bits of a type that DLPack tensors are read and written as.
template <class Value>
constexpr DLDataType dlpack_type() {
  constexpr auto bits = static_cast<std::uint8_t>(8 * sizeof(Value));
  if constexpr (std::floating_point<Value>)
    return {kDLFloat, bits, 1};
  else if constexpr (std::unsigned_integral<Value>)
    return {kDLUInt, bits, 1};
  else
    return {kDLInt, bits, 1};
}
constexpr bool same(const DLDataType& one, const DLDataType& other) {
  return one.code == other.code && one.bits == other.bits && one.lanes == other.lanes;
}

inline std::string dlpack_type_text(const DLDataType& type) {
  const std::string kind = type.code == kDLFloat    ? "float"
                           : type.code == kDLInt    ? "int"
                           : type.code == kDLUInt   ? "uint"
                           : type.code == kDLBfloat ? "bfloat"
                                                    : "type " + std::to_string(int{type.code}) + " of bits ";
  return kind + std::to_string(int{type.bits}) + (type.lanes == 1 ? "" : " x " + std::to_string(int{type.lanes}));
}

/// Number of elements of a tensor that lies in the memory of this process, row-major and without gaps.
/// @throws error if it does not
inline std::int64_t dlpack_size(const DLTensor& from) {
  constexpr const char* where = "DLPack tensor";
  if (from.device.device_type != kDLCPU && from.device.device_type != kDLCUDAHost)
    throw error("the tensor is on another device", where,
                "device type " + std::to_string(static_cast<int>(from.device.device_type)),
                "a tensor in the CPU's memory: copy it there");
  std::int64_t size = 1;
  for (int d = 0; d < from.ndim; ++d) {
    if (from.shape[d] < 0 || from.shape[d] > 0x7FFFFFFF || size > (std::int64_t{1} << 40))
      throw error("the extents of the tensor are out of range", where, std::to_string(from.shape[d]),
                  "extents from 0 to 2^31 - 1");
    size *= from.shape[d];
  }
  std::int64_t stride = 1;
  for (int d = from.ndim - 1; d >= 0 && from.strides != nullptr && size > 0; --d) {
    if (from.shape[d] != 1 && from.strides[d] != stride)
      throw error("the tensor is not row-major without gaps", where,
                  "stride " + std::to_string(from.strides[d]) + " of axis " + std::to_string(d),
                  std::to_string(stride) + ": make it contiguous");
    stride *= from.shape[d];
  }
  if (from.data == nullptr && size > 0)
    throw error("the tensor has no memory", where, "a null pointer", "a tensor with elements");
  return size;
}

template <class Value>
std::span<const Value> dlpack_numbers(const DLTensor& from) {
  const std::int64_t size = dlpack_size(from);
  if (!same(from.dtype, dlpack_type<Value>()))
    throw error("the tensor has another element type", "DLPack tensor", dlpack_type_text(from.dtype),
                dlpack_type_text(dlpack_type<Value>()) + ": convert it");
  if (from.byte_offset % sizeof(Value) != 0 || reinterpret_cast<std::uintptr_t>(from.data) % alignof(Value) != 0)
    throw error("the tensor is not aligned", "DLPack tensor", "byte offset " + std::to_string(from.byte_offset),
                "a multiple of the element's size");
  return {reinterpret_cast<const Value*>(static_cast<const std::byte*>(from.data) + from.byte_offset),
          static_cast<std::size_t>(size)};
}

inline data::values_view dlpack_values(const DLTensor& from) {
  if (same(from.dtype, dlpack_type<double>())) return dlpack_numbers<double>(from);
  if (same(from.dtype, dlpack_type<std::uint8_t>())) return dlpack_numbers<std::uint8_t>(from);
  return dlpack_numbers<float>(from);
}

/// Extents behind the first axis.
inline shape dlpack_sample(const DLTensor& from) {
  if (from.ndim < 1 || from.ndim > max_rank + 1)
    throw error("the tensor is no list of samples", "DLPack tensor", std::to_string(from.ndim) + " axes",
                "one axis for the samples and at most " + std::to_string(max_rank) + " of a sample");
  shape result;
  for (int d = 1; d < from.ndim; ++d) result.extent[result.rank++] = static_cast<std::int32_t>(from.shape[d]);
  return result.rank == 0 ? shape{1} : result;
}

/// What an exported tensor refers to.
struct dlpack_export {
  DLManagedTensor managed{};
  std::int64_t extents[max_rank]{};
  std::int64_t strides[max_rank]{};
  std::shared_ptr<const void> owner;
};

inline std::shared_ptr<const void> keeper(DLManagedTensor* from) {
  return {from, [](DLManagedTensor* one) {
            if (one->deleter != nullptr) one->deleter(one);
          }};
}

}  // namespace detail

/// A parameter, a state or a prediction as a DLPack tensor, not copied. Whoever gets it calls its deleter once.
/// @param from anything with `data` (float or double) and `dims`, the batch filled in; its memory must outlive the
/// result, unless `owner` holds a share of it
template <class Tensor>
requires requires(const Tensor& from) {
  { from.dims } -> std::convertible_to<shape>;
  *from.data;
}
DLManagedTensor* to_dlpack(const Tensor& from, std::shared_ptr<const void> owner = {}) {
  using element = std::remove_cvref_t<decltype(*from.data)>;
  if (from.dims.per_sample())
    throw error("the number of samples of this tensor is not known", "to_dlpack",
                "extents with the batch marked", "dims.at(samples) in place of dims");
  auto made = std::make_unique<detail::dlpack_export>();
  std::int64_t stride = 1;
  for (int d = from.dims.rank - 1; d >= 0; --d) {
    made->extents[d] = from.dims[d];
    made->strides[d] = stride;
    stride *= from.dims[d];
  }
  made->owner = std::move(owner);
  DLTensor& to = made->managed.dl_tensor;
  to.data = const_cast<element*>(from.data);  // DLPack knows no constants
  to.device = {kDLCPU, 0};
  to.ndim = from.dims.rank;
  to.dtype = detail::dlpack_type<element>();
  to.shape = made->extents;
  to.strides = made->strides;
  to.byte_offset = 0;
  made->managed.manager_ctx = made.get();
  made->managed.deleter = [](DLManagedTensor* self) { delete static_cast<detail::dlpack_export*>(self->manager_ctx); };
  return &made.release()->managed;
}

/// A tensor of another library as numbers and extents, not copied.
template <std::floating_point Real>
struct dlpack_view {
  const Real* data = nullptr;
  shape dims;
};
/// @throws error if the tensor is on another device, of another type, not row-major without gaps, or of more than
/// max_rank axes
template <std::floating_point Real>
dlpack_view<Real> from_dlpack(const DLTensor& from) {
  if (from.ndim < 0 || from.ndim > max_rank)
    throw error("the tensor has too many axes", "DLPack tensor", std::to_string(from.ndim),
                "at most " + std::to_string(max_rank));
  const std::span<const Real> numbers = detail::dlpack_numbers<Real>(from);
  dlpack_view<Real> result{numbers.data(), {}};
  for (int d = 0; d < from.ndim; ++d) result.dims.extent[result.dims.rank++] = static_cast<std::int32_t>(from.shape[d]);
  return result;
}

/// Samples along the first axis of a tensor of float, double or uint8, not copied: it must outlive the data set.
/// @throws error if the tensor cannot be read in place, see from_dlpack()
inline data::dataset samples_of(const DLTensor& features) {
  const shape sample = detail::dlpack_sample(features);
  return data::dataset::borrow(detail::dlpack_values(features), sample);
}
/// The same with labels (int32, one a sample) or targets (float or double, one or more numbers a sample).
/// @param classes of labels; 0: one more than the largest label
inline data::dataset samples_of(const DLTensor& features, const DLTensor& second, int classes = 0) {
  const shape sample = detail::dlpack_sample(features);
  const data::values_view values = detail::dlpack_values(features);
  if (second.dtype.code == kDLInt || second.dtype.code == kDLUInt)
    return data::dataset::borrow(values, sample, detail::dlpack_numbers<std::int32_t>(second), classes);
  const shape target = detail::dlpack_sample(second);
  return data::dataset::borrow(values, sample, detail::dlpack_values(second), static_cast<int>(target.size()));
}
/// The same with tensors that the data set takes over: it calls their deleters when the last copy of it is gone, and at
/// once after an error.
inline data::dataset samples_of(DLManagedTensor* features) {
  const auto kept = detail::keeper(features);
  return samples_of(features->dl_tensor).keep(kept);
}
inline data::dataset samples_of(DLManagedTensor* features, DLManagedTensor* second, int classes = 0) {
  const auto kept = std::make_shared<const std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(
      detail::keeper(features), detail::keeper(second));
  return samples_of(features->dl_tensor, second->dl_tensor, classes).keep(kept);
}

}  // namespace vivace::inline VIVACE_TARGET::interop
