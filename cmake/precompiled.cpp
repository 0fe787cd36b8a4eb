// What train/precompiled.hpp declares.
#define VIVACE_PRECOMPILING
#include <vivace/train/precompiled.hpp>
