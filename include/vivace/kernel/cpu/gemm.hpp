#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include <vivace/core/parallel.hpp>
#include <vivace/kernel/cpu/few_columns.hpp>
#include <vivace/kernel/cpu/pack.hpp>
#include <vivace/kernel/cpu/tile.hpp>
#include <vivace/kernel/cpu/tuning/gemm.hpp>
#include <vivace/kernel/cpu/vector.hpp>

namespace vivace::inline VIVACE_TARGET::kernel {

/// Where finished elements of an output go instead of to memory. Each element is handed over once, from any thread,
/// while it is still in the cache.
template <class Real>
struct epilogue {
  /// Takes the output elements [first, first + count) in row-major order; `values` is not valid after the call.
  void (*apply)(const void* self, std::int64_t first, std::int64_t count, const Real* values) = nullptr;
  const void* self = nullptr;
  /// If set, takes `rows` stretches at once, the first elements of which lie `stride` apart in the output; `values`
  /// holds them one behind the other. Saves what apply() prepares for each call.
  void (*apply_rows)(const void* self, std::int64_t first, int rows, std::int64_t stride, std::int64_t count,
                     const Real* values) = nullptr;

  void operator()(std::int64_t first, int rows, std::int64_t stride, std::int64_t count, const Real* values) const {
    if (stride == count) return apply(self, first, rows * count, values);
    if (apply_rows != nullptr) return apply_rows(self, first, rows, stride, count, values);
    for (int row = 0; row < rows; ++row) apply(self, first + row * stride, count, values + row * count);
  }
};

/// A product C = A B, or a batch of products of one size: C[b, i, j] = sum over d of A[b, i, d] * B[b, d, j].
template <class Real>
struct gemm_arguments {
  int m, n, k;  ///< C is [m, n], the sum runs over k
  const Real* a;
  std::int64_t a_row, a_column;  ///< strides in elements, any sign: a transpose is a swap of the two
  const Real* b;
  std::int64_t b_row, b_column;
  Real* c;  ///< [batch, m, n], contiguous; unused if finish is set
  int batch = 1;
  std::int64_t a_batch = 0, b_batch = 0;   ///< strides from one product to the next, in elements
  const epilogue<Real>* finish = nullptr;  ///< takes the values instead of c
  Real* workspace = nullptr;               ///< gemm_workspace(m, n, k, batch) elements
};

/// Parts along the depth, and the depth of each, for products with small C and large k. Depends on sizes only.
struct gemm_split {
  int parts, depth;
};
constexpr gemm_split split_depth(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batch) {
  const std::int64_t blocks = (m + 127) / 128 * ((n + 127) / 128) * batch;
  std::int64_t parts = (std::min)(std::int64_t{tuning::gemm_split_parts} / blocks, k / tuning::gemm_split_depth);
  if (parts <= 1 || m * n * k * batch < 2 * tuning::gemm_serial) return {1, static_cast<int>(k)};
  const std::int64_t depth = ((k + parts - 1) / parts + 63) / 64 * 64;
  return {static_cast<int>((k + depth - 1) / depth), static_cast<int>(depth)};
}

/// Elements of Real that gemm needs as workspace; often zero.
constexpr std::int64_t gemm_workspace(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batch = 1) {
  const gemm_split split = split_depth(m, n, k, batch);
  return split.parts == 1 ? 0 : split.parts * m * n * batch;
}

/// multiply_tile for a number of vectors known at run time.
template <class Real, bool Table, int Rows = tuning::gemm<Real>::rows>
[[gnu::always_inline]] inline void multiply_vectors(const tile<Real>& work, int vectors, Real* out,
                                                    std::int64_t out_row, bool add) {
  if (vectors == 1) return multiply_tile<Real, 1, Table, false, Rows>(work, out, out_row, add);
  if (vectors == 2) return multiply_tile<Real, 2, Table, false, Rows>(work, out, out_row, add);
  multiply_tile<Real, tuning::gemm<Real>::vectors, Table, false, Rows>(work, out, out_row, add);
}

/// Computes the first rows x columns elements of a tile at out.
template <bool Table = false, class Real>
[[gnu::noinline]] void multiply_edge(const tile<Real>& work, int rows, int columns, Real* out, std::int64_t out_row,
                                     bool add) {
  using size = tuning::gemm<Real>;
  const int vectors = (columns + lanes<Real> - 1) / lanes<Real>;
  if (rows == size::rows && columns == vectors * lanes<Real>)
    return multiply_vectors<Real, Table>(work, vectors, out, out_row, add);
  if constexpr (!Table)
    if (rows == 1 && columns == vectors * lanes<Real>)
      return multiply_vectors<Real, false, 1>(work, vectors, out, out_row, add);
  if constexpr (Table && size::few_rows < size::rows)
    if (rows == size::few_rows && columns == size::columns)
      return multiply_tile<Real, size::vectors, true, false, size::few_rows>(work, out, out_row, add);
  alignas(64) Real held[size::rows * size::columns];
  if (add)
    for (int row = 0; row < rows; ++row) copy_short(held + row * size::columns, out + row * out_row, columns);
  multiply_vectors<Real, Table>(work, vectors, held, size::columns, add);
  for (int row = 0; row < rows; ++row) {
    Real* const to = out + row * out_row;
    const Real* const from = held + row * size::columns;
    // Where rows touch, whole vectors may run over into the next, which is written after.
    if (out_row == columns && (rows - 1 - row) * out_row + columns >= vectors * lanes<Real>)
      for (int j = 0; j < vectors * lanes<Real>; j += lanes<Real>) store(to + j, load(from + j));
    else
      copy_short(to, from, columns);
  }
}

/// Packs rows of A to panels of a tile's rows, `panel` elements apart.
template <class Real>
[[gnu::noinline]] void pack_panels(Real* panels, int panel, const Real* a, std::int64_t a_row, std::int64_t a_column,
                                   int depth, int rows) {
  constexpr int height = tuning::gemm<Real>::rows;
  const int whole = a_row == 1 ? rows / height : 0;
  // Columns one behind the other, each as a whole: a panel at a time would read every line of memory twice.
  for (int d = 0; d < depth; ++d)
    for (int i = 0; i < whole; ++i)
      std::memcpy(panels + i * panel + d * height, a + d * a_column + i * height, height * sizeof(Real));
  for (int row = whole * height; row < rows; row += height)
    pack(panels + row / height * panel, height, a + row * a_row, a_row, a_column, depth,
         (std::min)(height, rows - row));
}

/// out[i, j] = a[i] * b[j]: sums of one term need no tiles.
template <class Real>
void multiply_outer(int m, int n, const Real* a, std::int64_t a_row, const Real* b, Real* out, std::int64_t out_row) {
  for (int row = 0; row < m; ++row, a += a_row, out += out_row) {
    const vector<Real> left = broadcast(*a);
    int column = 0;
    for (; column + lanes<Real> <= n; column += lanes<Real>)
      store(out + column, left * load(b + column) + vector<Real>{});  // + 0: a sum is never -0
    for (; column < n; ++column) out[column] = *a * b[column] + Real{};
  }
}

/// Computes out[i, j] = sum over d of a[i, d] b[d, j] for a block whose packed operands fit the stack.
template <class Real>
[[gnu::noinline]] void multiply_block(int m, int n, int k, const Real* a, std::int64_t a_row, std::int64_t a_column,
                                      const Real* b, std::int64_t b_row, std::int64_t b_column, Real* out,
                                      std::int64_t out_row) {
  if (k == 1 && b_column == 1) return multiply_outer(m, n, a, a_row, b, out, out_row);
  using size = tuning::gemm<Real>;
  constexpr int gap = 64 / int{sizeof(Real)};  // between panels, which else would want the same place in the cache
  alignas(64) Real a_panels[size::block_rows / size::rows * (size::rows * size::depth + gap)];
  alignas(64) Real b_panel[size::columns * size::depth];
  // Rows of A are streams that the prefetcher follows; columns of A are packed if more than one panel reads them, or if
  // they are too many to be in the first-level cache.
  const bool few = n <= size::columns && (a_row != 1 || m * k <= tuning::gemm_in_place);
  const bool in_place = a_column == 1 || few;
  int most = size::depth;
  if (in_place && k > most)  // a narrow panel may be deeper
    most = size::depth * size::columns / ((std::min)(n + lanes<Real> - 1, size::columns) / lanes<Real> * lanes<Real>);
  for (int from = 0; from < k; from += most) {
    const int depth = (std::min)(most, k - from);
    const int a_panel = size::rows * depth + gap;
    if (!in_place) pack_panels(a_panels, a_panel, a + from * a_column, a_row, a_column, depth, m);
    for (int column = 0; column < n; column += size::columns) {
      const int columns = (std::min)(size::columns, n - column);
      const int width = (columns + lanes<Real> - 1) / lanes<Real> * lanes<Real>;
      const Real* const unpacked = b + from * b_row + column * b_column;
      // The first tile can read rows of B where they lie, and packs them for the others by the way.
      const bool by_the_way = b_column == 1 && columns == size::columns && m >= size::rows;
      // Short rows that lie one behind the other are a panel already.
      const bool packed = b_column == 1 && b_row == width && columns == width;
      if (!by_the_way && !packed) pack(b_panel, width, unpacked, b_column, b_row, depth, columns);
      tile<Real> work;
      work.steps = depth;
      work.a_step = in_place ? a_column : size::rows;
      for (int row = 0; row < m; row += size::rows) {
        const int rows = (std::min)(size::rows, m - row);
        const Real* from_a = in_place ? a + row * a_row + from * a_column : a_panels + row / size::rows * a_panel;
        const int real = in_place ? rows : size::rows;  // the last row stands for those that a tile has beyond
        for (int i = 0; i < size::rows; ++i) {
          work.a[i] = from_a;
          if (i + 1 < real) from_a += in_place ? a_row : 1;
        }
        const bool packs = by_the_way && !packed && row == 0;
        work.b = packs || packed ? unpacked : b_panel;
        work.b_step = packs ? b_row : width;
        Real* const to = out + row * out_row + column;
        if (packs)
          multiply_tile<Real, size::vectors, false, true>(work, to, out_row, from > 0, b_panel);
        else
          multiply_edge(work, rows, columns, to, out_row, from > 0);
      }
    }
  }
}

/// Sizes of blocks, and their number.
struct gemm_blocks {
  int rows, columns, down, across;
};
/// @param finished an epilogue takes the result
template <class Real>
constexpr gemm_blocks cut_blocks(int m, int n, int k, int batch, bool finished) {
  using size = tuning::gemm<Real>;
  const auto ceil = [](int whole, int part) { return (whole + part - 1) / part; };
  gemm_blocks cut{};
  // Where B does not stay in the cache, it is read once and not for each block of rows.
  if (finished && (m > size::block_rows || std::int64_t{k} * n <= tuning::gemm_cached<Real>)) {
    // Whole rows: what an epilogue reads and writes is one stream, which the hardware fetches ahead of the time.
    const int few = ceil(m, ceil(tuning::gemm_whole_blocks, batch)) / size::rows * size::rows;
    const int most = (std::min)({size::block_rows, size::block_elements / n / size::rows * size::rows, few});
    if (most >= tuning::gemm_whole_rows) {
      cut.down = ceil(m, most);
      cut.rows = ceil(ceil(m, cut.down), size::rows) * size::rows;
      return {cut.rows, ceil(n, size::columns) * size::columns, ceil(m, cut.rows), 1};
    }
  }
  const int panels = ceil(n, size::columns);
  int down = ceil(m, size::block_rows);
  if (panels <= size::block_panels) {  // a block has all columns if they are few
    const int tall =
        (std::min)(size::block_rows, size::block_elements / (panels * size::columns) / size::rows * size::rows);
    down = (std::max)(ceil(m, tall), (std::min)(ceil(tuning::gemm_blocks, batch), m / (2 * tuning::gemm_whole_rows)));
  }
  cut.rows = ceil(ceil(m, down), size::rows) * size::rows;
  cut.down = ceil(m, cut.rows);
  int most = (std::min)({size::block_panels, panels, size::block_elements / (cut.rows * size::columns)});
  while (most > 1 && std::int64_t{cut.down} * ceil(panels, most) * batch < tuning::gemm_blocks) --most;
  cut.columns = (std::max)(most, 1) * size::columns;
  cut.across = ceil(n, cut.columns);
  return cut;
}

/// A product of few columns; see few_columns.
template <class Real>
void multiply_few_columns(const gemm_arguments<Real>& given, const parallel& run) {
  const few_columns::operands<Real> of{given.n,   given.k,     given.a,       given.a_row, given.a_column,
                                       given.b, given.b_row, given.b_column};
  const bool alone = std::int64_t{given.m} * given.n * given.k < tuning::gemm_serial;
  few_columns::multiply(given.m, of, alone ? parallel{} : run, [&](int first, int rows, const Real* values) {
    const std::int64_t begin = std::int64_t{first} * given.n, count = std::int64_t{rows} * given.n;
    if (given.finish != nullptr)
      given.finish->apply(given.finish->self, begin, count, values);
    else
      copy_short(given.c + begin, values, count);
  });
}

/// A product by tiles; see gemm.
template <class Real>
void multiply_in_tiles(const gemm_arguments<Real>& product, const parallel& run) {
  using size = tuning::gemm<Real>;
  const int m = product.m, n = product.n, k = product.k;
  if (m <= 0 || n <= 0 || product.batch <= 0) return;
  if (product.batch == 1 && k > 0 && m <= size::block_rows && std::int64_t{m} * n <= tuning::gemm_one_block &&
      std::int64_t{m} * n * k <= tuning::gemm_serial) {  // no divisions to find blocks: they would take longer
    alignas(64) Real held[tuning::gemm_one_block];
    multiply_block(m, n, k, product.a, product.a_row, product.a_column, product.b, product.b_row, product.b_column,
                   product.finish != nullptr ? held : product.c, n);
    if (product.finish != nullptr) product.finish->apply(product.finish->self, 0, m * n, held);
    return;
  }
  const gemm_split split = split_depth(m, n, k, product.batch);
  const bool finished = product.finish != nullptr && split.parts == 1;
  const gemm_blocks cut = cut_blocks<Real>(m, n, k, product.batch * split.parts, finished);
  const std::int64_t area = std::int64_t{m} * n;
  const std::int64_t tasks = std::int64_t{cut.down} * cut.across * product.batch * split.parts;
  const bool alone = tuning::gemm_serial > area * k * product.batch;  // `batch <` is a template to clang

  const auto block = [&](std::int64_t task) {
    const int across = static_cast<int>(task % cut.across);
    const int down = static_cast<int>(task / cut.across % cut.down);
    const std::int64_t one = task / (std::int64_t{cut.across} * cut.down);
    const std::int64_t batch = one % product.batch, part = one / product.batch;
    const int row = down * cut.rows, column = across * cut.columns, from = static_cast<int>(part) * split.depth;
    const int rows = (std::min)(cut.rows, m - row), columns = (std::min)(cut.columns, n - column);
    const Real* a = product.a + batch * product.a_batch + row * product.a_row + from * product.a_column;
    const Real* b = product.b + batch * product.b_batch + column * product.b_column + from * product.b_row;
    const int depth = (std::min)(split.depth, k - from);
    const std::int64_t first = batch * area + std::int64_t{row} * n + column;
    const auto multiply = [&](Real* out, std::int64_t out_row) {
      if (depth <= 0)
        for (int i = 0; i < rows; ++i) std::fill(out + i * out_row, out + i * out_row + columns, Real{});
      multiply_block(rows, columns, depth, a, product.a_row, product.a_column, b, product.b_row, product.b_column, out,
                     out_row);
    };
    if (split.parts > 1) return multiply(product.workspace + part * product.batch * area + first, n);
    if (product.finish == nullptr) return multiply(product.c + first, n);
    alignas(64) Real held[size::block_elements];
    multiply(held, columns);
    (*product.finish)(first, rows, n, columns, held);
  };
  (alone ? parallel{} : run)(tasks, block);
  if (split.parts == 1) return;

  constexpr std::int64_t stretch = 4096;
  const std::int64_t all = area * product.batch;
  (alone ? parallel{} : run)((all + stretch - 1) / stretch, [&](std::int64_t task) {
    alignas(64) Real held[stretch];
    const std::int64_t first = task * stretch, count = (std::min)(stretch, all - first);
    Real* to = product.finish != nullptr ? held : product.c + first;
    std::copy_n(product.workspace + first, count, to);
    for (int part = 1; part < split.parts; ++part) {
      const Real* from = product.workspace + part * all + first;
      std::int64_t at = 0;
      for (; at + lanes<Real> <= count; at += lanes<Real>) store(to + at, load(to + at) + load(from + at));
      for (; at < count; ++at) to[at] += from[at];
    }
    if (product.finish != nullptr) product.finish->apply(product.finish->self, first, count, held);
  });
}

/// Matrix product; see gemm_arguments. The same bits for every number of threads. NaN and infinity propagate as in a
/// plain loop. Allocates nothing; uses up to 250 KiB of stack.
template <class Real>
void gemm(const gemm_arguments<Real>& given, const parallel& run) {
  if (given.batch == 1 && few_columns::serves<Real>(given.m, given.n, given.k, given.a_row, given.a_column))
    return multiply_few_columns(given, run);
  if (given.n != 1) return multiply_in_tiles(given, run);  // no copy: it would wait for the stores that made `given`
  gemm_arguments<Real> turned = given;  // one column is one row of the transposed product, which fills vectors
  std::swap(turned.m, turned.n);
  std::swap(turned.a, turned.b), std::swap(turned.a_batch, turned.b_batch);
  std::swap(turned.a_row, turned.b_column), std::swap(turned.a_column, turned.b_row);
  multiply_in_tiles(turned, run);
}

}  // namespace vivace::inline VIVACE_TARGET::kernel
