#pragma once
// Replays a plan on memory that remembers which node's value each element holds, and reports the first read of anything
// but what the graph says. Knows nothing of how the planner works.
#include <algorithm>
#include <string>
#include <vector>
#include <vivace/graph/planner.hpp>

namespace graph_test {

namespace vv = vivace;

class replay {
 public:
  /// @return what is wrong; empty if nothing is
  static std::string check(const vv::graph& from, const vv::fusion& groups, const vv::plan& steps) {
    replay made(from, groups, steps);
    made.run();
    return made.mistake_;
  }

 private:
  static constexpr std::int32_t nothing = -1;

  replay(const vv::graph& from, const vv::fusion& groups, const vv::plan& steps)
      : graph_(from), groups_(groups), plan_(steps), arena_(count(steps.arena_size), nothing),
        parameters_(count(steps.parameter_size), nothing), states_(count(steps.state_size), nothing) {
    for (int p = 0; p < from.parameters.size(); ++p) write(steps.parameters[p], from.parameters[p].node);
    for (int s = 0; s < from.states.size(); ++s) write(steps.states[s], from.states[s].node);
  }

  static std::size_t count(std::int64_t size) { return static_cast<std::size_t>(size); }
  void complain(const std::string& text) {
    if (mistake_.empty()) mistake_ = "command " + std::to_string(command_) + ": " + text;
  }
  std::vector<std::int32_t>* memory(const vv::location& place) {
    switch (place.where) {
      case vv::space::arena: return &arena_;
      case vv::space::parameter: return &parameters_;
      case vv::space::state: return &states_;
      default: return nullptr;
    }
  }
  [[nodiscard]] std::int64_t size_of(std::int32_t node) const { return graph_.nodes[node].dims.size_at(plan_.batch); }

  void write(const vv::location& place, std::int32_t node) {
    std::vector<std::int32_t>* to = memory(place);
    const std::int64_t size = size_of(node);
    if (to == nullptr) return complain("writes node " + std::to_string(node) + " nowhere");
    if (place.offset < 0 || place.offset + size > static_cast<std::int64_t>(to->size()))
      return complain("writes node " + std::to_string(node) + " outside the memory");
    std::fill_n(to->begin() + place.offset, size, node);
  }
  void read(const vv::location& place, std::int32_t node) {
    node = groups_.base[node];
    const vv::op kind = graph_.nodes[node].kind;
    const auto wrong = [&](const std::string& found) {
      complain("wants node " + std::to_string(node) + " (" + std::string(vv::to_string(kind)) + "), finds " + found);
    };
    if (kind == vv::op::constant) return place.where == vv::space::literal ? void() : wrong("no literal");
    const auto& ports = kind == vv::op::setting ? graph_.settings : graph_.inputs;
    if (kind == vv::op::setting || kind == vv::op::input || kind == vv::op::labels) {
      const auto where = kind == vv::op::setting ? vv::space::setting : vv::space::input;
      if (place.where != where || ports[static_cast<int>(place.offset)].node != node) wrong("another input");
      return;
    }
    const std::vector<std::int32_t>* from = memory(place);
    if (from == nullptr) return wrong("no memory");
    for (std::int64_t i = 0; i < size_of(node); ++i)
      if (const std::int32_t found = (*from)[count(place.offset + i)]; found != node)
        return wrong("node " + std::to_string(found) + " at element " + std::to_string(i));
  }

  struct range {
    vv::location place;
    std::int64_t size;
  };
  static bool overlap(const range& a, const range& b) {
    return a.place.where == b.place.where && a.place.offset < b.place.offset + b.size &&
           b.place.offset < a.place.offset + a.size;
  }

  void run() {
    for (const vv::command& current : plan_.commands) {
      run(current);
      ++command_;
    }
    for (int i = 0; i < graph_.outputs.size(); ++i) read(plan_.outputs[i], graph_.outputs[i].node);
    if (graph_.loss >= 0) read(plan_.loss, graph_.loss);
    for (const vv::assignment& store : graph_.assignments) {
      for (int p = 0; p < graph_.parameters.size(); ++p)
        if (graph_.parameters[p].node == store.target) read(plan_.parameters[p], store.value);
      for (int s = 0; s < graph_.states.size(); ++s)
        if (graph_.states[s].node == store.target) read(plan_.states[s], store.value);
    }
  }

