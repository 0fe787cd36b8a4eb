#pragma once
/// @file
/// Estimators of training speed over loss traces. Stands alone: include it in any code.
#include <vivace/estimate/tse.hpp>
