#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <vivace/graph/freeze.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Which commands of a plan each of them waits for, where those that have nothing to do with each other may run side by
/// side.
class command_waits {
 public:
  command_waits(std::vector<std::vector<std::int32_t>> waits, std::vector<bool> in_loop)
      : waits_(std::move(waits)), in_loop_(std::move(in_loop)) {}
  /// Those that a command waits for, the latest first. What these wait for themselves is not repeated.
  [[nodiscard]] const std::vector<std::int32_t>& of(std::int32_t command) const {
    return waits_[static_cast<std::size_t>(command)];
  }
  /// True of commands of a loop.
  [[nodiscard]] bool in_loop(std::int32_t command) const { return in_loop_[static_cast<std::size_t>(command)]; }

 private:
  std::vector<std::vector<std::int32_t>> waits_;
  std::vector<bool> in_loop_;
};

/// Finds them: a command waits for what makes what it reads, and for what reads or writes what it overwrites. Commands
/// of a loop run in their order; the first of them waits for all before the loop, and all behind the loop for the last
/// one.
class wait_finder {
 public:
  wait_finder(const plan_view& from, const bool* keeps_order)
      : plan_(from), keeps_order_(keeps_order), ranges_(at(from.commands.size())), in_loop_(ranges_.size()) {}

  command_waits operator()() {
    for (const command_loop& loop : plan_.loops)
      for (std::int32_t c = loop.first; c < loop.end; ++c) in_loop_[at(c)] = true;
    for (std::int32_t c = 0; c < plan_.commands.size(); ++c) note_ranges(c);
    std::vector<std::vector<std::int32_t>> waits(ranges_.size());
    std::vector<std::vector<bool>> before(ranges_.size(), std::vector<bool>(ranges_.size()));  // all that are waited for
    for (std::int32_t c = 0; c < plan_.commands.size(); ++c)
      for (std::int32_t earlier = c - 1; earlier >= 0; --earlier) {
        if (before[at(c)][at(earlier)] || !must_wait(c, earlier)) continue;
        waits[at(c)].push_back(earlier);
        before[at(c)][at(earlier)] = true;
        for (std::size_t e = 0; e < at(earlier); ++e)
          if (before[at(earlier)][e]) before[at(c)][e] = true;
      }
    return {std::move(waits), std::move(in_loop_)};
  }

 private:
  /// Elements of parameters, states or the arena that a command reads or writes.
  struct range {
    space where = space::none;
    bool written = false;
    std::int64_t begin = 0, end = 0;
  };

  [[nodiscard]] static std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }
  void note(std::int32_t c, const location& place, std::int64_t elements, bool narrow, bool written) {
    if (place.where != space::parameter && place.where != space::state && place.where != space::arena) return;
    const std::int64_t size = narrow ? (elements + 1) / 2 : elements;
    ranges_[at(c)].push_back({place.where, written, place.offset, place.offset + size});
  }
  void note_ranges(std::int32_t c) {
    const command& self = plan_.commands[c];
    for (const operand_slot& in : self.in) note(c, in.at, in.dims.size_at(plan_.batch), in.narrow, false);
    note(c, self.out.at, self.out.dims.size_at(plan_.batch), false, true);
    note(c, self.workspace, self.workspace_size, false, true);
    for (std::int32_t l = self.first_load; l < self.first_load + self.loads; ++l) {
      const load& one = plan_.loads[l];
      std::int64_t elements = 1;
      for (int d = 0; d < one.spread.rank; ++d) {
        const std::int64_t extent = one.spread.extent[d];
        if (!one.spread.repeated[d]) elements *= extent < 0 ? -extent * plan_.batch : extent;
      }
      note(c, one.from, elements, one.narrow, false);
    }
    for (std::int32_t s = self.first_store; s < self.first_store + self.stores; ++s)
      note(c, plan_.stores[s].to, self.extents.size_at(plan_.batch), plan_.stores[s].narrow, true);
  }

  [[nodiscard]] bool keeps_order(std::int32_t command) const {
    return keeps_order_ != nullptr && keeps_order_[static_cast<int>(plan_.commands[command].kind)];
  }
  [[nodiscard]] bool must_wait(std::int32_t command, std::int32_t earlier) const {
    if (in_loop_[at(command)]) return !in_loop_[at(command - 1)] || earlier == command - 1;
    if (in_loop_[at(earlier)] || (keeps_order(command) && keeps_order(earlier))) return true;
    for (const range& a : ranges_[at(command)])
      for (const range& b : ranges_[at(earlier)])
        if ((a.written || b.written) && a.where == b.where && a.begin < b.end && b.begin < a.end) return true;
    return false;
  }

  plan_view plan_;
  const bool* keeps_order_;
  std::vector<std::vector<range>> ranges_;  ///< of each command
  std::vector<bool> in_loop_;
};

/// @param keeps_order of each operation, whether its commands run in their order, such as collectives; null: none do
inline command_waits waits_of(const plan_view& from, const bool* keeps_order = nullptr) {
  return wait_finder(from, keeps_order)();
}

}  // namespace vivace::inline VIVACE_TARGET
