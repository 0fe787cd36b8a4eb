#pragma once
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/cuda/problems.hpp>

/// @file
/// Products by cuBLASLt. It counts columns first, so that our a b is its transposed b' a' of the same memory.

namespace vivace::inline VIVACE_TARGET::gpu::vendor {

/// Bytes of workspace that a product may ask for.
inline constexpr std::size_t product_workspace = std::size_t{32} << 20;

/// @throws error if a call failed
inline void check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw error("cuBLASLt refuses a product", "cuda", cublasLtGetStatusString(status),
                "cuda{.libraries = false}, which takes kernels of our own");
}

inline cublasLtHandle_t products_of(stream_context& device) {
  stream_context::library& own = device.products;
  if (own.handle == nullptr) {
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made));
    own = {made, [](void* handle) { cublasLtDestroy(static_cast<cublasLtHandle_t>(handle)); }};
  }
  return static_cast<cublasLtHandle_t>(own.handle);
}

/// A description of cuBLASLt's that is given back at the end.
template <class Handle, cublasStatus_t (*Destroy)(Handle)>
struct product_part {
  Handle handle = nullptr;
  product_part() = default;
  product_part(const product_part&) = delete;
  product_part& operator=(const product_part&) = delete;
  ~product_part() {
    if (handle != nullptr) Destroy(handle);
  }
};

struct product_layout : product_part<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> {
  /// @param stride elements from one matrix of a batch to the next
  product_layout(cudaDataType type, std::int64_t rows, std::int64_t columns, std::int64_t batch) {
    check(cublasLtMatrixLayoutCreate(&handle, type, static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(columns), rows));
    const auto count = static_cast<std::int32_t>(batch);
    const std::int64_t stride = rows * columns;
    check(cublasLtMatrixLayoutSetAttribute(handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    check(cublasLtMatrixLayoutSetAttribute(handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
  }
};

/// Bytes that an address is a multiple of, 256 at most: the library assumes that much unless it is told.
inline std::uint32_t alignment_of(const void* data) {
  std::uint32_t bytes = 256;
  while (reinterpret_cast<std::uintptr_t>(data) % bytes != 0) bytes /= 2;
  return bytes;
}

/// Queues a product, or notes the workspace that it wants. False if the library has no way to do it.
template <class Real>
bool solve(const product_problem<Real>& problem, stream_context& device) {
  constexpr bool single = sizeof(Real) == 4;
  constexpr cudaDataType type = single ? CUDA_R_32F : CUDA_R_64F;
  const cublasLtHandle_t library = products_of(device);

  product_part<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> work;
  const cublasComputeType_t compute = !single               ? CUBLAS_COMPUTE_64F
                                      : device.tensor_float ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                            : CUBLAS_COMPUTE_32F;
  check(cublasLtMatmulDescCreate(&work.handle, compute, type));
  const cublasOperation_t first = problem.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = problem.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(cublasLtMatmulDescSetAttribute(work.handle, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
  check(cublasLtMatmulDescSetAttribute(work.handle, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
  if (problem.bias != nullptr) {
    if (problem.relu || problem.batch > 1) return false;  // its relu makes 0 of NaN
    const cublasLtEpilogue_t behind = CUBLASLT_EPILOGUE_BIAS;
    check(cublasLtMatmulDescSetAttribute(work.handle, CUBLASLT_MATMUL_DESC_EPILOGUE, &behind, sizeof behind));
    check(cublasLtMatmulDescSetAttribute(work.handle, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &problem.bias,
                                         sizeof problem.bias));
  }
  const product_layout b(type, problem.transpose_b ? problem.k : problem.n, problem.transpose_b ? problem.n : problem.k,
                         problem.batch);
  const product_layout a(type, problem.transpose_a ? problem.m : problem.k, problem.transpose_a ? problem.k : problem.m,
                         problem.batch);
  const product_layout c(type, problem.n, problem.m, problem.batch);

  product_part<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> wish;
  check(cublasLtMatmulPreferenceCreate(&wish.handle));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(wish.handle, which, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{product_workspace});
  // Parts of a sum are added in order, from a workspace, so that every run gives the same bits.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(problem.b));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(problem.a));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(problem.c));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(problem.c));
  cublasLtMatmulHeuristicResult_t chosen{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(library, work.handle, b.handle, a.handle, c.handle,
                                                               c.handle, wish.handle, 1, &chosen, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || found == 0 || chosen.state != CUBLAS_STATUS_SUCCESS) return false;
  check(status);
  if (device.sizing) {
    device.want(chosen.workspaceSize);
    return true;
  }
  if (chosen.workspaceSize > device.workspace_bytes) return false;
  const Real one = 1, none = 0;
  check(cublasLtMatmul(library, work.handle, &one, problem.b, b.handle, problem.a, a.handle, &none, problem.c, c.handle,
                       problem.c, c.handle, &chosen.algo, device.workspace, device.workspace_bytes,
                       static_cast<cudaStream_t>(device.stream)));
  return true;
}

}  // namespace vivace::inline VIVACE_TARGET::gpu::vendor
