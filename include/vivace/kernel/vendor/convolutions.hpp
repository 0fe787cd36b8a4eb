#pragma once
#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/cuda/problems.hpp>
#include <vivace/kernel/vendor/choices.hpp>

#if __has_include(<cudnn.h>) && !defined(VIVACE_NO_CUDNN)
#include <cudnn.h>
#endif

/// @file
/// Convolutions by cuDNN, where its headers are installed and VIVACE_NO_CUDNN is not defined.

namespace vivace::inline VIVACE_TARGET::gpu::vendor {

#if __has_include(<cudnn.h>) && !defined(VIVACE_NO_CUDNN)

/// Bytes of workspace that a convolution may ask for.
inline constexpr std::size_t convolution_workspace = std::size_t{256} << 20;
/// Algorithms that are looked at.
inline constexpr int most_algorithms = 16;

/// @throws error if a call failed
inline void check(cudnnStatus_t status) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw error("cuDNN refuses a convolution", "cuda", cudnnGetErrorString(status),
                "cuda{.libraries = false}, which takes kernels of our own");
}

/// True of "this cannot be done this way"; a library or a driver that is missing or too old is an error.
inline bool is_unsupported(cudnnStatus_t status) {
  constexpr cudnnStatus_t broken[] = {
      CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER, CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART,
      CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING, CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE};
  for (const cudnnStatus_t one : broken)
    if (status == one) return false;
  return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED;
}

/// What decides how a convolution is done.
struct convolution_key {
  op kind = op::conv2d;
  shape image{}, weight{}, result{};
  window frame{};
  bool single = false, narrow = false, bias = false, wide = true;
  bool operator==(const convolution_key&) const = default;
};
struct convolution_way {
  bool exists = false;
  int algorithm = 0;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  std::size_t workspace = 0;
};
struct convolution_library {
  cudnnHandle_t handle = nullptr;
  choices<convolution_key, convolution_way> ways;
  convolution_library() { check(cudnnCreate(&handle)); }
  convolution_library(const convolution_library&) = delete;
  convolution_library& operator=(const convolution_library&) = delete;
  ~convolution_library() { cudnnDestroy(handle); }
};

inline convolution_library& convolutions_of(stream_context& device) {
  stream_context::library& own = device.convolutions;
  if (own.handle == nullptr) {
    own = {new convolution_library, [](void* made) { delete static_cast<convolution_library*>(made); }};
    check(cudnnSetStream(static_cast<convolution_library*>(own.handle)->handle,
                         static_cast<cudaStream_t>(device.stream)));
  }
  return *static_cast<convolution_library*>(own.handle);
}

/// A description of cuDNN's that is given back at the end.
template <class Handle, cudnnStatus_t (*Create)(Handle*), cudnnStatus_t (*Destroy)(Handle)>
struct convolution_part {
  Handle handle = nullptr;
  convolution_part() { check(Create(&handle)); }
  convolution_part(const convolution_part&) = delete;
  convolution_part& operator=(const convolution_part&) = delete;
  ~convolution_part() { Destroy(handle); }
};

/// A convolution in the library's terms.
template <class Real>
struct convolution_description {
  static constexpr bool single = sizeof(Real) == 4;
  using tensor_part = convolution_part<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
  tensor_part image, result, biases;
  convolution_part<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor> weight;
  convolution_part<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor> how;
  convolution_part<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor> behind;

