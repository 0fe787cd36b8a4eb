#pragma once
#include <string>
#include <type_traits>
#include <utility>

#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/elementwise.hpp>
#include <vivace/kernel/cuda/index.hpp>
#include <vivace/kernel/cuda/problems.hpp>

/// @file
/// Elementwise programs on a device. A program travels in a kernel's arguments, which the hardware hands to all threads
/// of a warp at once, and which a captured step keeps; registers lie in the memory of a block, each thread's side by
/// side.

namespace vivace::inline VIVACE_TARGET::gpu {

/// How a load is read.
enum class reading : std::uint8_t {
  full,     ///< element i
  splat,    ///< one value everywhere
  narrow,   ///< element i, a bfloat16
  strided,  ///< where the index says
};

/// An operand of a program.
template <class Real>
struct packed_load {
  const Real* data = nullptr;  ///< null: the literal
  Real literal = 0;
  reading how = reading::full;
  bool aligned = false;  ///< whole packets can be read at once
  bool even = false;     ///< strided: a packet lies in one run of the innermost axis
  strided_index where{};
};

template <class Real>
struct packed_store {
  Real* data = nullptr;
  std::int16_t from = 0;
  bool aligned = false;
  bool narrow = false;  ///< data is of bfloat16
};

/// A program with room for so many loads and lines.
template <class Real, int Loads, int Lines>
struct packed_program {
  packed_load<Real> head{};  ///< of a program that finishes an operation: the operation's values
  const std::uint64_t* seed = nullptr;
  const std::uint32_t* step = nullptr;
  std::uint32_t size = 0;
  std::int16_t head_register = -1;
  std::int16_t fed_register = 0;
  std::int8_t lines = 0;
  std::int8_t stores = 0;
  std::int8_t registers = 0;
  packed_load<Real> load[Loads]{};
  line<Real> code[Lines]{};
  packed_store<Real> store[Lines + 1]{};
};

template <class Real>
bool is_aligned(const Real* data) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(packet<Real, width_of<Real>>) == 0;
}

/// @throws error if an operation of a program has no device code
template <class Real>
line<Real> packed_line(const instruction& from, const step_context& context) {
  if (from.kind == op::map)
    throw error("a user's functor runs on the host alone", "cuda",
                from.functor == nullptr ? "a map" : std::string(from.functor->name),
                "layers of built-in operations, or an executor of the CPU such as tbb{}");
  line<Real> to;
  to.kind = from.kind;
  to.to = from.to;
  for (int i = 0; i < max_operands; ++i) to.from[i] = from.from[i];
  to.stream = from.stream;
  to.scale = static_cast<Real>(from.scale);
  to.shift = static_cast<Real>(from.shift);
  if (from.kind == op::dropout_mask) {
    const double bits = from.scale * 0x1p24;
    const auto whole = static_cast<std::uint32_t>(bits);
    to.threshold = whole + (whole < bits ? 1 : 0);
    to.scale = static_cast<Real>(1 / (1 - from.scale));
  }
  if (from.kind == op::broadcast && from.scale < 0)
    to.scale = -static_cast<Real>(from.scale) * static_cast<Real>(context.samples);
  return to;
}

template <class Real>
packed_load<Real> packed(const bound_load<Real>& from) {
  packed_load<Real> to;
  to.data = from.data;
  to.literal = from.literal;
  to.how = from.splat    ? reading::splat
           : from.narrow ? reading::narrow
           : from.full   ? reading::full
                         : reading::strided;
  to.aligned = is_aligned(from.data);
  if (to.how != reading::strided) return to;
  std::int64_t strides[max_rank]{};
  std::int64_t stride = 1;
  for (int d = from.spread.rank - 1; d >= 0; --d) {
    if (from.spread.repeated[d]) continue;
    strides[d] = stride;
    stride *= from.spread.extent[d];
  }
  for (int d = 0; d < from.spread.rank; ++d) to.where.add_axis(from.spread.extent[d], strides[d]);
  to.even = to.where.rank > 0 && to.where.extent[to.where.rank - 1].divisor % width_of<Real> == 0;
  return to;
}

