// The door to devices: a model of one that is written here, with memory of its own and no CUDA, trains as the host does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>
#include <vivace/exec/serial.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>

#include "../train/networks.hpp"

namespace {

namespace vv = vivace;

/// What tests want to know.
struct tally {
  int uploads = 0, downloads = 0, runs = 0, fetches = 0;
};

/// A device whose memory is the host's: other memory than that of `variables`.
template <class Real>
class plain_device final : public vv::step_device<Real> {
 public:
  explicit plain_device(tally& seen) : seen_(seen) {}
  void reserve(std::int64_t parameters, std::int64_t states) override {
    if (!parameters_.empty()) return;
    parameters_.resize(static_cast<std::size_t>(parameters));
    states_.resize(static_cast<std::size_t>(states));
  }
  std::unique_ptr<vv::device_plan<Real>> bind(const vv::graph_view& from, const vv::plan_view& steps,
                                              const vv::kernel_table<Real>& kernels) override {
    return std::make_unique<plan>(*this, from, steps, kernels);
  }
  void upload(const Real* parameters, const Real* states) override {
    ++seen_.uploads;
    std::copy_n(parameters, parameters_.size(), parameters_.data());
    std::copy_n(states, states_.size(), states_.data());
  }
  void download(Real* parameters, Real* states) override {
    ++seen_.downloads;
    std::copy_n(parameters_.data(), parameters_.size(), parameters);
    std::copy_n(states_.data(), states_.size(), states);
  }

 private:
  class plan final : public vv::device_plan<Real> {
   public:
    plan(plain_device& device, const vv::graph_view& from, const vv::plan_view& steps,
         const vv::kernel_table<Real>& kernels)
        : device_(device), plan_(steps), arena_(static_cast<std::size_t>(steps.arena_size)),
          settings_(static_cast<std::size_t>(from.settings.size()) + 1),
          run_(steps, kernels, {device.parameters_.data(), device.states_.data(), arena_.data(), settings_.data()}) {}
    void run(const vv::step_context& context, const void* const* inputs, const Real* settings) override {
      ++device_.seen_.runs;
      std::copy_n(settings, settings_.size() - 1, settings_.data());
      run_(context, inputs);
      earlier_ = last_;
      last_ = *run_.at(plan_.loss);
    }
    [[nodiscard]] std::int64_t missing(const void* const* inputs) const override { return run_.missing(inputs); }
    [[nodiscard]] Real loss() override { return last_; }
    [[nodiscard]] Real earlier_loss() override { return earlier_; }
    void fetch(const vv::location& from, std::int64_t elements, Real* to) override {
      ++device_.seen_.fetches;
      std::copy_n(run_.at(from), elements, to);
    }
    [[nodiscard]] std::size_t bytes() const override { return arena_.size() * sizeof(Real); }

   private:
    plain_device& device_;
    vv::plan_view plan_;
    std::vector<Real> arena_, settings_;
    vv::bound_plan<Real> run_;
    Real last_ = 0, earlier_ = 0;
  };

  tally& seen_;
  std::vector<Real> parameters_, states_;
};

/// Policy: such a device.
struct elsewhere {
  using family = vv::executor_family;
  tally* seen = nullptr;
  bool operator==(const elsewhere&) const = default;

  class executor {
   public:
    explicit executor(const elsewhere& policy) : seen_(policy.seen) {}
    [[nodiscard]] vv::parallel lanes() { return {}; }
    template <class Precision>
    [[nodiscard]] vv::step_device<typename Precision::real>* device() {
      auto made = std::make_shared<plain_device<typename Precision::real>>(*seen_);
      device_ = made;
      return made.get();
    }

   private:
    tally* seen_;
    std::shared_ptr<void> device_;
  };
};

template <class Trainer>
vv::evaluation train(Trainer& trainer, const vv::data::dataset& data, int epochs) {
  trainer.fit(data, vv::epochs{epochs}, vv::validation{data}, vv::best_weights{});
  return trainer.evaluate(data);
}

}  // namespace

TEST_CASE("device: training there is training here, bit for bit") {
  const vv::data::dataset data = networks::labelled(45, {12});
  tally seen;
  vv::trainer there{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::seed{3}, elsewhere{&seen}};
  vv::trainer here{networks::mlp{}, vv::batch<10>, vv::adamw{}, vv::seed{3}, vv::serial{}};
  const vv::evaluation found = train(there, data, 4), wanted = train(here, data, 4);
  CHECK(found.loss == wanted.loss);
  CHECK(found.accuracy == wanted.accuracy);
  CHECK(found.confusion == wanted.confusion);
  CHECK(networks::same(there.history(), here.history()));
  CHECK(networks::variables_of(there) == networks::variables_of(here));
  CHECK(there.engine().prediction_arena_bytes() > 0);
}

TEST_CASE("device: values are copied when they are asked for, and no oftener") {
  const vv::data::dataset data = networks::labelled(40, {12});
  tally seen;
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, elsewhere{&seen}};
  CHECK(seen.uploads == 0);
  trainer.fit(data, vv::epochs{2});
  CHECK(seen.runs == 8);
  CHECK(seen.uploads == 1);
  CHECK(seen.downloads == 0);
  const std::vector<float> trained = networks::variables_of(trainer);
  CHECK(seen.downloads == 1);
  CHECK(networks::variables_of(trainer) == trained);
  CHECK(seen.downloads == 1);
  trainer.predict(networks::features(10, 12).data(), 10);
  CHECK(seen.uploads == 2);  // whoever asked for the values may have written
  CHECK(seen.fetches == 1);
  CHECK(networks::variables_of(trainer) == trained);
  CHECK(seen.downloads == 1);  // a prediction changes nothing
}

TEST_CASE("device: what is written on the host is what the next step starts from") {
  const vv::data::dataset data = networks::labelled(10, {12});
  tally seen;
  vv::trainer there{networks::plain_mlp{}, vv::batch<10>, vv::sgd{}, elsewhere{&seen}};
  vv::trainer here{networks::plain_mlp{}, vv::batch<10>, vv::sgd{}, vv::serial{}};
  for (int epoch = 1; epoch < 4; ++epoch) {
    there.fit(data, vv::epochs{epoch});
    here.fit(data, vv::epochs{epoch});
    there.values().find("0.dense.weight").data[epoch] = 0.25F;
    here.values().find("0.dense.weight").data[epoch] = 0.25F;
  }
  CHECK(networks::variables_of(there) == networks::variables_of(here));
}

TEST_CASE("device: an input without data is named") {
  tally seen;
  vv::trainer trainer{networks::mlp{}, vv::batch<10>, elsewhere{&seen}};
  std::string text;
  try {
    trainer.step({.size = 3});
  } catch (const vv::error& found) {
    text = found.what();
  }
  CHECK(text.find("the batch lacks what the network takes") != std::string::npos);
}
