// Data sets in arrays of xtensor and parameters as such, without copying.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <vivace/interop/xtensor.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;
namespace interop = vivace::interop;

namespace {

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& caught) {
    return caught.what();
  }
  return {};
}

struct linear {
  static constexpr auto graph = vv::classifier(vv::features{3}, vv::classes{2}, vv::dense{2});
};

}  // namespace

TEST_CASE("xtensor: samples along the first axis") {
  xt::xtensor<float, 2> features{{1, 2, 3}, {4, 5, 6}};
  const xt::xtensor<std::int32_t, 1> labels{1, 0};
  const auto set = interop::samples_of(features, labels, 4);
  CHECK(set.size() == 2);
  CHECK(set.classes() == 4);
  CHECK(set.sample_shape() == vv::shape{3});
  features(1, 0) = 9;  // nothing was copied
  const std::uint32_t second = 1;
  std::vector<float> row(3);
  set.gather(std::span(&second, 1), row.data());
  CHECK(row == std::vector<float>{9, 5, 6});

  const xt::xarray<double> images = xt::ones<double>({5, 1, 4, 6});
  const xt::xarray<float> targets = xt::zeros<float>({5, 2});
  CHECK(interop::samples_of(images).sample_shape() == vv::shape{1, 4, 6});
  CHECK(interop::samples_of(images, targets).target_size() == 2);
  const xt::xtensor<float, 1> line{1, 2, 3};
  CHECK(interop::samples_of(line, line).sample_shape() == vv::shape{1});
  CHECK(interop::samples_of(line, line).target_size() == 1);
}

TEST_CASE("xtensor: what does not fit is said") {
  const xt::xtensor<float, 2> features{{1, 2, 3}, {4, 5, 6}};
  const xt::xtensor<std::int32_t, 1> labels{1, 0, 1};
  CHECK(message_of([&] { interop::samples_of(features, labels); }).find("vivace: the labels do not fit") == 0);
  const xt::xarray<float> deep = xt::ones<float>({2, 1, 1, 1, 1, 1});
  CHECK(message_of([&] { interop::samples_of(deep); }).find("no list of samples") != std::string::npos);
  const xt::xarray<float> scalar = 3.0F;
  CHECK(message_of([&] { interop::samples_of(scalar); }).find("no list of samples") != std::string::npos);
}

TEST_CASE("xtensor: parameters as arrays") {
  vv::trainer trainer{linear{}, vv::batch<4>, vv::seed{1}};
  auto weight = interop::as_xtensor(trainer.values().find("0.dense.weight"));
  CHECK(weight.dimension() == 2);
  CHECK(weight.shape()[0] == 3);
  weight(2, 1) = 42;
  CHECK(trainer.values().find("0.dense.weight").data[5] == 42);
  CHECK(message_of([&] { interop::as_xtensor(trainer.engine().prediction()); }).find("number of samples") !=
        std::string::npos);
}
