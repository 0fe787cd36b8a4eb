#pragma once
#include <vivace/graph/here.hpp>
