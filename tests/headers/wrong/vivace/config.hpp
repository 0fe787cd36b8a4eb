#pragma once
#define VIVACE_FINE 1
#define LOOSE 1  // wrong: macros start with VIVACE_
