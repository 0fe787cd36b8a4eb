#pragma once
#include <algorithm>
#include <utility>

#include <vivace/graph/program_form.hpp>
#include <vivace/kernel/program.hpp>

namespace vivace::inline VIVACE_TARGET {

/// The kernels of each operation that a plan uses, and code for some of its programs.
template <class Real>
struct kernel_table {
  kernel_function<Real> operation[op_count]{};
  elementwise_function<Real> elementwise[op_count]{};
  block_function<Real> whole[max_forms]{};
  kernel_function<Real> lone_program = nullptr;  ///< of a program that stands alone
  bool keeps_order[op_count]{};         ///< of operations that run in the plan's order wherever others may overlap
  const kernel_needs* needs = nullptr;  ///< what it was made for

  /// The code of a command's program; null if there is none.
  [[nodiscard]] block_function<Real> program(const plan_view& plan, const command& self) const {
    if (needs->forms.size == 0 || self.instructions == 0) return nullptr;
    const program_form form = form_of(plan, self);
    for (int f = 0; f < needs->forms.size; ++f)
      if (same(needs->forms.element[f], form)) return whole[f];
    return nullptr;
  }
};

template <class Real>
void run_program(const call<Real>& self, const step_context& context);

/// Instantiates the kernels that some plans need, and no others.
template <class Kernels, class Real, const kernel_needs& Needs>
constexpr kernel_table<Real> kernels_for() {
  kernel_table<Real> table{.needs = &Needs};
  const auto add = [&]<int Index>() {
    constexpr op kind = static_cast<op>(Index);
    if constexpr (Needs.operations.contains(kind)) {
      if constexpr (requires { Kernels::keeps_order(kind); }) table.keeps_order[Index] = Kernels::keeps_order(kind);
      if constexpr (is_elementwise(kind))
        table.elementwise[Index] = Kernels::template elementwise<kind, Real>();
      else
        table.operation[Index] = Kernels::template operation<kind, Real>();
    }
  };
  [&]<int... Index>(std::integer_sequence<int, Index...>) {
    (add.template operator()<Index>(), ...);
  }(std::make_integer_sequence<int, op_count>{});
  if constexpr (compiles_programs<Kernels>)
    [&]<int... Index>(std::integer_sequence<int, Index...>) {
      ((table.whole[Index] = Kernels::template program<Needs.forms.element[Index], Real>()), ...);
    }(std::make_integer_sequence<int, Needs.forms.size>{});
  if constexpr (requires { Kernels::template lone_program<Real>(); })
    table.lone_program = Kernels::template lone_program<Real>();
  else
    table.lone_program = run_program<Real>;
  return table;
}

/// What a training loop needs of a network: graphs, their plans, and kernels for both.
template <class Real>
struct network_plans {
  graph_view training_graph, prediction_graph;
  plan_view training_plan, prediction_plan;
  kernel_table<Real> kernels;
};

/// Elements of a program that one task runs.
inline constexpr std::int64_t program_grain = 32768;

/// Runs a program that stands alone.
template <class Real>
void run_program(const call<Real>& self, const step_context& context) {
  const std::int64_t tasks = (self.body.size + program_grain - 1) / program_grain;
  context.lanes(tasks, [&](std::int64_t task) {
    const std::int64_t first = task * program_grain;
    program_runner<Real>(self.body, context)(first, (std::min)(program_grain, self.body.size - first), nullptr);
  });
}

/// The memory that a plan runs in; the owner keeps it alive.
template <class Real>
struct step_memory {
  Real* parameters = nullptr;
  Real* states = nullptr;
  Real* arena = nullptr;
  const Real* settings = nullptr;
};

/// A plan bound to memory and kernels: calling it executes the commands. Allocates when made, and never again.
template <class Real>
class bound_plan {
 public:
  bound_plan(const plan_view& from, const kernel_table<Real>& kernels, const step_memory<Real>& memory);
  bound_plan(const bound_plan&) = delete;  // its calls point into it
  bound_plan& operator=(const bound_plan&) = delete;

  /// Executes the plan.
  /// @param context its `samples` is 1 to the plan's batch; instance checks that
  /// @param inputs one pointer for each entry of the graph's table of inputs: Real, or int32 for labels
  void operator()(const step_context& context, const void* const* inputs);
  /// The same, each command by around(its number, run), which calls run() once: in the plan's order, those of a loop once
  /// a turn.
  template <class Around>
  void operator()(const step_context& context, const void* const* inputs, const Around& around);

