#pragma once
#include <vivace/graph/freeze.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Most loads and stores of a program that has a form.
inline constexpr int max_form_places = 32;

/// One operation of a form. Operands >= 0 are registers, operand -1 - l is load l.
struct form_line {
  op kind = op::none;
  std::int8_t to = 0;
  std::int8_t from[max_operands]{};
  bool divide = false;  ///< of broadcast: by the number of repetitions
  constexpr bool operator==(const form_line&) const = default;
};

/// What an elementwise program computes, without places and numbers: a template argument. Programs of one form run the
/// same code, be they in one network or in many.
struct program_form {
  std::int8_t lines = 0;
  std::int8_t loads = 0;
  std::int8_t stores = 0;
  std::int8_t head = -1;          ///< register that takes the operation's values
  std::uint32_t splats = 0;       ///< bit l: load l is one value everywhere
  std::int8_t from[max_form_places]{};  ///< register of each store
  form_line code[max_group]{};
  constexpr bool operator==(const program_form&) const = default;  // of a template argument; `same` looks at less
  [[nodiscard]] constexpr bool splat(int load) const { return (splats >> load & 1) != 0; }
};

/// Equality that stops early, for constant evaluation.
constexpr bool same(const program_form& one, const program_form& other) {
  if (one.lines != other.lines || one.loads != other.loads || one.stores != other.stores || one.head != other.head ||
      one.splats != other.splats)
    return false;
  for (int i = 0; i < one.lines; ++i)
    if (one.code[i].kind != other.code[i].kind || !(one.code[i] == other.code[i])) return false;
  for (int s = 0; s < one.stores; ++s)
    if (one.from[s] != other.from[s]) return false;
  return true;
}

/// True if every element of a program reads the same element of the operand.
constexpr bool is_splat(const load& from) {
  bool repeated = from.spread.rank > 0;
  for (int d = 0; d < from.spread.rank; ++d) repeated = repeated && from.spread.repeated[d];
  return repeated || from.from.where == space::literal;
}

/// The form of a command's program; without lines if it has none: no program, operations that are not mere arithmetic,
/// or too many places. What a sum consumes is the last store.
constexpr program_form form_of(const plan_view& from, const command& self) {
  program_form form;
  const bool feeds = self.kind == op::sum && self.fed_register >= 0;
  const int stores = self.stores + (feeds ? 1 : 0);
  if (self.instructions == 0 || self.instructions > max_group) return program_form{};
  if (self.loads > max_form_places || stores > max_form_places) return program_form{};
  form.lines = static_cast<std::int8_t>(self.instructions);
  form.loads = static_cast<std::int8_t>(self.loads);
  form.stores = static_cast<std::int8_t>(stores);
  form.head = static_cast<std::int8_t>(self.head_register);
  for (int i = 0; i < self.instructions; ++i) {
    const instruction& one = from.instructions[self.first_instruction + i];
    if (one.kind == op::map || one.kind == op::dropout_mask || one.kind == op::power) return program_form{};
    form_line& line = form.code[i];
    line.kind = one.kind;
    line.to = static_cast<std::int8_t>(one.to);
    for (int o = 0; o < max_operands; ++o) line.from[o] = static_cast<std::int8_t>(one.from[o]);
    line.divide = one.kind == op::broadcast && one.scale != 1;
  }
  for (int l = 0; l < self.loads; ++l)
    if (is_splat(from.loads[self.first_load + l])) form.splats |= std::uint32_t{1} << l;
  for (int s = 0; s < self.stores; ++s) form.from[s] = static_cast<std::int8_t>(from.stores[self.first_store + s].from);
  if (feeds) form.from[self.stores] = static_cast<std::int8_t>(self.fed_register);
  return form;
}

/// Most programs of a network that get code of their own.
inline constexpr int max_forms = 12;

/// The code that a plan needs: kernels of operations, and programs that are compiled as a whole.
struct kernel_needs {
  op_set operations;
  frozen_sequence<program_form, max_forms> forms;
};

/// Collects what plans need.
class needs_of_plans {
 public:
  constexpr explicit needs_of_plans(bool compile) : compile_(compile) {}
  constexpr void add(const plan_view& plan) {
    for (int c = 0; c < plan.commands.size(); ++c) {
      const command& self = plan.commands[c];
      operations_.insert(self.kind);
      if (self.instructions == 0) continue;
      const std::int64_t work = self.instructions * self.extents.size_at(plan.batch);
      total_ += work;
      if (!compile_ || self.instructions == 1 || !note(form_of(plan, self), work))
        for (int i = 0; i < self.instructions; ++i)
          operations_.insert(plan.instructions[self.first_instruction + i].kind);
    }
  }
  /// Programs of several operations that do a good part of all elementwise work are compiled; the operations of others
  /// are interpreted.
  constexpr kernel_needs result() {
    kernel_needs needs;
    while (needs.forms.size < max_forms) {
      int most = -1;
      for (int k = 0; k < known_.size(); ++k)
        if (work_[k] * least_share > total_ && (most < 0 || work_[k] > work_[most])) most = k;
      if (most < 0) break;
      needs.forms.element[needs.forms.size++] = known_[most];
      work_[most] = -1;
    }
    for (int k = 0; k < known_.size(); ++k)
      for (int i = 0; work_[k] >= 0 && i < known_[k].lines; ++i) operations_.insert(known_[k].code[i].kind);
    needs.operations = operations_;
    return needs;
  }

 private:
  static constexpr std::int64_t least_share = 50;  // one part in so many
  /// False if it has no form.
  constexpr bool note(const program_form& form, std::int64_t work) {
    if (form.lines == 0) return false;
    int position = 0;
    while (position < known_.size() && !same(known_[position], form)) ++position;
    if (position == known_.size()) {
      known_.push_back(form);
      work_.push_back(0);
    }
    work_[position] += work;
    return true;
  }
  bool compile_;
  op_set operations_;
  std::int64_t total_ = 0;
  sequence<program_form> known_;
  sequence<std::int64_t> work_;  // of each; below zero: chosen
};

/// Kernels that can be code for a whole program; those of others are interpreted.
template <class Kernels>
concept compiles_programs = requires { Kernels::template program<program_form{}, float>(); };

/// The code that some plans need.
template <class Kernels, class... Plans>
constexpr kernel_needs needs_of(const Plans&... plans) {
  needs_of_plans needs(compiles_programs<Kernels>);
  (needs.add(plans), ...);
  return needs.result();
}

}  // namespace vivace::inline VIVACE_TARGET
