#pragma once
#include <utility>

#include <vivace/graph/graph.hpp>

/// @file
/// The order of nodes. A graph's node order is its schedule: what stands earlier runs earlier.

namespace vivace::inline VIVACE_TARGET {

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
  const auto rename = [&](auto table) {
    decltype(table) kept;
    for (auto entry : table) {
      entry.node = moved[entry.node];
      if (entry.node >= 0) kept.push_back(entry);
    }
    return kept;
  };
  result.parameters = rename(from.parameters);
  result.states = rename(from.states);
  result.inputs = rename(from.inputs);
  result.outputs = rename(from.outputs);
  result.settings = rename(from.settings);
  result.layers = from.layers;
  for (layer_record& layer : result.layers)
    if (layer.output >= 0) layer.output = moved[layer.output];
  for (const assignment& store : from.assignments)
    if (moved[store.target] >= 0 && moved[store.value] >= 0)
      result.assignments.push_back({moved[store.target], moved[store.value]});
  if (from.loss >= 0) result.loss = moved[from.loss];
  result.mistake = from.mistake;
  return result;
}

/// Lists the nodes below `root` that are not yet listed, each after its operands.
constexpr void list_depth_first(const graph& from, std::int32_t root, sequence<char>& listed,
                                sequence<std::int32_t>& order) {
  if (root < 0 || listed[root] != 0) return;
  sequence<std::int32_t> path;  // nodes whose operands are being listed
  path.push_back(root);
  while (!path.empty()) {
    const std::int32_t top = path.back();
    std::int32_t missing = -1;
    const node& current = from.nodes[top];
    for (int i = 0; i < max_operands && current.operand[i] >= 0 && missing < 0; ++i)
      if (listed[current.operand[i]] == 0) missing = current.operand[i];
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
/// on the numbers, and C++ leaves the order in which arguments are evaluated open. Parameters and the like are kept even
/// if nothing uses them; other unused nodes are dropped.
constexpr graph canonical(const graph& from) {
  sequence<char> listed(from.nodes.size(), 0);
  sequence<std::int32_t> order;
  order.reserve(from.nodes.size());
  list_depth_first(from, from.loss, listed, order);
  for (const port& output : from.outputs) list_depth_first(from, output.node, listed, order);
  for (const assignment& store : from.assignments) {
    list_depth_first(from, store.target, listed, order);
    list_depth_first(from, store.value, listed, order);
  }
  for (const variable& parameter : from.parameters) list_depth_first(from, parameter.node, listed, order);
  for (const variable& state : from.states) list_depth_first(from, state.node, listed, order);
  for (const port& input : from.inputs) list_depth_first(from, input.node, listed, order);
  graph result = reordered(from, order);
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

/// Drops nodes that no result, assignment or table needs; the order stays.
constexpr graph without_dead_code(const graph& from) {
  sequence<char> alive(from.nodes.size(), 0);
  const auto keep = [&](std::int32_t index) {
    if (index >= 0) alive[index] = 1;
  };
  keep(from.loss);
  for (const port& output : from.outputs) keep(output.node);
  for (const assignment& store : from.assignments) keep(store.value);
  for (std::int32_t index = from.nodes.size() - 1; index >= 0; --index) {
    const node& current = from.nodes[index];
    if (is_source(current.kind) && current.kind != op::constant) alive[index] = 1;
    if (alive[index] != 0)
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) alive[current.operand[i]] = 1;
  }
  sequence<std::int32_t> order;
  order.reserve(from.nodes.size());
  for (std::int32_t index = 0; index < from.nodes.size(); ++index)
    if (alive[index] != 0) order.push_back(index);
  return reordered(from, order);
}

/// A stretch of nodes, made one after another, that computes the new value of one parameter.
struct update_range {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// The last node of the elementwise chain that finishes a product: what can become one command with it.
/// @param only_user the one user of each node; -1: none, -2: several
constexpr std::int32_t end_of_epilogue(const graph& from, const sequence<std::int32_t>& only_user, std::int32_t index) {
  if (!takes_epilogue(from.nodes[index].kind)) return index;
  for (std::int32_t user = only_user[index]; user >= 0; user = only_user[user]) {
    if (!is_elementwise(from.nodes[user].kind) || from.nodes[user].dims != from.nodes[index].dims) break;
    index = user;
  }
  return index;
}

/// Moves each update right behind the last node that it waits for: its gradient, and the last reader of the old value.
/// Gradients then die as soon as they are born, and the update can be fused into the product that makes the gradient.
/// @param updates ranges of nodes in ascending order, which together form the end of the graph
constexpr graph with_updates_placed(const graph& from, const sequence<update_range>& updates) {
  const std::int32_t first_update = updates.empty() ? from.nodes.size() : updates[0].begin;
  sequence<std::int32_t> last_reader(from.nodes.size(), -1);
  sequence<std::int32_t> only_user(from.nodes.size(), -1);
  for (std::int32_t index = 0; index < first_update; ++index) {
    const node& current = from.nodes[index];
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      std::int32_t read = current.operand[i];
      only_user[read] = only_user[read] == -1 ? index : -2;
      last_reader[read] = index;
      while (from.nodes[read].kind == op::reshape) {  // reading an alias reads what it stands for
        read = from.nodes[read].operand[0];
        last_reader[read] = index;
      }
    }
  }
  sequence<std::int32_t> target_of(from.nodes.size(), -1);
  for (const assignment& store : from.assignments) target_of[store.value] = store.target;
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
      const std::int32_t reader = target_of[index] < 0 ? -1 : last_reader[target_of[index]];
      // Overwriting the old value between a product that reads it and the product's epilogue would keep them apart.
      const std::int32_t done = reader < 0 ? -1 : end_of_epilogue(from, only_user, reader);
      if (done > waits_for) waits_for = done;
    }
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

/// For each node, the last one that reads it, be it through an alias.
constexpr sequence<std::int32_t> last_readers(const graph& from) {
  sequence<std::int32_t> result(from.nodes.size(), -1);
  for (std::int32_t index = 0; index < from.nodes.size(); ++index) {
    const node& current = from.nodes[index];
    if (current.kind == op::reshape) continue;
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      std::int32_t read = current.operand[i];
      while (from.nodes[read].kind == op::reshape) read = from.nodes[read].operand[0];
      result[read] = index;
    }
  }
  return result;
}

/// Adds copies to the end of the step where a new value cannot be made in the place of the old one: because the old one
/// is still read, because what makes the new one reads the old one in another order than it writes, or because the new
/// one stands elsewhere already.
constexpr graph with_late_stores(graph from) {
  graph result = std::move(from);
  const auto copy = [&](assignment& store) {
    const shape dims = result.nodes[store.target].dims;
    result.nodes.push_back({.kind = op::affine, .dims = dims, .operand = {store.value, -1, -1}});
    store.value = result.nodes.size() - 1;
  };
  sequence<char> stores(result.nodes.size(), 0);
  for (const assignment& store : result.assignments)
    if (stores[store.value] < 2) ++stores[store.value];
  for (assignment& store : result.assignments) {
    const op kind = result.nodes[store.value].kind;
    if (is_source(kind) || kind == op::reshape || stores[store.value] > 1) copy(store);
  }
  const sequence<std::int32_t> last_reader = last_readers(result);
  for (assignment& store : result.assignments) {
    const std::int32_t reader = last_reader[store.target];
    const bool in_place = reader == store.value && is_elementwise(result.nodes[reader].kind);
    if (reader >= store.value && !in_place) copy(store);
  }
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET
