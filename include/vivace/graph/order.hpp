#pragma once
#include <utility>

#include <vivace/graph/graph.hpp>

/// @file
/// The order of nodes. A graph's node order is its schedule: what stands earlier runs earlier.

namespace vivace::inline VIVACE_TARGET {

/// Brings the tables of a graph, its loss and its gradients to nodes that have moved.
/// @param moved where each node is now; none that a table names is gone
constexpr void rename(graph& tables, const sequence<std::int32_t>& moved) {
  const auto each = [&](auto& table) {
    for (auto& entry : table) entry.node = moved[entry.node];
  };
  each(tables.parameters);
  each(tables.states);
  each(tables.inputs);
  each(tables.outputs);
  each(tables.settings);
  for (layer_record& layer : tables.layers)
    if (layer.output >= 0) layer.output = moved[layer.output];
  for (assignment& store : tables.assignments) store = {moved[store.target], moved[store.value]};
  tables.loss = moved[tables.loss];
  for (std::int32_t& one : tables.gradients)
    if (one >= 0) one = moved[one];
}

/// A graph rebuilt with its nodes in another order; nodes that the order leaves out are gone.
/// @param order old indices in their new order, each after its operands
constexpr graph reordered(const graph& from, const sequence<std::int32_t>& order) {
  sequence<std::int32_t> moved(from.nodes.size(), -1);
  graph result;
  result.nodes.reserve(order.size());
  for (int position = 0; position < order.size(); ++position) {
    moved[order[position]] = position;
    result.nodes.push_back(from.nodes[order[position]]);
    std::int32_t* operand = result.nodes[position].operand;
    for (int i = 0; i < max_operands && operand[i] >= 0; ++i) operand[i] = moved[operand[i]];
  }
  const auto rename = [&](auto& kept, const auto& table) {
    kept.reserve(table.size());
    for (int i = 0; i < table.size(); ++i) {
      const std::int32_t position = moved[table[i].node];
      if (position < 0) continue;
      kept.push_back(table[i]);
      kept.back().node = position;
    }
  };
  rename(result.parameters, from.parameters);
  rename(result.states, from.states);
  rename(result.inputs, from.inputs);
  rename(result.outputs, from.outputs);
  rename(result.settings, from.settings);
  result.loops = from.loops;
  result.layers = from.layers;
  for (layer_record& layer : result.layers)
    if (layer.output >= 0) layer.output = moved[layer.output];
  result.assignments.reserve(from.assignments.size());
  for (int s = 0; s < from.assignments.size(); ++s) {
    const assignment& store = from.assignments[s];
    if (moved[store.target] >= 0 && moved[store.value] >= 0)
      result.assignments.push_back({moved[store.target], moved[store.value]});
  }
  if (from.loss >= 0) result.loss = moved[from.loss];
  result.gradients.reserve(from.gradients.size());
  for (int g = 0; g < from.gradients.size(); ++g)
    result.gradients.push_back(from.gradients[g] < 0 ? -1 : moved[from.gradients[g]]);
  result.mistake = from.mistake;
  return result;
}

/// Where the nodes of each loop begin and end, those of inner loops with them; empty if a loop has none. They stand
/// together.
struct loop_ranges {
  sequence<std::int32_t> begin;
  sequence<std::int32_t> end;

