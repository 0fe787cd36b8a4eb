#pragma once
#include <vivace/io/packed.hpp>
