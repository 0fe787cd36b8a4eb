#pragma once
/// @file
/// Memory of prepared samples: blocks of one size, in a row as far as possible.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Blocks of one size out of slabs of a memory resource. Blocks that are taken one after another lie one after another,
/// in runs of 64 unless holes are filled, or of more if asked for, so that many batches of samples are one array; runs
/// that were used before come first, as they are in the cache of the processor. Slabs are given back when the pool
/// goes: together they have at most a third more blocks than were ever in use at once, and a slab.
///
/// For any number of threads. The resource is called under the pool's lock.
class sample_pool {
 public:
  /// A block, and its number for give_back().
  struct block {
    void* data = nullptr;
    std::size_t number = 0;
  };

  /// @param bytes of a block
  /// @param from  where slabs come from, such as a segment of shared memory; null: operator new
  explicit sample_pool(std::size_t bytes, std::shared_ptr<std::pmr::memory_resource> from = nullptr)
      : bytes_((std::max)(bytes, std::size_t{1})),
        slots_(slab_blocks(bytes_)),
        kept_(std::move(from)),
        from_(kept_ ? kept_.get() : std::pmr::new_delete_resource()) {}
  sample_pool(const sample_pool&) = delete;
  sample_pool& operator=(const sample_pool&) = delete;
  ~sample_pool() {
    for (std::byte* const one : slabs_) from_->deallocate(one, slots_ * bytes_, alignment);
  }

  /// The next `count` blocks belong together: they will lie in a row if there are empty runs for that.
  void line_up(std::size_t count) {
    const std::lock_guard lock(mutex_);
    together_ = 0;
    if (!runs_.empty()) {
      const std::uint64_t ahead = runs_[current_] & ahead_;
      const auto first = static_cast<unsigned>(std::countr_zero(ahead));
      if (ahead != 0 && static_cast<std::size_t>(std::countr_one(ahead >> first)) >= count) return;
    }
    const std::size_t needed = (count + run_slots - 1) / run_slots, of_slab = slots_ / run_slots;
    std::size_t found = 0;
    for (std::size_t i = 0; i < runs_.size() && needed <= of_slab; ++i) {
      if (i % of_slab == 0) found = 0;
      found = runs_[i] == empty ? found + 1 : 0;
      if (found < needed) continue;
      current_ = i + 1 - needed;
      ahead_ = empty;
      together_ = needed - 1;
      return;
    }
  }

  /// @throws error if the resource has no more memory
  [[nodiscard]] block take() {
    const std::lock_guard lock(mutex_);
    std::uint64_t ahead = runs_.empty() ? 0 : runs_[current_] & ahead_;
    if (ahead == 0) {
      if (together_ > 0 && runs_[current_ + 1] == empty) {
        --together_;
        ++current_;
      } else {
        together_ = 0;
        current_ = choose();
      }
      ahead = runs_[current_];
    }
    const auto slot = static_cast<unsigned>(std::countr_zero(ahead));
    runs_[current_] &= ~(std::uint64_t{1} << slot);
    ahead_ = ~std::uint64_t{1} << slot;
    --vacant_;
    const std::size_t number = current_ * run_slots + slot;
    return {slabs_[number / slots_] + number % slots_ * bytes_, number};
  }
  void give_back(std::size_t number) noexcept {
    const std::lock_guard lock(mutex_);
    runs_[number / run_slots] |= std::uint64_t{1} << number % run_slots;
    ++vacant_;
  }

  /// Blocks of a slab: what the resource is asked for at a time, in blocks of so many bytes.
  static constexpr std::size_t slab_blocks(std::size_t bytes) {
    return (std::clamp)(std::bit_floor((std::size_t{4} << 20) / bytes), run_slots, 16 * run_slots);
  }
  [[nodiscard]] std::size_t block_bytes() const { return bytes_; }
  /// Bytes of blocks that are in use, and of all slabs.
  [[nodiscard]] std::size_t used() const {
    const std::lock_guard lock(mutex_);
    return (slabs_.size() * slots_ - vacant_) * bytes_;
  }
  [[nodiscard]] std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return slabs_.size() * slots_ * bytes_;
  }

 private:
  static constexpr std::size_t run_slots = 64;
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  /// The first empty run; else, if a quarter of all blocks is free, the emptiest; else one of a new slab.
  [[nodiscard]] std::size_t choose() {
    std::size_t best = 0;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i] == empty) return i;
      if (std::popcount(runs_[i]) > std::popcount(runs_[best])) best = i;
    }
    if (vacant_ > 0 && 4 * vacant_ >= slabs_.size() * slots_) return best;
    const std::size_t first = runs_.size();
    try {
      runs_.reserve(first + slots_ / run_slots);
      slabs_.reserve(slabs_.size() + 1);
      slabs_.push_back(static_cast<std::byte*>(from_->allocate(slots_ * bytes_, alignment)));
    } catch (const std::bad_alloc&) {
      if (vacant_ > 0) return best;
      throw error(
          "there is no memory for prepared samples", "shared loading",
          std::to_string(slabs_.size() * slots_) + " blocks of " + std::to_string(bytes_) + " bytes, all in use",
          "a smaller cache, buffer or window, or more memory");
    }
    runs_.resize(first + slots_ / run_slots, empty);
    vacant_ += slots_;
    return first;
  }

  std::size_t bytes_, slots_;
  std::shared_ptr<std::pmr::memory_resource> kept_;
  std::pmr::memory_resource* from_;
  mutable std::mutex mutex_;
  std::vector<std::byte*> slabs_;
  std::vector<std::uint64_t> runs_;  // a bit for each free block
  std::size_t current_ = 0, vacant_ = 0;
  std::size_t together_ = 0;  // empty runs behind the current one that line_up() found
  std::uint64_t ahead_ = 0;   // blocks of the current run behind the last one that was taken
};

}  // namespace vivace::inline VIVACE_TARGET::data
