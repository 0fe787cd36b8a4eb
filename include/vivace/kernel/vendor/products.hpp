#pragma once
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include <vivace/core/errors.hpp>
#include <vivace/kernel/cuda/launch.hpp>
#include <vivace/kernel/cuda/problems.hpp>
#include <vivace/kernel/vendor/choices.hpp>

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

/// What decides how a product is done.
struct product_key {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transpose_a = false, transpose_b = false, single = false, narrow = false, bias = false, wide_bias = true;
  std::uint32_t alignment[3]{};  ///< of a, b, c
  bool operator==(const product_key&) const = default;
};
struct product_way {
  bool exists = false;
  cublasLtMatmulHeuristicResult_t chosen{};
};
struct product_library {
  cublasLtHandle_t handle = nullptr;
  choices<product_key, product_way> ways;
  product_library() { check(cublasLtCreate(&handle)); }
  product_library(const product_library&) = delete;
  product_library& operator=(const product_library&) = delete;
  ~product_library() { cublasLtDestroy(handle); }
};

inline product_library& products_of(stream_context& device) {
  stream_context::library& own = device.products;
  if (own.handle == nullptr)
    own = {new product_library, [](void* made) { delete static_cast<product_library*>(made); }};
  return *static_cast<product_library*>(own.handle);
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

/// A product in the library's terms.
template <class Real>
struct product_description {
  static constexpr bool single = sizeof(Real) == 4;
  static constexpr cudaDataType type = single ? CUDA_R_32F : CUDA_R_64F;  ///< of the result
  product_part<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> work;
  product_layout a, b, c;

  product_description(const product_problem<Real>& problem, bool tensor_float)
      : a(factors(problem), problem.transpose_a ? problem.m : problem.k, problem.transpose_a ? problem.k : problem.m,
          problem.batch),
        b(factors(problem), problem.transpose_b ? problem.k : problem.n, problem.transpose_b ? problem.n : problem.k,
          problem.batch),
        c(type, problem.n, problem.m, problem.batch) {
    const cublasComputeType_t compute = !single                           ? CUBLAS_COMPUTE_64F
                                        : tensor_float && !problem.narrow ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                          : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&work.handle, compute, type));
    set(CUBLASLT_MATMUL_DESC_TRANSA, problem.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, problem.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (problem.bias == nullptr) return;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, problem.bias);
  }

 private:
  static cudaDataType factors(const product_problem<Real>& problem) { return problem.narrow ? CUDA_R_16BF : type; }
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t which, Value value) {
    check(cublasLtMatmulDescSetAttribute(work.handle, which, &value, sizeof value));
  }
};

/// Asks the library for its fastest way that gives the same bits every time.
template <class Real>
product_way way_of(const product_description<Real>& of, const product_key& key, cublasLtHandle_t library) {
  if (!key.wide_bias) return {};
  product_part<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> wish;
  check(cublasLtMatmulPreferenceCreate(&wish.handle));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(wish.handle, which, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{product_workspace});
  // Parts of a sum are added in order, from a workspace, so that every run gives the same bits.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.alignment[1]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.alignment[0]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.alignment[2]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.alignment[2]);
  product_way made;
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(library, of.work.handle, of.b.handle, of.a.handle, of.c.handle, of.c.handle,
                                     wish.handle, 1, &made.chosen, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check(status);
  if (found == 0 || made.chosen.state == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check(made.chosen.state);
  made.exists = true;
  return made;
}

/// Queues a product, or notes the workspace that it wants. False if the library has no way to do it.
/// @throws error if the library fails
template <class Real>
bool solve(const product_problem<Real>& problem, stream_context& device) {
  if (problem.bias != nullptr && (problem.relu || problem.batch > 1)) return false;  // its relu makes 0 of NaN
  product_library& library = products_of(device);
  const product_description<Real> description(problem, device.tensor_float);
  const product_key key{.m = problem.m,
                        .n = problem.n,
                        .k = problem.k,
                        .batch = problem.batch,
                        .transpose_a = problem.transpose_a,
                        .transpose_b = problem.transpose_b,
                        .single = sizeof(Real) == 4,
                        .narrow = problem.narrow,
                        .bias = problem.bias != nullptr,
                        .wide_bias = is_wide(problem.bias),
                        .alignment = {alignment_of(problem.a), alignment_of(problem.b), alignment_of(problem.c)}};
  const product_way& way = library.ways.of(key, [&] {
    const product_way made = way_of(description, key, library.handle);
    ++(made.exists ? device.taken : device.refused);
    return made;
  });
  if (!way.exists) return false;
  const std::size_t bytes = way.chosen.workspaceSize;
  device.want(bytes);
  if (device.sizing) return true;
  if (bytes > device.workspace_bytes) return false;
  const Real one = 1, none = 0;
  check(cublasLtMatmul(library.handle, description.work.handle, &one, problem.b, description.b.handle, problem.a,
                       description.a.handle, &none, problem.c, description.c.handle, problem.c, description.c.handle,
                       &way.chosen.algo, bytes > 0 ? device.workspace : nullptr, bytes,
                       static_cast<cudaStream_t>(device.stream)));
  return true;
}

}  // namespace vivace::inline VIVACE_TARGET::gpu::vendor