  /// The first input that the plan reads and whose pointer is null; -1 if there is none.
  [[nodiscard]] std::int64_t missing(const void* const* inputs) const {
    for (const patch& one : patches_)
      if (inputs[one.input] == nullptr) return one.input;
    return -1;
  }

  /// Where a location of the plan lies; null for inputs.
  [[nodiscard]] Real* at(const location& place) const {
    switch (place.where) {
      case space::parameter: return memory_.parameters + place.offset;
      case space::state: return memory_.states + place.offset;
      case space::arena: return memory_.arena + place.offset;
      default: return nullptr;
    }
  }

 private:
  struct patch {
    const Real** target;
    std::int64_t input;
    std::int64_t offset;  ///< of the part that a loop reads first
  };
  /// A pointer that moves in each turn of a loop.
  struct shift {
    const Real** target;
    std::int64_t elements;
    std::int32_t loop;
  };

  /// Binds to a number of samples, if it is another than before, and to inputs.
  void start(std::int32_t samples, const void* const* inputs);
  /// Calls each(c) for every command.
  template <class Each>
  void run(const Each& each);
  /// The same for the commands [first, end). Loops that start there are `next` and those that follow it.
  template <class Each>
  void run(int first, int end, int& next, const Each& each);
  void advance(int loop, std::int64_t turns) {
    for (int s = first_shift_[loop]; s < first_shift_[loop + 1]; ++s) *shifts_[s].target += turns * shifts_[s].elements;
  }

  /// Fills in everything that depends on the number of samples.
  void bind(std::int32_t samples);

  /// Notes how a pointer to a place changes: with the inputs from step to step, and from turn to turn of loops.
  void follow(const location& place, const Real** target);

  void bind_program(const command& from, program<Real>& to);

  void bind_load(const load& from, bound_load<Real>& to);

