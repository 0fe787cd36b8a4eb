#pragma once
#include <utility>

#include <vivace/graph/order.hpp>
#include <vivace/graph/plan.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Elements of scratch memory that a command's kernel wants, at a batch of `samples`.
using workspace_rule = std::int64_t (*)(const command&, std::int32_t samples);

/// The rule of kernels that need none.
constexpr std::int64_t no_workspace(const command&, std::int32_t) { return 0; }

/// Turns groups into commands and gives every value its place, so that values which never live at once share memory.
///
/// What a loop reads from outside, carries, or leaves behind has its memory as long as the loop runs; the rest of its
/// values have theirs within each turn.
class planner {
 public:
  constexpr planner(const graph& from, const fusion& groups, std::int32_t batch, workspace_rule workspace,
                    std::int32_t rest)
      : graph_(from), fusion_(groups), workspace_(workspace), rest_(rest), has_loops_(!from.loops.empty()),
        ranges_(from) {
    plan_.batch = batch;
  }

  constexpr plan operator()() {
    const int count = graph_.nodes.size();
    place_.resize(count);
    last_use_.resize(count, -1);
    register_.resize(count, -1);
    stored_to_.resize(count, -1);
    place_sources();
    for (const assignment& store : graph_.assignments) stored_to_[store.value] = store.target;
    if (has_loops_) find_owners();
    order_members();
    find_last_uses();
    for (std::int32_t index = 0; index < count; ++index) {
      if (has_loops_) begin_loops(index);
      if (has_loops_ && is_view(graph_.nodes[index].kind)) place_view(index);
      if (fusion_.group[index] == index) make_command(index);
      if (has_loops_) end_loops(index);
    }
    for (const port& output : graph_.outputs) plan_.outputs.push_back(place_[fusion_.base[output.node]]);
    if (graph_.loss >= 0) plan_.loss = place_[fusion_.base[graph_.loss]];
    plan_.arena_size = arena_.top();
    return std::move(plan_);
  }

 private:
  static constexpr std::int32_t forever = 0x7fffffff;

