#pragma once
/// @file
/// LcSVR: predicts final quality from the first epochs of a learning curve, by regression on networks that were trained
/// to the end. What training-speed estimates are compared with (tse.hpp names the paper); it needs such networks, they
/// do not.
///
/// Needs libsvm (Debian: libsvm-dev, link with -lsvm), whose progress messages are switched off for the whole process.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <libsvm/svm.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/estimate/estimator.hpp>
#include <vivace/estimate/rank.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Features of a learning curve a(1), ..., a(T): `known`, the curve, its T - 1 first and T - 2 second differences, mean
/// and standard deviation (of T, not T - 1). Nothing is scaled.
/// @param curve validation accuracy after each epoch
/// @param known what else is known of the network and its training. The paper's: parameters, floating-point operations,
///   latency, learning rate, momentum, weight decay, batch size. Large numbers outweigh the curve.
template <number_range Curve, number_range Known = std::span<const double>>
[[nodiscard]] constexpr sequence<double> curve_features(Curve&& curve, Known&& known = {}) {
  detail::numbers features = detail::numbers_of(known);
  const detail::numbers levels = detail::numbers_of(curve);
  detail::numbers steps, bends;
  for (int t = 1; t < levels.size(); ++t) steps.push_back(levels[t] - levels[t - 1]);
  for (int t = 1; t < steps.size(); ++t) bends.push_back(steps[t] - steps[t - 1]);
  features.append(levels);
  features.append(steps);
  features.append(bends);
  if (levels.empty()) return features;
  double mean = 0, square = 0;
  for (const double level : levels) mean += level / levels.size();
  for (const double level : levels) square += (level - mean) * (level - mean) / levels.size();
  features.push_back(mean);
  features.push_back(square > 0 ? detail::square_root(square) : 0);
  return features;
}

/// A regression that was fitted: predicts targets from features.
class fitted_curve_regression {
 public:
  /// The setting that was chosen, and how well it predicted in cross-validation.
  struct choice {
    double cost = 1, gamma = 1, nu = 0.5;
    double r_squared = -std::numeric_limits<double>::infinity();  ///< mean over the folds; 1 is perfect
  };

  fitted_curve_regression(fitted_curve_regression&& other) noexcept
      : nodes_(std::move(other.nodes_)),
        width_(other.width_),
        chosen_(other.chosen_),
        model_(std::exchange(other.model_, nullptr)) {}
  fitted_curve_regression& operator=(fitted_curve_regression&& other) noexcept {
    std::swap(nodes_, other.nodes_);
    std::swap(width_, other.width_);
    std::swap(chosen_, other.chosen_);
    std::swap(model_, other.model_);
    return *this;
  }
  ~fitted_curve_regression() {
    if (model_ != nullptr) ::svm_free_and_destroy_model(&model_);
  }

  /// The target of a network with these features.
  /// @throws error if their number is not that of the fit, or one is not finite
  template <number_range Features>
  [[nodiscard]] double predict(Features&& features) const {
    const detail::numbers row = detail::numbers_of(features);
    if (row.size() != width_)
      throw error("the features do not fit the regression", "fitted_curve_regression::predict",
                  std::to_string(row.size()) + " features", std::to_string(width_) + ", as in the fit");
    sequence<::svm_node> nodes;
    append_row(nodes, row, "fitted_curve_regression::predict");
    return ::svm_predict(model_, nodes.data());
  }
  [[nodiscard]] const choice& chosen() const { return chosen_; }

 private:
  friend struct curve_regression;
  fitted_curve_regression() = default;

  static void append_row(sequence<::svm_node>& nodes, const detail::numbers& row, const std::string& where) {
    for (int i = 0; i < row.size(); ++i) {
      if (!detail::is_finite(row[i]))
        throw error("a feature is not finite", where + ", feature " + std::to_string(i), std::to_string(row[i]),
                    "finite numbers; leave networks that failed out");
      nodes.push_back({i + 1, row[i]});
    }
    nodes.push_back({-1, 0});  // libsvm's end of a row
  }
  ::svm_node* row(int index) { return nodes_.data() + static_cast<std::ptrdiff_t>(index) * (width_ + 1); }

  sequence<::svm_node> nodes_;  // the model refers to them
  int width_ = 0;
  choice chosen_;
  ::svm_model* model_ = nullptr;
};

/// nu-SVR with a radial kernel. Its setting is the best of `settings` random ones by the mean R^2 of a
/// cross-validation: cost and gamma log-uniform in [lowest, highest], nu uniform in (0, 1). One seed, one result.
struct curve_regression {
  int settings = 1000;
  int folds = 3;
  double lowest = 1e-5, highest = 10;
  unsigned long long seed = 0;

