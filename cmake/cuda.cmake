# nvcc for our own programs: for compute capability 8.0 and 9.0, and as PTX for what comes later.

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
endif()
if(NOT DEFINED CMAKE_CUDA_COMPILER AND VIVACE_NVCC)
  set(CMAKE_CUDA_COMPILER ${VIVACE_NVCC})
endif()
enable_language(CUDA)
