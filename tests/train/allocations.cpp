// Counts what the program allocates while it trains, by replacing operator new in this program.
#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <vivace/exec/threads.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/trainer.hpp>

#include "networks.hpp"

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(SANITIZED)

namespace {

std::atomic<long> allocations{0};

[[gnu::noinline]] void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* const memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// Not inlined: g++ takes a free() that it sees in place of a delete for a mistake.
[[gnu::noinline]] void release(void* memory) { std::free(memory); }

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes == 0 ? 1 : bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes == 0 ? 1 : bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace vv = vivace;

namespace {

/// Allocations of steps after the first, full and short batches in turn.
template <class Trainer>
long in_steps(Trainer& trainer) {
  const std::vector<float> x = networks::features(16, 128);
  const std::int32_t labels[16]{};
  trainer.step({.features = x.data(), .labels = labels, .size = 16});
  const long before = allocations;
  for (int i = 0; i < 20; ++i) trainer.step({.features = x.data(), .labels = labels, .size = i % 3 == 2 ? 5 : 16});
  return allocations - before;
}

/// Keeps the count at each batch. Its own memory is reserved.
struct count_batches {
  std::vector<long> counts;
  void on_begin(vv::training_state&) { counts.reserve(1000); }
  void on_batch(vv::training_state&) { counts.push_back(allocations); }
};

}  // namespace

TEST_CASE("allocations: none in a step") {
  vv::trainer mlp{networks::mlp{}, vv::batch<16>, vv::adamw{}, vv::clip_norm{1}, vv::seed{5}};
  CHECK(in_steps(mlp) == 0);
  vv::trainer convolutional{networks::convolutional{}, vv::batch<16>, vv::sgd_momentum{}, vv::threads{2}, vv::seed{5}};
  CHECK(in_steps(convolutional) == 0);
  vv::trainer recurrent{networks::recurrent{}, vv::batch<16>, vv::adamw{}, vv::threads{2}, vv::seed{5}};
  CHECK(in_steps(recurrent) == 0);
}

TEST_CASE("allocations: none in an epoch with its loader, after the first") {
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::adamw{}, vv::seed{5}};
  const auto set = networks::labelled(200);  // 13 batches, the last one short
  count_batches counted;
  trainer.fit(set, vv::epochs{4}, counted);
  REQUIRE(counted.counts.size() == 4 * 13);
  CHECK(counted.counts.back() - counted.counts.front() == 0);
}

#endif
