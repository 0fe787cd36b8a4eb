#include <vivace/kernel/cuda/library.hpp>
