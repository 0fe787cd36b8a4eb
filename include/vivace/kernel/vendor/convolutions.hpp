#pragma once
#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/cuda/problems.hpp>

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

inline cudnnHandle_t convolutions_of(stream_context& device) {
  stream_context::library& own = device.convolutions;
  if (own.handle == nullptr) {
    cudnnHandle_t made = nullptr;
    check(cudnnCreate(&made));
    own = {made, [](void* handle) { cudnnDestroy(static_cast<cudnnHandle_t>(handle)); }};
    check(cudnnSetStream(made, static_cast<cudaStream_t>(device.stream)));
  }
  return static_cast<cudnnHandle_t>(own.handle);
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

/// The fastest algorithm that gives the same bits every time, within the workspace; null if there is none.
template <class Performance>
const Performance* best_of(const Performance* list, int count) {
  for (int i = 0; i < count; ++i)
    if (list[i].status == CUDNN_STATUS_SUCCESS && list[i].determinism == CUDNN_DETERMINISTIC &&
        list[i].memory <= convolution_workspace)
      return list + i;
  return nullptr;
}

/// Finds an algorithm and queues the convolution by it, or notes the workspace that it wants.
/// @param must throws if it is refused; otherwise the caller has another way
template <class Performance, class Find, class Queue>
bool solve_by(stream_context& device, bool must, Find&& find, Queue&& queue) {
  Performance list[most_algorithms];
  int count = 0;
  if (find(most_algorithms, &count, list) != CUDNN_STATUS_SUCCESS) return false;
  const Performance* const chosen = best_of(list, count);
  if (chosen == nullptr) return false;
  if (device.sizing) {
    device.want(chosen->memory);
    return true;
  }
  if (chosen->memory > device.workspace_bytes) return false;
  const cudnnStatus_t status = queue(chosen->algo);
  if (must) check(status);
  return status == CUDNN_STATUS_SUCCESS;
}

/// Queues a convolution or one of its gradients, or notes the workspace that it wants. False if the library has no way
/// to do it.
template <class Real>
bool solve(const convolution_problem<Real>& problem, stream_context& device) {
  constexpr cudnnDataType_t type = sizeof(Real) == 4 ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE;
  const cudnnHandle_t library = convolutions_of(device);
  using tensor_part = convolution_part<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
  tensor_part image, result;
  convolution_part<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor> weight;
  convolution_part<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor> how;
  const auto describe = [&](const tensor_part& part, const shape& dims) {
    check(cudnnSetTensor4dDescriptor(part.handle, CUDNN_TENSOR_NCHW, type, dims[0], dims[1], dims[2], dims[3]));
  };
  describe(image, problem.image);
  describe(result, problem.result);
  const shape& kernel = problem.weight;
  check(cudnnSetFilter4dDescriptor(weight.handle, type, CUDNN_TENSOR_NCHW, kernel[0], kernel[1], kernel[2], kernel[3]));
  const window& frame = problem.frame;
  check(cudnnSetConvolution2dDescriptor(how.handle, frame.padding[0], frame.padding[1], frame.stride[0], frame.stride[1],
                                        frame.dilation[0], frame.dilation[1], CUDNN_CROSS_CORRELATION, type));
  check(cudnnSetConvolutionGroupCount(how.handle, frame.groups));
  check(cudnnSetConvolutionMathType(how.handle, device.tensor_float ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH));

  if (problem.bias != nullptr && !problem.relu) return false;  // few of its algorithms can
  tensor_part biases;
  convolution_part<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor> behind;
  if (problem.bias != nullptr) {
    describe(biases, {1, problem.result[1], 1, 1});
    check(cudnnSetActivationDescriptor(behind.handle, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
  }

  const Real one = 1, none = 0;
  void* const space = device.workspace;
  const std::size_t bytes = device.workspace_bytes;
  if (problem.kind == op::conv2d)
    return solve_by<cudnnConvolutionFwdAlgoPerf_t>(
        device, problem.bias == nullptr,
        [&](int most, int* count, auto* list) {
          return cudnnGetConvolutionForwardAlgorithm_v7(library, image.handle, weight.handle, how.handle, result.handle,
                                                        most, count, list);
        },
        [&](cudnnConvolutionFwdAlgo_t by) {
          if (problem.bias != nullptr)
            return cudnnConvolutionBiasActivationForward(
                library, &one, image.handle, problem.a, weight.handle, problem.b, how.handle, by, space, bytes, &none,
                result.handle, problem.c, biases.handle, problem.bias, behind.handle, result.handle, problem.c);
          return cudnnConvolutionForward(library, &one, image.handle, problem.a, weight.handle, problem.b, how.handle,
                                         by, space, bytes, &none, result.handle, problem.c);
        });
  if (problem.kind == op::conv2d_input_gradient)
    return solve_by<cudnnConvolutionBwdDataAlgoPerf_t>(
        device, true,
        [&](int most, int* count, auto* list) {
          return cudnnGetConvolutionBackwardDataAlgorithm_v7(library, weight.handle, result.handle, how.handle,
                                                             image.handle, most, count, list);
        },
        [&](cudnnConvolutionBwdDataAlgo_t by) {
          return cudnnConvolutionBackwardData(library, &one, weight.handle, problem.b, result.handle, problem.a,
                                              how.handle, by, space, bytes, &none, image.handle, problem.c);
        });
  return solve_by<cudnnConvolutionBwdFilterAlgoPerf_t>(
      device, true,
      [&](int most, int* count, auto* list) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(library, image.handle, result.handle, how.handle,
                                                             weight.handle, most, count, list);
      },
      [&](cudnnConvolutionBwdFilterAlgo_t by) {
        return cudnnConvolutionBackwardFilter(library, &one, image.handle, problem.a, result.handle, problem.b,
                                              how.handle, by, space, bytes, &none, weight.handle, problem.c);
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