/// Packs a program for a kernel's arguments.
/// @param head values of the operation that it finishes, if they lie in memory
template <class Launch, int Loads, int Lines, class Real>
packed_program<Real, Loads, Lines> packed(const program<Real>& from, const factor<Real>& head,
                                          const step_context& context) {
  if (from.size >= most_elements)
    throw error("a tensor is too large for the device's kernels", "cuda", std::to_string(from.size) + " elements",
                "fewer than 2^31: a smaller batch");
  packed_program<Real, Loads, Lines> to;
  for (int s = 0; s < from.stores; ++s)
    if (from.store[s].narrow && !stores_narrow<Real>)
      throw error("values of double precision are not stored in bfloat16", "cuda", "a value of the forward pass", "f32");
  to.head.data = head.data;
  to.head.how = head.narrow ? reading::narrow : reading::full;
  to.head.aligned = is_aligned(head.data);
  to.seed = Launch::seed(context);
  to.step = Launch::step(context);
  to.size = static_cast<std::uint32_t>(from.size);
  to.head_register = from.head_register;
  to.fed_register = from.fed_register;
  to.lines = static_cast<std::int8_t>(from.instructions);
  to.stores = static_cast<std::int8_t>(from.stores);
  to.registers = static_cast<std::int8_t>(from.registers);
  for (int l = 0; l < from.loads; ++l) to.load[l] = packed(from.load[l]);
  for (int i = 0; i < from.instructions; ++i) to.code[i] = packed_line<Real>(*from.code[i].code, context);
  for (int s = 0; s < from.stores; ++s)
    to.store[s] = {from.store[s].data, from.store[s].from, is_aligned(from.store[s].data), from.store[s].narrow};
  return to;
}

/// Loads and lines of programs that get a small kernel; all others get room for the most there can be.
inline constexpr int few_loads = 12, few_lines = 10;
inline constexpr int most_loads = max_group * max_operands;

/// Calls body(packed program) with the smaller of two sizes that holds it.
template <class Launch, class Real, class Body>
void with_packed(const program<Real>& from, const std::type_identity_t<factor<Real>>& head, const step_context& context,
                 Body&& body) {
  if (from.loads <= few_loads && from.instructions <= few_lines)
    body(packed<Launch, few_loads, few_lines>(from, head, context));
  else
    body(packed<Launch, most_loads, max_group>(from, head, context));
}

/// Runs a program on the elements [first, first + count), count at most Width, for one thread. Packets are read and written
/// at once where they are whole and lie on their boundaries.
template <class Program, class Real, int Width>
class program_thread {
  using values = packet<Real, Width>;

 public:
  /// @param registers this thread's; those of one register lie `stride` packets apart
  VIVACE_HOST_DEVICE program_thread(const Program& code, values* registers, int stride, std::uint32_t first, int count)
      : code_(code), registers_(registers), stride_(stride), first_(first), count_(count),
        whole_(count == Width && first % Width == 0) {}

  VIVACE_HOST_DEVICE void run() { run(code_.head_register >= 0 ? load(code_.head) : values{}); }
  /// @param head the operation's values, if the program finishes one
  VIVACE_HOST_DEVICE void run(const values& head) {
    if (code_.head_register >= 0) at(code_.head_register) = head;
    for (int i = 0; i < code_.lines; ++i) run_line(code_.code[i]);
    for (int s = 0; s < code_.stores; ++s) write(code_.store[s]);
  }
  [[nodiscard]] VIVACE_HOST_DEVICE values operand(std::int16_t which) const {
    return which >= 0 ? registers_[which * stride_] : load(code_.load[-1 - which]);
  }

 private:
  VIVACE_HOST_DEVICE values& at(std::int16_t which) { return registers_[which * stride_]; }

