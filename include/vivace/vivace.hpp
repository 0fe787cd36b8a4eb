#pragma once
/// @file
/// Everything that needs no library beyond oneTBB.
#include <vivace/data.hpp>
#include <vivace/estimate.hpp>
#include <vivace/exec.hpp>
#include <vivace/graph.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>
