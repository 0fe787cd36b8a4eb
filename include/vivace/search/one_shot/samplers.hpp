#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <vivace/data/random.hpp>
#include <vivace/search/one_shot/parameters.hpp>
#include <vivace/search/one_shot/sharing.hpp>

/// @file
/// Which paths of a supernet a step trains. A sampler is a functor from a random stream, which belongs to the step, to
/// paths; the step follows the gradient of their mean loss.

namespace vivace::inline VIVACE_TARGET::search {

template <class Type>
concept path_sampler = requires(const Type& self, const random_stream& random) {
  { self(random) } -> std::same_as<std::vector<path>>;
};

/// One path a step, its operations drawn in every cell on their own.
template <one_shot_space Space>
struct rand_nas {
  std::vector<path> operator()(const random_stream& random) const {
    path one;
    for (int cell = 0; cell < weight_sharing<Space>::cells; ++cell) {
      const random_stream own(random.bits64(static_cast<std::uint64_t>(cell)), one_cell_stream);
      if constexpr (requires { weight_sharing<Space>::sampled(own); })
        one.cells.push_back(weight_sharing<Space>::sampled(own));
      else
        one.cells.push_back(sample<Space>(own));
    }
    return {std::move(one)};
  }

 private:
  static constexpr std::uint32_t one_cell_stream = 0x0E5A'1000;
};

/// As many paths as an edge has operations, the same in all cells: each edge deals its operations out in random order,
/// so that every operation of every edge is trained exactly once a step (Chu et al., ICCV 2021).
template <one_shot_space Space>
struct fair_nas {
  static_assert(
      [] {
        for (const choice& one : choices_of<Space>())
          if (one.options != choices_of<Space>()[0].options) return false;
        return true;
      }(),
      "vivace: what: FairNAS needs a space with as many operations on each edge");

  std::vector<path> operator()(const random_stream& random) const {
    constexpr auto choices = choices_of<Space>();
    constexpr int paths = choices[0].options;
    std::vector<path> result(paths, path{{architecture::first_of(static_cast<int>(choices.size()))}});
    for (std::size_t edge = 0; edge < choices.size(); ++edge) {
      std::uint32_t order[paths];
      for (int k = 0; k < paths; ++k) order[k] = static_cast<std::uint32_t>(k);
      data::shuffle(order, {random.bits64(edge), one_edge_stream});
      for (std::size_t k = 0; k < std::size_t{paths}; ++k)
        result[k].cells[0][static_cast<int>(edge)] = static_cast<std::uint8_t>(order[k]);
    }
    return result;
  }

 private:
  static constexpr std::uint32_t one_edge_stream = 0x0E5A'2000;
};

/// Several paths a step, the same in all cells.
template <one_shot_space Space>
class multi_paths {
 public:
  /// @param count      paths a step
  /// @param stratified sorts all architectures by their number of parameters, cuts them into `count` parts and draws
  ///   one of each; else draws uniformly. (The authors' code sorts by the true accuracy, which a search does not know.)
  /// @throws error if `count` is below 1, or a space is too large to be sorted
  explicit multi_paths(int count = 4, bool stratified = true) : count_(count) {
    if (count < 1)
      throw error("a step needs at least one path", "multi_paths", std::to_string(count), "1 or more");
    if (stratified) sort();
  }

  std::vector<path> operator()(const random_stream& random) const {
    std::vector<path> result;
    const std::uint64_t all = sorted_.empty() ? search::count<Space>() : sorted_.size();
    for (int k = 0; k < count_; ++k) {
      const auto part = static_cast<std::uint64_t>(k), parts = static_cast<std::uint64_t>(count_);
      if (sorted_.empty()) {
        result.push_back({{sample<Space>(random_stream(random.bits64(part), one_path_stream))}});
      } else {
        const std::uint64_t first = all * part / parts, last = all * (part + 1) / parts;
        result.push_back({{at<Space>(sorted_[first + random.below(part, last - first)])}});
      }
    }
    return result;
  }

 private:
  static constexpr std::uint32_t one_path_stream = 0x0E5A'3000;
  static constexpr std::uint64_t most = 10'000'000;

  void sort() {
    const std::uint64_t all = search::count<Space>();
    if (all > most || all < static_cast<std::uint64_t>(count_))
      throw error("the architectures of this space cannot be sorted into parts", "multi_paths",
                  std::to_string(all) + " architectures",
                  std::to_string(count_) + " to " + std::to_string(most) + ", or stratified = false");
    const parameter_table table(model_graph(detail::whole_network<Space>{}, true));
    struct entry {
      std::int64_t size;
      std::uint64_t ticket;  // orders equals by chance; else they would follow the enumeration
      std::uint32_t index;
    };
    std::vector<entry> entries;
    for (std::uint64_t i = 0; i < all; ++i) {
      const architecture of = at<Space>(i);
      entries.push_back({0, random_stream(0, one_path_stream).bits64(i), static_cast<std::uint32_t>(i)});
      for (int edge = 0; edge < of.size(); ++edge) entries.back().size += sizes(table, edge, of[edge]);
    }
    std::sort(entries.begin(), entries.end(),
              [](const entry& a, const entry& b) { return a.size != b.size ? a.size < b.size : a.ticket < b.ticket; });
    for (const entry& one : entries) sorted_.push_back(one.index);
  }
  /// Of one operation in all cells; looked up once.
  std::int64_t sizes(const parameter_table& table, int edge, int operation) {
    std::int64_t& known = sizes_[static_cast<std::size_t>(edge)][static_cast<std::size_t>(operation)];
    if (known >= 0) return known;
    known = 0;
    for (int cell = 0; cell < weight_sharing<Space>::cells; ++cell)
      known += table.size_of(scope_of({cell, edge}, operation).name.view());
    return known;
  }

  int count_;
  std::vector<std::uint32_t> sorted_;
  std::vector<std::vector<std::int64_t>> sizes_ = std::vector<std::vector<std::int64_t>>(
      choices_of<Space>().size(), std::vector<std::int64_t>(choice::max_options, -1));
};

}  // namespace vivace::inline VIVACE_TARGET::search
