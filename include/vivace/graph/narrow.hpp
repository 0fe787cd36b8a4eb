#pragma once
#include <cstdint>
#include <type_traits>
#include <utility>

#include <vivace/graph/order.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What is kept in bfloat16.
enum class narrowing : std::uint8_t {
  none,
  storage,           ///< what the forward pass leaves for the backward pass
  products,          ///< and what products read, for kernels that read it so
  rounded_products,  ///< the same values, but widened in front of each product: for kernels that do not, and for tests
};

/// Stores in bfloat16 what the forward pass leaves for the backward pass: `narrow` behind each such value, and `widen`
/// in front of each of its readers behind the loss. Readers in the forward pass see the value as it was computed. With
/// `products`, all operands of products are rounded, too, parameters and gradients among them.
///
/// Statistics keep their precision: sums, and what is repeated over others' elements, unless a product reads them. So do
/// values of loops. Meant for graphs that are about to be fused: neither operation has a derivative.
class narrow_storage {
 public:
  constexpr narrow_storage(const graph& from, narrowing how)
      : from_(from), how_(how), left_(from.nodes.size(), 0), rounds_(from.nodes.size(), 0),
        narrow_(from.nodes.size(), -1) {}

  constexpr graph operator()() {
    const int count = from_.nodes.size();
    find_left_for_backward();
    sequence<char> wanted = left_;
    if (how_ != narrowing::storage) find_product_operands(wanted);
    sequence<std::int32_t> moved(count, -1);
    graph result = from_;
    result.nodes.clear();
    result.nodes.reserve(2 * count);
    for (std::int32_t index = 0; index < count; ++index) {
      node current = from_.nodes[index];
      std::int32_t operands[max_operands];  // what they are made of comes first
      for (int i = 0; i < max_operands; ++i) {
        const std::int32_t operand = current.operand[i];
        operands[i] = operand < 0 ? -1 : seen(result, moved, operand, index);
        for (int earlier = 0; earlier < i; ++earlier)
          if (operand >= 0 && current.operand[earlier] == operand) operands[i] = operands[earlier];
      }
      for (int i = 0; i < max_operands; ++i) current.operand[i] = operands[i];
      moved[index] = append(result, current);
      if (wanted[index] != 0)
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
  constexpr void find_left_for_backward() {
    sequence<char> before(from_.nodes.size(), 0), repeated(from_.nodes.size(), 0);
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index) {
      const node& user = from_.nodes[index];
      if (is_view(user.kind)) continue;
      for (int i = 0; i < max_operands && user.operand[i] >= 0; ++i) {
        const std::int32_t base = base_of(user.operand[i]);
        (index > from_.loss ? left_ : before)[base] = 1;
        if (is_elementwise(user.kind) && from_.nodes[base].dims.size() < user.dims.size()) repeated[base] = 1;
      }
    }
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index)
      left_[index] = left_[index] != 0 && before[index] != 0 && repeated[index] == 0 && may_be_narrow(index) ? 1 : 0;
  }

  /// Marks products both of whose operands can be rounded, and adds these operands to `wanted`.
  constexpr void find_product_operands(sequence<char>& wanted) {
    for (std::int32_t index = 0; index < from_.nodes.size(); ++index) {
      const node& user = from_.nodes[index];
      if (!takes_epilogue(user.kind) || user.loop >= 0) continue;
      const std::int32_t a = base_of(user.operand[0]), b = base_of(user.operand[1]);
      if (!may_be_factor(a) || !may_be_factor(b)) continue;
      rounds_[index] = wanted[a] = wanted[b] = 1;
    }
  }
  [[nodiscard]] constexpr bool may_be_factor(std::int32_t index) const {
    const op kind = from_.nodes[index].kind;
    const bool from_outside = kind == op::input || kind == op::parameter || kind == op::state;
    return (from_outside || runs(kind)) && from_.nodes[index].loop < 0;
  }

  /// What a reader sees of a value: the value, or one `widen` for each reader, so that it runs with it, or what `narrow`
  /// left.
  constexpr std::int32_t seen(graph& to, const sequence<std::int32_t>& moved, std::int32_t index, std::int32_t reader) {
    const node& user = from_.nodes[reader];
    const std::int32_t base = base_of(index), narrow = narrow_[base];
    const bool behind = reader > from_.loss && left_[base] != 0;
    if (narrow < 0 || is_view(user.kind) || user.loop >= 0 || (!behind && rounds_[reader] == 0)) return moved[index];
    std::int32_t result = narrow;
    if (rounds_[reader] == 0 || how_ == narrowing::rounded_products)
      result = append(
          to, {.kind = op::widen, .dims = to.nodes[narrow].dims, .operand = {narrow, -1, -1}, .layer = user.layer});
    if (base == index) return result;
    return append(to, {.kind = op::reshape, .dims = from_.nodes[index].dims, .operand = {result, -1, -1}});
  }

  const graph& from_;
  narrowing how_;
  sequence<char> left_;    ///< values of the forward pass that are stored in bfloat16 for the backward pass
  sequence<char> rounds_;  ///< products that read bfloat16
  sequence<std::int32_t> narrow_;  ///< of each value, where it is
};

constexpr graph with_narrow_storage(const graph& from, narrowing how = narrowing::storage) {
  if (how == narrowing::none || from.mistake.what != problem::none || from.loss < 0) return from;
  return narrow_storage(from, how)();
}

/// True of kernels whose products read bfloat16. They say so by their own name: a set that derives from such a one and
/// has products of its own must not be taken for one.
template <class Kernels>
concept multiplies_narrow = std::is_same_v<typename Kernels::narrow_products, Kernels>;

/// What a set of kernels keeps in bfloat16 if it is asked to: operands of products if its products can read them.
template <class Kernels>
inline constexpr narrowing narrowing_of = multiplies_narrow<Kernels> ? narrowing::products : narrowing::storage;

}  // namespace vivace::inline VIVACE_TARGET
