#pragma once
// Replays a plan on memory that remembers which node's value each element holds, and of which turn of its loops, and
// reports the first read of anything but what the graph says. Knows nothing of how the planner works.
#include <algorithm>
#include <string>
#include <vector>
#include <vivace/graph/order.hpp>
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
  using tag = std::int64_t;  // a node, and the turns of the loops around it
  static constexpr tag nothing = -1;

  replay(const vv::graph& from, const vv::fusion& groups, const vv::plan& steps)
      : graph_(from), groups_(groups), plan_(steps), arena_(count(steps.arena_size), nothing),
        parameters_(count(steps.parameter_size), nothing), states_(count(steps.state_size), nothing), ranges_(from),
        turn_(count(from.loops.size()), 0), carry_(count(from.nodes.size()), -1) {
    for (const vv::assignment& store : from.assignments)
      if (from.nodes[store.target].kind == vv::op::carried) carry_[count(store.target)] = store.value;
    for (std::int32_t begin = 0; begin < from.nodes.size(); ++begin)
      for (std::int32_t l = 0; l < from.loops.size(); ++l)
        if (ranges_.end[l] > 0 && ranges_.begin[l] == begin) loops_.push_back(l);
    for (int p = 0; p < from.parameters.size(); ++p) write(steps.parameters[p], from.parameters[p].node);
    for (int s = 0; s < from.states.size(); ++s) write(steps.states[s], from.states[s].node);
  }

  static std::size_t count(std::int64_t size) { return static_cast<std::size_t>(size); }
  void complain(const std::string& text) {
    if (mistake_.empty()) mistake_ = "command " + std::to_string(command_) + ": " + text;
  }
  std::vector<tag>* memory(const vv::location& place) {
    switch (place.where) {
      case vv::space::arena: return &arena_;
      case vv::space::parameter: return &parameters_;
      case vv::space::state: return &states_;
      default: return nullptr;
    }
  }
  [[nodiscard]] std::int64_t size_of(std::int32_t node) const {
    const std::int64_t elements = graph_.nodes[node].dims.size_at(plan_.batch);
    return graph_.nodes[node].kind == vv::op::narrow ? (elements + 1) / 2 : elements;
  }

  /// A place in the turns that are running.
  [[nodiscard]] vv::location now(vv::location place) const {
    for (std::int32_t s = place.stride; s >= 0; s = plan_.strides[s].outer) {
      const vv::turn_stride& stride = plan_.strides[s];
      const std::int64_t elements = stride.elements < 0 ? -stride.elements * plan_.batch : stride.elements;
      place.offset += elements * part(loops_[count(stride.loop)]);
    }
    place.stride = -1;
    return place;
  }
  /// The part of sequences that a loop is at.
  [[nodiscard]] std::int32_t part(std::int32_t loop) const {
    const std::int32_t turn = turn_[count(loop)];
    return graph_.loops[loop].reverse ? graph_.loops[loop].turns - 1 - turn : turn;
  }
  [[nodiscard]] tag tag_of(std::int32_t node) const {
    tag made = 0;
    for (std::int32_t l = graph_.nodes[node].loop; l >= 0; l = graph_.loops[l].outer) made = made * 100 + turn_[count(l)];
    return made * 1'000'000 + node;
  }
  /// What a node's memory holds when the turns are as they are.
  std::vector<tag> expected(std::int32_t node) {
    node = groups_.base[node];
    const vv::node& current = graph_.nodes[node];
    const std::int32_t operand = current.operand[0];
    if (current.kind == vv::op::turn) {
      const std::vector<tag> all = expected(operand);
      const auto first = all.begin() + part(current.loop) * size_of(node);
      return {first, first + size_of(node)};
    }
    if (current.kind == vv::op::stack) {
      std::vector<tag> all;
      const std::int32_t loop = graph_.nodes[operand].loop;
      const std::int32_t before = turn_[count(loop)];
      for (std::int32_t p = 0; p < graph_.loops[loop].turns; ++p) {
        turn_[count(loop)] = graph_.loops[loop].reverse ? graph_.loops[loop].turns - 1 - p : p;
        const std::vector<tag> one = expected(operand);
        all.insert(all.end(), one.begin(), one.end());
      }
      turn_[count(loop)] = before;
      return all;
    }
    if (current.kind == vv::op::carried || current.kind == vv::op::last) {
      const std::int32_t carried = current.kind == vv::op::last ? operand : node;
      const std::int32_t loop = graph_.nodes[carried].loop;
      const std::int32_t before = turn_[count(loop)];
      const std::int32_t made_in = current.kind == vv::op::last ? graph_.loops[loop].turns - 1 : before - 1;
      const std::int32_t value = carry_[count(carried)];
      if (made_in < 0 || value < 0) return expected(graph_.nodes[carried].operand[0]);
      turn_[count(loop)] = made_in;
      std::vector<tag> result = expected(value);
      turn_[count(loop)] = before;
      return result;
    }
    return std::vector<tag>(count(size_of(node)), tag_of(node));
  }

  void write(vv::location place, std::int32_t node) {
    place = now(place);
    std::vector<tag>* to = memory(place);
    const std::int64_t size = size_of(node);
    if (to == nullptr) return complain("writes node " + std::to_string(node) + " nowhere");
    if (place.offset < 0 || place.offset + size > static_cast<std::int64_t>(to->size()))
      return complain("writes node " + std::to_string(node) + " outside the memory");
    std::fill_n(to->begin() + place.offset, size, tag_of(node));
  }
  void read(vv::location place, std::int32_t node) {
    if (place.where != vv::space::input) place = now(place);
    node = groups_.base[node];
    while (place.where == vv::space::input && graph_.nodes[node].kind == vv::op::turn)  // moves with its loop
      node = groups_.base[graph_.nodes[node].operand[0]];
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
    const std::vector<tag>* from = memory(place);
    if (from == nullptr) return wrong("no memory");
    const std::vector<tag> wanted = expected(node);
    for (std::int64_t i = 0; i < size_of(node); ++i)
      if (const tag found = (*from)[count(place.offset + i)]; found != wanted[count(i)])
        return wrong("node " + std::to_string(found % 1'000'000) + " of turn " + std::to_string(found / 1'000'000) +
                     " at element " + std::to_string(i) + " for node " + std::to_string(wanted[count(i)] % 1'000'000) +
                     " of turn " + std::to_string(wanted[count(i)] / 1'000'000));
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
    int loop = 0;
    run(0, plan_.commands.size(), loop);
    for (int i = 0; i < graph_.outputs.size(); ++i) read(plan_.outputs[i], graph_.outputs[i].node);
    if (graph_.loss >= 0) read(plan_.loss, graph_.loss);
    for (const vv::assignment& store : graph_.assignments) {
      for (int p = 0; p < graph_.parameters.size(); ++p)
        if (graph_.parameters[p].node == store.target) read(plan_.parameters[p], store.value);
      for (int s = 0; s < graph_.states.size(); ++s)
        if (graph_.states[s].node == store.target) read(plan_.states[s], store.value);
    }
  }

  void run(int first, int end, int& next) {
    while (first < end) {
      if (next == plan_.loops.size() || plan_.loops[next].first != first) {
        command_ = first;
        run(plan_.commands[first++]);
        continue;
      }
      const int own = next;
      const std::int32_t loop = loops_[count(own)];
      if (plan_.loops[own].turns != graph_.loops[loop].turns) complain("another loop");
      for (turn_[count(loop)] = 0; turn_[count(loop)] < graph_.loops[loop].turns; ++turn_[count(loop)]) {
        next = own + 1;
        run(first, plan_.loops[own].end, next);
      }
      turn_[count(loop)] = 0;
      first = plan_.loops[own].end;
    }
  }

  void run(const vv::command& current) {
    std::int32_t root = current.node;
    if (groups_.group[root] >= 0) root = groups_.group[root];
    const bool has_operation = current.kind != vv::op::none;
    const bool fed = has_operation && root == current.node && current.has_program();
    std::vector<range> written;
    for (int s = 0; s < current.stores; ++s) {
      const vv::store& to = plan_.stores[current.first_store + s];
      const std::int64_t elements = current.extents.size_at(plan_.batch);
      written.push_back({now(to.to), to.narrow ? (elements + 1) / 2 : elements});
      for (int l = 0; to.narrow && l < current.loads; ++l)
        if (const vv::load& from = plan_.loads[current.first_load + l]; memory(from.from) != nullptr)
          if (overlap(written.back(), {now(from.from), 1})) complain("stores half as wide where it reads");
    }
    if (current.out.at.where != vv::space::none)
      written.push_back({now(current.out.at), current.out.dims.size_at(plan_.batch)});
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
        const range own{now(current.in[i].at), size_of(groups_.base[node.operand[i]])};
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
        if (memory(from.from) != nullptr && overlap({now(from.from), 1}, {now(current.out.at), current.out.dims.size_at(plan_.batch)}))
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
        if (overlap(store, {now(from.from), size_of(base)})) complain("overwrites what it reads repeatedly");
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
  std::vector<tag> arena_, parameters_, states_;
  vv::loop_ranges ranges_;
  std::vector<std::int32_t> turn_;   // of each of the graph's loops, the one that runs
  std::vector<std::int32_t> carry_;  // what each carried value is in the next turn
  std::vector<std::int32_t> loops_;  // the graph's loop of each of the plan's
  std::string mistake_;
  int command_ = 0;
};

}  // namespace graph_test
