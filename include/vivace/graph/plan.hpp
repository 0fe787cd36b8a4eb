#pragma once
#include <vivace/graph/fuse.hpp>

/// @file
/// A plan: the commands of a step in order, each with the places of its operands. Plain data without pointers to it, so
/// that it can be a constant, and so that a device can hold it.

namespace vivace::inline VIVACE_TARGET {

/// Which memory a location counts from.
enum class space : std::uint8_t { none, parameter, state, input, setting, literal, arena, head };

/// Where a value lies. Offsets count elements; of `input` and `setting` they are positions in the graph's tables.
struct location {
  space where = space::none;
  std::int64_t offset = 0;
  std::int32_t stride = -1;  ///< how it moves from turn to turn of a loop: index into plan::strides; -1: it stays
  constexpr bool operator==(const location&) const = default;
};

/// How an operand is repeated to the extents of an elementwise program. Axes that behave alike are merged.
struct pattern {
  std::int8_t rank = 0;
  std::int32_t extent[max_rank]{};  ///< below zero: counts samples
  bool repeated[max_rank]{};
  constexpr bool operator==(const pattern&) const = default;
  /// True if element i of the program reads element i of the operand.
  [[nodiscard]] constexpr bool full() const { return rank == 0 || (rank == 1 && !repeated[0]); }
};

/// An operand of an elementwise program.
struct load {
  location from{};
  double literal = 0;   ///< the value, if from.where is literal
  bool narrow = false;  ///< bfloat16 in memory
  pattern spread{};
};

/// One operation of an elementwise program. Operands >= 0 are registers, operand -1 - l is load l of the command.
struct instruction {
  op kind = op::none;
  std::int16_t to = 0;
  std::int16_t from[max_operands]{};
  std::int8_t derivative = 0;
  std::uint32_t stream = 0;
  double scale = 1;
  double shift = 0;
  const functor_info* functor = nullptr;
};

/// A register whose value goes to memory. Direct: the register is the memory.
struct store {
  std::int16_t from = 0;
  bool direct = false;
  bool narrow = false;  ///< bfloat16 in memory
  location to{};
};

/// A tensor operand of a command.
struct operand_slot {
  location at{};
  shape dims{};
  bool narrow = false;  ///< bfloat16 in memory
};

/// One step of a plan: an operation, an elementwise program, or an operation and the program that finishes or feeds it.
struct command {
  op kind = op::none;  ///< the operation; `none` for a program alone
  std::int32_t node = -1;
  std::int32_t layer = -1;
  operand_slot out{};  ///< of the operation; nowhere if a program takes its values
  operand_slot in[max_operands]{};
  attributes attr{};
  location workspace{};  ///< in the arena, if any
  std::int64_t workspace_size = 0;
  shape extents{};     ///< what the program runs over
  std::int32_t first_load = 0, loads = 0;
  std::int32_t first_instruction = 0, instructions = 0;
  std::int32_t first_store = 0, stores = 0;
  std::int16_t registers = 0;
  std::int16_t head_register = -1;  ///< takes the operation's values
  std::int16_t fed_register = 0;    ///< of a sum with a program: what is summed; encoded as an operand

  [[nodiscard]] constexpr bool has_program() const { return instructions > 0; }
};

/// How far a location moves in each turn of a loop.
struct turn_stride {
  std::int32_t loop = -1;     ///< index into plan::loops
  std::int64_t elements = 0;  ///< below zero: so many a sample
  std::int32_t outer = -1;    ///< how it moves in a loop around: index into plan::strides, or -1
};

/// Commands that run once a turn, those of inner loops among them.
struct command_loop {
  std::int32_t first = 0;
  std::int32_t end = 0;
  std::int32_t turns = 1;
  bool reverse = false;
};

/// The commands of a graph and the memory they run in. Sizes count elements, at a batch of `batch` samples.
struct plan {
  sequence<command> commands;
  sequence<load> loads;
  sequence<instruction> instructions;
  sequence<store> stores;
  sequence<location> parameters;  ///< of each entry of the graph's table
  sequence<location> states;
  sequence<location> outputs;
  sequence<command_loop> loops;  ///< in the order in which they start
  sequence<turn_stride> strides;
  location loss;
  std::int64_t parameter_size = 0;
  std::int64_t state_size = 0;
  std::int64_t arena_size = 0;
  std::int64_t unplanned_size = 0;  ///< what the arena would be if no memory were used twice
  std::int32_t batch = 1;
};

/// Every tensor starts at a multiple of this many elements.
inline constexpr std::int64_t element_alignment = 16;

/// The number of elements, rounded up to whole alignments.
constexpr std::int64_t aligned_size(std::int64_t elements) {
  return (elements + element_alignment - 1) / element_alignment * element_alignment;
}

/// Hands out ranges of a growing arena, first fit over its holes.
class range_allocator {
 public:
  constexpr std::int64_t take(std::int64_t size) {
    for (int i = 0; i < holes_.size(); ++i) {
      if (holes_[i].size < size) continue;
      const std::int64_t offset = holes_[i].offset;
      holes_[i].offset += size;
      holes_[i].size -= size;
      if (holes_[i].size == 0) holes_.erase(i);
      return offset;
    }
    std::int64_t offset = top_;
    if (!holes_.empty() && holes_.back().offset + holes_.back().size == top_) {
      offset = holes_.back().offset;
      holes_.pop_back();
    }
    top_ = offset + size;
    return offset;
  }
  constexpr void give_back(std::int64_t offset, std::int64_t size) {
    int at = holes_.size();
    while (at > 0 && holes_[at - 1].offset > offset) --at;
    const bool joins_before = at > 0 && holes_[at - 1].offset + holes_[at - 1].size == offset;
    const bool joins_after = at < holes_.size() && offset + size == holes_[at].offset;
    if (joins_before && joins_after) {
      holes_[at - 1].size += size + holes_[at].size;
      holes_.erase(at);
    } else if (joins_before) {
      holes_[at - 1].size += size;
    } else if (joins_after) {
      holes_[at].offset = offset;
      holes_[at].size += size;
    } else {
      holes_.insert(at, {offset, size});
    }
  }
  [[nodiscard]] constexpr std::int64_t top() const { return top_; }

 private:
  struct range {
    std::int64_t offset = 0;
    std::int64_t size = 0;
  };
  sequence<range> holes_;  // in ascending order, never touching
  std::int64_t top_ = 0;
};

/// How `operand` is repeated to `dims`, to which it broadcasts.
constexpr pattern spread_pattern(const shape& operand, const shape& dims) {
  pattern result;
  const int lead = dims.rank - operand.rank;
  int last = -1;  // axis of the result
  for (int d = 0; d < dims.rank; ++d) {
    const std::int32_t extent = dims.extent[d];
    if (extent == 1) continue;
    const bool repeated = d < lead || operand.extent[d - lead] != extent;
    if (last >= 0 && result.repeated[last] == repeated) {
      result.extent[last] *= extent;  // at most one of the two counts samples, so the sign is kept
      continue;
    }
    ++last;
    result.extent[last] = extent;
    result.repeated[last] = repeated;
  }
  result.rank = static_cast<std::int8_t>(last + 1);
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET
