#pragma once
#include <cmath>
#include <vector>

#include <vivace/core/random.hpp>
#include <vivace/graph/freeze.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Random streams: dropout masks count from 0, parameters start here.
inline constexpr std::uint32_t parameter_stream = 0x10000;

/// A standard normal number (Box and Muller), from positions 2 * index and 2 * index + 1 of a stream.
inline double normal(const random_stream& random, std::uint64_t index) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform(2 * index)));
  return radius * std::cos(6.28318530717958647693 * random.uniform(2 * index + 1));
}

/// Orthonormal rows, or columns where there are more rows than columns, of a [rows, columns] matrix times gain.
template <class Real>
void fill_orthogonal(Real* to, std::int64_t row_count, std::int64_t column_count, double gain,
                     const random_stream& random) {
  const bool tall = row_count > column_count;
  const std::int64_t count = tall ? column_count : row_count;
  const std::int64_t length = tall ? row_count : column_count;
  std::vector<double> basis(static_cast<std::size_t>(count * length));
  for (std::int64_t i = 0; i < count; ++i) {
    double* own = basis.data() + i * length;
    for (std::int64_t j = 0; j < length; ++j) own[j] = normal(random, static_cast<std::uint64_t>(i * length + j));
    for (int pass = 0; pass < 2; ++pass)  // twice is enough (Kahan)
      for (std::int64_t other = 0; other < i; ++other) {
        const double* base = basis.data() + other * length;
        double product = 0;
        for (std::int64_t j = 0; j < length; ++j) product += own[j] * base[j];
        for (std::int64_t j = 0; j < length; ++j) own[j] -= product * base[j];
      }
    double norm = 0;
    for (std::int64_t j = 0; j < length; ++j) norm += own[j] * own[j];
    for (std::int64_t j = 0; j < length; ++j) own[j] /= std::sqrt(norm);
  }
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < length; ++j)
      to[tall ? j * column_count + i : i * column_count + j] =
          static_cast<Real>(gain * basis[static_cast<std::size_t>(i * length + j)]);
}

/// Writes the start value of one parameter or state.
/// @param dims its extents
/// @param random a stream of its own
template <class Real>
void initialise(Real* to, const shape& dims, const variable& entry, const random_stream& random) {
  const double gain = entry.start.gain;
  const double fan_in = entry.fan_in;
  const double fan_sum = entry.fan_in + entry.fan_out;
  double bound = 0;      // of a uniform distribution
  double deviation = 0;  // of a normal one
  using rule = initialiser::rule;
  switch (entry.start.kind) {
    case rule::constant:
      for (std::int64_t i = 0; i < dims.size(); ++i) to[i] = static_cast<Real>(gain);
      return;
    case rule::orthogonal: {
      const std::int64_t row_count = dims.rank > 0 ? dims[0] : 1;
      return fill_orthogonal(to, row_count, dims.size() / row_count, gain, random);
    }
    case rule::xavier_uniform: bound = gain * std::sqrt(6 / fan_sum); break;
    case rule::he_uniform: bound = gain * std::sqrt(3 / fan_in); break;
    case rule::uniform: bound = gain; break;
    case rule::xavier_normal: deviation = gain * std::sqrt(2 / fan_sum); break;
    case rule::he_normal: deviation = gain / std::sqrt(fan_in); break;
    case rule::normal: deviation = gain; break;
  }
  for (std::int64_t i = 0; i < dims.size(); ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    to[i] = static_cast<Real>(deviation > 0 ? deviation * normal(random, index) : bound * (2 * random.uniform(index) - 1));
  }
}

/// Writes the start values of all parameters and states of a graph: functions of the seed, each variable's position in
/// its table, and each element's index.
template <class Real>
void initialise_variables(const graph_view& from, const plan_view& places, Real* parameters, Real* states, std::uint64_t seed) {
  for (int p = 0; p < from.parameters.size(); ++p)
    initialise(parameters + places.parameters[p].offset, from.nodes[from.parameters[p].node].dims, from.parameters[p],
               random_stream(seed, parameter_stream + static_cast<std::uint32_t>(p)));
  for (int s = 0; s < from.states.size(); ++s)
    initialise(states + places.states[s].offset, from.nodes[from.states[s].node].dims, from.states[s],
               random_stream(seed, 2 * parameter_stream + static_cast<std::uint32_t>(s)));
}

}  // namespace vivace::inline VIVACE_TARGET
