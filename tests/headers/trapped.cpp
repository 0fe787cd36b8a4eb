// Every header survives the macros of other code: what vivace includes first, then the traps, then vivace.
#include <foreign_headers.hpp>
#include <traps.hpp>

#include <all_headers.hpp>
