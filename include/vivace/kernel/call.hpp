#pragma once
#include <cstdint>

#include <vivace/core/parallel.hpp>
#include <vivace/graph/plan.hpp>

/// @file
/// What a kernel is handed: a command of a plan whose places have become pointers and whose batch is known.

namespace vivace::inline VIVACE_TARGET {

/// What all kernels of a step share.
struct step_context {
  parallel lanes{};             ///< runs tasks side by side
  std::uint64_t seed = 0;       ///< with `step` and a stream, the coordinates of random numbers
  std::uint32_t step = 0;
  std::int32_t samples = 0;     ///< of this step's batch
  void* device = nullptr;       ///< of kernels that run elsewhere: what they need to be started
};

/// An operand or a result: its elements and its extents at this step's batch.
template <class Real>
struct tensor {
  Real* data = nullptr;
  shape dims{};
  bool narrow = false;  ///< data is of bfloat16: operands of products, for kernels that read them so
};

template <class Real>
struct call;

/// Does an operation of the graph.
template <class Real>
using kernel_function = void (*)(const call<Real>&, const step_context&);

/// Does one elementwise operation over a stretch: to[i] from a[i], b[i], c[i]; `first` is the stretch's place in the
/// whole tensor. `to` may be an operand.
template <class Real>
using elementwise_function = void (*)(Real* to, const Real* a, const Real* b, const Real* c, std::int64_t first,
                                    std::int64_t count, const instruction& code, const step_context& context);

/// An operand of a program.
template <class Real>
struct bound_load {
  const Real* data = nullptr;
  Real literal = 0;
  bool splat = false;  ///< one value everywhere: *data, or the literal if data is null
  bool full = false;   ///< element i of the program reads data[i]
  bool narrow = false;  ///< data[i] is a bfloat16; full
  pattern spread{};    ///< if neither; the batch filled in
};

template <class Real>
struct bound_instruction {
  elementwise_function<Real> run = nullptr;
  const instruction* code = nullptr;
};

template <class Real>
struct bound_store {
  Real* data = nullptr;
  std::int16_t from = 0;
  bool direct = false;
  bool narrow = false;  ///< data is of bfloat16
};

/// A stretch of whole vectors of a program.
template <class Real>
struct program_block {
  const Real* const* load = nullptr;  ///< of each load: its elements of the stretch, or the one of a splat
  const Real* head = nullptr;         ///< the operation's values
  Real* const* store = nullptr;       ///< where the values of each store go; may be where those of a load are
  const bound_instruction<Real>* code = nullptr;
  std::int64_t count = 0;  ///< elements
  std::int32_t samples = 0;
};

/// Runs all operations of a program on a stretch at once.
template <class Real>
using block_function = void (*)(const program_block<Real>&);

/// An elementwise program, ready to run over any stretch of its extents.
template <class Real>
struct program {
  const bound_load<Real>* load = nullptr;
  const bound_instruction<Real>* code = nullptr;
  const bound_store<Real>* store = nullptr;
  std::int32_t loads = 0;
  std::int32_t instructions = 0;
  std::int32_t stores = 0;
  std::int16_t registers = 0;
  std::int16_t head_register = -1;
  std::int16_t fed_register = 0;
  bool feeds = false;  ///< a sum takes the values of fed_register
  std::int64_t size = 0;  ///< elements at this step's batch
  block_function<Real> whole = nullptr;  ///< if there is code for this program; else its operations are interpreted
  [[nodiscard]] constexpr bool exists() const { return instructions > 0; }
};

/// One command, ready to run.
template <class Real>
struct call {
  kernel_function<Real> run = nullptr;
  const attributes* attr = nullptr;
  tensor<Real> out{};                    ///< data is null if the program takes the values
  tensor<const Real> in[max_operands]{};
  Real* workspace = nullptr;
  program<Real> body{};

  /// The integers of an operand that is a `labels` input.
  [[nodiscard]] const std::int32_t* labels(int operand) const {
    return reinterpret_cast<const std::int32_t*>(in[operand].data);
  }
};

}  // namespace vivace::inline VIVACE_TARGET
