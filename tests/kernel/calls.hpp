#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <vivace/exec/threads.hpp>
#include <vivace/kernel/call.hpp>

/// Calls of single kernels, for tests.
namespace calls {

using vivace::shape;

template <class Real>
inline constexpr Real nan = std::numeric_limits<Real>::quiet_NaN();
template <class Real>
inline constexpr Real infinity = std::numeric_limits<Real>::infinity();

/// Numbers in [-1, 1).
template <class Real>
std::vector<Real> numbers(std::int64_t count, unsigned seed = 1) {
  std::vector<Real> result(static_cast<std::size_t>(count));
  for (Real& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<Real>(static_cast<double>(seed >> 8) / (1 << 23) - 1);
  }
  return result;
}
inline std::vector<std::int32_t> labels(std::int64_t count, std::int32_t below) {
  std::vector<std::int32_t> result(static_cast<std::size_t>(count));
  unsigned seed = 7;
  for (std::int32_t& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<std::int32_t>((seed >> 8) % static_cast<unsigned>(below));
  }
  return result;
}

/// An operand or a result that starts one element behind an aligned address and has a guard on either side.
template <class Real>
class memory {
 public:
  explicit memory(const std::vector<Real>& from) : values_(from.size() + 2, guard) {
    for (std::size_t i = 0; i < from.size(); ++i) data()[i] = from[i];
  }
  explicit memory(std::int64_t count) : memory(std::vector<Real>(static_cast<std::size_t>(count), guard)) {}
  [[nodiscard]] Real* data() { return values_.data() + 1; }
  [[nodiscard]] std::vector<Real> values() const { return {values_.begin() + 1, values_.end() - 1}; }
  [[nodiscard]] bool intact() const { return values_.front() == guard && values_.back() == guard; }

 private:
  static constexpr Real guard = Real(-12345);
  std::vector<Real> values_;
};

/// True if two results agree to `units` units in the last place of 1 or of their size; NaN agrees with NaN.
template <class Real>
bool close(Real got, Real wanted, double units) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (std::isinf(wanted)) return got == wanted;
  const double size = std::fmax(1.0, std::fabs(static_cast<double>(wanted)));
  return std::fabs(static_cast<double>(got) - static_cast<double>(wanted)) <=
         units * size * static_cast<double>(std::numeric_limits<Real>::epsilon());
}
template <class Real>
void check_close(const std::vector<Real>& got, const std::vector<Real>& wanted, double units) {
  REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (close(got[i], wanted[i], units)) continue;
    INFO("element ", i, " of ", got.size(), ": got ", static_cast<double>(got[i]), ", wanted ",
         static_cast<double>(wanted[i]));
    CHECK(false);
    return;
  }
}
template <class Real>
bool same_bits(const std::vector<Real>& left, const std::vector<Real>& right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size() * sizeof(Real)) == 0;
}

/// A call with operands and results of its own.
template <class Real>
struct owned_call {
  shape out{};
  std::vector<shape> in{};
  std::vector<std::vector<Real>> operands{};  ///< of each input; that of labels is empty
  std::vector<std::int32_t> labels{};         ///< input 1, if not empty
  vivace::attributes attr{};
  std::int64_t workspace = 0;

  /// Fills the operands with numbers.
  void fill() {
    for (std::size_t i = 0; i < in.size(); ++i)
      operands.push_back(i == 1 && !labels.empty() ? std::vector<Real>{}
                                                   : numbers<Real>(in[i].size(), unsigned(i) + 1));
  }
  std::vector<Real> run(vivace::kernel_function<Real> kernel, const vivace::parallel& lanes = {}) const {
    std::vector<memory<Real>> held;
    for (const auto& operand : operands) held.emplace_back(operand);
    memory<Real> result(out.size());
    memory<Real> scratch(workspace);
    vivace::call<Real> self;
    self.attr = &attr;
    self.out = {result.data(), out};
    self.workspace = scratch.data();
    for (std::size_t i = 0; i < in.size(); ++i) self.in[i] = {held[i].data(), in[i]};
    if (!labels.empty()) self.in[1].data = reinterpret_cast<const Real*>(labels.data());
    kernel(self, {.lanes = lanes, .samples = out.rank > 0 ? out[0] : 1});
    CHECK(result.intact());
    CHECK(scratch.intact());
    return result.values();
  }
};

/// Runs a kernel on 1, 2 and 8 threads, which must give the same bits, and against the reference.
template <class Real>
void compare(const owned_call<Real>& wanted, vivace::kernel_function<Real> fast,
             vivace::kernel_function<Real> reference, double units) {
  const std::vector<Real> got = wanted.run(fast);
  check_close(got, wanted.run(reference), units);
  for (const int count : {2, 8}) {
    vivace::threads::executor pool(vivace::threads{.count = count});
    CHECK(same_bits(got, wanted.run(fast, pool.lanes())));
  }
}

}  // namespace calls
