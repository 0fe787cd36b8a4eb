#pragma once
#include <vivace/graph/graph.hpp>

/// How weights start; see initialiser::rule for the formulas.
namespace vivace::inline VIVACE_TARGET::init {

/// @name Starts
/// @{

/// As initialiser::rule of that name says; the gain of `he` suits a ReLU behind the layer.
inline constexpr initialiser zeros{initialiser::rule::constant, 0};
inline constexpr initialiser ones{initialiser::rule::constant, 1};
constexpr initialiser constant(double value) { return {initialiser::rule::constant, value}; }
constexpr initialiser normal(double deviation) { return {initialiser::rule::normal, deviation}; }
constexpr initialiser uniform(double bound) { return {initialiser::rule::uniform, bound}; }
constexpr initialiser xavier(double gain = 1) { return {initialiser::rule::xavier_uniform, gain}; }
constexpr initialiser xavier_normal(double gain = 1) { return {initialiser::rule::xavier_normal, gain}; }
constexpr initialiser he(double gain = 1.41421356237309504880) { return {initialiser::rule::he_normal, gain}; }
constexpr initialiser he_uniform(double gain = 1.41421356237309504880) { return {initialiser::rule::he_uniform, gain}; }
constexpr initialiser orthogonal(double gain = 1) { return {initialiser::rule::orthogonal, gain}; }
/// @}

}  // namespace vivace::inline VIVACE_TARGET::init
