#pragma once
#include <initializer_list>

#include <vivace/graph/ops.hpp>

/// @file
/// Many values along one axis: concatenation, separation, and a loop over positions. All work by halves: the cost of
/// n positions, gradients included, is n log n copies of one, not n^2.

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

/// A loop over one axis: calls `body(place, state)` for each place in turn and puts its results, all of one shape, one
/// after another along a new axis there.
///
/// The loop is unrolled in the graph; its memory is planned, and its gradient found, like those of any other nodes.
/// Make parameters before the scan: then all turns share them.
/// @param from the axis vanishes in what the body is given
/// @param state whatever the body carries from turn to turn; holds the last state afterwards
template <class State, class Body>
constexpr value scan(value from, int axis, State& state, Body&& body) {
  builder& graph = from.owner();
  const int d = axis < 0 ? axis + from.dims().rank : axis;
  const sequence<value> places = separate(from, axis);
  if (graph.failed()) return places[0];
  const shape inner = drop_axes(from.dims(), {d});
  sequence<value> results;
  results.reserve(places.size());
  for (const value place : places) {
    const value result = body(reshape(place, inner), state);
    if (graph.failed()) return result;
    shape dims = result.dims();
    if (dims.rank >= max_rank || d > dims.rank) return graph.fail(problem::wrong_rank, "scan", dims, inner);
    for (int e = dims.rank; e > d; --e) dims.extent[e] = dims.extent[e - 1];
    dims.extent[d] = 1;
    ++dims.rank;
    results.push_back(reshape(result, dims));
  }
  return concatenate(results, d);
}

}  // namespace vivace::inline VIVACE_TARGET::ops
