#pragma once
/// @file
/// Jobs on several machines that share the preparation of one data set: a leader that draws, hosts that prepare.
#include <vivace/data/cluster/host.hpp>
#include <vivace/data/cluster/leader.hpp>
