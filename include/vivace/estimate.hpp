#pragma once
/// @file
/// Estimators of training speed over loss traces, and statistics of rankings. Stands alone: include it in any code.
/// estimate/curve_regression.hpp needs libsvm and is not among these.
#include <vivace/estimate/baselines.hpp>
#include <vivace/estimate/bootstrap.hpp>
#include <vivace/estimate/epoch_mean.hpp>
#include <vivace/estimate/overfitting.hpp>
#include <vivace/estimate/rank.hpp>
#include <vivace/estimate/scores.hpp>
#include <vivace/estimate/tse.hpp>
