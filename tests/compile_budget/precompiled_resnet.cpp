// The same where vivace::precompiled has the engine and the kernels.
#define VIVACE_PRECOMPILED
#include "resnet.cpp"
