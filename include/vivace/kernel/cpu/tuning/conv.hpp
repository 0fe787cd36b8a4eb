#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::kernel::tuning {

/// Tasks that the images of a batch are dealt to, at most; each has its own slot of workspace.
inline constexpr int conv_tasks = 32;
/// Partial sums of a weight gradient, at most.
inline constexpr int conv_parts = 16;
/// Elements of padded lines and results that a task holds on its stack, beside the 200 KiB of the program that takes
/// them. Images are cut to strips of lines that fit.
template <class Real>
inline constexpr std::int64_t conv_local = 152 * 1024 / std::int64_t{sizeof(Real)};
/// Copies of lines that are saved from which on lines are made as long as the taps reach.
inline constexpr int conv_spread = 3;
/// Pixels that a weight gradient sums before it goes back to memory: small images are taken several at once.
inline constexpr int conv_block = 512;
/// Filters from which on an input's gradient may be scattered: with fewer its sums are written too often.
inline constexpr int conv_scattered = 12;
/// Filters up to which lanes of a weight gradient are pixels, or if there are few weights, and the elements of its sums
/// by lanes, at most.
inline constexpr int conv_few_filters = 8, conv_few_weights = 512;
inline constexpr std::int64_t conv_few_sums = 64 * 1024;
/// Elements of a weight gradient that a task adds and turns; a multiple of 1024.
inline constexpr int conv_stretch = 8 * 1024;
/// Multiply-adds below which a convolution runs on the calling thread.
inline constexpr std::int64_t conv_serial = 200'000;

}  // namespace vivace::inline VIVACE_TARGET::kernel::tuning
