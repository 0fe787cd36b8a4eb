#pragma once
/// @file
/// Differentiable architecture search: DARTS, DrNAS, and both by training speed.
#include <vivace/search/differentiable/mixture.hpp>
#include <vivace/search/differentiable/relaxed_supernet.hpp>
