#pragma once
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include <vivace/estimate/estimator.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/search/engine.hpp>
#include <vivace/train/trainer.hpp>

/// @file
/// A search in one call: picks types and hands them to search_loop.

namespace vivace::inline VIVACE_TARGET::search {

/// Setting of a search: architectures that are evaluated first and are not counted as queries, such as starting points
/// that several searches share.
struct initial {
  std::span<const architecture> points;
};

/// Score: the validation error after the last epoch, 1 - accuracy; +infinity without one.
struct validation_error {
  static constexpr loss_series reads = loss_series::validation;
  [[nodiscard]] double operator()(const trace& of) const {
    const double accuracy =
        of.epochs.empty() ? std::numeric_limits<double>::quiet_NaN() : of.epochs.back().val_accuracy;
    return std::isfinite(accuracy) ? 1 - accuracy : std::numeric_limits<double>::infinity();
  }
};

/// What scores candidates: lower is better.
template <class Type>
concept score_of_trace = requires(const Type& self, const trace& of) {
  { self(of) } -> std::convertible_to<double>;
};

/// What may stand in the place of a data set: a function that gives the trace of an architecture after so many epochs,
/// such as a table of results. It may be called by several threads at once.
template <class Type>
concept evaluator = requires(const Type& self, const architecture& of, int epochs) {
  { self(of, epochs) } -> std::convertible_to<trace>;
};

namespace detail {

struct nothing {
  void on_end(const training_state&) const {}
};
inline constexpr nothing no_setting{};
/// What fit() is to know of a setting of a search.
template <class Setting>
const auto& setting_of_fit(const Setting& setting) {
  if constexpr (is_validation<Setting> || is_augment<Setting>)
    return setting;
  else
    return no_setting;
}

template <class Setting>
inline constexpr bool is_search_setting =
    policy<Setting> || is_validation<Setting> || is_augment<Setting> || std::is_same_v<Setting, write_log> ||
    std::is_same_v<Setting, initial> || search_callback<Setting>;

/// A type to look policies up in: settings that are no policies stand for a family that nobody asks for.
struct no_family {
  using family = no_family;
};
inline constexpr no_family no_policy{};
template <class Setting>
using policy_or_none = std::conditional_t<policy<Setting>, Setting, no_family>;
template <class Setting>
constexpr const auto& as_policy(const Setting& setting) {
  if constexpr (policy<Setting>)
    return setting;
  else
    return no_policy;
}

/// What a candidate is trained by: the device of the search, or the calling thread.
template <class Executor, class... Settings>
auto executor_of_candidate(const Settings&... settings) {
  if constexpr (is_on_device<Executor>)
    return select_policy<executor_family>(Executor{}, as_policy(settings)...);
  else
    return serial{};
}
/// What runs several candidates at once: the executor of the search, or a thread of the host for each that is trained on
/// a device at once.
template <class Executor, class... Settings>
auto executor_of_search([[maybe_unused]] int in_flight, const Settings&... settings) {
  if constexpr (is_on_device<Executor>)
    return threads{in_flight};
  else
    return select_policy<executor_family>(serial{}, as_policy(settings)...);
}

/// Trains a candidate from the start.
template <search_space Space, class Source, class... Settings>
trace trained(const query& asked, const Source& set, const Settings&... settings) {
  using chosen = selection<network<Space>, policy_or_none<Settings>...>;
  const auto pick = [&]<class Family, class Default>(Family, const Default& otherwise) {
    return select_policy<Family>(otherwise, as_policy(settings)...);
  };
  const auto executor = executor_of_candidate<typename chosen::executor>(settings...);
  using own_kernels = typename executor_kernels<std::remove_const_t<decltype(executor)>>::type;
  trainer one{network<Space>{asked.of},
              typename chosen::batch_policy{},
              executor,
              pick(optimiser_family{}, sgd{}),
              pick(schedule_family{}, constant_rate{}),
              pick(clipping_family{}, no_clipping{}),
              pick(kernels_family{}, own_kernels{}),
              pick(precision_family{}, f32{}),
              pick(seed_family{}, seed{})};
  try {
    return one.fit(set, epochs{asked.epochs}, setting_of_fit(settings)...);
  } catch (const divergence_error&) {
    trace failed = one.history();
    failed.epochs.push_back(
        {.epoch = static_cast<int>(failed.epochs.size()), .train_loss = std::numeric_limits<double>::infinity()});
    return failed;
  }
}

template <class Setting>
void add_setting(search_setup& to, Setting& setting) {
  using plain = std::remove_cvref_t<Setting>;
  static_assert(is_search_setting<plain>,
                "vivace: a search takes policies, validation, augment, initial, write_log and callbacks; a callback "
                "has on_result(progress_of_search&)");
  if constexpr (std::is_same_v<plain, write_log>) to.log = setting.path;
  if constexpr (std::is_same_v<plain, initial>) to.initial.assign(setting.points.begin(), setting.points.end());
  if constexpr (search_callback<plain>)
    to.callbacks.push_back({const_cast<plain*>(&setting), [](void* self, progress_of_search& state) {
                              static_cast<plain*>(self)->on_result(state);
                            }});
}

}  // namespace detail

/// Runs a search strategy over a space.
/// @param data      a data set to train candidates on, or an evaluator
/// @param estimator scores the trace of a candidate: tse{}, tse_ema{}, early_stopped{}, validation_error{} ...
/// @param limit     epochs of each query, and queries
/// @param settings  in any order: policies of the candidates' trainer (batch, optimiser, schedule, clipping, precision,
///   seed), an executor that runs several candidates at once (each trains on one thread, or with cuda{} on streams of
///   its own), validation{set}, augment{transform}, initial{points}, write_log{path}, and callbacks such as live_table{}
/// @throws error if a setting is out of range, or whatever a candidate's training throws, but for a loss that is not
///   finite: that candidate scores +infinity
template <search_space Space, strategy Strategy, class Data, score_of_trace Estimator, class... Settings>
result run(const Strategy& how, const Data& data, const Estimator& estimator, const budget& limit,
           Settings&&... settings) {
  using chosen = selection<network<Space>, detail::policy_or_none<std::remove_cvref_t<Settings>>...>;
  static_assert(evaluator<Data> || data::source<Data, typename chosen::real>,
                "vivace: a search needs a data set, or a function (architecture, epochs) -> trace");
  if constexpr (requires { Estimator::reads; })
    static_assert(evaluator<Data> || Estimator::reads != loss_series::validation ||
                      (is_validation<std::remove_cvref_t<Settings>> || ...),
                  "vivace: this score reads validation losses; give the search validation{set}");
  detail::checked_setting("budget.epochs", limit.epochs, 1);
  detail::checked_setting("budget.queries", limit.queries, 0);
  search_setup setup;
  if constexpr (requires { how.in_flight; }) setup.in_flight = detail::checked_setting("in_flight", how.in_flight, 1);
  const auto runs_candidates = detail::executor_of_search<typename chosen::executor>(setup.in_flight, settings...);
  typename decltype(runs_candidates)::executor executor(runs_candidates);

  const auto evaluate = [&](const query& asked) {
    query_result found{.of = asked.of, .epochs = asked.epochs};
    trace training;
    if constexpr (evaluator<Data>)
      training = data(asked.of, asked.epochs);
    else
      training = detail::trained<Space>(asked, data, settings...);
    found.score = static_cast<double>(estimator(std::as_const(training)));
    found.seconds = training.seconds();
    found.records = std::move(training.epochs);
    return found;
  };
  const auto agrees = [&](const query_result& logged) {
    if constexpr (requires { requires Estimator::reads == loss_series::batch; }) {
      return true;  // losses of batches are not in the log
    } else {
      trace training;
      training.epochs = logged.records;
      const auto score = static_cast<double>(estimator(std::as_const(training)));
      return score == logged.score || (std::isnan(score) && std::isinf(logged.score));
    }
  };
  const auto both = [&] {
    struct functions {
      decltype(evaluate)& evaluate_one;
      decltype(agrees)& agree;
    };
    return functions{evaluate, agrees};
  }();
  using functions = std::remove_const_t<decltype(both)>;

  setup.space = view_of<Space>;
  setup.limit = limit;
  setup.seed = select_policy<seed_family>(seed{}, detail::as_policy(settings)...).value;
  setup.signature = how.signature();
  setup.queries = how.queries(limit);
  setup.lanes = executor.lanes();
  setup.strategy = &how;
  setup.propose = [](const void* self, const knowledge& given) {
    return static_cast<const Strategy*>(self)->propose(given);
  };
  setup.needs = [](const void* self, int number, const budget& of) {
    return static_cast<int>(static_cast<const Strategy*>(self)->needs(number, of));
  };
  setup.evaluator = &both;
  setup.evaluate = [](const void* self, const query& asked) {
    return static_cast<const functions*>(self)->evaluate_one(asked);
  };
  setup.agrees = [](const void* self, const query_result& logged) {
    return static_cast<const functions*>(self)->agree(logged);
  };
  (detail::add_setting(setup, settings), ...);
  return search_loop(std::move(setup))();
}

}  // namespace vivace::inline VIVACE_TARGET::search
