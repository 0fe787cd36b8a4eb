#pragma once
/// @file
/// Classes of items that no job can tell apart.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Splits ids [0, universe) into classes by the subsets that jobs were ever opened on: two items are of one class if
/// each of these subsets has both or neither. Classes are never united again, even when jobs have gone: what is in the
/// cache, and what other jobs have had, still depends on them.
class item_classes {
 public:
  explicit item_classes(std::uint32_t universe) : classes_(universe), sizes_{universe} {}

  [[nodiscard]] std::uint32_t operator[](std::uint32_t item) const { return classes_[item]; }
  [[nodiscard]] std::size_t count() const { return sizes_.size(); }

  /// Splits classes by a subset. @param moved moved(item): called for items that got another class
  template <class Moved>
  void split(std::span<const std::uint32_t> items, Moved&& moved) {
    std::vector<std::uint32_t> inside(sizes_.size()), target(sizes_.size());
    for (const std::uint32_t item : items) ++inside[classes_[item]];
    for (std::uint32_t one = 0; one < inside.size(); ++one) {
      target[one] = one;
      if (inside[one] == 0 || inside[one] == sizes_[one]) continue;
      target[one] = static_cast<std::uint32_t>(sizes_.size());
      sizes_.push_back(inside[one]);
      sizes_[one] -= inside[one];
    }
    for (const std::uint32_t item : items) {
      std::uint32_t& mine = classes_[item];
      if (target[mine] == mine) continue;
      mine = target[mine];
      moved(item);
    }
  }

 private:
  std::vector<std::uint32_t> classes_, sizes_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