  constexpr explicit loop_ranges(const graph& from) : begin(from.loops.size(), 0), end(from.loops.size(), 0) {
    for (std::int32_t index = 0; index < from.nodes.size() && !from.loops.empty(); ++index)
      for (std::int32_t l = from.nodes[index].loop; l >= 0; l = from.loops[l].outer) {
        if (end[l] == 0) begin[l] = index;
        end[l] = index + 1;
      }
  }
};

/// Puts the nodes of each loop together, in front of the first result of the loop; the order stays otherwise. All that
/// a loop reads stands in front of its first result already.
constexpr graph with_loops_together(graph from) {
  if (from.loops.empty()) return from;
  const int count = from.nodes.size();
  const int levels = from.loops.size() + 1;
  sequence<std::int32_t> next(count, -1);  // node of the same level: outside of loops, or of one loop
  sequence<std::int32_t> head(levels, -1);
  for (std::int32_t index = count - 1; index >= 0; --index) {
    next[index] = head[from.nodes[index].loop + 1];
    head[from.nodes[index].loop + 1] = index;
  }
  sequence<std::int32_t> order;
  order.reserve(count);
  sequence<std::int32_t> interrupted;  // nodes that wait for a loop's
  std::int32_t index = head[0];
  while (index >= 0 || !interrupted.empty()) {
    if (index < 0) {
      index = interrupted.back();
      interrupted.pop_back();
    } else if (is_loop_result(from.nodes[index].kind)) {
      const std::int32_t level = from.nodes[from.nodes[index].operand[0]].loop + 1;
      const std::int32_t first = head[level];
      head[level] = -1;
      if (first >= 0) {
        interrupted.push_back(index);
        index = first;
        continue;
      }
    }
    order.push_back(index);
    index = next[index];
  }
  return reordered(from, order);
}

/// The node that must be listed before a result of a loop, beside its operand: what the loop computes for its other
/// results and for the next turn belongs in front of all that reads a result. -1 if there is none.
/// @param results those of all loops
constexpr std::int32_t unlisted_of_loop(const graph& from, const sequence<std::int32_t>& results, std::int32_t result,
                                        const sequence<char>& listed) {
  const std::int32_t loop = from.nodes[from.nodes[result].operand[0]].loop;
  for (int r = 0; r < results.size(); ++r) {
    const std::int32_t operand = from.nodes[results[r]].operand[0];
    if (from.nodes[operand].loop == loop && listed[operand] == 0) return operand;
  }
  for (int s = 0; s < from.assignments.size(); ++s) {
    const assignment& carry = from.assignments[s];
    if (from.nodes[carry.target].loop == loop && listed[carry.target] != 0 && listed[carry.value] == 0)
      return carry.value;
  }
  return -1;
}

/// Lists the nodes below `root` that are not yet listed, each after its operands.
/// @param results those of all loops
constexpr void list_depth_first(const graph& from, const sequence<std::int32_t>& results, std::int32_t root,
                                sequence<char>& listed, sequence<std::int32_t>& order) {
  if (root < 0 || listed[root] != 0) return;
  sequence<std::int32_t> path;  // nodes whose operands are being listed
  path.push_back(root);
  while (!path.empty()) {
    const std::int32_t top = path.back();
    std::int32_t missing = -1;
    const node& current = from.nodes[top];
    for (int i = 0; i < max_operands && current.operand[i] >= 0 && missing < 0; ++i)
      if (listed[current.operand[i]] == 0) missing = current.operand[i];
    if (missing < 0 && is_loop_result(current.kind)) missing = unlisted_of_loop(from, results, top, listed);
    if (missing >= 0) {
      path.push_back(missing);
      continue;
    }
    path.pop_back();
    if (listed[top] != 0) continue;
    listed[top] = 1;
    order.push_back(top);
  }
}

/// Numbers nodes depth first from the results, whatever order they were made in: seeds, hashes and checkpoints depend
/// on the numbers, and C++ leaves the order in which arguments are evaluated open. Parameters and the like are kept
/// even if nothing uses them; other unused nodes are dropped.
constexpr graph canonical(const graph& from) {
  sequence<char> listed(from.nodes.size(), 0);
  sequence<std::int32_t> order;
  order.reserve(from.nodes.size());
  sequence<std::int32_t> results;
  for (std::int32_t index = 0; index < from.nodes.size() && !from.loops.empty(); ++index)
    if (is_loop_result(from.nodes[index].kind)) results.push_back(index);
  list_depth_first(from, results, from.loss, listed, order);
  for (const port& output : from.outputs) list_depth_first(from, results, output.node, listed, order);
  for (const assignment& store : from.assignments) {
    if (from.nodes[store.target].kind == op::carried) continue;  // listed with what its loop leaves, if anything
    list_depth_first(from, results, store.target, listed, order);
    list_depth_first(from, results, store.value, listed, order);
  }
  for (const variable& parameter : from.parameters) list_depth_first(from, results, parameter.node, listed, order);
  for (const variable& state : from.states) list_depth_first(from, results, state.node, listed, order);
  for (const port& input : from.inputs) list_depth_first(from, results, input.node, listed, order);
  graph result = with_loops_together(reordered(from, order));
  // Tables follow the nodes: insertion sort, since they are nearly in order already.
  const auto sort = [](auto& table) {
    for (int i = 1; i < table.size(); ++i)
      for (int j = i; j > 0 && table[j].node < table[j - 1].node; --j) {
        const auto moved = table[j];
        table[j] = table[j - 1];
        table[j - 1] = moved;
      }
  };
  sort(result.parameters);
  sort(result.states);
  sequence<char> updated(result.nodes.size(), 0);
  for (const assignment& store : result.assignments)
    if (++updated[store.target] > 1 && result.mistake.what == problem::none)
      result.mistake = {problem::cannot_be_updated, -1, "update", result.nodes[store.target].dims, {}};
  return result;
}

/// Marks all that the marked nodes up to `last` are computed from.
constexpr void mark_ancestors(const graph& from, std::int32_t last, sequence<char>& marked) {
  for (bool again = true; again;) {
    for (std::int32_t index = last; index >= 0; --index) {
      const node& current = from.nodes[index];
      if (marked[index] != 0)
        for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) marked[current.operand[i]] = 1;
    }
    again = false;  // the turn before made what is carried, of nodes that may have been passed
    for (int s = 0; s < from.assignments.size() && !from.loops.empty(); ++s) {
      const assignment& store = from.assignments[s];
      if (from.nodes[store.target].kind != op::carried || store.target > last || marked[store.target] == 0) continue;
      again = again || marked[store.value] == 0;
      marked[store.value] = 1;
    }
  }
}

