#pragma once
/// @file
/// The engine: everything from data to trained networks that needs no library beyond oneTBB. Search and shared data
/// loading are parts of their own, <vivace/search.hpp> and <vivace/data/sharing.hpp>.
#include <vivace/data.hpp>
#include <vivace/estimate.hpp>
#include <vivace/exec.hpp>
#include <vivace/graph.hpp>
#include <vivace/nn.hpp>
#include <vivace/optim.hpp>
#include <vivace/train.hpp>
#include <vivace/train/precompiled.hpp>
