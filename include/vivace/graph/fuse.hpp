#pragma once
#include <utility>

#include <vivace/graph/graph.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Most nodes of one group: bounds the registers and loads of its program.
inline constexpr int max_group = 24;

/// Which nodes run together. A group is one command: at most one product (its head), then an elementwise program over
/// the product's finished tiles; or an elementwise program alone; or one that a sum consumes as it is made.
struct fusion {
  sequence<std::int32_t> base;   ///< the node whose memory a node stands for: itself, or what it reshapes
  sequence<std::int32_t> group;  ///< the last node of a node's group, where the group runs; -1 for sources and views
};

/// Decides the groups, from the last node to the first: a node joins the group of its nearest user if every other user
/// runs later than that group. So no value is computed twice and no group waits for itself.
class fuser {
 public:
  constexpr explicit fuser(const graph& from) : graph_(from), has_loops_(!from.loops.empty()) {}

  constexpr fusion operator()() {
    const int count = graph_.nodes.size();
    result_.base.resize(count);
    result_.group.resize(count, -1);
    members_.resize(count, 0);
    has_head_.resize(count, 0);
    find_users();
    stored_by_.resize(count, -1);
    for (const assignment& store : graph_.assignments) stored_by_[store.target] = store.value;
    for (std::int32_t index = count - 1; index >= 0; --index) {
      const op kind = graph_.nodes[index].kind;
      if (kind == op::narrow && is_source(graph_.nodes[graph_.nodes[index].operand[0]].kind)) {  // nothing to run with
        result_.group[index] = index;
        members_[index] = 1;
      }
      if (is_source(kind) || kind == op::reshape || kind == op::narrow || (has_loops_ && is_view(kind))) continue;
      std::int32_t root = group_to_join(index);
      if (const std::int32_t narrow = narrow_[index]; narrow >= 0) {  // stored while it is at hand
        if (root == index && (is_elementwise(kind) || takes_epilogue(kind))) root = narrow;
        result_.group[narrow] = root == index ? narrow : root;
        ++members_[result_.group[narrow]];
      }
      result_.group[index] = root;
      ++members_[root];
      if (takes_epilogue(kind)) has_head_[root] = 1;
    }
    return std::move(result_);
  }

 private:
  /// True for operations that a value waits for; `narrow` follows it.
  [[nodiscard]] constexpr bool is_user(op kind) const {
    return kind != op::reshape && kind != op::narrow && !(has_loops_ && is_view(kind));
  }
  constexpr void find_users() {
    const int count = graph_.nodes.size();
    sequence<std::int32_t> fill(count + 1, 0);
    narrow_.resize(count, -1);
    for (std::int32_t index = 0; index < count; ++index) {
      const node& current = graph_.nodes[index];
      result_.base[index] = current.kind == op::reshape ? result_.base[current.operand[0]] : index;
      if (current.kind == op::narrow) narrow_[current.operand[0]] = index;
      if (!is_user(current.kind)) continue;
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = result_.base[current.operand[i]];
        ++fill[what_is_read(base) + 1];
      }
    }
    for (int index = 0; index < count; ++index) fill[index + 1] += fill[index];
    first_user_ = fill;
    users_.resize(fill[count]);
    for (std::int32_t index = 0; index < count; ++index) {
      const node& current = graph_.nodes[index];
      if (!is_user(current.kind)) continue;
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = result_.base[current.operand[i]];
        users_[fill[what_is_read(base)]++] = index;
      }
    }
  }

  /// What must be there before a value is read: itself, all of the sequence that it is a part of, or what it rounds.
  [[nodiscard]] constexpr std::int32_t what_is_read(std::int32_t base) const {
    while (has_loops_ && graph_.nodes[base].kind == op::turn) base = result_.base[graph_.nodes[base].operand[0]];
    return graph_.nodes[base].kind == op::narrow ? graph_.nodes[base].operand[0] : base;
  }

  /// Shape that a group's program runs over: that of its values, or of what its sum consumes.
  [[nodiscard]] constexpr const shape& extents(std::int32_t root) const {
    const node& last = graph_.nodes[root];
    return last.kind == op::sum ? graph_.nodes[last.operand[0]].dims : last.dims;
  }

  [[nodiscard]] constexpr std::int32_t group_to_join(std::int32_t index) const {
    const node& current = graph_.nodes[index];
    const bool head = takes_epilogue(current.kind);
    const std::int32_t begin = first_user_[index];
    const std::int32_t end = first_user_[index + 1];
    if (!(head || is_elementwise(current.kind)) || begin == end) return index;
    const std::int32_t root = result_.group[users_[begin]];  // users are in ascending order
    const op kind = graph_.nodes[root].kind;
    if (has_loops_ && graph_.nodes[root].loop != current.loop) return index;
    if (!is_elementwise(kind) && (kind != op::sum || head || fed_by_private_head(index))) return index;
    if (members_[root] + (narrow_[index] >= 0 ? 2 : 1) > max_group || (head && has_head_[root] != 0)) return index;
    const shape& space = extents(root);
    if (space.size() != current.dims.size() || space.per_sample() != current.dims.per_sample()) return index;
    for (std::int32_t u = begin; u < end; ++u) {
      const std::int32_t user = users_[u];
      if (result_.group[user] == root ? takes_epilogue(graph_.nodes[user].kind) : user <= root) return index;
    }
    return keeps_old_values(index, root, head) ? root : index;
  }

  /// True if a product has no other user than this node: they should be one group, whatever else could be.
  [[nodiscard]] constexpr bool fed_by_private_head(std::int32_t index) const {
    const node& current = graph_.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      const std::int32_t base = result_.base[current.operand[i]];
      if (takes_epilogue(graph_.nodes[base].kind) && first_user_[base + 1] - first_user_[base] == 1) return true;
    }
    return false;
  }

  /// True if a node that runs with `root` still sees the old values of what it reads.
  [[nodiscard]] constexpr bool keeps_old_values(std::int32_t index, std::int32_t root, bool head) const {
    const node& current = graph_.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      const std::int32_t operand = current.operand[i];
      const std::int32_t stored = stored_by_[result_.base[operand]];
      if (stored < 0) continue;
      const std::int32_t overwritten_at = stored < index ? stored : result_.group[stored];
      if (root > overwritten_at) return false;
      // The same command may overwrite what it reads only element by element.
      const bool in_place = !head && is_elementwise(graph_.nodes[root].kind);
      if (root == overwritten_at && (!in_place || graph_.nodes[operand].dims.size() != current.dims.size())) return false;
    }
    return true;
  }

  const graph& graph_;
  bool has_loops_;
  fusion result_;
  sequence<std::int32_t> first_user_;  ///< of node i: users_[first_user_[i]] up to users_[first_user_[i + 1]]
  sequence<std::int32_t> users_;
  sequence<std::int32_t> members_;
  sequence<char> has_head_;
  sequence<std::int32_t> narrow_;  ///< the `narrow` of each value, -1 for none; it stands right behind
  sequence<std::int32_t> stored_by_;  ///< the value that replaces a parameter or state
};

constexpr fusion fuse(const graph& from) { return fuser(from)(); }

/// No fusion at all: each node is a command of its own. The reference that fused plans are tested against.
constexpr fusion unfused(const graph& from) {
  fusion result;
  for (std::int32_t index = 0; index < from.nodes.size(); ++index) {
    const node& current = from.nodes[index];
    result.base.push_back(current.kind == op::reshape ? result.base[current.operand[0]] : index);
    result.group.push_back(runs(current.kind) ? index : -1);
  }
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET
