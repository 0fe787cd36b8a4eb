// Counts what the program allocates while a loader runs, by replacing operator new in this program.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>
#include <vivace/data/dataset.hpp>
#include <vivace/data/loader.hpp>

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(SANITIZED)

namespace {

std::atomic<long> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* const memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes == 0 ? 1 : bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes == 0 ? 1 : bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

TEST_CASE("loader: allocates nothing after it was made") {
  namespace data = vivace::data;
  const auto set = data::dataset::own(std::vector<float>(37 * 25, 1.0F), {1, 5, 5}, std::vector<std::int32_t>(37, 1));
  const auto change = data::compose(data::normalise{{1}, {2}}, data::random_crop{1}, data::random_flip{});
  for (const auto ahead : {data::prefetch::off, data::prefetch::on}) {
    data::loader<float> batches{set, 4, 1, {.prefetch = ahead}, change};
    REQUIRE(batches.next() != nullptr);  // the thread has started
    const long before = allocations;
    int count = 0;
    for (int epoch = 0; epoch < 3; ++epoch) {
      batches.start_epoch(epoch);
      while (batches.next() != nullptr) ++count;
    }
    const long after = allocations;
    CHECK(after == before);
    CHECK(count == 30);
  }
}

#endif
