#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <vector>
#include <vivace/core/shape.hpp>
#include <vivace/data/random.hpp>

/// Turns, zooms and shifts an image at random; each new pixel is the mean of points x points places of the old image,
/// each found by linear interpolation. Its cost goes with the square of `points`.
struct random_view {
  int points = 4;
  double angle = 0.25, zoom = 0.15, shift = 2;  ///< largest: radians, relative, pixels
  double surroundings = 0;

  template <std::floating_point Real>
  void operator()(Real* sample, const vivace::shape& of, const vivace::data::sample_key& key) const {
    const int height = of[of.rank - 2], width = of[of.rank - 1];
    const std::vector<Real> old(sample, sample + height * width);
    const auto spread = [&](std::uint32_t number, double largest) { return (2 * key.uniform(number) - 1) * largest; };
    const double turn = spread(0, angle), scale = 1 + spread(1, zoom);
    const auto along = static_cast<Real>(std::cos(turn) * scale), across = static_cast<Real>(std::sin(turn) * scale);
    const auto right = static_cast<Real>(spread(2, shift)), down = static_cast<Real>(spread(3, shift));
    const auto middle_x = static_cast<Real>(width - 1) / 2, middle_y = static_cast<Real>(height - 1) / 2;
    const auto at = [&](int y, int x) {
      return y < 0 || y >= height || x < 0 || x >= width ? static_cast<Real>(surroundings)
                                                         : old[static_cast<std::size_t>(y * width + x)];
    };
    const auto step = 1 / static_cast<Real>(points);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        Real sum = 0;
        for (int i = 0; i < points * points; ++i) {
          const Real dx =
              static_cast<Real>(x) - middle_x + (static_cast<Real>(i % points) + Real(0.5)) * step - Real(0.5);
          const Real dy =
              static_cast<Real>(y) - middle_y + (static_cast<Real>(i / points) + Real(0.5)) * step - Real(0.5);
          const Real u = along * dx - across * dy + middle_x + right, v = across * dx + along * dy + middle_y + down;
          const int left = static_cast<int>(std::floor(u)), top = static_cast<int>(std::floor(v));
          const Real a = u - static_cast<Real>(left), b = v - static_cast<Real>(top);
          sum += (1 - b) * ((1 - a) * at(top, left) + a * at(top, left + 1)) +
                 b * ((1 - a) * at(top + 1, left) + a * at(top + 1, left + 1));
        }
        sample[y * width + x] = sum * step * step;
      }
  }
};
