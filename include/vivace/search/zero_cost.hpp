#pragma once
/// @file
/// Scores of untrained networks.
#include <vivace/search/zero_cost/fisher.hpp>
#include <vivace/search/zero_cost/grad_norm.hpp>
#include <vivace/search/zero_cost/grasp.hpp>
#include <vivace/search/zero_cost/jac_cov.hpp>
#include <vivace/search/zero_cost/snip.hpp>
#include <vivace/search/zero_cost/synflow.hpp>