  [[nodiscard]] VIVACE_HOST_DEVICE values read(const Real* from, bool aligned) const {
    if (Width > 1 && aligned && whole_) return *reinterpret_cast<const values*>(from);
    values result{};
    for (int v = 0; v < Width; ++v)
      if (v < count_) result.value[v] = from[v];
    return result;
  }
  [[nodiscard]] VIVACE_HOST_DEVICE static values all(Real value) {
    values result;
    for (int v = 0; v < Width; ++v) result.value[v] = value;
    return result;
  }
  [[nodiscard]] VIVACE_HOST_DEVICE values load(const packed_load<Real>& from) const {
    if (from.how == reading::full) return read(from.data + first_, from.aligned);
    if (from.how == reading::splat) return all(from.data == nullptr ? from.literal : *from.data);
    if constexpr (stores_narrow<Real>)
      if (from.how == reading::narrow) {
        values result{};
        const auto* const data = reinterpret_cast<const bfloat16*>(from.data) + first_;
        for (int v = 0; v < Width; ++v)
          if (v < count_) result.value[v] = to_float(data[v]);
        return result;
      }
    const std::uint32_t begin = from.where.offset(first_);
    if (Width == 1) return all(from.data[begin]);
    if (from.even && whole_) {
      if (from.where.stride[from.where.rank - 1] == 0) return all(from.data[begin]);
      return read(from.data + begin, from.aligned);
    }
    values result{};
    for (int v = 0; v < Width; ++v)
      if (v < count_) result.value[v] = from.data[from.where.offset(first_ + static_cast<std::uint32_t>(v))];
    return result;
  }
  VIVACE_HOST_DEVICE void write(const packed_store<Real>& to) const {
    const values result = operand(to.from);
    if constexpr (stores_narrow<Real>)
      if (to.narrow) {
        auto* const data = reinterpret_cast<bfloat16*>(to.data) + first_;
        for (int v = 0; v < Width; ++v)
          if (v < count_) data[v] = upper_half(result.value[v]);
        return;
      }
    if (Width > 1 && to.aligned && whole_) {
      *reinterpret_cast<values*>(to.data + first_) = result;
      return;
    }
    for (int v = 0; v < Width; ++v)
      if (v < count_) to.data[first_ + static_cast<std::uint32_t>(v)] = result.value[v];
  }

  template <op Kind>
  VIVACE_HOST_DEVICE void run_as(const line<Real>& code) {
    if constexpr (Kind == op::dropout_mask) {
      at(code.to) = dropout_mask<Real, Width>(first_, code, *code_.seed, *code_.step);
    } else {
      const values a = operand(code.from[0]);
      const values b = operand_count<Kind> > 1 ? operand(code.from[1]) : a;
      const values c = operand_count<Kind> > 2 ? operand(code.from[2]) : a;
      values result;
      for (int v = 0; v < Width; ++v)
        result.value[v] = elementwise_value<Kind>(a.value[v], b.value[v], c.value[v], code);
      at(code.to) = result;
    }
  }
  template <op Kind>
  VIVACE_HOST_DEVICE bool run_if(const line<Real>& code) {
    if constexpr (interpreted<Kind>) {
      if (code.kind != Kind) return false;
      run_as<Kind>(code);
      return true;
    } else {
      return false;
    }
  }
  /// The compiler makes a table of jumps of it; all threads jump together.
  template <int... Index>
  VIVACE_HOST_DEVICE void dispatch(const line<Real>& code, std::integer_sequence<int, Index...>) {
    (void)(run_if<static_cast<op>(static_cast<int>(op::affine) + Index)>(code) || ...);
  }
  VIVACE_HOST_DEVICE void run_line(const line<Real>& code) {
    dispatch(code, std::make_integer_sequence<int, static_cast<int>(op::map) - static_cast<int>(op::affine)>{});
  }

  const Program& code_;
  values* registers_;
  int stride_;
  std::uint32_t first_;
  int count_;
  bool whole_;
};

/// The kernel of a program that stands alone, or finishes what an operation left in memory.
template <class Program, class Real>
struct program_work {
  static constexpr int threads = 128;
  static constexpr int width = width_of<Real>;
  using values = packet<Real, width>;
  using state = nothing;
  Program code;

  [[nodiscard]] VIVACE_HOST_DEVICE int phases() const { return 1; }
  [[nodiscard]] VIVACE_HOST_DEVICE std::size_t scratch() const {
    return sizeof(values) * static_cast<std::size_t>(threads) * static_cast<std::size_t>(code.registers);
  }
  VIVACE_HOST_DEVICE void operator()(int, position at, state&, std::byte* shared) const {
    const std::uint32_t first = (at.block * threads + at.thread) * width;
    if (first >= code.size) return;
    const int count = code.size - first < width ? static_cast<int>(code.size - first) : width;
    program_thread<Program, Real, width>(code, reinterpret_cast<values*>(shared) + at.thread, threads, first, count)
        .run();
  }
};

/// Runs a program over all its elements.
template <class Launch, class Real>
void run_whole_program(const program<Real>& body, const std::type_identity_t<factor<Real>>& head,
                       const step_context& context) {
  with_packed<Launch>(body, head, context, [&]<class Program>(const Program& code) {
    using work = program_work<Program, Real>;
    Launch::run(work{code}, blocks_of(body.size, work::threads * work::width), context);
  });
}
/// The launcher of a command that is a program alone.
template <class Launch, class Real>
void run_program_alone(const call<Real>& self, const step_context& context) {
  run_whole_program<Launch>(self.body, {}, context);
}

}  // namespace vivace::inline VIVACE_TARGET::gpu
