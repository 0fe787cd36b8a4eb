#pragma once
/// @file
/// Architecture search: spaces, strategies, scores without training.
#include <vivace/search/darts.hpp>
#include <vivace/search/generate.hpp>
#include <vivace/search/live_table.hpp>
#include <vivace/search/nas_bench_201.hpp>
#include <vivace/search/random_search.hpp>
#include <vivace/search/regularised_evolution.hpp>
#include <vivace/search/search.hpp>
#include <vivace/search/space.hpp>
#include <vivace/search/successive_halving.hpp>
#include <vivace/search/tpe.hpp>
#include <vivace/search/width_depth.hpp>
