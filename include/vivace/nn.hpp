#pragma once
/// @file
/// Layers, losses, models.
#include <vivace/nn/activations.hpp>
#include <vivace/nn/attention.hpp>
#include <vivace/nn/conv2d.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/gpt.hpp>
#include <vivace/nn/initialisers.hpp>
#include <vivace/nn/losses.hpp>
#include <vivace/nn/map.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/nn/norm.hpp>
#include <vivace/nn/pooling.hpp>
#include <vivace/nn/recurrent.hpp>
#include <vivace/nn/residual.hpp>
#include <vivace/nn/scan.hpp>
