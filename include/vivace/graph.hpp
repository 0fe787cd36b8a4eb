#pragma once
/// @file
/// Graphs as values: building, differentiating, ordering, fusing, planning.
#include <vivace/graph/differentiate.hpp>
#include <vivace/graph/explain.hpp>
#include <vivace/graph/freeze.hpp>
#include <vivace/graph/fuse.hpp>
#include <vivace/graph/narrow.hpp>
#include <vivace/graph/ops.hpp>
#include <vivace/graph/order.hpp>
#include <vivace/graph/planner.hpp>
#include <vivace/graph/recompute.hpp>