  explicit convolution_description(const convolution_problem<Real>& problem) {
    constexpr cudnnDataType_t sums = single ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE;
    const cudnnDataType_t type = problem.narrow ? CUDNN_DATA_BFLOAT16 : sums;
    const auto describe = [&](const tensor_part& part, const shape& dims) {
      check(cudnnSetTensor4dDescriptor(part.handle, CUDNN_TENSOR_NCHW, type, dims[0], dims[1], dims[2], dims[3]));
    };
    describe(image, problem.image);
    describe(result, problem.result);
    describe(biases, {1, problem.result[1], 1, 1});
    const shape& kernel = problem.weight;
    check(cudnnSetFilter4dDescriptor(weight.handle, type, CUDNN_TENSOR_NCHW, kernel[0], kernel[1], kernel[2], kernel[3]));
    const window& frame = problem.frame;
    check(cudnnSetConvolution2dDescriptor(how.handle, frame.padding[0], frame.padding[1], frame.stride[0],
                                          frame.stride[1], frame.dilation[0], frame.dilation[1],
                                          CUDNN_CROSS_CORRELATION, sums));
    check(cudnnSetConvolutionGroupCount(how.handle, frame.groups));
    check(cudnnSetActivationDescriptor(behind.handle, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
  }
  void set_math(cudnnMathType_t math) const { check(cudnnSetConvolutionMathType(how.handle, math)); }
};

/// The fastest algorithm that gives the same bits every time, within the workspace, at no less than the precision.
/// @param exact all bits of float count: FMA, or what becomes FMA when it is told to
template <class Performance>
convolution_way best_of(const Performance* list, int count, bool exact) {
  for (const bool by_name : {true, false})  // what says FMA comes first
    for (int i = 0; i < count; ++i) {
      const Performance& one = list[i];
      const bool rounds = one.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;  // to half precision
      const bool fits = exact ? one.mathType == (by_name ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH) : !rounds;
      if (one.status == CUDNN_STATUS_SUCCESS && one.determinism == CUDNN_DETERMINISTIC && fits &&
          one.memory <= convolution_workspace)
        return {.exists = true, .algorithm = static_cast<int>(one.algo),
                .math = exact ? CUDNN_FMA_MATH : one.mathType, .workspace = one.memory};
    }
  return {};
}

/// Queues a convolution by the library's best algorithm, or notes the workspace that it wants. False if the library
/// has no way to do it.
/// @param find asks for a list of algorithms
/// @param queue starts one, with the workspace that it asked for
template <class Performance, class Real, class Find, class Queue>
bool solve_by(const convolution_problem<Real>& problem, const convolution_description<Real>& description,
              stream_context& device, Find&& find, Queue&& queue) {
  const bool exact = sizeof(Real) == 4 && !device.tensor_float && !problem.narrow;
  const convolution_key key{
      .kind = problem.kind,
      .image = problem.image,
      .weight = problem.weight,
      .result = problem.result,
      .frame = problem.frame,
      .single = sizeof(Real) == 4,
      .narrow = problem.narrow,
      .bias = problem.bias != nullptr,
      .wide = is_wide(problem.a) && is_wide(problem.b) && is_wide(problem.c) && is_wide(problem.bias)};
  convolution_way& way = convolutions_of(device).ways.of(key, [&] {
    Performance list[most_algorithms];
    int count = 0;
    description.set_math(exact ? CUDNN_FMA_MATH : problem.narrow ? CUDNN_TENSOR_OP_MATH : CUDNN_DEFAULT_MATH);
    const cudnnStatus_t status = key.wide ? find(most_algorithms, &count, list) : CUDNN_STATUS_NOT_SUPPORTED;
    if (!is_unsupported(status)) check(status);
    convolution_way made = best_of(list, count, exact);
    if (!key.single) made.math = CUDNN_DEFAULT_MATH;
    ++(made.exists ? device.taken : device.refused);
    return made;
  });
  if (!way.exists) return false;
  device.want(way.workspace);
  if (device.sizing) return true;
  if (way.workspace > device.workspace_bytes) return false;
  description.set_math(way.math);
  const cudnnStatus_t status = queue(static_cast<decltype(Performance::algo)>(way.algorithm),
                                     way.workspace > 0 ? device.workspace : nullptr, way.workspace);
  if (is_unsupported(status)) {  // as some are behind which a bias is added: found in the first run, never again
    way.exists = false;
    --device.taken;
    ++device.refused;
    return false;
  }
  check(status);
  return true;
}

/// Queues a convolution or one of its gradients, or notes the workspace that it wants. False if the library has no way
/// to do it.
/// @throws error if the library fails
template <class Real>
bool solve(const convolution_problem<Real>& problem, stream_context& device) {
  if (problem.bias != nullptr && (!problem.relu || problem.narrow)) return false;  // few of its algorithms can
  const cudnnHandle_t library = convolutions_of(device).handle;
  const convolution_description<Real> with(problem);
  const Real one = 1, none = 0;
  if (problem.kind == op::conv2d)
    return solve_by<cudnnConvolutionFwdAlgoPerf_t>(
        problem, with, device,
        [&](int most, int* count, auto* list) {
          return cudnnGetConvolutionForwardAlgorithm_v7(library, with.image.handle, with.weight.handle, with.how.handle,
                                                        with.result.handle, most, count, list);
        },
        [&](cudnnConvolutionFwdAlgo_t by, void* space, std::size_t bytes) {
          if (problem.bias != nullptr)
            return cudnnConvolutionBiasActivationForward(
                library, &one, with.image.handle, problem.a, with.weight.handle, problem.b, with.how.handle, by, space,
                bytes, &none, with.result.handle, problem.c, with.biases.handle, problem.bias, with.behind.handle,
                with.result.handle, problem.c);
          return cudnnConvolutionForward(library, &one, with.image.handle, problem.a, with.weight.handle, problem.b,
                                         with.how.handle, by, space, bytes, &none, with.result.handle, problem.c);
        });
  if (problem.kind == op::conv2d_input_gradient)
    return solve_by<cudnnConvolutionBwdDataAlgoPerf_t>(
        problem, with, device,
        [&](int most, int* count, auto* list) {
          return cudnnGetConvolutionBackwardDataAlgorithm_v7(library, with.weight.handle, with.result.handle,
                                                             with.how.handle, with.image.handle, most, count, list);
        },
        [&](cudnnConvolutionBwdDataAlgo_t by, void* space, std::size_t bytes) {
          return cudnnConvolutionBackwardData(library, &one, with.weight.handle, problem.b, with.result.handle,
                                              problem.a, with.how.handle, by, space, bytes, &none, with.image.handle,
                                              problem.c);
        });
  return solve_by<cudnnConvolutionBwdFilterAlgoPerf_t>(
      problem, with, device,
      [&](int most, int* count, auto* list) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(library, with.image.handle, with.result.handle,
                                                             with.how.handle, with.weight.handle, most, count, list);
      },
      [&](cudnnConvolutionBwdFilterAlgo_t by, void* space, std::size_t bytes) {
        return cudnnConvolutionBackwardFilter(library, &one, with.image.handle, problem.a, with.result.handle,
                                              problem.b, with.how.handle, by, space, bytes, &none, with.weight.handle,
                                              problem.c);
      });
}

#else

/// Without the library.
template <class Real>
bool solve(const convolution_problem<Real>&, stream_context&) {
  return false;
}

#endif

}  // namespace vivace::inline VIVACE_TARGET::gpu::vendor
