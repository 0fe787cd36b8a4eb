#pragma once
#include <algorithm>

#include <vivace/graph/ops.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Makes the sums of a backward pass, without those that need no pass over memory of their own.
///
/// What stays the same along the summed axes is a factor of the sum: sum(dy * (x * r)) = r * sum(dy * x). Sums that
/// differ in such factors alone are made once, deviations from a mean add up to zero, and a sum of two terms is cut
/// where one of them is known. So the backward pass of a batch normalisation reads its gradient twice for sums, not
/// four times.
class summation {
 public:
  constexpr explicit summation(builder& graph) : graph_(graph) {}

  /// The value summed to a shape that broadcasts to its own.
  constexpr value operator()(value from, shape dims) {  // a copy: adding nodes moves the array
    if (from.dims() == dims || !ops::broadcasts_to(dims, from.dims())) return ops::sum_to(from, dims);
    const term found = summed(from.index(), dims, 0);
    if (found.index >= 0) return graph_.handle(found.index);
    const value zero = graph_.constant(0);
    return ops::broadcast(zero, dims);
  }

  /// The sum of two contributions to a gradient. Those of neighbouring slices are put side by side.
  constexpr value total(value one, value other) {
    const node left = graph_.at(one.index()), right = graph_.at(other.index());
    if (left.kind != op::pad || right.kind != op::pad || left.loop != right.loop ||
        left.attr.axes[0] != right.attr.axes[0])
      return one + other;
    const int axis = left.attr.axes[0];
    const std::int32_t length = graph_.at(left.operand[0]).dims[axis], more = graph_.at(right.operand[0]).dims[axis];
    const bool in_order = left.attr.first + length == right.attr.first;
    if (!in_order && right.attr.first + more != left.attr.first) return one + other;
    const value first = graph_.handle((in_order ? left : right).operand[0]);
    const value second = graph_.handle((in_order ? right : left).operand[0]);
    const value both = ops::concatenate(first, second, axis);
    if (length + more == left.dims[axis]) return both;
    return ops::pad(both, axis, (std::min)(left.attr.first, right.attr.first), left.dims[axis]);
  }

 private:
  static constexpr int most_factors = 3;
  static constexpr int most_constants = 4;
  static constexpr int deepest = 3;  ///< of sums of sums

  /// A sum: a node, or zero if it is known without one.
  struct term {
    bool known = false;
    std::int32_t index = -1;
  };
  /// number * the product of the constants, which stay the same along the summed axes, and of the factors.
  struct product {
    double number = 1;
    std::int32_t constant[most_constants]{};
    int constants = 0;
    std::int32_t factor[most_factors]{-1, -1, -1};  ///< ascending
    int factors = 0;
    bool whole = true;  ///< false if it could not be taken apart
  };
  /// A sum that was made.
  struct entry {
    std::int32_t factor[most_factors]{-1, -1, -1};
    std::int32_t sum = -1;
  };

  /// A known sum, or one that is made.
  constexpr term summed(std::int32_t index, const shape& dims, int depth) {
    const term found = known(index, dims, depth);
    if (found.known) return found;
    const product parts = taken_apart(index, dims);
    if (!parts.whole) return {true, ops::sum_to(graph_.handle(index), dims).index()};
    if (is_sum_of_two(parts) && depth < deepest) {
      const node both = graph_.at(parts.factor[0]);
      if (known(both.operand[0], dims, depth + 1).known || known(both.operand[1], dims, depth + 1).known) {
        const term first = summed(both.operand[0], dims, depth + 1);
        const term second = summed(both.operand[1], dims, depth + 1);
        return scaled(parts, joined(both.kind, first, second));
      }
    }
    value varying = graph_.handle(index);
    if (parts.constants > 0 || parts.number != 1) {
      varying = graph_.handle(parts.factor[0]);
      for (int f = 1; f < parts.factors; ++f) varying = varying * graph_.handle(parts.factor[f]);
    }
    const term sum{true, ops::sum_to(varying, dims).index()};
    made_.push_back({});
    for (int f = 0; f < parts.factors; ++f) made_.back().factor[f] = parts.factor[f];
    made_.back().sum = sum.index;
    return scaled(parts, sum);
  }

  /// A sum that needs no pass over memory, if it is one.
  constexpr term known(std::int32_t index, const shape& dims, int depth) {
    const product parts = taken_apart(index, dims);
    if (parts.factors == 1 && is_deviation(parts.factor[0], dims)) return {true, -1};
    if (!parts.whole) return {};
    for (int m = made_.size() - 1; m >= 0; --m) {
      bool same = graph_.at(made_[m].sum).dims == dims;
      for (int f = 0; f < most_factors && same; ++f) same = made_[m].factor[f] == parts.factor[f];
      if (same) return scaled(parts, {true, made_[m].sum});
    }
    if (!is_sum_of_two(parts) || depth >= deepest) return {};
    const node both = graph_.at(parts.factor[0]);
    const term first = known(both.operand[0], dims, depth + 1);
    if (!first.known) return {};
    const term second = known(both.operand[1], dims, depth + 1);
    if (!second.known) return {};
    return scaled(parts, joined(both.kind, first, second));
  }

