#pragma once
/// @file
/// One-shot architecture search: supernets, samplers of paths, scores of sub-networks.
#include <vivace/search/one_shot/samplers.hpp>
#include <vivace/search/one_shot/scoring.hpp>
#include <vivace/search/one_shot/sharing.hpp>
#include <vivace/search/one_shot/supernet.hpp>
