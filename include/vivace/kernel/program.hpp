#pragma once
#include <algorithm>
#include <cstring>

#include <vivace/core/bfloat16.hpp>
#include <vivace/kernel/call.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Elements of a block: a program does all its operations on one block, in first-level cache, before the next.
template <class Real>
inline constexpr std::int64_t block_size = 2048 / static_cast<std::int64_t>(sizeof(Real));

/// Most loads of a program.
inline constexpr int max_loads = max_group * max_operands;

/// Walks over the elements of a pattern in order, a stretch at a time.
class run_walker {
 public:
  run_walker() = default;
  run_walker(const pattern& how, std::int64_t first) { start(how, first); }
  /// Goes to an element. Costs divisions; going on from there costs none.
  void start(const pattern& how, std::int64_t first) {
    how_ = &how;
    place_ = 0;
    std::int64_t step = 1;
    for (int d = how.rank - 1; d >= 0; --d) {
      const std::int64_t extent = how.extent[d];
      index_[d] = d > 0 && first >= extent ? first % extent : first;
      first = first >= extent ? first / extent : 0;
      stride_[d] = how.repeated[d] ? 0 : step;
      if (!how.repeated[d]) step *= extent;
      place_ += index_[d] * stride_[d];
    }
  }
  /// Calls body(place, count, ends) for runs of the last axis in the next `count` elements; `ends` says that the axis
  /// does.
  template <class Body>
  void operator()(std::int64_t count, Body&& body) {
    const pattern& how = *how_;
    const int last = how.rank - 1;
    while (count > 0) {
      const std::int64_t run = (std::min)(count, how.extent[last] - index_[last]);
      body(place_, run, index_[last] + run == how.extent[last]);
      count -= run;
      place_ += run * stride_[last];
      index_[last] += run;
      for (int d = last; d > 0 && index_[d] == how.extent[d]; --d) {
        place_ += stride_[d - 1] - how.extent[d] * stride_[d];
        index_[d] = 0;
        ++index_[d - 1];
      }
    }
  }
  /// Elements until the last axis ends.
  [[nodiscard]] std::int64_t run() const { return how_->extent[how_->rank - 1] - index_[how_->rank - 1]; }
  /// Where the next element lies.
  [[nodiscard]] std::int64_t place() const { return place_; }

 private:
  const pattern* how_;
  std::int64_t index_[max_rank];
  std::int64_t stride_[max_rank];
  std::int64_t place_;
};

/// Runs a program block by block.
template <class Real>
class program_runner {
 public:
  program_runner(const program<Real>& body, const step_context& context) : body_(body), context_(context) {
    for (const bound_store<Real>* out = body.store; out != body.store + body.stores; ++out)
      if (out->direct) home_[out->from] = out->data;
  }

  /// Runs elements [first, first + count).
  /// @param head values of the operation's result for these elements, if the program finishes an operation
  /// @param sink called as sink(first, count, values) with each block of the fed register
  template <class Sink>
  void operator()(std::int64_t first, std::int64_t count, const Real* head, Sink&& sink) {
    start(first, count);
    for (std::int64_t done = 0; done < count; done += block_size<Real>) {
      const std::int64_t size = (std::min)(block_size<Real>, count - done);
      run_block(first + done, size, head == nullptr ? nullptr : head + done);
      sink(first + done, size, operand(body_.fed_register));
    }
  }
  void operator()(std::int64_t first, std::int64_t count, const Real* head) {
    start(first, count);
    for (std::int64_t done = 0; done < count; done += block_size<Real>)
      run_block(first + done, (std::min)(block_size<Real>, count - done), head == nullptr ? nullptr : head + done);
  }

