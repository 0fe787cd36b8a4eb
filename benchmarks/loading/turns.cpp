// The costly preparation of throughput.cpp as a library for torch_loader.py: both sides run the same machine code, so
// that what is compared is the loading around it.
#include "turns.hpp"

extern "C" void loading_turns(float* sample, int height, int width, std::uint64_t seed, std::uint32_t epoch,
                              std::uint32_t item) {
  loading::turns{}(sample, vivace::shape{1, height, width}, vivace::data::sample_key{seed, epoch, item, 0});
}
