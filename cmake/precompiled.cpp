// What precompiled.hpp declares.
#define VIVACE_PRECOMPILING
#include <vivace/precompiled.hpp>
