#include <doctest/doctest.h>

#include <cmath>
#include <vivace/data/shapes.hpp>

#include "../io/files.hpp"
#include "laws.hpp"

namespace data = vivace::data;

namespace {

std::vector<float> image(const data::dataset& set, std::uint32_t index) {
  std::vector<float> values(784);
  set.gather(std::span(&index, 1), values.data());
  return values;
}

}  // namespace

TEST_CASE("shapes: normalised images in ten classes") {
  const auto [train, test] = data::rendered_shapes(203, 37, 1);
  CHECK(train.size() == 203);
  CHECK(test.size() == 37);
  CHECK(train.sample_shape() == vivace::shape{1, 28, 28});
  CHECK(train.classes() == 10);
  CHECK(train.label(13) == 3);
  CHECK(train.class_names()[3] == "frame");
  laws::check_source(train);
  laws::check_source<double>(test);
  double sum = 0, squares = 0;
  for (std::uint32_t i = 0; i < 203; ++i)
    for (const float value : image(train, i)) {
      sum += value;
      squares += value * value;
    }
  CHECK(std::abs(sum / (203 * 784)) < 1e-5);
  CHECK(std::abs(squares / (203 * 784) - 1) < 1e-5);
}

TEST_CASE("shapes: an image depends on seed, part and index, not on the counts") {
  const auto one = data::rendered_shapes(20, 20, 1), other = data::rendered_shapes(20, 20, 2);
  const auto larger = data::rendered_shapes(25, 21, 1);
  CHECK(image(one.train, 7) == image(data::rendered_shapes(20, 5, 1).train, 7));
  CHECK(image(one.train, 7) != image(other.train, 7));
  CHECK(image(one.train, 7) != image(one.test, 7));
  CHECK(image(one.train, 7) != image(one.train, 17));
  CHECK(image(one.train.scaled(1, 0), 7) == image(larger.train.scaled(1, 0), 7));
}

TEST_CASE("shapes: a count out of range is refused") {
  const auto text = files::message_of<vivace::error>([] { data::rendered_shapes(0, 3, 1); });
  CHECK(files::contains(text, "got:   0 and 3\n  needs: at least one training image"));
  CHECK_THROWS_AS(data::rendered_shapes(1, -1, 1), vivace::error);
}
