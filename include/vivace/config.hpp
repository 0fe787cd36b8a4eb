#pragma once
/// @file
/// The only header that defines macros. All of them start with VIVACE_.
///
/// Every name of the library lives in an inline namespace called after the instruction set that the translation
/// unit is compiled for. Two files of one program may therefore be compiled at different -march levels: each keeps
/// its own copy of every function, and the linker never hands AVX-512 code to a machine without it.

#define VIVACE_VERSION_MAJOR 0
#define VIVACE_VERSION_MINOR 1
#define VIVACE_VERSION_PATCH 0

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512BW__)
#define VIVACE_TARGET avx512
#define VIVACE_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define VIVACE_TARGET avx2
#define VIVACE_VECTOR_BYTES 32
#else
#define VIVACE_TARGET baseline
#define VIVACE_VECTOR_BYTES 16
#endif

#if defined(__CUDACC__)
#define VIVACE_HOST_DEVICE __host__ __device__
#else
#define VIVACE_HOST_DEVICE
#endif

// In front of what train/precompiled.hpp lists: declared, and in one file made.
#if defined(VIVACE_PRECOMPILING)
#define VIVACE_EXTERN
#else
#define VIVACE_EXTERN extern
#endif
