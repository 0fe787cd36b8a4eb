// expect: gradients as functions are computed on the CPU; give serial{}, threads{} or tbb{}
#include <vivace/nn.hpp>
#include <vivace/train/gradient.hpp>

#include "on_device.hpp"

struct net {
  static constexpr auto graph = vivace::regressor(vivace::features{3}, vivace::targets{1}, vivace::dense{1});
};

int main() { const vivace::gradient_function<net, on_device> f; }