  constexpr void place_sources() {
    const auto lay_out = [&](const sequence<variable>& table, space where, sequence<location>& places) {
      std::int64_t offset = 0;
      for (const variable& entry : table) {
        places.push_back({where, offset});
        place_[entry.node] = places.back();
        offset += aligned_size(graph_.nodes[entry.node].dims.size());
      }
      return offset;
    };
    plan_.parameter_size = lay_out(graph_.parameters, space::parameter, plan_.parameters);
    plan_.state_size = lay_out(graph_.states, space::state, plan_.states);
    for (int i = 0; i < graph_.inputs.size(); ++i) place_[graph_.inputs[i].node] = {space::input, i};
    for (int i = 0; i < graph_.settings.size(); ++i) place_[graph_.settings[i].node] = {space::setting, i};
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index) {
      const op kind = graph_.nodes[index].kind;
      if (kind == op::constant) place_[index] = {space::literal, index};
      if (kind == op::narrow) has_narrow_ = true;
    }
  }

  /// Of a graph with loops: says whose memory each value lies in, another value's if it names that, is stacked there or
  /// carried on there.
  constexpr void find_owners() {
    const int count = graph_.nodes.size();
    owner_.resize(count);
    for (std::int32_t index = 0; index < count; ++index) {
      const node& current = graph_.nodes[index];
      const bool names_memory = is_view(current.kind) && current.kind != op::stack;
      owner_[index] = names_memory ? owner_[current.operand[0]] : index;
    }
    for (const assignment& store : graph_.assignments)
      if (graph_.nodes[store.target].kind == op::carried) owner_[store.value] = owner_[store.target];
    stack_.resize(count, -1);
    for (std::int32_t index = count - 1; index >= 0; --index) {  // the stack of a stack comes after it
      const node& current = graph_.nodes[index];
      if (current.kind != op::stack) continue;
      stack_[current.operand[0]] = index;
      owner_[current.operand[0]] = owner_[index];
    }
    // What reads an alias of such a value was given the value itself as its owner.
    for (std::int32_t index = 0; index < count; ++index) {
      const node& current = graph_.nodes[index];
      if (is_view(current.kind) && current.kind != op::stack) owner_[index] = owner_[current.operand[0]];
    }
    loop_of_.resize(graph_.loops.size(), -1);
    last_root_.resize(graph_.loops.size(), -1);
    for (std::int32_t index = 0; index < count; ++index) {
      if (fusion_.group[index] != index) continue;
      for (std::int32_t l = graph_.nodes[index].loop; l >= 0; l = graph_.loops[l].outer) last_root_[l] = index;
    }
  }

  /// The last command that must be done before memory can be used for something else that `root` reads or writes.
  [[nodiscard]] constexpr std::int32_t release_point(std::int32_t root, std::int32_t owner) const {
    const std::int32_t home = graph_.nodes[owner].loop;
    std::int32_t loop = graph_.nodes[root].loop;
    if (loop == home) return root;
    while (graph_.loops[loop].outer != home) loop = graph_.loops[loop].outer;
    return last_root_[loop];
  }

  /// Notes the loops that begin with a node, and makes room for what they leave behind.
  constexpr void begin_loops(std::int32_t index) {
    for (std::int32_t l = 0; l < graph_.loops.size(); ++l) {  // outer ones first
      if (ranges_.begin[l] != index || ranges_.end[l] == 0) continue;
      loop_of_[l] = plan_.loops.size();
      plan_.loops.push_back({plan_.commands.size(), 0, graph_.loops[l].turns, graph_.loops[l].reverse});
      for (std::int32_t inner = index; inner < ranges_.end[l]; ++inner) {
        if (graph_.nodes[inner].loop != l) continue;
        if (graph_.nodes[inner].kind == op::carried) place_view(inner);
        if (const std::int32_t stack = stack_[inner]; stack >= 0) {
          place_[stack] = destination(stack);
          place_[inner] = moving(place_[stack], l, graph_.nodes[inner].dims);
        }
      }
    }
  }
  /// Closes the loops that end with a node, and gives back what they needed until then.
  constexpr void end_loops(std::int32_t index) {
    for (std::int32_t l = graph_.nodes[index].loop; l >= 0 && ranges_.end[l] == index + 1; l = graph_.loops[l].outer) {
      plan_.loops[loop_of_[l]].end = plan_.commands.size();
      for (std::int32_t inner = ranges_.begin[l]; inner <= index; ++inner) {
        const node& current = graph_.nodes[inner];
        for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
          give_back(owner_[current.operand[i]], last_root_[l]);
      }
    }
  }
  constexpr location moving(location from, std::int32_t loop, const shape& part) {
    plan_.strides.push_back({loop_of_[loop], part.per_sample() ? -part.size() : part.size(), from.stride});
    from.stride = plan_.strides.size() - 1;
    return from;
  }
  constexpr void place_view(std::int32_t index) {
    const node& current = graph_.nodes[index];
    if (current.kind == op::reshape || current.kind == op::stack) return;
    place_[index] = place_[fusion_.base[current.operand[0]]];
    if (current.kind == op::turn) place_[index] = moving(place_[index], current.loop, current.dims);
  }

  /// Links the members of each group in ascending order, and makes room for their commands.
  constexpr void order_members() {
    next_member_.resize(graph_.nodes.size(), -1);
    first_member_.resize(graph_.nodes.size(), -1);
    int groups = 0, members = 0;
    for (std::int32_t index = graph_.nodes.size() - 1; index >= 0; --index) {
      const std::int32_t root = fusion_.group[index];
      if (root < 0) continue;
      groups += root == index ? 1 : 0;
      ++members;
      next_member_[index] = first_member_[root];
      first_member_[root] = index;
    }
    plan_.commands.reserve(groups);
    plan_.instructions.reserve(members);
  }

  /// For each value, the last group outside its own that reads it.
  constexpr void find_last_uses() {
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index) {
      const std::int32_t root = fusion_.group[index];
      if (root < 0) continue;
      const node& current = graph_.nodes[index];
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = fusion_.base[current.operand[i]];
        if (fusion_.group[base] == root) continue;
        if (has_loops_) use_in_loop(base, root);
        else if (last_use_[base] < root) last_use_[base] = root;
      }
      if (has_loops_ && owner_[index] != index) use_in_loop(index, root);
    }
    for (const port& output : graph_.outputs) last_use_[owner(fusion_.base[output.node])] = forever;
    if (graph_.loss >= 0) last_use_[owner(fusion_.base[graph_.loss])] = forever;
  }
  constexpr void use_in_loop(std::int32_t base, std::int32_t root) {
    const std::int32_t until = release_point(root, owner_[base]);
    if (last_use_[owner_[base]] < until) last_use_[owner_[base]] = until;
  }
  [[nodiscard]] constexpr std::int32_t owner(std::int32_t base) const { return has_loops_ ? owner_[base] : base; }

  [[nodiscard]] constexpr std::int64_t size_of(std::int32_t index) const {
    const std::int64_t elements = graph_.nodes[index].dims.size_at(plan_.batch);
    return aligned_size(has_narrow_ && is_narrow(index) ? (elements + 1) / 2 : elements);
  }
  [[nodiscard]] constexpr bool is_narrow(std::int32_t index) const { return graph_.nodes[index].kind == op::narrow; }
  [[nodiscard]] constexpr bool is_stored(std::int32_t index) const {
    return stored_to_[index] >= 0 || last_use_[has_loops_ ? owner_[index] : index] >= 0;
  }
  [[nodiscard]] constexpr bool in_group(std::int32_t base, std::int32_t root) const {
    return fusion_.group[base] == root;
  }

  constexpr void make_command(std::int32_t root) {
    wake();
    command made{.node = root, .layer = graph_.nodes[root].layer};
    made.first_load = plan_.loads.size();
    made.first_instruction = plan_.instructions.size();
    made.first_store = plan_.stores.size();
    std::int32_t operation = -1;  // the member that is not elementwise, if there is one
    std::int32_t members = 0;
    for (std::int32_t member = first_member_[root]; member >= 0; member = next_member_[member], ++members)
      if (!is_elementwise(graph_.nodes[member].kind)) operation = member;
    const bool program = operation < 0 || members > 1;
    if (operation >= 0) describe_operation(made, operation, root);
    if (program) write_program(made, root, operation);
    if (operation >= 0 && (!program || operation == root)) {
      place_[operation] = destination(operation);
      made.out = {place_[operation], graph_.nodes[operation].dims};
    }
    const std::int64_t wanted = aligned_size(workspace_(made, plan_.batch));
    if (wanted > 0) {
      made.workspace = {space::arena, arena_.take(wanted)};
      made.workspace_size = wanted;
      put_to_rest(made.workspace.offset, wanted);
      plan_.unplanned_size += wanted;
    }
    plan_.commands.push_back(made);
    release_dead(root);
  }

  constexpr void describe_operation(command& made, std::int32_t operation, std::int32_t root) {
    const node& current = graph_.nodes[operation];
    made.kind = current.kind;
    made.attr = current.attr;
    made.node = operation;
    made.layer = current.layer;
    made.out.dims = current.dims;
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
      const std::int32_t base = fusion_.base[current.operand[i]];
      made.in[i].dims = graph_.nodes[current.operand[i]].dims;
      made.in[i].narrow = has_narrow_ && is_narrow(base);
      if (!in_group(base, root)) made.in[i].at = place_[base];
    }
  }

  /// Memory for a value: its target if it replaces a parameter or state, its part of a stack, or a range of the arena.
  constexpr location destination(std::int32_t index) {
    if (stored_to_[index] >= 0) return place_[stored_to_[index]];
    if (has_loops_ && stack_[index] >= 0) return place_[index];
    const std::int64_t size = size_of(index);
    plan_.unplanned_size += size;
    return {space::arena, arena_.take(size)};
  }

  constexpr void write_program(command& made, std::int32_t root, std::int32_t operation) {
    const bool fed = operation == root;  // a sum that consumes the program's last value
    made.extents = fed ? graph_.nodes[graph_.nodes[root].operand[0]].dims : graph_.nodes[root].dims;
    free_registers_.clear();
    find_last_reads(root);
    for (std::int32_t member = first_member_[root]; member >= 0; member = next_member_[member]) {
      const node& current = graph_.nodes[member];
      if (member == operation) {
        if (fed)
          made.fed_register = operand_code(made, current, 0, root);
        else
          made.head_register = register_[member] = made.registers++;  // set before the program starts
      } else {
        write_instruction(made, current, member, root);
      }
      store_if_needed(made, member, root, fed && member == operation);
      retire_registers(current, member, root);
    }
    made.loads = plan_.loads.size() - made.first_load;
    made.instructions = plan_.instructions.size() - made.first_instruction;
    made.stores = plan_.stores.size() - made.first_store;
  }

  constexpr void write_instruction(command& made, const node& current, std::int32_t member, std::int32_t root) {
    instruction code{.kind = current.kind,
                     .derivative = current.attr.derivative,
                     .stream = current.attr.stream,
                     .scale = current.attr.scale,
                     .shift = current.attr.shift,
                     .functor = current.attr.functor};
    for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
      code.from[i] = operand_code(made, current, i, root);
    if (current.kind == op::broadcast) {
      // Repetitions, per sample if negative; only the step knows how many samples there are.
      const shape& narrow = graph_.nodes[current.operand[0]].dims;
      const auto times = static_cast<double>(current.dims.size() / narrow.size());
      code.scale = !current.attr.mean ? 1.0 : current.dims.per_sample() != narrow.per_sample() ? -times : times;
    }
    // A stored value's register may be memory itself, so nothing else may ever write to it.
    register_[member] = code.to = is_stored(member) ? made.registers++ : take_register(made);
    plan_.instructions.push_back(code);
  }

  /// An operand as an instruction names it: a register of the group, or a load, added if it is new.
  constexpr std::int16_t operand_code(command& made, const node& user, int position, std::int32_t root) {
    const std::int32_t seen = user.operand[position];
    const std::int32_t base = fusion_.base[seen];
    if (in_group(base, root)) return register_[base];
    load wanted{.from = place_[base]};
    if (has_narrow_) wanted.narrow = is_narrow(base);
    if (graph_.nodes[base].kind == op::constant) {
      wanted.from = {space::literal, 0};
      wanted.literal = graph_.nodes[base].attr.scale;
    }
    wanted.spread = spread_pattern(graph_.nodes[seen].dims, user.dims);
    const std::int32_t end = plan_.loads.size();
    for (std::int32_t l = made.first_load; l < end; ++l)
      if (plan_.loads[l].from == wanted.from && plan_.loads[l].literal == wanted.literal &&
          plan_.loads[l].spread == wanted.spread)
        return static_cast<std::int16_t>(-1 - (l - made.first_load));
    plan_.loads.push_back(wanted);
    return static_cast<std::int16_t>(-1 - (end - made.first_load));
  }

  constexpr std::int16_t take_register(command& made) {
    if (free_registers_.empty()) return made.registers++;
    const std::int16_t reused = free_registers_.back();
    free_registers_.pop_back();
    return reused;
  }

  /// For each value of a group, the last member that reads it.
  constexpr void find_last_reads(std::int32_t root) {
    last_read_.resize(graph_.nodes.size(), -1);
    for (std::int32_t member = first_member_[root]; member >= 0; member = next_member_[member]) {
      const node& current = graph_.nodes[member];
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i)
        last_read_[fusion_.base[current.operand[i]]] = member;
    }
  }

  constexpr void store_if_needed(command& made, std::int32_t member, std::int32_t root, bool is_sum) {
    if (is_sum || !is_stored(member)) return;
    store out{.from = register_[member], .narrow = has_narrow_ && is_narrow(member)};
    const std::int32_t target = stored_to_[member];
    if (target >= 0) {
      out.direct = last_read_[target] <= member || !read_in_group(target, root);
      out.to = place_[target];
    } else {
      out.direct = !out.narrow;
      if (!out.narrow) out.to = reusable_place(member, root, made);
      if (out.to.where == space::none) out.to = destination(member);
    }
    // The head's register is the product's tile, and is never memory.
    if (out.from == made.head_register) out.direct = false;
    place_[member] = out.to;
    plan_.stores.push_back(out);
  }

  [[nodiscard]] constexpr bool read_in_group(std::int32_t base, std::int32_t root) const {
    return last_read_[base] >= first_member_[root] && last_read_[base] <= root &&
           fusion_.group[last_read_[base]] == root;
  }

  /// The place of an operand that dies here and can be overwritten element by element, if there is one.
  constexpr location reusable_place(std::int32_t member, std::int32_t root, const command& made) {
    for (std::int32_t reader = first_member_[root]; reader >= 0 && reader <= member; reader = next_member_[reader]) {
      const node& current = graph_.nodes[reader];
      if (!is_elementwise(current.kind)) continue;
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = fusion_.base[current.operand[i]];
        if (last_use_[base] != root || last_read_[base] > member || place_[base].where != space::arena) continue;
        if (has_narrow_ && is_narrow(base)) continue;
        if (has_loops_ && (owner_[base] != base || owner_[member] != member ||
                           graph_.nodes[base].loop != graph_.nodes[member].loop))
          continue;
        if (graph_.nodes[base].dims.size() != graph_.nodes[member].dims.size() ||
            graph_.nodes[base].dims.per_sample() != graph_.nodes[member].dims.per_sample())
          continue;
        bool read_by_head = false;
        for (int h = 0; h < max_operands; ++h) read_by_head = read_by_head || made.in[h].at == place_[base];
        if (read_by_head) continue;
        last_use_[base] = -1;  // its range lives on under the new name
        plan_.unplanned_size += size_of(member);
        return place_[base];
      }
    }
    return {};
  }

  /// Registers whose value nobody reads any more are free; one that is stored lives in memory or until the end.
  constexpr void retire_registers(const node& current, std::int32_t member, std::int32_t root) {
    for (int i = 0; i < max_operands; ++i) {
      if (current.operand[i] < 0) continue;
      const std::int32_t base = fusion_.base[current.operand[i]];
      const bool repeated = i > 0 && fusion_.base[current.operand[i - 1]] == base;
      if (repeated || !in_group(base, root) || last_read_[base] != member) continue;
      if (is_stored(base) || !is_elementwise(graph_.nodes[base].kind)) continue;
      free_registers_.push_back(register_[base]);
    }
  }

  /// Gives back the memory of values that no later command reads.
  constexpr void release_dead(std::int32_t root) {
    for (std::int32_t member = first_member_[root]; member >= 0; member = next_member_[member]) {
      const node& current = graph_.nodes[member];
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = fusion_.base[current.operand[i]];
        if (has_loops_) {
          if (graph_.nodes[owner_[base]].loop == current.loop) give_back(owner_[base], root);
        } else if (last_use_[base] == root) {
          give_back(base, root);
        }
      }
      // A result that nobody asks for still had to be put somewhere.
      if (member == root && owner(member) == member && last_use_[member] < 0 && place_[member].where == space::arena)
        put_to_rest(place_[member].offset, size_of(member));
    }
  }
  /// Gives back memory that is used until this command.
  constexpr void give_back(std::int32_t owner, std::int32_t root) {
    if (last_use_[owner] != root || place_[owner].where != space::arena) return;
    last_use_[owner] = -1;
    put_to_rest(place_[owner].offset, size_of(owner));
  }
  constexpr void put_to_rest(std::int64_t offset, std::int64_t size) {
    if (rest_ == 0) return arena_.give_back(offset, size);
    resting_.push_back({offset, size, plan_.commands.size() + rest_});
  }
  /// Gives back memory that has rested.
  constexpr void wake() {
    for (; awake_ < resting_.size() && resting_[awake_].until < plan_.commands.size(); ++awake_)
      arena_.give_back(resting_[awake_].offset, resting_[awake_].size);
  }

  const graph& graph_;
  const fusion& fusion_;
  workspace_rule workspace_;
  std::int32_t rest_;
  bool has_loops_;
  bool has_narrow_ = false;
  loop_ranges ranges_;
  plan plan_;
  range_allocator arena_;
  struct resting_range {
    std::int64_t offset = 0, size = 0;
    std::int32_t until = 0;  ///< number of a command
  };
  sequence<resting_range> resting_;
  int awake_ = 0;  ///< of them, those that were given back
  sequence<location> place_;
  // Of graphs with loops:
  sequence<std::int32_t> owner_;      ///< the value whose memory a value lies in
  sequence<std::int32_t> stack_;      ///< the stack of each value of a loop, -1 for none
  sequence<std::int32_t> loop_of_;    ///< index into plan::loops of each of the graph's
  sequence<std::int32_t> last_root_;  ///< the last command of each loop
  sequence<std::int32_t> last_use_;
  sequence<std::int32_t> last_read_;
  sequence<std::int32_t> stored_to_;
  sequence<std::int32_t> first_member_;
  sequence<std::int32_t> next_member_;
  sequence<std::int16_t> register_;
  sequence<std::int16_t> free_registers_;
};

/// The plan of a graph at batches of up to `batch` samples.
/// @param rest commands that memory is left alone for before it is used again, so that they need not wait for each other
constexpr plan make_plan(const graph& from, const fusion& groups, std::int32_t batch, workspace_rule workspace,
                         std::int32_t rest = 0) {
  return planner(from, groups, batch, workspace, rest)();
}

/// Commands that memory is left alone for, if a set of kernels wants that.
template <class Kernels>
constexpr std::int32_t memory_rest() {
  if constexpr (requires { Kernels::memory_rest; })
    return Kernels::memory_rest;
  else
    return 0;
}

/// The same with the groups, the workspaces and the rest that a set of kernels asks for.
template <class Kernels>
constexpr plan make_plan(const graph& from, std::int32_t batch) {
  if constexpr (Kernels::fused)
    return make_plan(from, fuse(from), batch, &Kernels::workspace, memory_rest<Kernels>());
  else
    return make_plan(from, unfused(from), batch, &Kernels::workspace, memory_rest<Kernels>());
}

}  // namespace vivace::inline VIVACE_TARGET