 private:
  /// Prepares the loads that are not read where they lie.
  void start(std::int64_t first, std::int64_t count) {
    count = (std::min)(count, block_size<Real>);
    const bool longer = count > splat_;
    for (int l = 0; l < body_.loads; ++l) {
      const bound_load<Real>& load = body_.load[l];
      if (load.full) continue;
      if (!load.splat) {
        constant_[l] = 0;
        if (repeats_row(load.spread))
          place_[l] = first % load.spread.extent[1];
        else
          walk_[l].start(load.spread, first);
      } else if (body_.whole != nullptr) {
        load_[l] = load.data == nullptr ? &load.literal : load.data;
      } else if (longer) {
        fill(loaded_[l], load.data == nullptr ? load.literal : *load.data, count);
        load_[l] = loaded_[l];
      }
    }
    if (longer) splat_ = count;
  }
  /// Fills memory with a value, and up to a line behind it with anything.
  static void fill(Real* to, Real value, std::int64_t count) {
    Real line[line_size];
    for (Real& each : line) each = value;
    for (std::int64_t i = 0; i < count; i += line_size) std::memcpy(to + i, line, sizeof line);
  }
  /// Copies a run, which may be short: lines of fixed size take no call.
  static void copy(Real* to, const Real* from, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + line_size <= count; i += line_size) std::memcpy(to + i, from + i, line_size * sizeof(Real));
    if (i < count) std::memcpy(to + i, from + i, static_cast<std::size_t>(count - i) * sizeof(Real));
  }
  /// From and to memory that is half as wide; `narrow` has rounded the values. Lines of fixed size become vectors.
  static void widen(Real* to, const bfloat16* from, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + line_size <= count; i += line_size)
      for (int j = 0; j < line_size; ++j) to[i + j] = static_cast<Real>(to_float(from[i + j]));
    for (; i < count; ++i) to[i] = static_cast<Real>(to_float(from[i]));
  }
  static void narrow(bfloat16* to, const Real* from, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + line_size <= count; i += line_size)
      for (int j = 0; j < line_size; ++j) to[i + j] = upper_half(static_cast<float>(from[i + j]));
    for (; i < count; ++i) to[i] = upper_half(static_cast<float>(from[i]));
  }
  /// Finds the next elements of a load, repeated as its pattern says: where they lie, or else copied.
  void spread(int l, std::int64_t count) {
    const Real* const from = body_.load[l].data;
    const pattern& how = body_.load[l].spread;
    if (repeats_row(how)) return spread_row(l, count, how.extent[1]);
    const bool repeated = how.repeated[how.rank - 1];
    const std::int64_t place = walk_[l].place();
    if (walk_[l].run() >= count) {
      if (!repeated) {
        load_[l] = from + place;
      } else if (constant_[l] < count || place_[l] != place) {
        fill(loaded_[l], from[place], count);
        load_[l] = loaded_[l];
        constant_[l] = count;
        place_[l] = place;
      }
      walk_[l](count, [](std::int64_t, std::int64_t, bool) {});
      return;
    }
    Real* to = loaded_[l];
    walk_[l](count, [&](std::int64_t at, std::int64_t run, bool) {
      if (repeated)
        fill(to, from[at], run);
      else
        copy(to, from + at, run);
      to += run;
    });
    load_[l] = loaded_[l];
    constant_[l] = 0;
  }

  /// True for one row again and again, such as a bias.
  static bool repeats_row(const pattern& how) { return how.rank == 2 && how.repeated[0] && !how.repeated[1]; }
  /// The same for such a load. A block's copies serve the next block, too, if that begins at the same place of the row.
  void spread_row(int l, std::int64_t count, std::int64_t row) {
    const Real* const from = body_.load[l].data;
    const std::int64_t place = place_[l];
    if (row - place >= count) {
      load_[l] = from + place;
    } else {
      if (constant_[l] < count || begun_[l] != place) {
        std::int64_t done = (std::min)(row - place, count);
        copy(loaded_[l], from + place, done);
        for (; done < count; done += row) copy(loaded_[l] + done, from, (std::min)(row, count - done));
        constant_[l] = count;
        begun_[l] = place;
      }
      load_[l] = loaded_[l];
    }
    place_[l] = (place + count) % row;
  }

  [[nodiscard]] const Real* operand(std::int16_t code) const { return code >= 0 ? value_[code] : load_[-1 - code]; }

  void run_block(std::int64_t first, std::int64_t count, const Real* head) {
    for (int l = 0; l < body_.loads; ++l) {
      const bound_load<Real>& load = body_.load[l];
      if (load.narrow)
        widen(loaded_[l], reinterpret_cast<const bfloat16*>(load.data) + first, count), load_[l] = loaded_[l];
      else if (load.full)
        load_[l] = load.data + first;
      else if (!load.splat)
        spread(l, count);
    }
    if (body_.whole != nullptr) {
      run_whole(first, count, head);
      return;
    }
    if (body_.head_register >= 0) value_[body_.head_register] = head;
    for (int i = 0; i < body_.instructions; ++i) {
      const instruction& code = *body_.code[i].code;
      Real* to = home_[code.to] == nullptr ? register_[code.to] : home_[code.to] + first;
      body_.code[i].run(to, operand(code.from[0]), operand(code.from[1]), operand(code.from[2]), first, count, code,
                        context_);
      value_[code.to] = to;
    }
    for (int s = 0; s < body_.stores; ++s) {
      const bound_store<Real>& out = body_.store[s];
      if (out.narrow)
        narrow(reinterpret_cast<bfloat16*>(out.data) + first, value_[out.from], count);
      else if (!out.direct)
        std::memcpy(out.data + first, value_[out.from], static_cast<std::size_t>(count) * sizeof(Real));
    }
  }

  /// Runs a block by the program's own code.
  void run_whole(std::int64_t first, std::int64_t count, const Real* head) {
    Real* to[max_group + 1];
    for (int s = 0; s < body_.stores; ++s) {
      const bound_store<Real>& out = body_.store[s];
      to[s] = out.narrow ? register_[out.from] : out.data + first;
    }
    if (body_.feeds) {
      to[body_.stores] = register_[body_.fed_register];
      value_[body_.fed_register] = register_[body_.fed_register];
    }
    const std::int64_t rest = count % lanes;
    const std::int64_t vectors = count - rest;
    program_block<Real> block{
        .load = load_, .head = head, .store = to, .code = body_.code, .count = vectors, .samples = context_.samples};
    if (vectors > 0) body_.whole(block);
    if (rest > 0) run_rest(block, vectors, rest);
    for (int s = 0; s < body_.stores; ++s)
      if (body_.store[s].narrow) narrow(reinterpret_cast<bfloat16*>(body_.store[s].data) + first, to[s], count);
  }
  /// Runs the last elements of a block, fewer than a vector, in a copy; behind them stands the last one again.
  void run_rest(program_block<Real> block, std::int64_t first, std::int64_t count) {
    alignas(64) Real held[max_loads + max_group + 2][lanes];
    const Real* load[max_loads];
    Real* store[max_group + 1];
    int used = 0;
    const auto copy = [&](const Real* from) {
      Real* const to = held[used++];
      for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
      for (std::int64_t i = count; i < lanes; ++i) to[i] = from[count - 1];
      return to;
    };
    for (int l = 0; l < body_.loads; ++l) load[l] = body_.load[l].splat ? block.load[l] : copy(block.load[l] + first);
    if (block.head != nullptr) block.head = copy(block.head + first);
    const int stores = body_.stores + (body_.feeds ? 1 : 0);
    for (int s = 0; s < stores; ++s) store[s] = held[used++];
    Real* const* const to = block.store;
    block.load = load;
    block.store = store;
    block.count = lanes;
    body_.whole(block);
    for (int s = 0; s < stores; ++s)
      std::memcpy(to[s] + first, store[s], static_cast<std::size_t>(count) * sizeof(Real));
  }

  static constexpr int line_size = 64 / int{sizeof(Real)};
  static constexpr int lanes = VIVACE_VECTOR_BYTES / int{sizeof(Real)};  // of what a program's own code is made for

  const program<Real>& body_;
  const step_context& context_;
  std::int64_t splat_ = 0;
  Real* home_[max_group + 1]{};       // where a register is memory
  const Real* value_[max_group + 1];  // where each register's block is; the rest is written before it is read
  const Real* load_[max_loads];
  // Of loads that are repeated: the elements that come next, and how many hold one value, which lies where; of a row
  // that is repeated, how many hold copies of it, from where, and where the next element lies.
  run_walker walk_[max_loads];
  std::int64_t constant_[max_loads];
  std::int64_t begun_[max_loads];
  std::int64_t place_[max_loads];
  alignas(64) Real register_[max_group + 1][block_size<Real> + line_size];
  alignas(64) Real loaded_[max_loads][block_size<Real> + line_size];
};

}  // namespace vivace::inline VIVACE_TARGET
