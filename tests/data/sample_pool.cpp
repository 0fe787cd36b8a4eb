#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>
#include <vivace/data/sample_pool.hpp>

#include "../io/files.hpp"

namespace data = vivace::data;

namespace {

/// Memory that ends after some bytes, and counts.
class limited : public std::pmr::memory_resource {
 public:
  explicit limited(std::size_t bytes) : left_(bytes) {}
  std::size_t out = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes > left_) throw std::bad_alloc();
    left_ -= bytes;
    out += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* place, std::size_t bytes, std::size_t alignment) override {
    left_ += bytes;
    out -= bytes;
    std::pmr::new_delete_resource()->deallocate(place, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::size_t left_;
};

}  // namespace

TEST_CASE("sample_pool: blocks that are taken in a row lie in a row, also when the slab comes round again") {
  data::sample_pool pool(12);
  for (int turn = 0; turn < 5; ++turn) {
    std::vector<data::sample_pool::block> blocks;
    int breaks = 0;
    for (int i = 0; i < 2000; ++i) {
      blocks.push_back(pool.take());
      std::memset(blocks.back().data, i, 12);
      if (i > 0 && static_cast<char*>(blocks[static_cast<std::size_t>(i)].data) -
                           static_cast<char*>(blocks[static_cast<std::size_t>(i) - 1].data) !=
                       12)
        ++breaks;
    }
    CHECK(breaks <= 32);
    CHECK(pool.used() == 2000 * 12);
    CHECK(pool.held() <= 3 * 1024 * 12);
    CHECK(std::set<std::size_t>{blocks[0].number, blocks[1].number, blocks[1999].number}.size() == 3);
    for (const auto& one : blocks) pool.give_back(one.number);
    CHECK(pool.used() == 0);
  }
}

TEST_CASE("sample_pool: blocks that belong together lie in a row, beside holes and across runs, and cost no slab") {
  for (const std::size_t count : {5U, 32U, 64U, 100U, 200U}) {
    data::sample_pool pool(16);
    std::vector<data::sample_pool::block> held;
    std::vector<std::vector<data::sample_pool::block>> batches;
    for (int i = 0; i < 40; ++i) held.push_back(pool.take());
    for (std::size_t i = 0; i < held.size(); i += 2) pool.give_back(held[i].number);  // holes
    int broken = 0;
    for (int turn = 0; turn < 50; ++turn) {
      if (batches.size() == 3) {  // as a job does: the oldest goes
        for (const auto& one : batches.front()) pool.give_back(one.number);
        batches.erase(batches.begin());
      }
      pool.line_up(count);
      auto& mine = batches.emplace_back();
      for (std::size_t i = 0; i < count; ++i) {
        mine.push_back(pool.take());
        if (i > 0 && static_cast<char*>(mine[i].data) - static_cast<char*>(mine[i - 1].data) != 16) ++broken;
      }
    }
    CHECK(broken == 0);
    CHECK(pool.held() == 1024 * 16);
  }
  data::sample_pool pool(8);
  pool.line_up(100'000);  // more than any slab has
  pool.line_up(0);
  std::set<void*> all;
  for (int i = 0; i < 2000; ++i) {
    if (i % 10 == 0) pool.line_up(65);
    all.insert(pool.take().data);
  }
  CHECK(all.size() == 2000);
  CHECK(pool.held() <= 3 * 1024 * 8);
}

TEST_CASE("sample_pool: holes are filled before much more memory is taken") {
  data::sample_pool pool(8);
  std::vector<data::sample_pool::block> blocks;
  for (int i = 0; i < 8 * 1024; ++i) blocks.push_back(pool.take());
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (i % 8 != 0) pool.give_back(blocks[i].number);
  std::set<void*> more;
  for (int i = 0; i < 7 * 1024; ++i) more.insert(pool.take().data);
  CHECK(more.size() == 7 * 1024);
  CHECK(pool.used() == 8 * 1024 * 8);
  CHECK(pool.held() <= 11 * 1024 * 8);
}

TEST_CASE("sample_pool: slabs come from the resource, and go back") {
  const auto memory = std::make_shared<limited>(2 * 1024 * 16);
  {
    data::sample_pool pool(16, memory);
    std::vector<data::sample_pool::block> blocks;
    for (int i = 0; i < 2048; ++i) blocks.push_back(pool.take());
    CHECK(memory->out == 2 * 1024 * 16);
    const auto text = files::message_of<vivace::error>([&] { (void)pool.take(); });
    CHECK(files::contains(text, "there is no memory for prepared samples"));
    CHECK(files::contains(text, "2048 blocks of 16 bytes, all in use"));
    pool.give_back(blocks[77].number);
    CHECK(pool.take().data == blocks[77].data);
  }
  CHECK(memory->out == 0);
}

TEST_CASE("sample_pool: threads get different blocks") {
  data::sample_pool pool(sizeof(int));
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id)
    threads.emplace_back([&pool, id] {
      for (int round = 0; round < 50; ++round) {
        std::vector<data::sample_pool::block> mine;
        for (int i = 0; i < 50; ++i) {
          mine.push_back(pool.take());
          *static_cast<int*>(mine.back().data) = id;
        }
        bool untouched = true;
        for (const auto& one : mine) {
          untouched = untouched && *static_cast<int*>(one.data) == id;
          pool.give_back(one.number);
        }
        if (!untouched) throw 1;
      }
    });
  for (auto& one : threads) one.join();
  CHECK(pool.used() == 0);
}
