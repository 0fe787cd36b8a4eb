#pragma once
#include <cstdint>
#include <span>

#include <vivace/graph/cost.hpp>
#include <vivace/graph/planner.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/optim/sgd.hpp>
#include <vivace/optim/training_graph.hpp>
#include <vivace/search/space.hpp>

/// @file
/// Architectures made by the compiler: the largest of a family that meets a budget, the best of a list.

namespace vivace::inline VIVACE_TARGET::search {

/// A cost: a functor from a definition to a number, at compile time and at run time alike.
template <class Type, class Definition>
concept cost_of = requires(const Type& self, const Definition& of) {
  { self(of) } -> std::convertible_to<std::int64_t>;
};

/// Cost: trained parameters.
struct parameter_count {
  template <definition Definition>
  constexpr std::int64_t operator()(const Definition& of) const {
    const graph model = model_graph(of, true);
    std::int64_t total = 0;
    for (const variable& one : model.parameters) total += model.nodes[one.node].dims.size();
    return total;
  }
};

/// Cost: floating-point operations of the forward pass for one sample.
struct forward_flops {
  template <definition Definition>
  constexpr std::int64_t operator()(const Definition& of) const {
    return total_cost(model_graph(of, false)).flops;
  }
};

/// Cost: bytes of a training step in single precision: parameters, optimiser state, activations, workspace.
template <class Optimiser = sgd, int Batch = 128>
struct training_bytes {
  template <definition Definition>
  constexpr std::int64_t operator()(const Definition& of) const {
    const graph step = training_graph<Optimiser>(model_graph(of, true));
    const plan made = make_plan(step, fuse(step), Batch, &cpu_kernels::workspace);
    return static_cast<std::int64_t>(sizeof(float)) * (made.parameter_size + made.state_size + made.arena_size);
  }
};

/// A family of networks: a type with a constant function `of(width)`, which gives a definition for each width.
template <class Type>
concept network_family = requires {
  requires definition<decltype(Type::of(1))>;
};

namespace detail {

/// One constant evaluation for each probe: compilers limit the steps of one.
template <network_family Family, auto Cost, int Width>
inline constexpr std::int64_t cost_at = Cost(Family::of(Width));

/// The largest width from Low to High whose cost is within the limit, Low being so.
template <network_family Family, auto Cost, std::int64_t Limit, int Low, int High>
constexpr int widest_from() {
  if constexpr (Low == High) {
    return Low;
  } else {
    constexpr int middle = Low + (High - Low + 1) / 2;
    if constexpr (cost_at<Family, Cost, middle> <= Limit)
      return widest_from<Family, Cost, Limit, middle, High>();
    else
      return widest_from<Family, Cost, Limit, Low, middle - 1>();
  }
}

template <network_family Family, auto Cost, std::int64_t Limit, int Low, int High>
constexpr int widest() {
  static_assert(Low <= High, "vivace: what: a range of widths needs its lower end first");
  static_assert(cost_at<Family, Cost, Low> <= Limit,
                "vivace: what: no width of the range meets the budget, its lower end included");
  return widest_from<Family, Cost, Limit, Low, High>();
}

}  // namespace detail

/// The largest width of a family whose cost meets a budget. The cost must not fall with the width: it is found by
/// halving the range, which takes few plans.
/// @code
/// constexpr int width = vv::search::widest<family, vv::search::forward_flops{}, 2'000'000, 1, 256>;
/// @endcode
template <network_family Family, auto Cost, std::int64_t Limit, int Low, int High>
inline constexpr int widest = detail::widest<Family, Cost, Limit, Low, High>();

/// The architecture of a list with the lowest cost, the first of equals.
/// @param cost of a definition, or any functor of network<Space>
/// @throws error if the list is empty
template <search_space Space, cost_of<network<Space>> Cost>
constexpr architecture cheapest(std::span<const architecture> list, const Cost& cost) {
  if (list.empty())
    throw error("there is nothing to choose from", "cheapest", "no architecture", "at least one");
  architecture best = list[0];
  std::int64_t least = cost(network<Space>{best});
  for (const architecture& one : list.subspan(1)) {
    const std::int64_t now = cost(network<Space>{one});
    if (now >= least) continue;
    least = now;
    best = one;
  }
  return best;
}

}  // namespace vivace::inline VIVACE_TARGET::search
