#pragma once
/// @file
/// A generated stand-in for sets of small grey images: needs no file.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/data/random.hpp>
#include <vivace/data/source.hpp>

namespace vivace::inline VIVACE_TARGET::data {

namespace detail {

/// Distance from (u, v) to the outline of a shape around the origin that fits a circle of the given radius, in pixels
/// and negative inside; near the outline exact enough to blend the edge over one pixel.
inline double outline_distance(int kind, double u, double v, double radius) {
  const double from_centre = std::hypot(u, v);
  const auto box = [&](double half_width, double half_height) {
    return (std::max)(std::abs(u) - half_width * radius, std::abs(v) - half_height * radius);
  };
  switch (kind) {
    case 0:
      return from_centre - 0.9 * radius;  // disc
    case 1:
      return std::abs(from_centre - 0.75 * radius) - 0.2 * radius;  // ring
    case 2:
      return box(0.75, 0.75);  // square
    case 3:
      return std::abs(box(0.65, 0.65)) - 0.17 * radius;  // frame
    case 4:
      return (std::max)(v, std::abs(u) * 0.8660254037844386 - v / 2) - radius / 2;  // triangle
    case 5:
      return (std::min)(box(1, 0.27), box(0.27, 1));  // cross
    case 6:
      return box(1, 0.27);  // bar
    case 7:
      return (std::max)(from_centre - radius, 0.8 * radius - std::hypot(u - 0.55 * radius, v));  // crescent
    case 8:
      return 0.6 * (from_centre - radius * (0.65 + 0.35 * std::cos(5 * std::atan2(v, u))));  // flower
    default:
      return std::hypot(std::abs(u) - 0.6 * radius, v) - 0.4 * radius;  // two discs
  }
}

/// Draws one image of 28 x 28 bytes: a shape with random place, size, rotation and contrast, under noise.
/// The numbers of image `index` are those of the stream from index * 1024 on.
inline void render_shape(int kind, const random_stream& stream, std::uint64_t index, std::uint8_t* image) {
  constexpr int edge = 28;
  const auto between = [&](std::uint64_t number, double low, double high) {
    return low + (high - low) * stream.uniform(index * 1024 + edge * edge + number);
  };
  const double centre_x = between(0, 10, 17), centre_y = between(1, 10, 17), radius = between(2, 5.5, 10);
  const double angle = between(3, 0, 6.283185307179586), ink = between(4, 110, 220), paper = between(5, 0, 60);
  const double noise = between(6, 20, 70);
  const double sine = std::sin(angle), cosine = std::cos(angle);
  for (int y = 0; y < edge; ++y)
    for (int x = 0; x < edge; ++x) {
      const double right = x - centre_x, down = y - centre_y;
      const double distance =
          outline_distance(kind, cosine * right + sine * down, cosine * down - sine * right, radius);
      const double coverage = (std::clamp)(0.5 - distance, 0.0, 1.0);
      const double grain = stream.uniform(index * 1024 + static_cast<std::uint64_t>(y * edge + x)) - 0.5;
      const double value = paper + (ink - paper) * coverage + noise * grain;
      image[y * edge + x] = static_cast<std::uint8_t>((std::clamp)(std::lround(value), 0L, 255L));
    }
}

}  // namespace detail

/// Images of shape [1, 28, 28] of ten kinds of anti-aliased shapes with random place, size, rotation, contrast and
/// noise, sample i being of class i % 10. Made from the seed alone: image i of each part does not depend on the
/// counts. Normalised to mean 0 and standard deviation 1 over the training images.
/// @throws error unless there is at least one training image and no negative count
inline train_and_test rendered_shapes(std::int64_t train_count, std::int64_t test_count, std::uint64_t seed) {
  if (train_count < 1 || test_count < 0)
    throw error("a count of images is out of range", "rendered_shapes",
                std::to_string(train_count) + " and " + std::to_string(test_count),
                "at least one training image and no negative count");
  constexpr std::size_t pixels = 28 * 28;
  const auto draw = [&](std::int64_t count, std::uint32_t part) {
    std::vector<std::uint8_t> images(static_cast<std::size_t>(count) * pixels);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      detail::render_shape(static_cast<int>(i % 10), {seed, shapes_stream, part}, i, images.data() + i * pixels);
    return images;
  };
  std::vector<std::uint8_t> train = draw(train_count, 0), test = draw(test_count, 1);

  std::int64_t sum = 0, squares = 0;  // exact
  for (const std::int64_t value : train) {
    sum += value;
    squares += value * value;
  }
  const double count = static_cast<double>(train.size());
  const double mean = static_cast<double>(sum) / count;
  const double deviation = std::sqrt(static_cast<double>(squares) / count - mean * mean);
  const auto finish = [&](std::vector<std::uint8_t> images) {
    std::vector<std::int32_t> labels(images.size() / pixels);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 10);
    return dataset::own(std::move(images), {1, 28, 28}, std::move(labels), 10)
        .scaled(1 / deviation, -mean / deviation)
        .named({"disc", "ring", "square", "frame", "triangle", "cross", "bar", "crescent", "flower", "two discs"});
  };
  return {finish(std::move(train)), finish(std::move(test))};
}

}  // namespace vivace::inline VIVACE_TARGET::data
