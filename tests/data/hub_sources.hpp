#pragma once
// Data sets and observers for the tests of hubs.
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>
#include <vivace/core/errors.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/data/hub.hpp>

namespace hubs {

namespace data = vivace::data;

/// Sample i is {100 i, 100 i + 1, ...} with label i.
inline data::dataset numbered(int count, int width = 3) {
  std::vector<float> features;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < width; ++j) features.push_back(static_cast<float>(100 * i + j));
    labels.push_back(i);
  }
  return data::dataset::own(std::move(features), {1, 1, width}, std::move(labels), count);
}

/// What is going on in a counting source.
struct tally {
  explicit tally(std::size_t items) : begun(items), running(items) {}
  std::vector<std::atomic<int>> begun, running;
  std::atomic<int> at_once = 0, most_at_once = 0;  // of different items
  std::atomic<bool> overlapping = false;           // one item was prepared twice at the same time
  std::atomic<int> broken = -1;                    // item that fails
  std::chrono::microseconds pause{0};

  [[nodiscard]] int all() const {
    int sum = 0;
    for (const auto& one : begun) sum += one;
    return sum;
  }
};

/// Numbers that are prepared in public.
struct counting {
  std::shared_ptr<tally> seen;
  [[nodiscard]] int size() const { return static_cast<int>(seen->begun.size()); }
  [[nodiscard]] vivace::shape sample_shape() const { return {4}; }
  void gather(std::span<const std::uint32_t> indices, float* features) const {
    for (const std::uint32_t index : indices) {
      if (index >= seen->begun.size()) throw vivace::error("there is no such sample");
      ++seen->begun[index];
      if (++seen->running[index] > 1) seen->overlapping = true;
      const int now = ++seen->at_once;
      for (int most = seen->most_at_once; now > most && !seen->most_at_once.compare_exchange_weak(most, now);) {
      }
      if (seen->pause.count() > 0) std::this_thread::sleep_for(seen->pause);
      --seen->at_once;
      --seen->running[index];
      if (static_cast<int>(index) == seen->broken) throw vivace::error("the file is gone");
      for (int i = 0; i < 4; ++i) *features++ = static_cast<float>(index);
    }
  }
};

inline counting counted(std::size_t items, std::chrono::microseconds pause = std::chrono::microseconds{0}) {
  counting made{std::make_shared<tally>(items)};
  made.seen->pause = pause;
  return made;
}

/// Noise that shows the version of a sample.
struct noise {
  template <std::floating_point Real>
  void operator()(Real* sample, const vivace::shape& of, const data::sample_key& key) const {
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(of.size()); ++i)
      sample[i] += static_cast<Real>(key.uniform(i) / 2);
  }
};

/// All that an epoch of a job gives.
struct record {
  std::vector<std::uint32_t> items, versions;
  std::vector<float> features;
  bool operator==(const record&) const = default;

  [[nodiscard]] bool each_once(std::size_t count) const {
    return items.size() == count && std::set<std::uint32_t>(items.begin(), items.end()).size() == count;
  }
};

template <class Job>
record epoch_of(Job& job, int count, std::int64_t width) {
  record all;
  for (auto samples = job.take(count); !samples.empty(); samples = job.take(count))
    for (const auto& one : samples) {
      all.items.push_back(one.item);
      all.versions.push_back(one.version);
      all.features.insert(all.features.end(), one.sample->features(), one.sample->features() + width);
    }
  return all;
}

}  // namespace hubs
