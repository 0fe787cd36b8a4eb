#pragma once
#include <utility>

#include <vivace/graph/order.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Most operations that are repeated to avoid keeping a value.
inline constexpr int recompute_limit = 8;

/// Values of the forward pass that the backward pass repeats instead of reading them back.
///
/// Values marked `repeat` are repeated once, from the nearest values that are not, when the backward pass first needs
/// one of them (Chen et al., 2016). Beyond that, an elementwise value of the forward pass which is a cheap function of
/// one tensor that is kept anyway is computed again where the backward pass reads it. Fused into its reader it costs a
/// few operations in cache; kept, it would cost memory from forward to backward, and reading it bandwidth. So it is for
/// readers in the forward pass that come after a sum over it, such as those of a deviation whose square is averaged.
///
/// What is in a loop is not repeated here: the sweep that makes the backward loop decides about it. What a loop of the
/// backward pass reads from outside is repeated, if marked, in front of the loop.
class recomputation {
 public:
  /// @param backward the first node of the backward pass, which ends the graph
  constexpr recomputation(graph from, std::int32_t backward) : from_(std::move(from)), backward_(backward) {}

  /// The graph with the repetitions, and without what the sweep made and nothing needs.
  constexpr graph operator()() {
    needed_ = needed_nodes(from_);
    find_kept();
    find_cheap();
    const loop_ranges loops(from_);
    moved_.resize(from_.nodes.size(), -1);
    again_.resize(from_.nodes.size(), -1);
    summed_.resize(from_.nodes.size(), 0);
    sequence<node> nodes = std::move(from_.nodes);
    result_ = std::move(from_);  // tables and all but the nodes
    from_.nodes = std::move(nodes);
    from_.loss = result_.loss;
    result_.nodes = {};
    result_.nodes.reserve(2 * from_.nodes.size());
    std::int32_t loop_end = 0;  // of the outermost loop
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index) {
      if (needed_[index] == 0) continue;
      const node& old = from_.nodes[index];
      if (old.loop >= 0 && index >= loop_end) {
        std::int32_t outermost = old.loop;
        while (result_.loops[outermost].outer >= 0) outermost = result_.loops[outermost].outer;
        loop_end = loops.end[outermost];
        if (index >= backward_) repeat_for_loop(index, loop_end);
      }
      const bool fused = (is_elementwise(old.kind) || old.kind == op::sum) && old.loop < 0;
      std::int32_t operands[max_operands];  // the repetitions they need come first
      for (int i = 0; i < max_operands; ++i) {
        const std::int32_t operand = old.operand[i];
        operands[i] = operand < 0                      ? -1
                      : index >= backward_             ? for_backward(operand, fused)
                      : fused && summed_[operand] != 0 ? cheap(operand, false)
                                                       : moved_[operand];
      }
      moved_[index] = append(old, operands);
      if (old.kind == op::sum && index < backward_) note_sum(old.operand[0]);
    }
    rename(result_, moved_);
    return std::move(result_);
  }

 private:
  constexpr std::int32_t append(const node& like, const std::int32_t* operands) {
    result_.nodes.push_back(like);
    for (int i = 0; i < max_operands; ++i) result_.nodes.back().operand[i] = operands[i];
    return result_.nodes.size() - 1;
  }

  /// Values that lie in memory whatever is decided here: results, and what operations read that are not fused.
  constexpr void find_kept() {
    kept_.resize(from_.nodes.size(), 0);
    for (int index = 0; index < from_.nodes.size(); ++index) {
      const node& user = from_.nodes[index];
      if (needed_[index] == 0 || is_elementwise(user.kind) || user.kind == op::sum) continue;
      for (int i = 0; i < max_operands && user.operand[i] >= 0; ++i) kept_[user.operand[i]] = 1;
    }
    for (const port& output : from_.outputs) kept_[output.node] = 1;
    for (const assignment& store : from_.assignments) kept_[store.value] = 1;
    if (from_.loss >= 0) kept_[from_.loss] = 1;
  }

  /// Fills cost_: operations that make a value from kept ones, 0 if it is not to be repeated.
  constexpr void find_cheap() {
    cost_.resize(from_.nodes.size(), 0);
    sequence<std::int32_t> source(from_.nodes.size(), -1);  // the large kept value that a cheap one is made of
    for (std::int32_t index = 0; index < backward_; ++index) {
      const node& current = from_.nodes[index];
      if (kept_[index] != 0 || !is_elementwise(current.kind) || !current.dims.per_sample()) continue;
      if (current.loop >= 0) continue;
      if (current.kind == op::dropout_mask || current.kind == op::map) continue;
      int cost = 1;
      std::int32_t large = -1;
      bool several = false;
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t operand = current.operand[i];
        cost += cost_[operand];
        if (from_.nodes[operand].dims.size() != current.dims.size() || !from_.nodes[operand].dims.per_sample())
          continue;
        const std::int32_t base = cost_[operand] > 0 ? source[operand] : operand;
        several = several || (large >= 0 && large != base);
        large = base;
      }
      if (large < 0 || several || cost > recompute_limit) continue;
      cost_[index] = static_cast<char>(cost);
      source[index] = large;
    }
  }

  /// Marks what a sum has read: later readers cannot run with it.
  constexpr void note_sum(std::int32_t index) {
    if (cost_[index] == 0 || cost_[index] > most_repeated || summed_[index] != 0) return;
    summed_[index] = 1;
    const node& current = from_.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) note_sum(current.operand[i]);
  }

  /// The new index of a value for a reader in the backward pass.
  /// @param fused the reader is elementwise, so that a cheap repetition costs no memory
  constexpr std::int32_t for_backward(std::int32_t index, bool fused) {
    return fused && cost_[index] > 0 ? cheap(index) : kept(index);
  }

  constexpr std::int32_t kept(std::int32_t index) {
    return index < backward_ && is_repeated(from_.nodes[index]) ? marked(index) : moved_[index];
  }

  static constexpr bool is_repeated(const node& old) { return old.repeat && old.loop < 0 && !is_loop_result(old.kind); }

  /// Makes the repetitions that nodes [first, end), a loop of the backward pass, read.
  constexpr void repeat_for_loop(std::int32_t first, std::int32_t end) {
    for (std::int32_t index = first; index < end; ++index)
      for (int i = 0; needed_[index] != 0 && i < max_operands && from_.nodes[index].operand[i] >= 0; ++i)
        if (from_.nodes[index].operand[i] < first) (void)kept(from_.nodes[index].operand[i]);
  }

  /// The one repetition of a marked value.
  constexpr std::int32_t marked(std::int32_t index) {
    if (again_[index] >= 0) return again_[index];
    const node& old = from_.nodes[index];
    std::int32_t operands[max_operands];
    for (int i = 0; i < max_operands; ++i) operands[i] = old.operand[i] < 0 ? -1 : kept(old.operand[i]);
    return again_[index] = append(old, operands);
  }

  /// A repetition of a cheap value for one reader.
  constexpr std::int32_t cheap(std::int32_t index, bool in_backward = true) {
    const node& old = from_.nodes[index];
    std::int32_t operands[max_operands];
    for (int i = 0; i < max_operands; ++i) {
      const std::int32_t operand = old.operand[i];
      operands[i] = operand < 0          ? -1
                    : in_backward        ? for_backward(operand, true)
                    : cost_[operand] > 0 ? cheap(operand, false)
                                         : moved_[operand];
    }
    return append(old, operands);
  }

  static constexpr int most_repeated = 3;  ///< operations for a reader in the forward pass

  graph from_;  // while it runs, the old nodes and the loss
  std::int32_t backward_;
  graph result_;
  sequence<char> needed_;
  sequence<char> kept_;
  sequence<char> cost_;
  sequence<char> summed_;
  sequence<std::int32_t> moved_;
  sequence<std::int32_t> again_;  ///< the repetition of each marked value
};

}  // namespace vivace::inline VIVACE_TARGET
