#pragma once
/// @file
/// What knows no network - the engine, the loader of batches, the kernels - in single precision, to be compiled once
/// for a program and not for each of its files: declared here where VIVACE_PRECOMPILED is defined, and made by
/// cmake/precompiled.cpp. CMake's target vivace::precompiled does both.

#include <vivace/data/dataset.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/exec/initialise.hpp>
#include <vivace/exec/instance.hpp>
#include <vivace/kernel/cpu/cpu.hpp>
#include <vivace/kernel/program.hpp>
#include <vivace/train/engine.hpp>

#if defined(VIVACE_PRECOMPILED) || defined(VIVACE_PRECOMPILING)
namespace vivace::inline VIVACE_TARGET {

VIVACE_EXTERN template class bound_plan<float>;
VIVACE_EXTERN template class variables<float>;
VIVACE_EXTERN template class instance<float>;
VIVACE_EXTERN template class training_engine<float>;
VIVACE_EXTERN template class program_runner<float>;
VIVACE_EXTERN template class data::loader<float>;
VIVACE_EXTERN template data::loader<float>::loader(data::dataset, int, std::uint64_t, const data::loader_options&,
                                                   data::no_transform);
VIVACE_EXTERN template void training_engine<float>::run_epoch(data::loader<float>&, std::span<const callback_handle>);
VIVACE_EXTERN template void training_engine<float>::check(const graph_view&, const data::loader<float>&) const;
VIVACE_EXTERN template void initialise(float*, const shape&, const variable&, const random_stream&);
VIVACE_EXTERN template void run_program(const call<float>&, const step_context&);

namespace cpu {

VIVACE_EXTERN template void transpose(const call<float>&, const step_context&);
VIVACE_EXTERN template void slice(const call<float>&, const step_context&);
VIVACE_EXTERN template void pad(const call<float>&, const step_context&);
VIVACE_EXTERN template void concatenate(const call<float>&, const step_context&);
VIVACE_EXTERN template void sum(const call<float>&, const step_context&);
VIVACE_EXTERN template void matmul(const call<float>&, const step_context&);
VIVACE_EXTERN template void conv2d(const call<float>&, const step_context&);
VIVACE_EXTERN template void conv2d_input_gradient(const call<float>&, const step_context&);
VIVACE_EXTERN template void conv2d_weight_gradient(const call<float>&, const step_context&);
VIVACE_EXTERN template void max_pool(const call<float>&, const step_context&);
VIVACE_EXTERN template void max_pool_gradient(const call<float>&, const step_context&);
VIVACE_EXTERN template void max_pool_pick(const call<float>&, const step_context&);
VIVACE_EXTERN template void avg_pool(const call<float>&, const step_context&);
VIVACE_EXTERN template void avg_pool_gradient(const call<float>&, const step_context&);
VIVACE_EXTERN template void softmax(const call<float>&, const step_context&);
VIVACE_EXTERN template void cross_entropy(const call<float>&, const step_context&);
VIVACE_EXTERN template void cross_entropy_gradient(const call<float>&, const step_context&);
VIVACE_EXTERN template void take_rows(const call<float>&, const step_context&);
VIVACE_EXTERN template void add_rows(const call<float>&, const step_context&);

VIVACE_EXTERN template void elementwise<op::affine>(float*, const float*, const float*, const float*, std::int64_t,
                                                    std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::negate>(float*, const float*, const float*, const float*, std::int64_t,
                                                    std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::exp>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::log>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::sqrt>(float*, const float*, const float*, const float*, std::int64_t,
                                                  std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::reciprocal>(float*, const float*, const float*, const float*, std::int64_t,
                                                        std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::tanh>(float*, const float*, const float*, const float*, std::int64_t,
                                                  std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::sigmoid>(float*, const float*, const float*, const float*, std::int64_t,
                                                     std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::relu>(float*, const float*, const float*, const float*, std::int64_t,
                                                  std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::step>(float*, const float*, const float*, const float*, std::int64_t,
                                                  std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::abs>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::sign>(float*, const float*, const float*, const float*, std::int64_t,
                                                  std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::sin>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::cos>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::erf>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::square>(float*, const float*, const float*, const float*, std::int64_t,
                                                    std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::power>(float*, const float*, const float*, const float*, std::int64_t,
                                                   std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::broadcast>(float*, const float*, const float*, const float*, std::int64_t,
                                                       std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::add>(float*, const float*, const float*, const float*, std::int64_t,
                                                 std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::subtract>(float*, const float*, const float*, const float*, std::int64_t,
                                                      std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::multiply>(float*, const float*, const float*, const float*, std::int64_t,
                                                      std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::divide>(float*, const float*, const float*, const float*, std::int64_t,
                                                    std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::maximum>(float*, const float*, const float*, const float*, std::int64_t,
                                                     std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::minimum>(float*, const float*, const float*, const float*, std::int64_t,
                                                     std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::greater>(float*, const float*, const float*, const float*, std::int64_t,
                                                     std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::equal>(float*, const float*, const float*, const float*, std::int64_t,
                                                   std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::select>(float*, const float*, const float*, const float*, std::int64_t,
                                                    std::int64_t, const instruction&, const step_context&);
VIVACE_EXTERN template void elementwise<op::multiply_add>(float*, const float*, const float*, const float*,
                                                          std::int64_t, std::int64_t, const instruction&,
                                                          const step_context&);
VIVACE_EXTERN template void elementwise<op::dropout_mask>(float*, const float*, const float*, const float*,
                                                          std::int64_t, std::int64_t, const instruction&,
                                                          const step_context&);

}  // namespace cpu

}  // namespace vivace::inline VIVACE_TARGET
#endif
