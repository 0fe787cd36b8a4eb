#pragma once
/// @file
/// Named arrays side by side: the data of a free-form model, whose inputs have names.
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vivace/core/errors.hpp>
#include <vivace/data/dataset.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Samples made of several named arrays [samples, width], which are borrowed. A model of `source` whose samples are the
/// arrays' rows one after another; a trainer gives each array to the input of its name.
/// @code
/// trainer.fit(vv::data::columns{{"x", xs, 13}, {"y", ys, 1}}, vv::epochs{100});
/// @endcode
class columns {
 public:
  /// One array: its name, its numbers, and how many of them a sample has.
  struct column {
    std::string name;
    values_view values;
    int width = 1;
    std::int64_t offset = 0;  ///< in a sample; filled in by `columns`
  };

  /// @throws error if a width is not positive, the arrays have different numbers of samples, or a name comes twice
  columns(std::initializer_list<column> list) : list_(list) {
    for (column& one : list_) {
      if (one.width < 1 || one.values.count() % one.width != 0)
        throw error("a column's width does not fit its numbers", "column " + one.name,
                    std::to_string(one.values.count()) + " numbers, width " + std::to_string(one.width),
                    "a width that divides them");
      const std::int64_t samples = one.values.count() / one.width;
      if (&one != list_.data() && samples != size_)
        throw error("the columns have different numbers of samples", "column " + one.name, std::to_string(samples),
                    std::to_string(size_));
      for (const column* other = list_.data(); other != &one; ++other)
        if (other->name == one.name) throw error("two columns have one name", "columns", one.name, "different names");
      size_ = samples;
      one.offset = width_;
      width_ += one.width;
    }
  }

  static constexpr bool in_memory = true;

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] shape sample_shape() const { return {static_cast<std::int32_t>(width_)}; }
  /// The arrays, with their places in a sample.
  [[nodiscard]] std::span<const column> list() const { return list_; }

  template <std::floating_point Real>
  void gather(std::span<const std::uint32_t> indices, Real* features) const {
    for (const std::uint32_t index : indices) {
      if (index >= size_)
        throw error("there is no such sample", "columns", std::to_string(index), "below " + std::to_string(size_));
      for (const column& one : list_) {
        one.values.convert(std::int64_t{index} * one.width, one.width, 1, 0, features);
        features += one.width;
      }
    }
  }

 private:
  std::vector<column> list_;
  std::int64_t size_ = 0;
  std::int64_t width_ = 0;
};

}  // namespace vivace::inline VIVACE_TARGET::data