/// Marks the nodes that a result, an assignment or a table needs.
constexpr sequence<char> needed_nodes(const graph& from) {
  sequence<char> needed(from.nodes.size(), 0);
  const auto keep = [&](std::int32_t index) {
    if (index >= 0) needed[index] = 1;
  };
  keep(from.loss);
  for (int o = 0; o < from.outputs.size(); ++o) keep(from.outputs[o].node);
  for (int g = 0; g < from.gradients.size(); ++g) keep(from.gradients[g]);
  for (int s = 0; s < from.assignments.size(); ++s)
    if (from.nodes[from.assignments[s].target].kind != op::carried) keep(from.assignments[s].value);
  for (std::int32_t index = 0; index < from.nodes.size(); ++index)
    if (is_source(from.nodes[index].kind) && from.nodes[index].kind != op::constant) keep(index);
  mark_ancestors(from, from.nodes.size() - 1, needed);
  return needed;
}

/// Drops nodes that no result, assignment or table needs; the order stays.
constexpr graph without_dead_code(const graph& from) {
  const sequence<char> needed = needed_nodes(from);
  sequence<std::int32_t> order;
  order.reserve(from.nodes.size());
  for (std::int32_t index = 0; index < from.nodes.size(); ++index)
    if (needed[index] != 0) order.push_back(index);
  return reordered(from, order);
}

