#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>
#include <vivace/data/transforms.hpp>

#include "../io/files.hpp"
#include "laws.hpp"

namespace data = vivace::data;
using vivace::shape;

namespace {

/// A minimal model of data::transform, as somebody outside the library would write it.
struct negate {
  void operator()(float* sample, const shape& of, const data::sample_key&) const {
    for (std::int64_t i = 0; i < of.size(); ++i) sample[i] = -sample[i];
  }
};

/// Adds a random number that shows which place in the chain it was drawn for.
struct jitter {
  template <class Real>
  void operator()(Real* sample, const shape&, const data::sample_key& key) const {
    *sample = *sample * 2 + static_cast<Real>(key.uniform(0));
  }
};

std::vector<float> counting(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

template <class Transform>
std::string refusal(const Transform& change, const shape& of) {
  std::vector<float> sample = counting(of.size());
  return files::message_of<vivace::error>([&] { change(sample.data(), of, {}); });
}

}  // namespace

static_assert(data::transform<negate> && !data::transform<negate, double>);

TEST_CASE("transforms: a model of somebody else and those of the library obey the laws") {
  laws::check_transform(negate{}, {3});
  laws::check_transform(data::no_transform{}, {});
  laws::check_transform(data::normalise{{1, 2, 3}, {1, 2, 4}}, {3, 5});
  laws::check_transform<double>(data::random_crop{2}, {3, 5, 7});
  laws::check_transform(data::random_crop{9}, {1, 5, 7});
  laws::check_transform(data::random_flip{}, {2, 3, 5});
  laws::check_transform(data::compose(data::random_crop{1}, data::random_flip{}, negate{}), {5, 3});
}

TEST_CASE("transforms: normalise, for all and by channel") {
  std::vector<float> sample = {1, 2, 3, 4, 5, 6};
  data::normalise{{1}, {2}}(sample.data(), {6}, {});
  CHECK(sample == std::vector<float>{0, 0.5F, 1, 1.5F, 2, 2.5F});
  sample = {1, 2, 3, 4, 5, 6};
  data::normalise{{1, 5}, {1, 2}}(sample.data(), {2, 3}, {});
  CHECK(sample == std::vector<float>{0, 1, 2, -0.5F, 0, 0.5F});
}

TEST_CASE("transforms: random_crop moves by at most the padding, every way") {
  const std::int64_t height = 5, width = 4, padding = 2;
  std::set<std::pair<std::int64_t, std::int64_t>> moves;
  for (std::uint32_t index = 0; index < 400; ++index) {
    std::vector<float> image = counting(2 * height * width);
    data::random_crop{static_cast<int>(padding), -1}(image.data(), {2, 5, 4}, {3, 1, index});
    // Each shift must explain every pixel of both planes.
    int explanations = 0;
    for (std::int64_t down = -padding; down <= padding; ++down)
      for (std::int64_t right = -padding; right <= padding; ++right) {
        bool fits = true;
        for (std::int64_t i = 0; i < 2 * height * width; ++i) {
          const std::int64_t y = i / width % height + down, x = i % width + right, plane = i / (height * width);
          const bool inside = y >= 0 && y < height && x >= 0 && x < width;
          const auto expected = inside ? static_cast<float>(1 + (plane * height + y) * width + x) : -1.0F;
          fits = fits && image[static_cast<std::size_t>(i)] == expected;
        }
        if (fits) {
          ++explanations;
          moves.insert({down, right});
        }
      }
    CHECK(explanations == 1);
  }
  CHECK(moves.size() == 25);
}

TEST_CASE("transforms: random_flip mirrors rows of every channel, half the time") {
  int flipped = 0;
  for (std::uint32_t index = 0; index < 1000; ++index) {
    std::vector<float> image = counting(12);
    data::random_flip{}(image.data(), {2, 2, 3}, {3, 1, index});
    if (image[0] == 1) {
      CHECK(image == counting(12));
    } else {
      CHECK(image == std::vector<float>{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10});
      ++flipped;
    }
  }
  CHECK(flipped > 430);
  CHECK(flipped < 570);
}

TEST_CASE("transforms: a chain draws numbers of its own for each part, however it is grouped") {
  const jitter a;
  double left = 0, right = 0, flat = 0, expected = 0;
  const data::sample_key key{1, 2, 3};
  data::compose(data::compose(a, a), a)(&left, {1}, key);
  data::compose(a, data::compose(a, a))(&right, {1}, key);
  data::compose(a, a, a)(&flat, {1}, key);
  for (std::uint32_t place = 0; place < 3; ++place)
    expected = 2 * expected + data::sample_key{1, 2, 3, place}.uniform(0);
  CHECK(left == expected);
  CHECK(right == expected);
  CHECK(flat == expected);
}

TEST_CASE("transforms: randomness depends on seed, epoch, sample and place") {
  const double one = data::sample_key{1, 2, 3, 4}.uniform(5);
  CHECK(one == data::sample_key{1, 2, 3, 4}.uniform(5));
  CHECK(one != data::sample_key{2, 2, 3, 4}.uniform(5));
  CHECK(one != data::sample_key{1, 3, 3, 4}.uniform(5));
  CHECK(one != data::sample_key{1, 2, 4, 4}.uniform(5));
  CHECK(one != data::sample_key{1, 2, 3, 5}.uniform(5));
  CHECK(one != data::sample_key{1, 2, 3, 4}.uniform(6));
}

TEST_CASE("transforms: every refusal says what, where and what to do") {
  CHECK(files::contains(refusal(data::random_crop{1}, {9}), "where: random_crop\n  got:   rank 1"));
  CHECK(files::contains(refusal(data::random_flip{}, {1, 1, 2, 2}),
                        "needs: samples of shape [channels, height, width] or [height, width]"));
  CHECK(files::contains(refusal(data::random_crop{-1}, {2, 2}), "the padding is negative"));
  CHECK(files::contains(refusal(data::normalise{{1, 2}, {1, 2}}, {3, 2}), "got:   2 means and 2 deviations"));
  CHECK(files::contains(refusal(data::normalise{{1}, {}}, {3, 2}), "needs: one of each, or one of each a channel"));
}
