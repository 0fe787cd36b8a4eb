#pragma once
/// @file
/// What a hub serves: a source and its transforms behind function pointers, cut into what is shared and what is not.
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/columns.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/per_job.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/source.hpp>
#include <vivace/data/transforms.hpp>

namespace vivace::inline VIVACE_TARGET::data {

namespace detail {

/// A transform that runs for one job, behind function pointers.
template <class Real>
struct own_change {
  typename feed<Real>::change apply = nullptr;  ///< null: none
  std::shared_ptr<const void> object;
  std::uint32_t place = 0;  ///< in the chain of transforms

  template <class Transform>
  static own_change of(Transform change, std::uint32_t place) {
    if constexpr (std::same_as<Transform, no_transform>)
      return {nullptr, nullptr, place};
    else
      return {[](const void* self, Real* sample, const shape& dims, const sample_key& key) {
                (*static_cast<const Transform*>(self))(sample, dims, key);
              },
              std::make_shared<const Transform>(std::move(change)), place};
  }
};

/// What a hub serves, with all types gone.
template <class Real>
struct hub_feed {
  feed<Real> shared;
  own_change<Real> own;
  std::uint32_t chain = 0;  ///< number of single transforms, shared or not
  bool copies = false;      ///< to prepare is to copy from memory: it is not worth to keep anything
  int classes = 0;
  std::vector<columns::column> parts;  ///< of samples that are data::columns
  void (*read_labels)(const void* source, std::span<const std::uint32_t> indices, std::int32_t* labels) = nullptr;

  template <class Source, class Transform>
  static hub_feed of(Source set, Transform change) {
    hub_feed made;
    made.own = own_change<Real>::of(unshared_part(change), shared_links<Transform>);
    made.chain = links<Transform>;
    if constexpr (labelled_source<Source>) {
      made.classes = set.classes();
      made.read_labels = [](const void* source, std::span<const std::uint32_t> indices, std::int32_t* labels) {
        static_cast<const Source*>(source)->gather_labels(indices, labels);
      };
    }
    if constexpr (std::same_as<Source, data::columns>) made.parts.assign(set.list().begin(), set.list().end());
    made.shared = feed<Real>::of(std::move(set), shared_part(change));
    made.copies = in_memory_source<Source> && made.shared.apply == nullptr;
    return made;
  }
};

/// The text of an exception.
inline std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::data