  /// @param samples rows: a range of features (see curve_features) for each network that was trained to the end; the paper has
  /// 200
  /// @param targets its final quality
  /// @throws error if the rows do not fit the targets or each other, hold what is not finite, or are fewer than two a
  /// fold
  template <class Rows, number_range Targets>
  [[nodiscard]] fitted_curve_regression fit(Rows&& samples, Targets&& targets) const {
    fitted_curve_regression result;
    int count = 0;
    for (const auto& one : samples) {
      const detail::numbers row = detail::numbers_of(one);
      const std::string where = "curve_regression, row " + std::to_string(count);
      if (count == 0) result.width_ = row.size();
      if (row.size() != result.width_)
        throw error("the rows are not of one length", where, std::to_string(row.size()) + " features",
                    std::to_string(result.width_) + ", as in row 0");
      fitted_curve_regression::append_row(result.nodes_, row, where);
      ++count;
    }
    detail::numbers wanted = detail::numbers_of(targets);
    check(count, wanted);
    choose_and_train(result, wanted);
    return result;
  }

 private:
  using choice = fitted_curve_regression::choice;

  void check(int samples, const detail::numbers& targets) const {
    if (settings < 1) detail::refuse_setting("curve_regression{.settings}", std::to_string(settings), "1 or more");
    if (folds < 2) detail::refuse_setting("curve_regression{.folds}", std::to_string(folds), "2 or more");
    if (!(lowest > 0 && lowest <= highest && detail::is_finite(highest)))
      detail::refuse_setting("curve_regression{.lowest, .highest}",
                             std::to_string(lowest) + " and " + std::to_string(highest), "0 < lowest <= highest");
    if (samples != targets.size())
      throw error("the targets do not fit the rows", "curve_regression", std::to_string(targets.size()) + " targets",
                  std::to_string(samples) + ", one a row");
    if (samples / 2 < folds)
      throw error("there are too few rows", "curve_regression", std::to_string(samples),
                  std::to_string(folds) + " folds of two rows or more");
    for (int i = 0; i < targets.size(); ++i)
      if (!detail::is_finite(targets[i]))
        throw error("a target is not finite", "curve_regression, row " + std::to_string(i), std::to_string(targets[i]),
                    "finite numbers; leave networks that failed out");
  }

  void choose_and_train(fitted_curve_regression& result, detail::numbers& targets) const {
    ::svm_set_print_string_function([](const char*) {});
    const sequence<int> order = shuffled(targets.size());
    choice best;
    for (int setting = 0; setting < settings; ++setting) {
      const random_stream random(seed, 1, static_cast<std::uint32_t>(setting));
      const auto log_uniform = [&](std::uint64_t index) {
        return lowest * std::exp(random.uniform(index) * std::log(highest / lowest));
      };
      choice tried{log_uniform(0), log_uniform(1), random.uniform(2) + 0x1p-25};  // not 0
      tried.r_squared = cross_validated(result, targets, order, tried);
      if (tried.r_squared > best.r_squared) best = tried;
    }
    sequence<::svm_node*> samples;
    for (int i = 0; i < targets.size(); ++i) samples.push_back(result.row(i));
    result.chosen_ = best;
    result.model_ = trained(samples, targets, best);
  }

  /// Fisher and Yates's shuffle.
  [[nodiscard]] sequence<int> shuffled(int count) const {
    const random_stream random(seed, 0);
    sequence<int> order;
    for (int i = 0; i < count; ++i) order.push_back(i);
    for (int i = count - 1; i > 0; --i) {
      const auto other =
          static_cast<int>(random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i) + 1));
      std::swap(order[i], order[other]);
    }
    return order;
  }

  double cross_validated(fitted_curve_regression& data, const detail::numbers& targets, const sequence<int>& order,
                         const choice& setting) const {
    double total = 0;
    for (int fold = 0; fold < folds; ++fold) {
      sequence<::svm_node*> samples;
      detail::numbers known;
      double mean = 0;
      int held_out = 0;
      for (int i = 0; i < order.size(); ++i) {
        if (i % folds == fold) {
          mean += targets[order[i]];
          ++held_out;
        } else {
          samples.push_back(data.row(order[i]));
          known.push_back(targets[order[i]]);
        }
      }
      mean /= held_out;
      ::svm_model* model = trained(samples, known, setting);
      double missed = 0, spread = 0;
      for (int i = fold; i < order.size(); i += folds) {
        const double target = targets[order[i]];
        const double miss = ::svm_predict(model, data.row(order[i])) - target;
        missed += miss * miss;
        spread += (target - mean) * (target - mean);
      }
      ::svm_free_and_destroy_model(&model);
      total += spread > 0 ? 1 - missed / spread : missed > 0 ? 0 : 1;
    }
    return total / folds;
  }

  static ::svm_model* trained(sequence<::svm_node*>& samples, detail::numbers& targets, const choice& setting) {
    const ::svm_problem problem{samples.size(), targets.data(), samples.data()};
    const ::svm_parameter parameter{::NU_SVR,
                                    ::RBF,
                                    3,
                                    setting.gamma,
                                    0,
                                    /* cache in MB */ 40,
                                    /* tolerance */ 1e-3,
                                    setting.cost,
                                    0,
                                    nullptr,
                                    nullptr,
                                    setting.nu,
                                    0.1,
                                    /* shrinking */ 1,
                                    0};
    return ::svm_train(&problem, &parameter);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
