#pragma once
/// @file
/// oneTBB's headers. Of immintrin.h, which they include, they need what xmmintrin.h and x86gprintrin.h have; the other
/// 50,000 lines take g++ a third of the time and two fifths of the memory of all of oneTBB's headers. So g++ is told
/// that it has read them; a later #include <immintrin.h> reads them.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(_IMMINTRIN_H_INCLUDED) && \
    __has_include(<x86gprintrin.h>)
#include <x86gprintrin.h>
#include <xmmintrin.h>
#define _IMMINTRIN_H_INCLUDED
#endif

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#if defined(_IMMINTRIN_H_INCLUDED) && !defined(_AVXINTRIN_H_INCLUDED)
#undef _IMMINTRIN_H_INCLUDED
#endif
