// expect: one of these is no layer: a layer is an object
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>

namespace vv = vivace;

struct changing {  // its operator is not constant
  constexpr vv::value operator()(vv::value input) { return input; }
};
constexpr auto wrong = vv::classifier(vv::features{20}, vv::classes{10}, changing{}, vv::dense{10});

int main() {}
