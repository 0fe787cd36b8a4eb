// The face of the library, unused.
#include <vivace/vivace.hpp>
