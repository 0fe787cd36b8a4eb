// expect: gradients as functions are computed on the CPU; give serial{}, threads{} or tbb{}
#include <vivace/nn.hpp>
#include <vivace/train/gradient.hpp>

struct net {
  static constexpr auto graph = vivace::regressor(vivace::features{3}, vivace::targets{1}, vivace::dense{1});
};

/// An executor of a device.
struct on_device {
  using family = vivace::executor_family;
  struct executor {
    explicit executor(const on_device&) {}
    vivace::parallel lanes() { return {}; }
    template <class Precision>
    void* device() {
      return nullptr;
    }
  };
};

int main() { const vivace::gradient_function<net, on_device> f; }
