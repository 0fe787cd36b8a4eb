#pragma once
#include <utility>

#include <vivace/graph/plan.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Elements of scratch memory that a command's kernel wants, at a batch of `samples`.
using workspace_rule = std::int64_t (*)(const command&, std::int32_t samples);

/// The rule of kernels that need none.
constexpr std::int64_t no_workspace(const command&, std::int32_t) { return 0; }

/// Turns groups into commands and gives every value its place, so that values which never live at once share memory.
class planner {
 public:
  constexpr planner(const graph& from, const fusion& groups, std::int32_t batch, workspace_rule workspace)
      : graph_(from), fusion_(groups), workspace_(workspace) {
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
    order_members();
    find_last_uses();
    for (std::int32_t root = 0; root < count; ++root)
      if (fusion_.group[root] == root) make_command(root);
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
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index)
      if (graph_.nodes[index].kind == op::constant) place_[index] = {space::literal, index};
  }

  /// Links the members of each group in ascending order.
  constexpr void order_members() {
    next_member_.resize(graph_.nodes.size(), -1);
    first_member_.resize(graph_.nodes.size(), -1);
    for (std::int32_t index = graph_.nodes.size() - 1; index >= 0; --index) {
      const std::int32_t root = fusion_.group[index];
      if (root < 0) continue;
      next_member_[index] = first_member_[root];
      first_member_[root] = index;
    }
  }

  /// For each value, the last group outside its own that reads it.
  constexpr void find_last_uses() {
    for (std::int32_t index = 0; index < graph_.nodes.size(); ++index) {
      const std::int32_t root = fusion_.group[index];
      if (root < 0) continue;
      const node& current = graph_.nodes[index];
      for (int i = 0; i < max_operands && current.operand[i] >= 0; ++i) {
        const std::int32_t base = fusion_.base[current.operand[i]];
        if (fusion_.group[base] != root && last_use_[base] < root) last_use_[base] = root;
      }
    }
    for (const port& output : graph_.outputs) last_use_[fusion_.base[output.node]] = forever;
    if (graph_.loss >= 0) last_use_[fusion_.base[graph_.loss]] = forever;
  }

  [[nodiscard]] constexpr std::int64_t size_of(std::int32_t index) const {
    return aligned_size(graph_.nodes[index].dims.size_at(plan_.batch));
  }
  [[nodiscard]] constexpr bool is_stored(std::int32_t index) const {
    return stored_to_[index] >= 0 || last_use_[index] >= 0;
  }
  [[nodiscard]] constexpr bool in_group(std::int32_t base, std::int32_t root) const {
    return fusion_.group[base] == root;
  }

  constexpr void make_command(std::int32_t root) {
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
      arena_.give_back(made.workspace.offset, wanted);
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
      if (!in_group(base, root)) made.in[i].at = place_[base];
    }
  }

  /// Memory for a value: its target if it replaces a parameter or state, else a range of the arena.
  constexpr location destination(std::int32_t index) {
    if (stored_to_[index] >= 0) return place_[stored_to_[index]];
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
    store out{.from = register_[member]};
    const std::int32_t target = stored_to_[member];
    if (target >= 0) {
      out.direct = last_read_[target] <= member || !read_in_group(target, root);
      out.to = place_[target];
    } else {
      out.direct = true;
      out.to = reusable_place(member, root, made);
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
        if (last_use_[base] != root || place_[base].where != space::arena) continue;
        last_use_[base] = -1;
        arena_.give_back(place_[base].offset, size_of(base));
      }
      // A result that nobody asks for still had to be put somewhere.
      if (member == root && last_use_[member] < 0 && place_[member].where == space::arena)
        arena_.give_back(place_[member].offset, size_of(member));
    }
  }

  const graph& graph_;
  const fusion& fusion_;
  workspace_rule workspace_;
  plan plan_;
  range_allocator arena_;
  sequence<location> place_;
  sequence<std::int32_t> last_use_;
  sequence<std::int32_t> last_read_;
  sequence<std::int32_t> stored_to_;
  sequence<std::int32_t> first_member_;
  sequence<std::int32_t> next_member_;
  sequence<std::int16_t> register_;
  sequence<std::int16_t> free_registers_;
};

/// The plan of a graph at batches of up to `batch` samples.
constexpr plan make_plan(const graph& from, const fusion& groups, std::int32_t batch, workspace_rule workspace) {
  return planner(from, groups, batch, workspace)();
}

}  // namespace vivace::inline VIVACE_TARGET