/// A stretch of nodes, made one after another, that computes the new value of one parameter.
struct update_range {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// The last node of the elementwise chain behind a node: what can become one command with it.
/// @param only_user the one user of each node; -1: none, -2: several
constexpr std::int32_t end_of_chain(const graph& from, const sequence<std::int32_t>& only_user, std::int32_t index) {
  if (!takes_epilogue(from.nodes[index].kind) && !is_elementwise(from.nodes[index].kind)) return index;
  for (std::int32_t user = only_user[index]; user >= 0; user = only_user[user]) {
    if (!is_elementwise(from.nodes[user].kind) || from.nodes[user].dims != from.nodes[index].dims) break;
    if (from.nodes[user].loop != from.nodes[index].loop) break;
    index = user;
  }
  return index;
}

/// Moves each update right behind the last node that it waits for: its gradient, and the last reader of the old value.
/// Gradients then die as soon as they are born, and the update can be fused into the product that makes the gradient.
/// @param updates ranges of nodes in ascending order, which together form the end of the graph
constexpr graph with_updates_placed(const graph& from, const sequence<update_range>& updates) {
  const std::int32_t first_update = updates.empty() ? from.nodes.size() : updates[0].begin;
  sequence<std::int32_t> only_user(from.nodes.size(), -1);
  for (std::int32_t index = 0; index < first_update; ++index) {
    const node& current = from.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      std::int32_t& user = only_user[current.operand[i]];
      user = user == -1 ? index : -2;
    }
  }
  // When the old value of each variable has been read. Overwriting it between a node that reads it and the chain behind
  // that would keep the two apart.
  sequence<std::int32_t> last_reader(from.nodes.size(), -1);
  for (std::int32_t index = 0; index < first_update; ++index) {
    const node& current = from.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      std::int32_t read = current.operand[i];
      // Reading an alias, or a part, reads what it stands for.
      while (from.nodes[read].kind == op::reshape || from.nodes[read].kind == op::turn)
        read = from.nodes[read].operand[0];
      if (from.nodes[read].kind != op::parameter && from.nodes[read].kind != op::state) continue;
      const std::int32_t done = end_of_chain(from, only_user, index);
      if (done > last_reader[read]) last_reader[read] = done;
    }
  }
  sequence<std::int32_t> target_of(from.nodes.size(), -1);
  for (const assignment& store : from.assignments) target_of[store.value] = store.target;
  const loop_ranges loops(from);
  // Updates that wait for node i form the list next[...] that starts at head[i].
  sequence<std::int32_t> head(first_update + 1, -1);
  sequence<std::int32_t> next(updates.size(), -1);
  for (int u = updates.size() - 1; u >= 0; --u) {
    std::int32_t waits_for = 0;
    for (std::int32_t index = updates[u].begin; index < updates[u].end; ++index) {
      const node& current = from.nodes[index];
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
        if (current.operand[i] > waits_for && current.operand[i] < first_update &&
            from.nodes[current.operand[i]].kind != op::setting)
          waits_for = current.operand[i];
      const std::int32_t done = target_of[index] < 0 ? -1 : last_reader[target_of[index]];
      if (done > waits_for) waits_for = done;
    }
    for (std::int32_t l = from.nodes[waits_for].loop; l >= 0; l = from.loops[l].outer) waits_for = loops.end[l] - 1;
    next[u] = head[waits_for];
    head[waits_for] = u;
  }
  sequence<std::int32_t> order;
  order.reserve(from.nodes.size());
  for (const port& setting : from.settings) order.push_back(setting.node);  // known before the step: first
  for (std::int32_t index = 0; index < first_update; ++index) {
    if (from.nodes[index].kind != op::setting) order.push_back(index);
    for (std::int32_t u = head[index]; u >= 0; u = next[u])
      for (std::int32_t moved = updates[u].begin; moved < updates[u].end; ++moved) order.push_back(moved);
  }
  return reordered(from, order);
}

/// Makes one operation of a product and the sum or difference that alone reads it, and leaves the product as dead code.
/// Meant for graphs that are planned: there is no derivative of `multiply_add`.
constexpr graph contracted(graph from) {
  const int count = from.nodes.size();
  sequence<char> readers(count, 0);
  for (std::int32_t index = 0; index < count; ++index)
    for (int i = 0; i < max_operands && from.nodes[index].operand[i] >= 0; ++i) {
      char& seen = readers[from.nodes[index].operand[i]];
      if (seen < 2) ++seen;
    }
  const auto keep = [&](std::int32_t index) {
    if (index >= 0) readers[index] = 2;
  };
  keep(from.loss);
  for (int o = 0; o < from.outputs.size(); ++o) keep(from.outputs[o].node);
  for (int s = 0; s < from.assignments.size(); ++s) keep(from.assignments[s].value);
  for (std::int32_t index = 0; index < count; ++index) {
    node& sum = from.nodes[index];
    if (sum.kind != op::add && sum.kind != op::subtract) continue;
    for (int position = 1; position >= 0; --position) {
      const std::int32_t other = sum.operand[1 - position];
      const std::int32_t read = sum.operand[position];
      const node& product = from.nodes[read];
      if (product.kind != op::multiply || readers[read] > 1 || other == read) continue;
      if (product.dims != sum.dims || product.loop != sum.loop) continue;
      sum.attr.scale = sum.kind == op::subtract && position == 1 ? -1 : 1;
      sum.attr.shift = sum.kind == op::subtract && position == 0 ? -1 : 1;
      sum.kind = op::multiply_add;
      sum.operand[0] = product.operand[0];
      sum.operand[1] = product.operand[1];
      sum.operand[2] = other;
      break;
    }
  }
  return from;
}

