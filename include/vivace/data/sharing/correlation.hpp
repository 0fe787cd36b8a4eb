#pragma once
/// @file
/// The price of sharing: how far the orders of epochs and of jobs depend on each other.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Records at which place of its epochs each job gets each item, and compares these orders by rank correlation: 0 for
/// independent orders, 1 for equal ones.
class order_record {
 public:
  order_record(std::size_t jobs, std::uint32_t universe) : universe_(universe), jobs_(jobs) {}

  /// A job got its next item. @param size items of an epoch of the job
  void add(std::size_t job, std::uint32_t item, std::uint64_t size) {
    state& mine = jobs_[job];
    if (mine.count % size == 0) mine.epochs.emplace_back(universe_, nowhere);
    mine.epochs.back()[item] = static_cast<std::int64_t>(mine.count++ % size);
  }

  /// Mean of the absolute rank correlations between consecutive epochs of a job.
  [[nodiscard]] double between_epochs() const {
    mean all;
    for (const state& one : jobs_)
      for (std::size_t epoch = 0; epoch + 1 < one.epochs.size(); ++epoch)
        all.add(correlation(one.epochs[epoch], one.epochs[epoch + 1]));
    return all.value();
  }
  /// Mean of the absolute rank correlations between the first epochs of two jobs, over the items that both need.
  [[nodiscard]] double between_jobs() const {
    mean all;
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (!jobs_[i].epochs.empty() && !jobs_[j].epochs.empty())
          all.add(correlation(jobs_[i].epochs[0], jobs_[j].epochs[0]));
    return all.value();
  }

 private:
  static constexpr std::int64_t nowhere = -1;
  using places = std::vector<std::int64_t>;

  struct state {
    std::vector<places> epochs;
    std::uint64_t count = 0;
  };
  struct mean {
    double sum = 0, count = 0;
    void add(double one) {
      if (std::isnan(one)) return;  // of fewer than two items
      sum += std::abs(one);
      ++count;
    }
    [[nodiscard]] double value() const { return count > 0 ? sum / count : 0; }
  };

  /// Correlation of the ranks that items have among those of both orders.
  [[nodiscard]] double correlation(const places& first, const places& second) const {
    const places a = ranks(first, second), b = ranks(second, first);
    double count = 0, product = 0;
    for (std::size_t item = 0; item < a.size(); ++item)
      if (a[item] != nowhere) {
        ++count;
        product += static_cast<double>(a[item]) * static_cast<double>(b[item]);
      }
    const double middle = (count - 1) / 2;
    return (product / count - middle * middle) / ((count * count - 1) / 12);
  }
  [[nodiscard]] places ranks(const places& of, const places& other) const {
    std::vector<std::uint32_t> at(universe_, universe_);
    for (std::uint32_t item = 0; item < universe_; ++item)
      if (of[item] != nowhere && other[item] != nowhere) at[static_cast<std::size_t>(of[item])] = item;
    places result(universe_, nowhere);
    std::int64_t rank = 0;
    for (const std::uint32_t item : at)
      if (item < universe_) result[item] = rank++;
    return result;
  }

  std::uint32_t universe_;
  std::vector<state> jobs_;
};

}  // namespace vivace::inline VIVACE_TARGET::data
