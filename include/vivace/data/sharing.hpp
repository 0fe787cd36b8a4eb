#pragma once
/// @file
/// Jobs that share the preparation of their data: samplers, cache, and the group that ties them together.
#include <vivace/data/sharing/correlation.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/group.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/simulation.hpp>
