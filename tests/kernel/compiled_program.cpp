#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <vivace/exec/evaluate.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/program.hpp>

#include "calls.hpp"

namespace {

namespace vv = vivace;
using vv::form_line;
using vv::op;
using vv::program_form;

/// A program with the form's code and made-up places: loads are random, or one value if they are splats.
template <program_form Form, class Real>
class sample_program {
 public:
  sample_program(std::int64_t size, bool feeds) : head_(calls::numbers<Real>(size, 77)) {
    for (int l = 0; l < Form.loads; ++l) {
      loads_.push_back(calls::numbers<Real>(size, static_cast<unsigned>(l) + 5));
      bound_loads_.push_back({.data = loads_.back().data(), .splat = Form.splat(l), .full = !Form.splat(l)});
    }
    code_.resize(static_cast<std::size_t>(Form.lines));
    for (std::size_t i = 0; i < code_.size(); ++i) {
      const form_line& line = Form.code[i];
      code_[i].kind = line.kind;
      code_[i].to = line.to;
      for (int o = 0; o < vv::max_operands; ++o) code_[i].from[o] = line.from[o];
      if (line.kind == op::affine) code_[i].scale = 1.7, code_[i].shift = -0.3;
      if (line.kind == op::multiply_add) code_[i].scale = i % 2 == 0 ? 1 : -1, code_[i].shift = i % 3 == 0 ? -1 : 1;
      if (line.kind == op::broadcast) code_[i].scale = line.divide ? -7 : 1;
    }
    feeds_ = feeds;
    stores_.resize(static_cast<std::size_t>(Form.stores - (feeds ? 1 : 0)),
                   std::vector<Real>(static_cast<std::size_t>(size)));
    size_ = size;
  }
  /// Runs stretches of it; the values of all stores and of what is fed, one after another.
  std::vector<Real> run(vv::block_function<Real> whole, const vv::kernel_table<Real>& kernels) {
    std::vector<vv::bound_instruction<Real>> code;
    for (const vv::instruction& one : code_) code.push_back({kernels.elementwise[static_cast<int>(one.kind)], &one});
    std::vector<vv::bound_store<Real>> stores;
    for (std::size_t s = 0; s < stores_.size(); ++s)
      stores.push_back({stores_[s].data(), static_cast<std::int16_t>(Form.from[s]), s % 2 == 0});
    const vv::program<Real> body{.load = bound_loads_.data(), .code = code.data(), .store = stores.data(),
                                 .loads = Form.loads, .instructions = Form.lines,
                                 .stores = static_cast<std::int32_t>(stores.size()), .registers = Form.lines,
                                 .head_register = Form.head,
                                 .fed_register = static_cast<std::int16_t>(feeds_ ? Form.from[Form.stores - 1] : 0),
                                 .feeds = feeds_, .size = size_, .whole = whole};
    std::vector<Real> fed;
    const vv::step_context context{.samples = 3};
    vv::program_runner<Real> runner(body, context);
    const auto sink = [&](std::int64_t, std::int64_t count, const Real* values) {
      fed.insert(fed.end(), values, values + count);
    };
    for (std::int64_t first = 0, count = size_ / 3 + 1; first < size_; first += count) {
      count = (std::min)(count, size_ - first);
      const Real* head = Form.head >= 0 ? head_.data() + first : nullptr;
      if (feeds_)
        runner(first, count, head, sink);
      else
        runner(first, count, head);
    }
    for (const auto& store : stores_) fed.insert(fed.end(), store.begin(), store.end());
    return fed;
  }

 private:
  std::vector<Real> head_;
  std::vector<std::vector<Real>> loads_, stores_;
  std::vector<vv::bound_load<Real>> bound_loads_;
  std::vector<vv::instruction> code_;
  bool feeds_ = false;
  std::int64_t size_ = 0;
};

template <program_form Form, class Real>
void compare(bool feeds) {
  const auto kernels = vv::kernels_for<vv::cpu_kernels, Real, vv::all_operations>();
  for (const std::int64_t size : {1, 5, 16, 31, 64, 700, 2000}) {
    INFO("first operation ", std::string(vv::to_string(Form.code[0].kind)), ", ", size, " elements");
    sample_program<Form, Real> sample(size, feeds);
    const auto interpreted = sample.run(nullptr, kernels);
    const auto compiled = sample.run(vv::cpu::compiled_program<Form, Real>, kernels);
    REQUIRE(compiled.size() == interpreted.size());
    CHECK(calls::same_bits(compiled, interpreted));
  }
}

/// One operation on loads, a sum of its result with a third load, and both stored: where a compiler would like to fuse.
template <op Kind, bool Flag>
constexpr program_form single() {
  program_form form{.lines = 2, .loads = 3, .stores = 2, .splats = 2, .from = {0, 1}};
  form.code[0] = {.kind = Kind, .to = 0, .from = {-1, -2, -3}, .divide = Flag && Kind == op::broadcast};
  form.code[1] = {.kind = op::add, .to = 1, .from = {0, -3}};
  return form;
}

template <class Real, int... Index>
void all_operations(std::integer_sequence<int, Index...>) {
  const auto one = [&]<int At>() {
    constexpr op kind = static_cast<op>(At);
    if constexpr (vv::is_elementwise(kind) && kind != op::map && kind != op::power && kind != op::dropout_mask) {
      compare<single<kind, false>(), Real>(false);
      compare<single<kind, true>(), Real>(false);
    }
  };
  (one.template operator()<Index>(), ...);
}

}  // namespace

TEST_CASE("a compiled program gives the bits of the interpreted one, for each operation") {
  all_operations<float>(std::make_integer_sequence<int, vv::op_count>{});
  all_operations<double>(std::make_integer_sequence<int, vv::op_count>{});
}

TEST_CASE_TEMPLATE("a compiled program finishes a product and feeds a sum", Real, float, double) {
  // An optimiser's update: the head is a gradient, settings are splats, three values are stored.
  constexpr program_form update{.lines = 6,
                                .loads = 5,
                                .stores = 3,
                                .head = 6,
                                .splats = 0b11000,
                                .from = {1, 3, 5},
                                .code = {{.kind = op::multiply, .to = 0, .from = {6, -4}},
                                         {.kind = op::multiply_add, .to = 1, .from = {-1, -5, 0}},
                                         {.kind = op::square, .to = 2, .from = {6}},
                                         {.kind = op::multiply_add, .to = 3, .from = {2, -4, -2}},
                                         {.kind = op::divide, .to = 4, .from = {1, 3}},
                                         {.kind = op::multiply_add, .to = 5, .from = {4, -5, -3}}}};
  compare<update, Real>(false);
  constexpr program_form fed{.lines = 2,
                             .loads = 2,
                             .stores = 2,
                             .from = {1, 0},
                             .code = {{.kind = op::subtract, .to = 0, .from = {-1, -2}},
                                      {.kind = op::square, .to = 1, .from = {0}}}};
  compare<fed, Real>(true);
}
