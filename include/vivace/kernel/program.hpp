#pragma once
#include <algorithm>
#include <cstring>

#include <vivace/kernel/call.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Elements of a block: a program does all its operations on one block, in first-level cache, before the next.
template <class Real>
inline constexpr std::int64_t block_size = 1024 / static_cast<std::int64_t>(sizeof(Real));

/// Most loads of a program.
inline constexpr int max_loads = max_group * max_operands;

/// Writes elements [first, first + count) of an operand, repeated as its pattern says.
template <class Real>
void spread(const Real* from, const pattern& how, std::int64_t first, std::int64_t count, Real* to) {
  std::int64_t index[max_rank]{};
  std::int64_t stride[max_rank]{};
  std::int64_t place = 0;
  std::int64_t step = 1;
  std::int64_t rest = first;
  for (int d = how.rank - 1; d >= 0; --d) {
    index[d] = rest % how.extent[d];
    rest /= how.extent[d];
    stride[d] = how.repeated[d] ? 0 : step;
    if (!how.repeated[d]) step *= how.extent[d];
    place += index[d] * stride[d];
  }
  const int last = how.rank - 1;
  while (count > 0) {
    const std::int64_t run = (std::min)(count, how.extent[last] - index[last]);
    if (how.repeated[last]) {
      const Real value = from[place];
      for (std::int64_t i = 0; i < run; ++i) to[i] = value;
    } else {
      for (std::int64_t i = 0; i < run; ++i) to[i] = from[place + i];
    }
    to += run;
    count -= run;
    place += run * stride[last];
    index[last] += run;
    for (int d = last; d > 0 && index[d] == how.extent[d]; --d) {  // carry
      place += stride[d - 1] - how.extent[d] * stride[d];
      index[d] = 0;
      ++index[d - 1];
    }
  }
}

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
    fill_splats((std::min)(count, block_size<Real>));
    for (std::int64_t done = 0; done < count; done += block_size<Real>) {
      const std::int64_t size = (std::min)(block_size<Real>, count - done);
      run_block(first + done, size, head == nullptr ? nullptr : head + done);
      sink(first + done, size, operand(body_.fed_register));
    }
  }
  void operator()(std::int64_t first, std::int64_t count, const Real* head) {
    fill_splats((std::min)(count, block_size<Real>));
    for (std::int64_t done = 0; done < count; done += block_size<Real>)
      run_block(first + done, (std::min)(block_size<Real>, count - done), head == nullptr ? nullptr : head + done);
  }

 private:
  void fill_splats(std::int64_t count) {
    if (count <= splat_) return;
    for (int l = 0; l < body_.loads; ++l) {
      const bound_load<Real>& load = body_.load[l];
      if (!load.splat) continue;
      const Real value = load.data == nullptr ? load.literal : *load.data;
      for (std::int64_t i = 0; i < count; ++i) loaded_[l][i] = value;
    }
    splat_ = count;
  }

  [[nodiscard]] const Real* operand(std::int16_t code) const {
    return code >= 0 ? value_[code] : load_[-1 - code];
  }

  void run_block(std::int64_t first, std::int64_t count, const Real* head) {
    for (int l = 0; l < body_.loads; ++l) {
      const bound_load<Real>& load = body_.load[l];
      if (load.full) {
        load_[l] = load.data + first;
        continue;
      }
      load_[l] = loaded_[l];
      if (!load.splat) spread(load.data, load.spread, first, count, loaded_[l]);
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
      if (!out.direct)
        std::memcpy(out.data + first, value_[out.from], static_cast<std::size_t>(count) * sizeof(Real));
    }
  }

  const program<Real>& body_;
  const step_context& context_;
  std::int64_t splat_ = 0;
  Real* home_[max_group + 1]{};         // where a register is memory
  const Real* value_[max_group + 1];  // where each register's block is; the rest is written before it is read
  const Real* load_[max_loads];
  alignas(64) Real register_[max_group + 1][block_size<Real>];
  alignas(64) Real loaded_[max_loads][block_size<Real>];
};

}  // namespace vivace::inline VIVACE_TARGET
