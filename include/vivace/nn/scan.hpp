#pragma once
#include <initializer_list>
#include <iterator>
#include <type_traits>

#include <vivace/graph/ops.hpp>

/// @file
/// Many values along one axis: concatenation, separation, and a loop over positions. The first two work by halves: the
/// cost of n positions, gradients included, is n log n copies of one, not n^2.

namespace vivace::inline VIVACE_TARGET::ops {

/// Values one after another along an axis; of no values, a value that does not exist.
constexpr value concatenate(const sequence<value>& parts, int axis) {
  if (parts.empty()) return {};
  sequence<value> level = parts;
  while (level.size() > 1) {
    sequence<value> pairs;
    pairs.reserve((level.size() + 1) / 2);
    for (int i = 0; i + 1 < level.size(); i += 2) pairs.push_back(concatenate(level[i], level[i + 1], axis));
    if (level.size() % 2 != 0) pairs.push_back(level.back());
    level = static_cast<sequence<value>&&>(pairs);
  }
  return level[0];
}
/// Values one after another along an axis: `ops::concatenate({a, b, c}, 1)`.
constexpr value concatenate(std::initializer_list<value> parts, int axis) {
  sequence<value> all;
  for (const value part : parts) all.push_back(part);
  return concatenate(all, axis);
}

/// The places of one axis, as values with extent 1 there.
constexpr sequence<value> separate(value from, int axis) {
  sequence<value> parts;
  builder& graph = from.owner();
  if (!axes_exist(from, {axis})) {
    parts.push_back(graph.fail(problem::axis_out_of_range, "separate", from.dims(), {}));
    return parts;
  }
  const int d = axis < 0 ? axis + from.dims().rank : axis;
  if (from.dims()[d] < 1) {
    parts.push_back(graph.fail(problem::range_outside_axis, "separate", from.dims(), {}));
    return parts;
  }
  sequence<value> pending;  // what still has to be halved, the first on top
  pending.push_back(from);
  while (!pending.empty()) {
    const value part = pending.back();
    pending.pop_back();
    const std::int32_t extent = part.dims()[d];
    if (extent == 1) {
      parts.push_back(part);
      continue;
    }
    const std::int32_t half = extent / 2;
    const value left = slice(part, d, 0, half);
    const value right = slice(part, d, half, extent - half);
    pending.push_back(right);
    pending.push_back(left);
  }
  return parts;
}

/// Anything that a State may hold: converts to each of its members.
struct any_member {
  template <class Member>
  constexpr operator Member() const;  // NOLINT: never defined
};

/// Number of members of an aggregate.
template <class State, class... Members>
constexpr int member_count() {
  if constexpr (requires { State{Members{}..., any_member{}}; })
    return member_count<State, Members..., any_member>();
  else
    return sizeof...(Members);
}

/// Calls visit(value&) for each value of what a loop carries: one value, an array of some, or a struct of these with up
/// to eight members.
template <class State, class Visit>
constexpr void for_each_value(State& state, Visit&& visit) {
  if constexpr (std::is_same_v<State, value>) {
    visit(state);
  } else if constexpr (requires { std::begin(state); }) {
    for (auto& part : state) for_each_value(part, visit);
  } else {
    static_assert(std::is_aggregate_v<State>, "vivace: a scan carries values, arrays of values, or structs of these");
    constexpr int count = member_count<State>();
    static_assert(count <= 8, "vivace: a struct that a scan carries has up to eight members; put some into an array");
    const auto all = [&](auto&... parts) { (for_each_value(parts, visit), ...); };
    if constexpr (count == 1) {
      auto& [a] = state;
      all(a);
    } else if constexpr (count == 2) {
      auto& [a, b] = state;
      all(a, b);
    } else if constexpr (count == 3) {
      auto& [a, b, c] = state;
      all(a, b, c);
    } else if constexpr (count == 4) {
      auto& [a, b, c, d] = state;
      all(a, b, c, d);
    } else if constexpr (count == 5) {
      auto& [a, b, c, d, e] = state;
      all(a, b, c, d, e);
    } else if constexpr (count == 6) {
      auto& [a, b, c, d, e, f] = state;
      all(a, b, c, d, e, f);
    } else if constexpr (count == 7) {
      auto& [a, b, c, d, e, f, g] = state;
      all(a, b, c, d, e, f, g);
    } else if constexpr (count == 8) {
      auto& [a, b, c, d, e, f, g, h] = state;
      all(a, b, c, d, e, f, g, h);
    }
  }
}

/// The values that a state holds, in order; those that do not exist left out.
template <class State>
constexpr sequence<value> values_of(State& state) {
  sequence<value> all;
  for_each_value(state, [&](value& part) {
    if (part.exists()) all.push_back(part);
  });
  return all;
}
/// Puts other values in their place, in order.
template <class State>
constexpr void set_values(State& state, const sequence<value>& to) {
  int position = 0;
  for_each_value(state, [&](value& part) {
    if (part.exists()) part = to[position++];
  });
}

/// Moves an axis to another place; the others keep their order.
constexpr value axis_moved(value from, int axis, int to) {
  if (axis == to) return from;
  node made{.kind = op::transpose, .dims = from.dims(), .operand = {from.index(), -1, -1}};
  for (int d = 0, other = 0; d < from.dims().rank; ++d) {
    if (other == axis) ++other;
    const int source = d == to ? axis : other++;
    made.attr.axes[d] = static_cast<std::int8_t>(source);
    made.dims[d] = from.dims()[source];
  }
  return from.owner().add(made);
}

/// The first value that a turn changes the shape of, or the existence; -1 if there is none.
constexpr int first_change(const sequence<value>& held, const sequence<value>& next) {
  for (int s = 0; s < next.size() && s < held.size(); ++s)
    if (next[s].dims() != held[s].dims()) return s;
  if (next.size() == held.size()) return -1;
  return next.size() < held.size() ? next.size() : held.size();
}

/// Ends a loop: what the body made of the values that it holds is carried, its results are put along an axis.
template <class State>
constexpr value close_loop(State& state, const sequence<value>& held, const sequence<value>& next, value result,
                           std::int32_t loop, int axis) {
  builder& graph = result.owner();
  const auto belongs = [&](value made) { return encloses(graph.result().loops, graph.at(made.index()).loop, loop); };
  if (!belongs(result)) return graph.fail(problem::value_outside_its_loop, "scan", result.dims(), {});
  if (result.dims().rank >= max_rank || axis > result.dims().rank)
    return graph.fail(problem::wrong_rank, "scan", result.dims(), {});
  sequence<value> after;
  for (int s = 0; s < held.size(); ++s) {
    if (!belongs(next[s])) return graph.fail(problem::value_outside_its_loop, "scan", next[s].dims(), {});
    graph.carry(held[s], next[s]);
  }
  value all;
  if (graph.at(result.index()).loop == loop) {
    all = stack(result);
  } else {  // the same in every turn
    shape dims = result.dims();
    for (int d = dims.rank++; d > 0; --d) dims.extent[d] = dims.extent[d - 1];
    dims.extent[0] = 1;
    all = reshape(result, dims);
    dims.extent[0] = graph.loop_at(loop).turns;
    all = broadcast(all, dims);
  }
  for (int s = 0; s < held.size(); ++s) after.push_back(last(held[s]));
  set_values(state, after);
  return axis_moved(all, 0, axis);
}

/// A loop over one axis: calls `body(place, state)` for each place in turn and puts its results, all of one shape, one
/// after another along a new axis there.
///
/// The body is called to learn what a turn computes, not once a turn: it becomes one `loop` of the graph, whose size
/// does not depend on the number of turns. It may use any value from outside, and scan in its turn; parameters made in
/// it are shared by all turns; what it computes from outside alone is computed once.
/// @param from the axis vanishes in what the body is given
/// @param state what the body carries from turn to turn: a value, or an array or struct of values. Each keeps its
///              shape; one that starts smaller is repeated to the shape that the body gives it. Holds the last state
///              afterwards
template <class State, class Body>
constexpr value scan(value from, int axis, State& state, Body&& body) {
  builder& graph = from.owner();
  if (!axes_exist(from, {axis})) return graph.fail(problem::axis_out_of_range, "scan", from.dims(), {});
  const int d = axis < 0 ? axis + from.dims().rank : axis;
  const std::int32_t turns = from.dims()[d];
  if (turns < 1) return graph.fail(problem::range_outside_axis, "scan", from.dims(), {});
  const value parts = axis_moved(from, d, 0);
  const builder::extent outside = graph.extent_so_far();
  sequence<value> start = values_of(state);
  for (;;) {
    const std::int32_t loop = graph.begin_loop(turns);
    sequence<value> held;
    for (int s = 0; s < start.size(); ++s) held.push_back(carried(start[s], loop));
    set_values(state, held);
    const value result = body(turn(parts, loop), state);
    const sequence<value> next = values_of(state);
    (void)graph.enter_loop(graph.loop_at(loop).outer);
    if (graph.failed()) return result;
    const int changed = first_change(held, next);
    if (changed < 0) return close_loop(state, held, next, result, loop, d);
    sequence<shape> wanted;
    bool grows = false;  // no shape grows for ever: there are few axes, and a grown one has its extent
    for (int s = 0; s < next.size() && next.size() == held.size(); ++s) {
      const bool grown = next[s].dims() != held[s].dims() && broadcasts_to(held[s].dims(), next[s].dims());
      wanted.push_back(grown ? next[s].dims() : held[s].dims());
      grows = grows || grown;
    }
    if (!grows)
      return graph.fail(problem::carried_shape_changes, "scan", changed < next.size() ? next[changed].dims() : shape{},
                        changed < held.size() ? held[changed].dims() : shape{});
    graph.cut_back(outside);  // and learn again, from starts of these shapes
    for (int s = 0; s < start.size(); ++s) start[s] = broadcast(start[s], wanted[s]);
  }
}

}  // namespace vivace::inline VIVACE_TARGET::ops
