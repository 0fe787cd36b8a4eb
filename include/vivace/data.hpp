#pragma once
/// @file
/// Data sets, transforms and loaders. Readers that need zlib or stb have headers of their own.
#include <vivace/data/columns.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/data/loader.hpp>
#include <vivace/data/shapes.hpp>
#include <vivace/data/transforms.hpp>