  /// True if all that changes is a sum or a difference of two of its own extents.
  [[nodiscard]] constexpr bool is_sum_of_two(const product& parts) const {
    if (parts.factors != 1) return false;
    const node& both = graph_.at(parts.factor[0]);
    return (both.kind == op::add || both.kind == op::subtract) && graph_.at(both.operand[0]).dims == both.dims &&
           graph_.at(both.operand[1]).dims == both.dims;
  }
  constexpr term joined(op kind, const term& first, const term& second) {
    if (second.index < 0) return first;
    const value right = graph_.handle(second.index);
    if (first.index >= 0) {
      const value left = graph_.handle(first.index);
      return {true, ops::binary(kind, left, right).index()};
    }
    return {true, kind == op::add ? second.index : ops::negate(right).index()};
  }
  constexpr term scaled(const product& parts, const term& sum) {
    if (sum.index < 0) return sum;
    value result = graph_.handle(sum.index);
    for (int c = 0; c < parts.constants; ++c) result = result * graph_.handle(parts.constant[c]);
    if (parts.number != 1) result = result * parts.number;
    return {true, result.index()};
  }

  /// True for x - mean(x), the mean being over the summed axes.
  [[nodiscard]] constexpr bool is_deviation(std::int32_t index, const shape& dims) const {
    const node& current = graph_.at(index);
    if (current.kind != op::subtract) return false;
    std::int32_t mean = current.operand[1];
    while (graph_.at(mean).kind == op::reshape) mean = graph_.at(mean).operand[0];
    const node& average = graph_.at(mean);
    return average.kind == op::sum && average.attr.mean && average.operand[0] == current.operand[0] &&
           average.dims == dims && graph_.at(current.operand[0]).dims == current.dims;
  }

  [[nodiscard]] constexpr bool is_constant(std::int32_t index, const shape& dims) const {
    const node& current = graph_.at(index);
    return ops::broadcasts_to(current.dims, dims) ||
           (current.kind == op::broadcast && ops::broadcasts_to(graph_.at(current.operand[0]).dims, dims));
  }
  /// True if there is more than factors in a product.
  [[nodiscard]] constexpr bool has_constant(std::int32_t index, const shape& dims, int depth) const {
    const node& current = graph_.at(index);
    if (is_constant(index, dims)) return true;
    if (current.kind == op::negate || current.kind == op::affine) return depth > 0 && current.attr.shift == 0;
    if (current.kind != op::multiply || depth == most_factors) return false;
    return has_constant(current.operand[0], dims, depth + 1) || has_constant(current.operand[1], dims, depth + 1);
  }

  /// Looks through products and factors down to what changes along the summed axes.
  [[nodiscard]] constexpr product taken_apart(std::int32_t index, const shape& dims) const {
    product result;
    std::int32_t open[2 * most_factors]{index};
    int count = 1;
    while (count > 0) {
      const std::int32_t next = open[--count];
      const node current = graph_.at(next);
      if (ops::broadcasts_to(current.dims, dims)) {
        if (result.constants < most_constants)
          result.constant[result.constants++] = next;
        else
          result.whole = false;
      } else if (current.kind == op::multiply && has_constant(next, dims, 0) && count + 2 <= 2 * most_factors) {
        open[count++] = current.operand[0];
        open[count++] = current.operand[1];
      } else if (current.kind == op::negate || (current.kind == op::affine && current.attr.shift == 0)) {
        result.number *= current.kind == op::negate ? -1 : current.attr.scale;
        open[count++] = current.operand[0];
      } else if (current.kind == op::broadcast && ops::broadcasts_to(graph_.at(current.operand[0]).dims, dims)) {
        if (current.attr.mean)
          result.whole = false;  // its value is no node of that shape
        else
          open[count++] = current.operand[0];
      } else if (result.factors == most_factors) {
        result.whole = false;
        return result;
      } else {
        int at = result.factors++;
        for (; at > 0 && result.factor[at - 1] > next; --at) result.factor[at] = result.factor[at - 1];
        result.factor[at] = next;
      }
    }
    // A constant may have been repeated along axes that no factor has: their length would be lost.
    shape together;
    if (result.factors > 0) together = graph_.at(result.factor[0]).dims;
    for (int f = 1; f < result.factors; ++f) {
      shape wider;
      (void)ops::broadcast_shapes(together, graph_.at(result.factor[f]).dims, wider);
      together = wider;
    }
    result.whole = result.whole && result.factors > 0 && together == graph_.at(index).dims;
    return result;
  }

  builder& graph_;
  sequence<entry> made_;
};

}  // namespace vivace::inline VIVACE_TARGET
