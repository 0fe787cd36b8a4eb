#pragma once
#include <vivace/kernel/cuda/cuda.hpp>
#include <vivace/kernel/cuda/device_launch.hpp>
#include <vivace/kernel/cuda/kernels.hpp>

/// @file
/// The kernels of a CUDA device, to be compiled by nvcc: one file of a program, a .cu file, includes this header and
/// holds nothing else. The rest of the program is compiled by any compiler, with the same -march if with any.

#if defined(__CUDACC__)
namespace vivace::inline VIVACE_TARGET::gpu {

template <class Real>
const launcher_table<Real>& device_launchers() {
  static constexpr launcher_table<Real> table = all_launchers<device_launch, Real>();
  return table;
}
template const launcher_table<float>& device_launchers<float>();
template const launcher_table<double>& device_launchers<double>();

}  // namespace vivace::inline VIVACE_TARGET::gpu
#endif
