#pragma once
/// @file
/// Optimisers, schedules, clipping.
#include <vivace/optim/adam.hpp>
#include <vivace/optim/clip.hpp>
#include <vivace/optim/lion.hpp>
#include <vivace/optim/schedule.hpp>
#include <vivace/optim/sgd.hpp>
