# What the project's own tests, examples and benchmarks are compiled with. Nothing here is installed or exported.

set(VIVACE_MARCH "native" CACHE STRING "-march of own tests, examples and benchmarks; empty for the compiler's default")

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
if(VIVACE_CUDA)
  include(${CMAKE_CURRENT_LIST_DIR}/cuda.cmake)
endif()

if(NOT TARGET TBB::tbb)
  find_package(TBB REQUIRED GLOBAL)
endif()
find_package(Threads REQUIRED)

# Libraries that some headers, tests or examples use; those go without where one is missing.
set(vivace_optional_packages
    "Eigen3=Eigen3::Eigen" "dlpack=dlpack::dlpack" "ZLIB=ZLIB::ZLIB" "fmt=fmt::fmt"
    "benchmark=benchmark::benchmark"
    "CLI11=CLI11::CLI11" "nlohmann_json=nlohmann_json::nlohmann_json" "Boost=Boost::headers")

add_library(vivace_packages INTERFACE)
target_link_libraries(vivace_packages INTERFACE vivace::tbb Threads::Threads)
foreach(pair IN LISTS vivace_optional_packages)
  string(REGEX MATCH "(.*)=(.*)" pair ${pair})
  set(package ${CMAKE_MATCH_1})
  set(target ${CMAKE_MATCH_2})
  find_package(${package} QUIET)
  if(TARGET ${target})
    target_link_libraries(vivace_packages INTERFACE ${target})
  else()
    message(STATUS "vivace: ${package} was not found; what needs it is left out")
  endif()
endforeach()
# xtensor 0.24 does not compile with clang 19, which reads template template parameters otherwise.
find_package(xtensor QUIET)
if(TARGET xtensor)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LIBRARIES xtensor)
  check_cxx_source_compiles("#include <xtensor/xarray.hpp>
      int main() { return static_cast<int>(xt::xarray<double>().size()); }" vivace_xtensor_compiles)
  unset(CMAKE_REQUIRED_LIBRARIES)
endif()
if(vivace_xtensor_compiles)
  add_library(vivace_xtensor INTERFACE)
  target_link_libraries(vivace_xtensor INTERFACE xtensor)
  target_link_libraries(vivace_packages INTERFACE vivace_xtensor)
else()
  message(STATUS "vivace: xtensor was not found, or this compiler does not take it; what needs it is left out")
endif()
# libsvm brings no package.
find_path(vivace_libsvm_include libsvm/svm.h)
find_library(vivace_libsvm_library svm)
mark_as_advanced(vivace_libsvm_include vivace_libsvm_library)
if(vivace_libsvm_include AND vivace_libsvm_library)
  add_library(LIBSVM INTERFACE IMPORTED)
  target_include_directories(LIBSVM INTERFACE ${vivace_libsvm_include})
  target_link_libraries(LIBSVM INTERFACE ${vivace_libsvm_library})
  target_link_libraries(vivace_packages INTERFACE LIBSVM)
else()
  message(STATUS "vivace: libsvm was not found; what needs it is left out")
endif()
if(VIVACE_MPI)
  target_link_libraries(vivace_packages INTERFACE vivace::mpi)
endif()
if(VIVACE_CUDA)
  # The headers alone: only programs for devices load the libraries.
  target_include_directories(vivace_packages SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
endif()

add_library(vivace_warnings INTERFACE)
target_compile_options(vivace_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
    # g++ 12 gives false ones from its own vector headers.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    # clang 19 lists a feature of some machines that it cannot combine with the others.
    $<$<AND:$<CXX_COMPILER_ID:Clang>,$<STREQUAL:${VIVACE_MARCH},native>>:-Wno-invalid-feature-combination>>)

add_library(vivace_march INTERFACE)
if(VIVACE_MARCH)
  target_compile_options(vivace_march INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=${VIVACE_MARCH}>
                                                $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-march=${VIVACE_MARCH}>)
endif()

if(VIVACE_CUDA)
  # The one file that nvcc compiles, for all programs here that use a device.
  add_library(device_kernels OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/cuda/device/library.cu)
  target_link_libraries(device_kernels PUBLIC vivace::cuda vivace_march)
endif()

add_library(vivace_developer INTERFACE)
target_link_libraries(vivace_developer INTERFACE vivace_packages vivace_warnings vivace_march)
