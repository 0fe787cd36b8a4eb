#pragma once
// Checks a function on graph values: its gradient, the gradient of its gradient, and that both are transposes of one
// another. Everything runs at run time, in double, with the reference kernels.
#include <functional>
#include <string>
#include <vector>
#include <vivace/graph/differentiate.hpp>

namespace gradient_check {

/// How the elements of an operand are chosen.
enum class fill {
  plain,     ///< uniform in [low, high]
  nonzero,   ///< magnitude uniform in [low, high], either sign: away from kinks at zero
  distinct,  ///< a shuffled arithmetic progression in [low, high]: no two are close, so maxima are clear
  labels     ///< integers in [0, high)
};

/// What the function is applied to: an input if its shape counts samples, else a parameter.
struct operand {
  vivace::shape dims;
  fill how = fill::plain;
  double low = -1.1;
  double high = 1.3;
};

struct function {
  std::string name;
  std::vector<operand> operands;
  std::function<vivace::value(vivace::builder&, const std::vector<vivace::value>&)> apply;
  bool training = true;
};

/// Runs all checks at one batch size.
/// @param planned largest batch of the plan
/// @param samples batch that runs
void check(const function& tested, int planned, int samples);

/// At batch 1, 3, and 3 in a plan for 5; once only if no operand counts samples.
void check(const function& tested);

/// The operation whose backward rule changes sign, from the environment variable VIVACE_FLIP; none without it.
vivace::op flipped_op();

}  // namespace gradient_check
