#pragma once
/// @file
/// Changes of one sample on its way to the batch: normalisation and random augmentation, in place.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/random.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// A change of one sample in place: transform(sample, sample_shape, key).
///
/// - It writes to the sample's sample_shape.size() numbers and nowhere else.
/// - The result depends on the sample, the shape and the key alone: randomness comes from the key (seed, epoch, index
///   of the sample), so that any number of threads, in any order, gives the same bits.
/// - Calls on different samples may run at once. Copies are equal.
/// - A shape that it cannot work on is answered by vivace::error.
///
/// The law suite tests/data/laws.hpp checks a model against this text.
template <class Transform, class Real = float>
concept transform = std::copy_constructible<Transform> &&
    requires(const Transform& change, Real* sample, const shape& of, const sample_key& key) {
  change(sample, of, key);
};

namespace detail {

/// A sample seen as planes [planes, height, width]; the last two dimensions are height and width.
struct planes {
  std::int64_t count, height, width;
};

inline planes planes_of(const shape& of, const char* who) {
  if (of.rank < 2 || of.rank > 3)
    throw error("a transform of images got samples of another shape", who, "rank " + std::to_string(of.rank),
                "samples of shape [channels, height, width] or [height, width]");
  const std::int64_t height = of[of.rank - 2], width = of[of.rank - 1];
  return {of.rank == 3 ? of[0] : 1, height, width};
}

}  // namespace detail

/// Leaves samples as they are.
struct no_transform {
  template <std::floating_point Real>
  void operator()(Real*, const shape&, const sample_key&) const {}
};

/// Turns x into (x - mean) / deviation: one pair for all, or one pair a channel (the first dimension of a sample).
struct normalise {
  std::vector<double> mean = {0}, deviation = {1};

  template <std::floating_point Real>
  void operator()(Real* sample, const shape& of, const sample_key&) const {
    const std::size_t groups = mean.size();
    if (groups != deviation.size() || groups == 0 ||
        (groups != 1 && (of.rank == 0 || of[0] != static_cast<int>(groups))))
      throw error("the means and deviations do not fit the channels", "normalise",
                  std::to_string(mean.size()) + " means and " + std::to_string(deviation.size()) + " deviations",
                  "one of each, or one of each a channel");
    const std::int64_t count = of.size() / static_cast<std::int64_t>(groups);
    for (std::size_t group = 0; group < groups; ++group, sample += count) {
      const auto factor = static_cast<Real>(1 / deviation[group]), centre = static_cast<Real>(mean[group]);
      for (std::int64_t i = 0; i < count; ++i) sample[i] = (sample[i] - centre) * factor;
    }
  }
};

/// Surrounds images by `padding` pixels of value `fill` on each side and cuts an image of the old size out at random.
struct random_crop {
  int padding = 4;
  double fill = 0;

  template <std::floating_point Real>
  void operator()(Real* sample, const shape& of, const sample_key& key) const {
    const detail::planes image = detail::planes_of(of, "random_crop");
    if (padding < 0)
      throw error("the padding is negative", "random_crop", std::to_string(padding), "a padding of 0 or more pixels");
    const auto shift = [&](std::uint32_t number) {
      return static_cast<std::int64_t>(key.below(number, 2 * static_cast<std::uint64_t>(padding) + 1)) - padding;
    };
    const std::int64_t down = shift(0), right = shift(1);
    for (std::int64_t plane = 0; plane < image.count; ++plane, sample += image.height * image.width)
      move(sample, image.height, image.width, down, right);
  }

 private:
  /// New row y is old row y + down, new column x is old column x + right. Rows are visited such that each is read
  /// before it is overwritten.
  template <class Real>
  void move(Real* plane, std::int64_t height, std::int64_t width, std::int64_t down, std::int64_t right) const {
    const auto filler = static_cast<Real>(fill);
    for (std::int64_t turn = 0; turn < height; ++turn) {
      const std::int64_t y = down >= 0 ? turn : height - 1 - turn;
      Real* const to = plane + y * width;
      if (y + down < 0 || y + down >= height || right <= -width || right >= width) {
        std::fill(to, to + width, filler);
        continue;
      }
      const Real* const from = plane + (y + down) * width;
      if (right >= 0) {
        std::copy(from + right, from + width, to);
        std::fill(to + width - right, to + width, filler);
      } else {
        std::copy_backward(from, from + width + right, to + width);
        std::fill(to, to - right, filler);
      }
    }
  }
};

/// Mirrors images left to right with the given probability.
struct random_flip {
  double probability = 0.5;

  template <std::floating_point Real>
  void operator()(Real* sample, const shape& of, const sample_key& key) const {
    const detail::planes image = detail::planes_of(of, "random_flip");
    if (key.uniform(0) >= probability) return;
    for (std::int64_t row = 0; row < image.count * image.height; ++row, sample += image.width)
      std::reverse(sample, sample + image.width);
  }
};

template <class First, class Second>
struct composed;

namespace detail {

/// Number of single transforms in a transform.
template <class Transform>
inline constexpr std::uint32_t links = 1;
template <class First, class Second>
inline constexpr std::uint32_t links<composed<First, Second>> = links<First> + links<Second>;

}  // namespace detail

/// Two transforms, one after the other; see compose().
template <class First, class Second>
struct composed {
  First first;
  Second second;

  template <std::floating_point Real>
  requires transform<First, Real> && transform<Second, Real>
  void operator()(Real* sample, const shape& of, const sample_key& key) const {
    first(sample, of, key);
    sample_key next = key;
    next.transform += detail::links<First>;
    second(sample, of, next);
  }
};

/// One transform out of several, applied from left to right, each with randomness of its own. Grouping does not matter:
/// compose(a, compose(b, c)) and compose(compose(a, b), c) give the same bits.
template <class First>
constexpr First compose(First first) {
  return first;
}
template <class First, class Second, class... Others>
constexpr auto compose(First first, Second second, Others... others) {
  return compose(composed<First, Second>{std::move(first), std::move(second)}, std::move(others)...);
}

}  // namespace vivace::inline VIVACE_TARGET::data
