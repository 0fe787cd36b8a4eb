#pragma once
#include <concepts>

#include <vivace/core/policy.hpp>
#include <vivace/graph/ops.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What an optimiser adds nodes with, for one parameter at a time.
class update_builder {
 public:
  constexpr update_builder(builder& graph, const variable& parameter, const sequence<value>& settings)
      : graph_(graph), parameter_(parameter), settings_(settings) {}

  /// A scalar that the optimiser computes before each step: entry `position` of its `settings`.
  [[nodiscard]] constexpr value setting(int position) const { return settings_[position]; }
  /// Memory of the parameter's shape that is kept from step to step and starts at zero.
  constexpr value state(std::string_view role) {
    return graph_.state(joined(parameter_.name, role).view(), graph_.at(parameter_.node).dims);
  }
  constexpr void update(value target, value next) { graph_.update(target, next); }

 private:
  builder& graph_;
  const variable& parameter_;
  const sequence<value>& settings_;
};

/// What a schedule and a step number say to an optimiser.
struct step_position {
  long long step = 0;      ///< steps done before this one
  double rate_factor = 1;  ///< of the schedule
};

/// An optimiser: settings as data members, the scalars of a step, and the nodes of an update. `settings` and `update`
/// are static: the graph knows the optimiser's type, not its values. tests/laws/optimiser_laws.hpp says what one keeps
/// to.
template <class Type>
concept optimiser = policy<Type> && in_family<Type, optimiser_family> &&
                    requires(const Type& self, update_builder& make, value node, const step_position& where, double* to) {
                      { Type::settings } -> std::convertible_to<int>;
                      self.set(where, to);             // writes the step's scalars to[0..settings)
                      Type::update(make, node, node);  // adds the nodes that replace a parameter, given its gradient
                    };

}  // namespace vivace::inline VIVACE_TARGET