/// For each node, the last one that reads it, be it through an alias.
constexpr sequence<std::int32_t> last_readers(const graph& from) {
  sequence<std::int32_t> result(from.nodes.size(), -1);
  for (std::int32_t index = 0; index < from.nodes.size(); ++index) {
    const node& current = from.nodes[index];
    if (is_view(current.kind)) continue;
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      std::int32_t read = current.operand[i];
      while (from.nodes[read].kind == op::reshape || from.nodes[read].kind == op::turn)
        read = from.nodes[read].operand[0];
      result[read] = index;
    }
  }
  return result;
}

/// Adds copies to the end of the step, or of the loop's turn, where a new value cannot be made in the place of the old
/// one: because the old one is still read, because what makes the new one reads the old one in another order than it
/// writes, or because the new one stands elsewhere already.
constexpr graph with_late_stores(graph from) {
  if (from.assignments.empty()) return from;
  graph result = std::move(from);
  for (int s = result.assignments.size() - 1; s >= 0; --s) {  // what is carried unchanged needs no store
    const assignment& store = result.assignments[s];
    if (store.target == store.value && result.nodes[store.target].kind == op::carried) result.assignments.erase(s);
  }
  const int count = result.nodes.size();
  const loop_ranges loops(result);
  const auto copy = [&](assignment& store) {
    const shape dims = result.nodes[store.target].dims;
    const std::int32_t loop = result.nodes[store.target].loop;
    result.nodes.push_back({.kind = op::affine, .dims = dims, .operand = {store.value, -1, -1}, .loop = loop});
    store.value = result.nodes.size() - 1;
  };
  sequence<char> stores(count, 0);
  for (const assignment& store : result.assignments)
    if (stores[store.value] < 2) ++stores[store.value];
  for (std::int32_t index = 0; index < count && !result.loops.empty(); ++index)
    if (result.nodes[index].kind == op::stack) ++stores[result.nodes[index].operand[0]];
  for (assignment& store : result.assignments) {
    const node& value = result.nodes[store.value];
    const bool elsewhere = value.loop != result.nodes[store.target].loop || stores[store.value] > 1;
    if (is_source(value.kind) || is_view(value.kind) || elsewhere) copy(store);
  }
  const sequence<std::int32_t> last_reader = last_readers(result);
  for (assignment& store : result.assignments) {
    const std::int32_t reader = last_reader[store.target];
    const bool in_place = reader == store.value && is_elementwise(result.nodes[reader].kind);
    if (reader >= store.value && !in_place) copy(store);
  }
  if (result.loops.empty() || result.nodes.size() == count) return result;
  // Copies of a loop belong at its end.
  sequence<std::int32_t> order;
  order.reserve(result.nodes.size());
  const auto add_copies_of = [&](std::int32_t loop) {
    for (std::int32_t made = count; made < result.nodes.size(); ++made)
      if (result.nodes[made].loop == loop) order.push_back(made);
  };
  for (std::int32_t index = 0; index < count; ++index) {
    order.push_back(index);
    for (std::int32_t l = result.nodes[index].loop; l >= 0; l = result.loops[l].outer)
      if (loops.end[l] == index + 1) add_copies_of(l);
  }
  add_copies_of(-1);
  return reordered(result, order);
}

}  // namespace vivace::inline VIVACE_TARGET
