#pragma once
/// @file
/// Executors, and graphs that are planned and run without compilation.
#include <vivace/exec/evaluate.hpp>
#include <vivace/exec/serial.hpp>
#include <vivace/exec/tbb.hpp>
#include <vivace/exec/threads.hpp>
