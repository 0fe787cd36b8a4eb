#pragma once
#include <string>
#include <utility>

#include <vivace/exec/instance.hpp>
#include <vivace/graph/explain.hpp>
#include <vivace/graph/order.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Every operation there is: for graphs that are made at run time.
inline constexpr kernel_needs all_operations{.operations = {~std::uint64_t{0} >> (64 - op_count)}, .forms = {}};

/// A graph made at run time, with all it needs to run: plan, variables, arena. No compilation takes place.
template <class Real, class Kernels>
class runtime_graph {
 public:
  /// @param batch largest number of samples of a run
  /// @throws error if the graph has a mistake or the batch is not positive
  explicit runtime_graph(graph from, std::int32_t batch = 1)
      : graph_(checked(std::move(from), batch)), plan_(planned(graph_, batch)),
        values_(graph_, plan_), run_(graph_, plan_, kernels_for<Kernels, Real, all_operations>(), values_) {}

  /// The graph.
  [[nodiscard]] const graph& structure() const { return graph_; }
  /// Its plan.
  [[nodiscard]] const plan& steps() const { return plan_; }
  /// Its parameters and states; initialise() them before the first run.
  [[nodiscard]] variables<Real>& values() { return values_; }
  /// What runs it: set_input(), call, output().
  [[nodiscard]] instance<Real>& run() { return run_; }

 private:
  static graph checked(graph from, std::int32_t batch) {
    if (batch < 1)
      throw error("a batch needs at least one sample", "runtime_graph", std::to_string(batch), "at least 1");
    if (from.mistake.what != problem::none) throw explain(from.mistake);
    if (!from.loops.empty()) return with_late_stores(with_loops_together(from));  // what a plan needs of a loop
    return from;
  }
  static plan planned(const graph& from, std::int32_t batch) {
    return make_plan<Kernels>(from, batch);
  }

  graph graph_;
  plan plan_;
  variables<Real> values_;
  instance<Real> run_;
};

}  // namespace vivace::inline VIVACE_TARGET