  plan_view plan_;
  kernel_table<Real> kernels_;
  step_memory<Real> memory_;
  sequence<call<Real>> calls_;
  sequence<bound_load<Real>> loads_;
  sequence<bound_instruction<Real>> code_;
  sequence<bound_store<Real>> stores_;
  sequence<patch> patches_;  // operands that follow the inputs from step to step
  sequence<shift> shifts_;   // pointers that move from turn to turn, by loops
  sequence<int> first_shift_;  // of each loop; one more ends the last
  std::int32_t samples_ = 0;
};

// Members of more than a few lines stand outside of the class, where they are not inline: vivace::precompiled has them.

template <class Real>
bound_plan<Real>::bound_plan(const plan_view& from, const kernel_table<Real>& kernels, const step_memory<Real>& memory)
    : plan_(from),
      kernels_(kernels),
      memory_(memory),
      calls_(from.commands.size()),
      loads_(from.loads.size()),
      code_(from.instructions.size()),
      stores_(from.stores.size()),
      first_shift_(from.loops.size() + 1) {
  patches_.reserve(from.loads.size() + max_operands * from.commands.size());
  bind(from.batch);
}

template <class Real>
void bound_plan<Real>::operator()(const step_context& context, const void* const* inputs) {
  step_context backwards = context;  // of one thread alone: of several, each should go on with its own part
  if (context.lanes.threads() == 1) backwards.lanes = context.lanes.backwards();
  start(context.samples, inputs);
  // Every other command begins with what the one before it has worked on last.
  run([&](int c) { calls_[c].run(calls_[c], c % 2 == 0 ? context : backwards); });
}

template <class Real>
template <class Around>
void bound_plan<Real>::operator()(const step_context& context, const void* const* inputs, const Around& around) {
  start(context.samples, inputs);
  run([&](int c) { around(c, [&] { calls_[c].run(calls_[c], context); }); });
}

template <class Real>
void bound_plan<Real>::start(std::int32_t samples, const void* const* inputs) {
  if (samples != samples_) bind(samples);
  for (const patch& one : patches_) *one.target = static_cast<const Real*>(inputs[one.input]) + one.offset;
}

template <class Real>
template <class Each>
void bound_plan<Real>::run(const Each& each) {
  int loop = 0;
  const std::int32_t bound = std::exchange(samples_, 0);  // an exception leaves pointers of loops behind: bind anew
  run(0, calls_.size(), loop, each);
  samples_ = bound;
}

template <class Real>
template <class Each>
void bound_plan<Real>::run(int first, int end, int& next, const Each& each) {
  while (first < end) {
    if (next == plan_.loops.size() || plan_.loops[next].first != first) {
      each(first++);
      continue;
    }
    const int own = next;
    const command_loop& loop = plan_.loops[own];
    for (std::int32_t turn = 0; turn < loop.turns; ++turn) {
      if (turn > 0) advance(own, 1);
      next = own + 1;
      run(first, loop.end, next, each);
    }
    advance(own, 1 - loop.turns);  // the next step, or the next turn of a loop around, starts anew
    first = loop.end;
  }
}

template <class Real>
void bound_plan<Real>::bind(std::int32_t samples) {
  samples_ = samples;
  patches_.clear();
  shifts_.clear();
  for (int c = 0; c < plan_.commands.size(); ++c) {
    const command& from = plan_.commands[c];
    call<Real>& to = calls_[c];
    to.attr = &from.attr;
    to.out = {at(from.out.at), from.out.dims.at(samples)};
    follow(from.out.at, const_cast<const Real**>(&to.out.data));
    to.workspace = at(from.workspace);
    for (int i = 0; i < max_operands; ++i) {
      to.in[i] = {at(from.in[i].at), from.in[i].dims.at(samples), from.in[i].narrow};
      if (from.in[i].at.where == space::setting) to.in[i].data = memory_.settings + from.in[i].at.offset;
      follow(from.in[i].at, &to.in[i].data);
    }
    to.run = from.kind == op::none ? kernels_.lone_program : kernels_.operation[static_cast<int>(from.kind)];
    bind_program(from, to.body);
  }
  std::sort(shifts_.begin(), shifts_.end(), [](const shift& a, const shift& b) { return a.loop < b.loop; });
  for (int l = 0, s = 0; l <= plan_.loops.size(); ++l) {
    while (s < shifts_.size() && shifts_[s].loop < l) ++s;
    first_shift_[l] = s;
  }
}

template <class Real>
void bound_plan<Real>::follow(const location& place, const Real** target) {
  std::int64_t start = 0;  // a loop in reverse starts with the last part
  for (std::int32_t s = place.stride; s >= 0; s = plan_.strides[s].outer) {
    const turn_stride& stride = plan_.strides[s];
    const command_loop& loop = plan_.loops[stride.loop];
    const std::int64_t elements = stride.elements < 0 ? -stride.elements * samples_ : stride.elements;
    if (loop.reverse) start += elements * (loop.turns - 1);
    shifts_.push_back({target, loop.reverse ? -elements : elements, stride.loop});
  }
  if (place.where == space::input)
    patches_.push_back({target, place.offset, start});
  else if (start != 0)
    *target += start;
}

template <class Real>
void bound_plan<Real>::bind_program(const command& from, program<Real>& to) {
  to = {.load = loads_.data() + from.first_load,
        .code = code_.data() + from.first_instruction,
        .store = stores_.data() + from.first_store,
        .loads = from.loads,
        .instructions = from.instructions,
        .stores = from.stores,
        .registers = from.registers,
        .head_register = from.head_register,
        .fed_register = from.fed_register,
        .feeds = from.kind == op::sum && from.fed_register >= 0,
        .size = from.extents.size_at(samples_),
        .whole = kernels_.program(plan_, from)};
  for (int l = from.first_load; l < from.first_load + from.loads; ++l) bind_load(plan_.loads[l], loads_[l]);
  for (int i = from.first_instruction; i < from.first_instruction + from.instructions; ++i) {
    const instruction& code = plan_.instructions[i];
    code_[i] = {kernels_.elementwise[static_cast<int>(code.kind)], &code};
  }
  for (int s = from.first_store; s < from.first_store + from.stores; ++s) {
    const store& to_memory = plan_.stores[s];
    stores_[s] = {at(to_memory.to), to_memory.from, to_memory.direct, to_memory.narrow};
    follow(plan_.stores[s].to, const_cast<const Real**>(&stores_[s].data));
  }
}

template <class Real>
void bound_plan<Real>::bind_load(const load& from, bound_load<Real>& to) {
  to = {.data = at(from.from),
        .literal = static_cast<Real>(from.literal),
        .narrow = from.narrow,
        .spread = from.spread};
  if (from.from.where == space::setting) to.data = memory_.settings + from.from.offset;
  follow(from.from, &to.data);
  for (int d = 0; d < to.spread.rank; ++d) {
    std::int32_t& extent = to.spread.extent[d];
    if (extent < 0) extent *= -samples_;
  }
  to.splat = is_splat(from);
  to.full = !to.splat && from.spread.full();
}

}  // namespace vivace::inline VIVACE_TARGET
