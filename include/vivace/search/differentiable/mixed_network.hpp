#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include <vivace/search/one_shot/sharing.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Operations of each edge that are still in the running: bit k for option k.
using operation_mask = std::vector<std::uint32_t>;

/// Name of the parameter [edges, most operations of an edge] that holds the weights of operations.
inline constexpr std::string_view mixture_name = "mixture";

/// The network in which each edge passes on the weighted sum of its operations. The weights are a parameter like any
/// other, so that the loss has a gradient by them. A definition.
template <one_shot_space Space>
struct mixed_network {
  static constexpr int edges = static_cast<int>(choices_of<Space>().size());
  static constexpr int operations = [] {
    int most = 0;
    for (const choice& one : choices_of<Space>()) most = one.options > most ? one.options : most;
    return most;
  }();

  operation_mask kept;
  int share = 1;  ///< 1/share of the channels pass the operations; the others bypass them

  static operation_mask all() {
    operation_mask result;
    for (const choice& one : choices_of<Space>())
      result.push_back(static_cast<std::uint32_t>((std::uint64_t{1} << one.options) - 1));
    return result;
  }

  value operator()(builder& graph) const {
    const value table = graph.parameter(mixture_name, {edges, operations}, init::zeros);
    std::vector<value> weights;
    for (int edge = 0; edge < edges; ++edge) {
      const value row = slice(table, 0, edge, 1);
      for (int k = 0; k < operations; ++k) weights.push_back(has(edge, k) ? reshape(slice(row, 1, k, 1), {}) : value{});
    }
    return weight_sharing<Space>::build(graph, [&](const edge_place& where, value from) {
      if (!from.exists()) return from;
      return share == 1 ? mixed(where, from, weights) : partly_mixed(where, from, weights);
    });
  }

  [[nodiscard]] bool has(int edge, int operation) const {
    return (kept[static_cast<std::size_t>(edge)] >> operation & 1) != 0;
  }

 private:
  value mixed(const edge_place& where, value from, const std::vector<value>& weights) const {
    value total;
    for (int k = 0; k < operations; ++k) {
      if (!has(where.edge, k)) continue;
      const value term = weight_sharing<Space>::operation(k, from, scope_of(where, k));
      if (!term.exists()) continue;
      const value weighted = term * weights[static_cast<std::size_t>(where.edge * operations + k)];
      total = total.exists() ? total + weighted : weighted;
    }
    return total;
  }

  /// Partial channels (Xu et al., ICLR 2020): the first channels pass the operations, then all are shuffled.
  value partly_mixed(const edge_place& where, value from, const std::vector<value>& weights) const {
    const shape dims = from.dims();
    const std::int32_t channels = dims[1], part = channels / share;
    if (channels % share != 0)
      return from.owner().fail(problem::groups_do_not_divide_channels, "partial channels", dims, {channels, share});
    const value first = slice(from, 1, 0, part);
    const value rest = slice(from, 1, part, channels - part);
    const value passed = mixed(where, first, weights);
    const value all = passed.exists() ? concatenate(passed, rest, 1) : pad(rest, 1, part, channels);
    std::int32_t pixels = 1;
    for (int d = 2; d < dims.rank; ++d) pixels *= dims[d];
    const value grouped = reshape(all, {dims[0], share, part, pixels});
    return reshape(transpose(grouped, {0, 2, 1, 3}), dims);
  }
};

}  // namespace vivace::inline VIVACE_TARGET::search
