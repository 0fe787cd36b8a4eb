#pragma once
// A preparation that costs as much as decoding and augmenting a small picture: the same code for every loader that is
// measured. turns.cpp gives it to Python.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>
#include <vivace/core/shape.hpp>
#include <vivace/data/transforms.hpp>

namespace loading {

/// Turns an image by random angles, with linear interpolation, some times over.
struct turns {
  int count = 12;

  template <std::floating_point Real>
  void operator()(Real* sample, const vivace::shape& of, const vivace::data::sample_key& key) const {
    const int height = static_cast<int>(of[of.rank - 2]), width = static_cast<int>(of[of.rank - 1]);
    std::vector<Real> old(static_cast<std::size_t>(of.size()));
    for (int turn = 0; turn < count; ++turn) {
      std::copy_n(sample, of.size(), old.begin());
      const auto angle = static_cast<Real>((key.uniform(static_cast<std::uint32_t>(turn)) - 0.5) * 0.2);
      const Real cosine = std::cos(angle), sine = std::sin(angle);
      const Real middle_x = static_cast<Real>(width - 1) / 2, middle_y = static_cast<Real>(height - 1) / 2;
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
          const Real right = static_cast<Real>(x) - middle_x, down = static_cast<Real>(y) - middle_y;
          const Real u =
              (std::clamp)(cosine * right - sine * down + middle_x, Real(0), static_cast<Real>(width) - Real(1.01));
          const Real v =
              (std::clamp)(sine * right + cosine * down + middle_y, Real(0), static_cast<Real>(height) - Real(1.01));
          const int left = static_cast<int>(u), top = static_cast<int>(v);
          const Real a = u - static_cast<Real>(left), b = v - static_cast<Real>(top);
          const Real* const from = old.data() + top * width + left;
          sample[y * width + x] =
              (1 - b) * ((1 - a) * from[0] + a * from[1]) + b * ((1 - a) * from[width] + a * from[width + 1]);
        }
    }
  }
};

}  // namespace loading
