#pragma once
#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/graph/graph.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What a problem means and what to do about it.
constexpr std::string_view to_string(problem what) {
  switch (what) {
    case problem::none: return "nothing is wrong";
    case problem::shapes_do_not_broadcast: return "the two shapes do not broadcast to each other";
    case problem::inner_extents_differ: return "the inner extents of a product differ";
    case problem::wrong_rank: return "the input has the wrong number of dimensions";
    case problem::channels_do_not_match: return "the weight is made for another number of channels";
    case problem::groups_do_not_divide_channels: return "the groups do not divide the channels and the filters";
    case problem::window_larger_than_input: return "the window does not fit into the input";
    case problem::extent_must_be_positive: return "an extent or a setting is not positive";
    case problem::sizes_differ: return "the two sizes differ";
    case problem::axis_out_of_range: return "there is no such axis";
    case problem::range_outside_axis: return "the range leaves the axis";
    case problem::loss_must_be_a_scalar: return "the loss is not a scalar";
    case problem::classes_do_not_match: return "the last layer does not give one number for each class";
    case problem::batch_cannot_be_reshaped: return "a reshape would mix the batch with other dimensions";
    case problem::no_second_derivative: return "the functor has no further derivative";
    case problem::no_parameter: return "there is nothing to train";
    case problem::name_used_twice: return "a name is used twice";
    case problem::batch_in_two_axes: return "the result would have the batch along two axes";
    case problem::labels_and_numbers_mixed: return "labels stand where numbers belong, or numbers where labels belong";
    case problem::cannot_be_updated: return "only parameters and states are updated, and only once in a step";
    case problem::carried_shape_changes: return "a value that a scan carries changes its shape from turn to turn";
    case problem::value_outside_its_loop: return "a value made in the body of a scan is used outside of it";
  }
  return "unknown";
}

/// Extents as text: "[batch, 10]".
inline std::string to_string(const shape& dims) {
  std::string text = "[";
  for (int d = 0; d < dims.rank; ++d) {
    if (d > 0) text += ", ";
    if (dims[d] >= 0)
      text += std::to_string(dims[d]);
    else
      text += dims[d] == -1 ? "batch" : std::to_string(-dims[d]) + " * batch";
  }
  return text + "]";
}

/// The exception for a mistake that was found at run time; the compiler prints the same parts.
inline error explain(const diagnosis& found) {
  return error("this architecture does not fit together: " + std::string(to_string(found.what)),
               found.layer < 0 ? std::string(found.kind.view())
                               : "layer " + std::to_string(found.layer) + " (" + std::string(found.kind.view()) + ")",
               to_string(found.got), to_string(found.needs));
}

}  // namespace vivace::inline VIVACE_TARGET
