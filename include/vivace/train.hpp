#pragma once
/// @file
/// The trainer, its callbacks and checkpoints.
#include <vivace/train/callbacks.hpp>
#include <vivace/train/checkpoint.hpp>
#include <vivace/train/gradient.hpp>
#include <vivace/train/progress.hpp>
#include <vivace/train/summary.hpp>
#include <vivace/train/trainer.hpp>
