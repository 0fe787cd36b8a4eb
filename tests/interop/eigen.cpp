// Data sets in Eigen's matrices and parameters as such, without copying.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <vivace/interop/eigen.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;
namespace interop = vivace::interop;
using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

namespace {

std::vector<double> all_of(const vv::data::dataset& set) {
  std::vector<double> values(static_cast<std::size_t>(set.size() * set.sample_shape().size()));
  for (std::uint32_t i = 0; i < set.size(); ++i)
    set.gather(std::span(&i, 1), values.data() + i * set.sample_shape().size());
  return values;
}

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

TEST_CASE("eigen: rows of a row-major matrix, columns of a column-major one") {
  row_major rows(2, 3);
  rows << 1, 2, 3, 4, 5, 6;
  Eigen::MatrixXd columns(3, 2);
  columns << 1, 4, 2, 5, 3, 6;
  Eigen::VectorXi labels(2);
  labels << 1, 0;
  const std::vector<double> expected{1, 2, 3, 4, 5, 6};
  const auto by_rows = interop::samples_in_rows(rows, labels);
  const auto by_columns = interop::samples_in_columns(columns, labels, 5);
  CHECK(all_of(by_rows) == expected);
  CHECK(all_of(by_columns) == expected);
  CHECK(by_rows.classes() == 2);
  CHECK(by_columns.classes() == 5);
  CHECK(by_rows.label(0) == 1);
  CHECK(by_rows.sample_shape() == vv::shape{3});
  rows(0, 0) = 7;  // nothing was copied
  CHECK(all_of(by_rows)[0] == 7);

  const Eigen::MatrixXf& constant = Eigen::MatrixXf::Ones(12, 2);
  CHECK(interop::samples_in_columns(constant, vv::shape{3, 2, 2}).sample_shape() == vv::shape{3, 2, 2});
  CHECK(interop::samples_in_columns(constant).size() == 2);
  CHECK(interop::samples_in_rows(rows).size() == 2);
}

TEST_CASE("eigen: targets and maps of foreign memory") {
  const float numbers[] = {1, 2, 3, 4, 5, 6};
  const Eigen::Map<const row_major> rows(numbers, 3, 2);
  Eigen::MatrixXf targets(2, 3);
  targets << 1, 3, 5, 2, 4, 6;
  const auto by_rows = interop::samples_in_rows(rows, Eigen::Map<const Eigen::VectorXf>(numbers, 3));
  CHECK(by_rows.target_size() == 1);
  const auto by_columns = interop::samples_in_columns(Eigen::Map<const Eigen::MatrixXf>(numbers, 2, 3), targets);
  CHECK(by_columns.target_size() == 2);
  std::vector<float> found(6);
  const std::uint32_t indices[] = {0, 1, 2};
  by_columns.gather_targets(indices, found.data());
  CHECK(found == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("eigen: sizes that do not fit are said") {
  const row_major rows = row_major::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(3);
  const Eigen::VectorXf targets = Eigen::VectorXf::Zero(3);
  CHECK(message_of([&] { interop::samples_in_rows(rows, labels); }).find("vivace: the labels do not fit") == 0);
  CHECK(message_of([&] { interop::samples_in_rows(rows, targets); }).find("vivace: the targets do not fit") == 0);
  CHECK(message_of([&] { interop::samples_in_rows(rows, vv::shape{7}); }).find("vivace: the features do not fill") == 0);
}

TEST_CASE("eigen: parameters as matrices") {
  vv::trainer trainer{linear{}, vv::batch<4>, vv::seed{1}};
  auto weight = interop::as_eigen(trainer.values().find("0.dense.weight"));
  auto bias = interop::as_eigen(trainer.values().find("0.dense.bias"));
  CHECK(weight.rows() == 3);
  CHECK(weight.cols() == 2);
  CHECK(bias.rows() == 2);
  CHECK(bias.cols() == 1);
  weight << 1, 2, 3, 4, 5, 6;
  bias << 0.5F, -0.5F;
  const row_major x = row_major::Random(4, 3);
  const auto prediction = interop::as_eigen(trainer.predict(x.data(), 4));
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 2; ++j) {  // no product of Eigen's: g++ 12 warns of its AVX-512 code
      const float expected = x(i, 0) * weight(0, j) + x(i, 1) * weight(1, j) + x(i, 2) * weight(2, j) + bias(j, 0);
      CHECK(prediction(i, j) == doctest::Approx(expected).epsilon(1e-5));
    }
  CHECK(message_of([&] { interop::as_eigen(trainer.engine().prediction()); }).find("number of samples") !=
        std::string::npos);
}
