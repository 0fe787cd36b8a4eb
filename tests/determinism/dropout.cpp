// Dropout's mask is a function of seed, step, layer and element.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>
#include <vivace/exec/evaluate.hpp>
#include <vivace/exec/threads.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/reference/reference.hpp>
#include <vivace/nn/activations.hpp>
#include <vivace/nn/model.hpp>

namespace {

namespace vv = vivace;

constexpr int width = 300, batch = 400;  // 120000 elements: several tasks

/// Two layers of dropout on the same ones.
vv::graph masks(double rate, bool training = true) {
  vv::builder make(training);
  const vv::value x = make.input("x", {vv::rows, width});
  make.begin_layer("dropout");
  const vv::value first = vv::dropout{.rate = rate}(x);
  make.end_layer(first);
  make.begin_layer("dropout");
  const vv::value second = vv::dropout{.rate = rate}(x);
  make.end_layer(second);
  make.output("first", first);
  make.output("second", second);
  make.result().loss = mean(first + second).index();
  return make.take();
}

template <class Real, class Kernels = vv::cpu_kernels>
class run {
 public:
  explicit run(double rate = 0.3, bool training = true)
      : made_(masks(rate, training), batch), ones_(width * batch, Real(1)) {}
  std::vector<double> operator()(std::uint64_t seed, std::uint32_t step, int samples = batch,
                                 const char* layer = "first", vv::parallel lanes = {}) {
    made_.run().set_input(0, ones_.data());
    made_.run()({.lanes = lanes, .seed = seed, .step = step, .samples = samples});
    const Real* mask = made_.run().output(layer).data;
    return {mask, mask + std::int64_t{samples} * width};
  }

 private:
  vv::runtime_graph<Real, Kernels> made_;
  std::vector<Real> ones_;
};

double zeros(const std::vector<double>& mask) {
  double count = 0;
  for (const double one : mask) count += one == 0 ? 1 : 0;
  return count / static_cast<double>(mask.size());
}

}  // namespace

TEST_CASE("dropout: zeros at its rate, the rest scaled to keep the mean") {
  for (const double rate : {0.1, 0.3, 0.5, 0.9}) {
    const std::vector<double> mask = run<double>(rate)(1, 1);
    const double deviation = std::sqrt(rate * (1 - rate) / static_cast<double>(mask.size()));
    CHECK(std::abs(zeros(mask) - rate) < 6 * deviation);
    bool scaled = true;
    for (const double one : mask) scaled = scaled && (one == 0 || std::abs(one - 1 / (1 - rate)) < 1e-12);
    CHECK(scaled);
  }
  CHECK(zeros(run<double>(0)(1, 1)) == 0);
  CHECK(zeros(run<double>(0.9, false)(1, 1)) == 0);  // prediction drops nothing
}

TEST_CASE("dropout: the same seed, step and layer give the same mask") {
  run<double> made;
  const std::vector<double> mask = made(1, 5);
  (void)made(2, 6);
  CHECK(made(1, 5) == mask);           // whatever ran before
  CHECK(run<double>()(1, 5) == mask);  // wherever it runs
  const std::vector<double> shorter = made(1, 5, 7);
  CHECK(shorter == std::vector<double>(mask.begin(), mask.begin() + 7 * width));  // whatever the batch is
  vv::threads::executor pool(vv::threads{3});
  CHECK(made(1, 5, batch, "first", pool.lanes()) == mask);
  const std::vector<double> narrow = run<float>()(1, 5);
  bool same = true;
  for (std::size_t i = 0; i < mask.size(); ++i) same = same && (narrow[i] == 0) == (mask[i] == 0);
  CHECK(same);                                                // float drops what double drops
  CHECK(run<double, vv::reference_kernels>()(1, 5) == mask);  // and so do the slow kernels
}

TEST_CASE("dropout: another seed, step or layer gives an independent mask") {
  run<double> made;
  const std::vector<double> mask = made(1, 5);
  const auto both_zero = [&](const std::vector<double>& other) {
    double count = 0;
    for (std::size_t i = 0; i < mask.size(); ++i) count += mask[i] == 0 && other[i] == 0 ? 1 : 0;
    return count / static_cast<double>(mask.size());
  };
  // Independent masks of rate 0.3 drop 0.09 together; six standard deviations are 0.005.
  CHECK(std::abs(both_zero(made(2, 5)) - 0.09) < 0.005);
  CHECK(std::abs(both_zero(made(1 + (std::uint64_t{1} << 32), 5)) - 0.09) < 0.005);
  CHECK(std::abs(both_zero(made(1, 6)) - 0.09) < 0.005);
  CHECK(std::abs(both_zero(made(1, 5, batch, "second")) - 0.09) < 0.005);
}
