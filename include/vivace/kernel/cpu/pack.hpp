#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Transposes a strip of (Quads * 4) rows x 4 columns: to[column * to_row + row] = from[row * from_row + column].
/// Rows four apart are joined in one register on the way in, so that only shuffles within quarters remain.
template <int Quads, class Real>
[[gnu::always_inline]] inline void transpose_strip(const Real* from, std::int64_t from_row, Real* to,
                                                   std::int64_t to_row) {
  typedef Real four __attribute__((vector_size(4 * sizeof(Real))));
  typedef Real wide __attribute__((vector_size(4 * Quads * sizeof(Real))));
  wide line[4];
  for (int row = 0; row < 4; ++row) {
    four part[Quads];
    for (int quad = 0; quad < Quads; ++quad) std::memcpy(&part[quad], from + (row + 4 * quad) * from_row, sizeof(four));
    if constexpr (Quads == 2)
      line[row] = __builtin_shufflevector(part[0], part[1], 0, 1, 2, 3, 4, 5, 6, 7);
    else
      line[row] = part[0];
  }
  wide low01, high01, low23, high23;
  if constexpr (Quads == 2) {
    low01 = __builtin_shufflevector(line[0], line[1], 0, 8, 1, 9, 4, 12, 5, 13);
    high01 = __builtin_shufflevector(line[0], line[1], 2, 10, 3, 11, 6, 14, 7, 15);
    low23 = __builtin_shufflevector(line[2], line[3], 0, 8, 1, 9, 4, 12, 5, 13);
    high23 = __builtin_shufflevector(line[2], line[3], 2, 10, 3, 11, 6, 14, 7, 15);
    line[0] = __builtin_shufflevector(low01, low23, 0, 1, 8, 9, 4, 5, 12, 13);
    line[1] = __builtin_shufflevector(low01, low23, 2, 3, 10, 11, 6, 7, 14, 15);
    line[2] = __builtin_shufflevector(high01, high23, 0, 1, 8, 9, 4, 5, 12, 13);
    line[3] = __builtin_shufflevector(high01, high23, 2, 3, 10, 11, 6, 7, 14, 15);
  } else {
    low01 = __builtin_shufflevector(line[0], line[1], 0, 4, 1, 5);
    high01 = __builtin_shufflevector(line[0], line[1], 2, 6, 3, 7);
    low23 = __builtin_shufflevector(line[2], line[3], 0, 4, 1, 5);
    high23 = __builtin_shufflevector(line[2], line[3], 2, 6, 3, 7);
    line[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    line[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    line[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    line[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
  }
  for (int column = 0; column < 4; ++column) std::memcpy(to + column * to_row, &line[column], sizeof(wide));
}

/// Calls body(first) for pieces of `size` that cover [0, count), count >= size; the last may overlap the one before.
template <class Body>
[[gnu::always_inline]] inline void cover(int count, int size, Body&& body) {
  for (int first = 0; first + size <= count; first += size) body(first);
  if (count % size != 0) body(count - size);
}

/// Transposes rows x columns elements: to[column * to_row + row] = from[row * from_row + column].
template <class Real>
[[gnu::noinline]] void transpose(const Real* from, std::int64_t from_row, Real* to, std::int64_t to_row, int rows,
                                 int columns) {
  constexpr int quads = 8 * sizeof(Real) <= VIVACE_VECTOR_BYTES ? 2 : 1;
  const auto strip = [&]<int Quads>(int row, int column) __attribute__((always_inline)) {
    transpose_strip<Quads>(from + row * from_row + column, from_row, to + column * to_row + row, to_row);
  };
  if (rows < 4 || columns < 4) {
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column) to[column * to_row + row] = from[row * from_row + column];
  } else if (rows < 4 * quads) {
    cover(rows, 4, [&](int row) { cover(columns, 4, [&](int column) { strip.template operator()<1>(row, column); }); });
  } else if (to_row > from_row) {  // few distant lines at a time: many of them may want the same place in the cache
    cover(columns, 4,
          [&](int column) { cover(rows, 4 * quads, [&](int row) { strip.template operator()<quads>(row, column); }); });
  } else {
    cover(rows, 4 * quads,
          [&](int row) { cover(columns, 4, [&](int column) { strip.template operator()<quads>(row, column); }); });
  }
}

/// Copies count elements, in pieces of fixed sizes: a call of memmove would cost more than the copy. `to` may lie
/// before `from` and overlap it.
template <class Real>
[[gnu::always_inline]] inline void copy_short(Real* to, const Real* from, std::int64_t count) {
  for (; count >= lanes<Real>; count -= lanes<Real>, to += lanes<Real>, from += lanes<Real>) store(to, load(from));
  if constexpr (8 < lanes<Real>)
    if (count >= 8) std::memmove(to, from, 8 * sizeof(Real)), count -= 8, to += 8, from += 8;
  if constexpr (4 < lanes<Real>)
    if (count >= 4) std::memmove(to, from, 4 * sizeof(Real)), count -= 4, to += 4, from += 4;
  for (; count > 0; --count) *to++ = *from++;
}

/// Memory that will be needed soon, to be fetched in even shares beside the tiles that are multiplied before.
template <class Real>
struct lookahead {
  const char* at = nullptr;
  std::int64_t share = 0;  // bytes

  lookahead() = default;
  lookahead(const Real* from, std::int64_t count, std::int64_t shares)
      : at(count > 0 ? reinterpret_cast<const char*>(from) : nullptr),
        share(count * std::int64_t{sizeof(Real)} / (std::max)(shares, std::int64_t{1})) {}
  /// Gives a tile with a table the next share.
  template <class Tile>
  [[gnu::always_inline]] void feed(Tile& work) {
    work.ahead = at;
    work.ahead_step = at == nullptr ? 0 : share / (std::max)(work.steps, std::int64_t{1});
    if (at != nullptr) at += share;
  }
  /// Asks for the next share at once.
  [[gnu::always_inline]] void fetch() {
    if (at == nullptr) return;
    for (std::int64_t byte = 0; byte < share; byte += 64) __builtin_prefetch(at + byte, 0, 2);
    at += share;
  }
};

/// Copies a slice of a matrix into a panel: panel[d * width + w] = from[d * depth_stride + w * width_stride] for w <
/// valid, zero for valid <= w < width.
template <class Real>
[[gnu::noinline]] void pack(Real* panel, int width, const Real* from, std::int64_t width_stride,
                            std::int64_t depth_stride, int depth, int valid) {
  if (width_stride == 1) {
    if (constexpr int rows = tuning::gemm<Real>::rows; width == rows && valid == rows) {
      for (int d = 0; d < depth; ++d) std::memcpy(panel + d * rows, from + d * depth_stride, rows * sizeof(Real));
      return;
    }
    // A vector may read on into the next line (those lanes are never used), but not past the last line.
    const int vectors = (valid + lanes<Real> - 1) / lanes<Real>, over = vectors * lanes<Real> - valid;
    const bool wide = width >= vectors * lanes<Real>;
    for (int d = 0; d < depth; ++d, panel += width, from += depth_stride) {
      if (wide && (over == 0 || (d + 1 < depth && depth_stride >= over))) {
        for (int w = 0; w < vectors * lanes<Real>; w += lanes<Real>) store(panel + w, load(from + w));
      } else {
        copy_short(panel, from, valid);
        for (int w = valid; w < width; ++w) panel[w] = Real{};
      }
    }
    return;
  }
  if (valid < width)
    for (int d = 0; d < depth; ++d) std::fill(panel + d * width + valid, panel + (d + 1) * width, Real{});
  if (depth_stride == 1) {
    transpose(from, width_stride, panel, width, valid, depth);
    return;
  }
  for (int d = 0; d < depth; ++d)
    for (int w = 0; w < valid; ++w) panel[d * width + w] = from[d * depth_stride + w * width_stride];
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
