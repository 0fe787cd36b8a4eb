#pragma once
// Small networks and data for the tests of training.
#include <cstdint>
#include <vector>

#include <vivace/core/random.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recompute.hpp>
#include <vivace/nn/recurrent.hpp>

namespace networks {

namespace vv = vivace;

/// 12 features, 3 classes; with states of its own and random numbers.
struct mlp {
  static constexpr auto graph = vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{16}, vv::batch_norm{},
                                               vv::relu{}, vv::dropout{.rate = 0.1}, vv::dense{3});
};
/// The same with more hidden units.
struct wide_mlp {
  static constexpr auto graph = vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{20}, vv::batch_norm{},
                                               vv::relu{}, vv::dropout{.rate = 0.1}, vv::dense{3});
};
/// Its parameters are some of those of mlp.
struct plain_mlp {
  static constexpr auto graph =
      vv::classifier(vv::features{12}, vv::classes{3}, vv::dense{16}, vv::relu{}, vv::relu{}, vv::relu{}, vv::dense{3});
};
/// Images of 2 channels, 3 classes.
struct convolutional {
  static constexpr auto graph = vv::classifier(
      vv::image{2, 8, 8}, vv::classes{3}, vv::conv2d{.filters = 8, .padding = 1}, vv::batch_norm{}, vv::relu{},
      vv::max_pool{2}, vv::conv2d{.filters = 8, .padding = 1}, vv::relu{}, vv::flatten{}, vv::dense{3});
};
/// Sequences of 8 places, 3 classes: loops.
struct recurrent {
  struct places {
    [[nodiscard]] constexpr vv::shape dims() const { return {vv::rows, 8, 16}; }
  };
  static constexpr auto graph = vv::classifier(places{}, vv::classes{3}, vv::gru{.width = 12},
                                               vv::recompute{vv::lstm{.width = 8, .last = true}}, vv::dense{3});
};
/// Free-form: features and targets.
struct regression {
  static constexpr auto graph = vv::define([](vv::builder& make) {
    const vv::value x = make.input("x", {vv::rows, 12});
    const vv::value y = make.input("y", {vv::rows, 1});
    const vv::value w = make.parameter("w", {12, 1});
    const vv::value prediction = matmul(x, w);
    make.output("prediction", prediction);
    return mean(square(prediction - y));
  });
};

inline std::vector<float> features(std::int64_t samples, std::int64_t width) {
  const vv::random_stream random(9, 1);
  std::vector<float> values;
  for (std::int64_t i = 0; i < samples * width; ++i)
    values.push_back(static_cast<float>(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1));
  return values;
}

/// The class is where the largest of the first three features is.
inline vv::data::dataset labelled(std::int64_t samples, const vv::shape& sample = {12}) {
  std::vector<float> values = features(samples, sample.size());
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < samples; ++i) {
    const float* first = values.data() + i * sample.size();
    labels.push_back(first[0] > first[1] ? (first[0] > first[2] ? 0 : 2) : (first[1] > first[2] ? 1 : 2));
  }
  return vv::data::dataset::own(std::move(values), sample, std::move(labels), 3);
}

/// The target is the sum of the first two features.
inline vv::data::dataset with_targets(std::int64_t samples) {
  std::vector<float> values = features(samples, 12);
  std::vector<float> targets;
  for (std::int64_t i = 0; i < samples; ++i)
    targets.push_back(values[static_cast<std::size_t>(12 * i)] + values[static_cast<std::size_t>(12 * i + 1)]);
  return vv::data::dataset::own(std::move(values), {12}, std::move(targets));
}

/// All parameters and states, in their order.
template <class Trainer>
std::vector<typename Trainer::real> variables_of(const Trainer& trainer) {
  std::vector<typename Trainer::real> all;
  const auto& values = trainer.values();
  for (int p = 0; p < values.parameter_count(); ++p)
    all.insert(all.end(), values.parameter(p).data, values.parameter(p).data + values.parameter(p).dims.size());
  for (int s = 0; s < values.state_count(); ++s)
    all.insert(all.end(), values.state(s).data, values.state(s).data + values.state(s).dims.size());
  return all;
}

/// True if two traces hold the same bits, apart from seconds.
inline bool same(const vv::trace& one, const vv::trace& other) {
  const auto equal = [](double a, double b) { return a == b || (a != a && b != b); };
  if (one.epochs.size() != other.epochs.size() || one.batches.size() != other.batches.size()) return false;
  for (std::size_t i = 0; i < one.epochs.size(); ++i) {
    const vv::epoch_record& a = one.epochs[i];
    const vv::epoch_record& b = other.epochs[i];
    if (a.epoch != b.epoch || !equal(a.train_loss, b.train_loss) || !equal(a.val_loss, b.val_loss) ||
        !equal(a.val_accuracy, b.val_accuracy) || !equal(a.rate, b.rate))
      return false;
  }
  for (std::size_t i = 0; i < one.batches.size(); ++i) {
    const vv::batch_record& a = one.batches[i];
    const vv::batch_record& b = other.batches[i];
    if (a.epoch != b.epoch || a.batch != b.batch || a.size != b.size || a.loss != b.loss) return false;
  }
  return true;
}

}  // namespace networks
