#pragma once
#include <utility>

#include <vivace/graph/order.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Stores in bfloat16 what the forward pass leaves for the backward pass: `narrow` behind each such value, and `widen`
/// in front of each of its readers behind the loss. Readers in the forward pass see the value as it was computed.
///
/// Statistics keep their precision: sums, and what is repeated over others' elements. So do values of loops. Meant for
/// graphs that are about to be fused: neither operation has a derivative.
class narrow_storage {
 public:
  constexpr explicit narrow_storage(const graph& from) : from_(from), narrow_(from.nodes.size(), -1) {}

  constexpr graph operator()() {
    const int count = from_.nodes.size();
    const sequence<char> left = left_for_backward();
    sequence<std::int32_t> moved(count, -1);
    graph result = from_;
    result.nodes.clear();
    result.nodes.reserve(2 * count);
    for (std::int32_t index = 0; index < count; ++index) {
      node current = from_.nodes[index];
      std::int32_t operands[max_operands];  // what they are made of comes first
      for (int i = 0; i < max_operands; ++i) {
        const std::int32_t operand = current.operand[i];
        operands[i] = operand < 0 ? -1 : index > from_.loss ? widened(result, moved, operand, current) : moved[operand];
        for (int earlier = 0; earlier < i; ++earlier)
          if (operand >= 0 && current.operand[earlier] == operand) operands[i] = operands[earlier];
      }
      for (int i = 0; i < max_operands; ++i) current.operand[i] = operands[i];
      moved[index] = append(result, current);
      if (left[index] != 0)
        narrow_[index] = append(result, {.kind = op::narrow, .dims = current.dims, .operand = {moved[index], -1, -1}});
    }
    rename(result, moved);
    return result;
  }

 private:
  static constexpr std::int32_t append(graph& to, const node& made) {
    to.nodes.push_back(made);
    return to.nodes.size() - 1;
  }
  [[nodiscard]] constexpr std::int32_t base_of(std::int32_t index) const {
    while (from_.nodes[index].kind == op::reshape) index = from_.nodes[index].operand[0];
    return index;
  }
  [[nodiscard]] constexpr bool may_be_narrow(std::int32_t index) const {
    const op kind = from_.nodes[index].kind;
    return runs(kind) && kind != op::sum && kind != op::max && from_.nodes[index].dims.per_sample() &&
           from_.nodes[index].loop < 0;
  }

  /// Marks values of the forward pass that are read on both sides of the loss.
  [[nodiscard]] constexpr sequence<char> left_for_backward() const {
    sequence<char> before(from_.nodes.size(), 0), behind(from_.nodes.size(), 0), repeated(from_.nodes.size(), 0);
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index) {
      const node& user = from_.nodes[index];
      if (is_view(user.kind)) continue;
      for (int i = 0; i < max_operands && user.operand[i] >= 0; ++i) {
        const std::int32_t base = base_of(user.operand[i]);
        (index > from_.loss ? behind : before)[base] = 1;
        if (is_elementwise(user.kind) && from_.nodes[base].dims.size() < user.dims.size()) repeated[base] = 1;
      }
    }
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index)
      behind[index] = behind[index] != 0 && before[index] != 0 && repeated[index] == 0 && may_be_narrow(index) ? 1 : 0;
    return behind;
  }

  /// What a reader behind the loss sees of a value: one `widen` for each, so that it runs with the reader.
  constexpr std::int32_t widened(graph& to, const sequence<std::int32_t>& moved, std::int32_t index, const node& user) {
    const std::int32_t narrow = narrow_[base_of(index)];
    if (narrow < 0 || is_view(user.kind) || user.loop >= 0) return moved[index];
    const std::int32_t wide = append(
        to, {.kind = op::widen, .dims = to.nodes[narrow].dims, .operand = {narrow, -1, -1}, .layer = user.layer});
    if (base_of(index) == index) return wide;
    return append(to, {.kind = op::reshape, .dims = from_.nodes[index].dims, .operand = {wide, -1, -1}});
  }

  const graph& from_;
  sequence<std::int32_t> narrow_;  ///< of each value, where it is
};

constexpr graph with_narrow_storage(const graph& from) {
  if (from.mistake.what != problem::none || from.loss < 0) return from;
  return narrow_storage(from)();
}

}  // namespace vivace::inline VIVACE_TARGET
