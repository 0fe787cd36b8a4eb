#pragma once
#include "node.hpp"
#include <vivace/core/nowhere.hpp>