  void run(const vv::command& current) {
    std::int32_t root = current.node;
    if (groups_.group[root] >= 0) root = groups_.group[root];
    const bool has_operation = current.kind != vv::op::none;
    const bool fed = has_operation && root == current.node && current.has_program();
    std::vector<range> written;
    for (int s = 0; s < current.stores; ++s)
      written.push_back({plan_.stores[current.first_store + s].to, current.extents.size_at(plan_.batch)});
    if (current.out.at.where != vv::space::none) written.push_back({current.out.at, current.out.dims.size_at(plan_.batch)});
    if (current.workspace.where == vv::space::arena) {
      for (const range& store : written)
        if (overlap(store, {current.workspace, 1})) complain("its workspace is where it writes");
      arena_[count(current.workspace.offset)] = nothing;
    }
    if (has_operation) {
      const vv::node& node = graph_.nodes[current.node];
      for (int i = 0; i < node.operands(); ++i) {
        if (fed) continue;  // the program's last value
        read(current.in[i].at, node.operand[i]);
        const range own{current.in[i].at, size_of(node.operand[i])};
        for (const range& store : written)
          if (memory(own.place) != nullptr && overlap(store, own)) complain("overwrites what its operation reads");
      }
    }
    if (!current.has_program()) {
      if (!has_operation) complain("does nothing");
      return write(current.out.at, current.node);
    }
    if (fed) {
      for (int l = 0; l < current.loads; ++l) {
        const vv::load& from = plan_.loads[current.first_load + l];
        if (memory(from.from) != nullptr && overlap({from.from, 1}, {current.out.at, current.out.dims.size_at(plan_.batch)}))
          complain("its sum goes where its program reads");
      }
    }
    run_program(current, root, fed, written);
  }

  void run_program(const vv::command& current, std::int32_t root, bool fed, const std::vector<range>& written) {
    std::vector<std::int32_t> registers(static_cast<std::size_t>(current.registers), nothing);
    const auto home = [&](std::int16_t index) -> const vv::store* {
      for (int s = 0; s < current.stores; ++s) {
        const vv::store& out = plan_.stores[current.first_store + s];
        if (out.direct && out.from == index) return &out;
      }
      return nullptr;
    };
    const auto set = [&](std::int16_t index, std::int32_t node) {
      if (index < 0 || index >= current.registers) return complain("writes a register that it does not have");
      registers[static_cast<std::size_t>(index)] = node;
      if (const vv::store* out = home(index)) write(out->to, node);
    };
    const auto get = [&](std::int16_t code, std::int32_t node) {
      const std::int32_t base = groups_.base[node];
      if (code >= 0) {
        if (registers[static_cast<std::size_t>(code)] != base) complain("register " + std::to_string(code) + " lost its value");
        if (const vv::store* out = home(code)) read(out->to, base);
        return;
      }
      if (-1 - code >= current.loads) return complain("reads a load that it does not have");
      const vv::load& from = plan_.loads[current.first_load - 1 - code];
      read(from.from, node);
      if (memory(from.from) == nullptr || from.spread.full()) return;
      for (const range& store : written)
        if (overlap(store, {from.from, size_of(base)})) complain("overwrites what it reads repeatedly");
    };
    // The operation's values are there before the first instruction runs, whatever the order of nodes.
    if (current.head_register >= 0) set(current.head_register, current.node);
    int next = current.first_instruction;
    for (std::int32_t member = 0; member <= root; ++member) {
      if (groups_.group[member] != root) continue;
      const vv::node& node = graph_.nodes[member];
      if (current.kind != vv::op::none && member == current.node) {
        if (fed) get(current.fed_register, node.operand[0]);
        continue;
      }
      const vv::instruction& code = plan_.instructions[next++];
      if (code.kind != node.kind) complain("another instruction than the graph's");
      for (int i = 0; i < node.operands(); ++i) get(code.from[i], node.operand[i]);
      set(code.to, member);
    }
    if (next != current.first_instruction + current.instructions) complain("another number of instructions");
    for (int s = 0; s < current.stores; ++s) {
      const vv::store& out = plan_.stores[current.first_store + s];
      if (!out.direct) write(out.to, registers[static_cast<std::size_t>(out.from)]);
    }
    if (fed) write(current.out.at, current.node);
  }

  const vv::graph& graph_;
  const vv::fusion& groups_;
  const vv::plan& plan_;
  std::vector<std::int32_t> arena_, parameters_, states_;
  std::string mistake_;
  int command_ = 0;
};

}  // namespace graph_test
