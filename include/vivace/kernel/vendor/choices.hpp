#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::gpu::vendor {

/// Ways to solve problems, kept so that a library is asked once for each: not in every step, and not while one is
/// recorded.
template <class Key, class Way>
class choices {
 public:
  /// The way of a problem.
  /// @param choose makes it when the problem comes for the first time
  template <class Choose>
  Way& of(const Key& problem, Choose&& choose) {
    for (auto& [key, way] : known_)
      if (key == problem) return way;
    Way made = choose();
    known_.emplace_back(problem, made);
    return known_.back().second;
  }

 private:
  std::vector<std::pair<Key, Way>> known_;
};

/// True if vectors of 16 bytes may be read there; libraries take that for granted of some operands.
inline bool is_wide(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

}  // namespace vivace::inline VIVACE_TARGET::gpu::vendor
